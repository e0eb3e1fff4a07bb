"""PyTorch, eager."""

from benchmarks.engines import installed, versions

NAME = "PyTorch"


def available():
    return installed("torch")


def version():
    return versions("torch")


def unsupported(workload):
    return None if workload.activation in ("linear", *_ACTIVATIONS) else f"no {workload.activation}"


def train(workload, x, y, threads):
    torch = import_torch(threads)
    return trainer(torch, build(torch, workload), workload, x, y)


def trainer(torch, model, workload, x, y):
    """run(epochs), the plain loop."""
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    loss_of = _loss(torch, workload)
    optimizer = _optimizer(torch, workload, model)

    def run(epochs):
        model.train()
        for _ in range(epochs):
            # One gather an epoch and views of it: a DataLoader, or a gather a batch, is slower.
            order = torch.randperm(len(inputs))
            total = torch.zeros(())
            for xb, yb in zip(inputs[order].split(workload.batch), targets[order].split(workload.batch), strict=True):
                loss = loss_of(model(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
        return float(total) / workload.steps

    return run


def predictor(network, x, threads, variant):
    torch = import_torch(threads)
    return caller(torch, with_numbers(torch, network)), (x,)


def caller(torch, model):
    """predict(x), from NumPy to NumPy."""

    def predict(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


def with_numbers(torch, network):
    """A `benchmarks.latency_network.Network` as a module."""
    layers = []
    for kernel, bias, activation in network.layers:
        layers.append(torch.nn.Linear(*kernel.shape))
        with torch.no_grad():
            layers[-1].weight.copy_(torch.from_numpy(kernel.T))
            layers[-1].bias.copy_(torch.from_numpy(bias))
        if activation:
            layers.append(_activation(torch.nn, activation))
    return torch.nn.Sequential(*layers).eval()


def import_torch(threads):
    """PyTorch, held to `threads` threads."""
    import torch

    torch.set_num_threads(threads)
    # As XLA does: the moments of a dead unit decay into denormals, on which some processors are 100 times slower.
    torch.set_flush_denormal(True)
    return torch


def build(torch, workload):
    """The network; batch normalisation with the constants of Keras."""
    nn = torch.nn
    gain = 1.0 if workload.initializer == "lecun_normal" else 2.0
    layers = []
    for i, (k, n, activation) in enumerate(workload.layers):
        if workload.batch_norm:
            layers.append(nn.BatchNorm1d(k, eps=1e-3, momentum=0.01))
        if workload.dropout and i:
            layers.append(nn.Dropout(workload.dropout))
        layers.append(nn.Linear(k, n))
        nn.init.normal_(layers[-1].weight, std=(gain / k) ** 0.5)
        nn.init.zeros_(layers[-1].bias)
        if activation:
            layers.append(_activation(nn, activation))
    return nn.Sequential(*layers)


# Names of modules in torch.nn and their arguments: the constants of Keras here, too.
_ACTIVATIONS = {
    "relu": ("ReLU",),
    "leaky_relu": ("LeakyReLU", 0.2),
    "elu": ("ELU",),
    "selu": ("SELU",),
    "sigmoid": ("Sigmoid",),
    "tanh": ("Tanh",),
    "softmax": ("Softmax", -1),
    "softplus": ("Softplus",),
    "silu": ("SiLU",),
    "gelu": ("GELU",),
    "mish": ("Mish",),
}


def _activation(nn, name):
    module, *arguments = _ACTIVATIONS[name]
    return getattr(nn, module)(*arguments)


def _loss(torch, workload):
    nn = torch.nn
    return {
        "mse": nn.MSELoss,
        "crossentropy": nn.CrossEntropyLoss,
        "dense_crossentropy": nn.CrossEntropyLoss,
        "binary_crossentropy": nn.BCEWithLogitsLoss,
    }[workload.loss]()


def _optimizer(torch, workload, model):
    # fused=True: up to 1.7 times the speed of the default and of foreach, nowhere slower.
    rule, parameters = workload.optimizer, model.parameters()
    if rule.kind == "adam":
        return torch.optim.Adam(parameters, lr=rule.learning_rate, eps=rule.epsilon, amsgrad=rule.amsgrad, fused=True)
    return torch.optim.SGD(
        parameters, lr=rule.learning_rate, momentum=rule.momentum, nesterov=rule.nesterov, fused=True
    )
