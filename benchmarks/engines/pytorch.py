"""PyTorch, eager."""

from benchmarks.engines import installed, versions

NAME = "PyTorch"


def available():
    return installed("torch")


def version():
    return versions("torch")


def unsupported(workload):
    return None


def train(workload, x, y, threads):
    torch = import_torch(threads)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    model = build(torch, workload)
    loss_of = torch.nn.MSELoss() if workload.loss == "mse" else torch.nn.CrossEntropyLoss()
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


def predictor(workload, batch, threads):
    torch = import_torch(threads)
    model = build(torch, workload).eval()

    def predict(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


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
    activations = {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU}
    gain = 1.0 if workload.initializer == "lecun_normal" else 2.0
    layers = []
    for k, n, activation in workload.layers:
        if workload.batch_norm:
            layers.append(nn.BatchNorm1d(k, eps=1e-3, momentum=0.01))
        layers.append(nn.Linear(k, n))
        nn.init.normal_(layers[-1].weight, std=(gain / k) ** 0.5)
        nn.init.zeros_(layers[-1].bias)
        if activation:
            layers.append(activations[activation]())
    return nn.Sequential(*layers)


def _optimizer(torch, workload, model):
    # fused=True: up to 1.7 times the speed of the default and of foreach, nowhere slower.
    rule, parameters = workload.optimizer, model.parameters()
    if rule.kind == "adam":
        return torch.optim.Adam(parameters, lr=rule.learning_rate, eps=rule.epsilon, fused=True)
    return torch.optim.SGD(
        parameters, lr=rule.learning_rate, momentum=rule.momentum, nesterov=rule.nesterov, fused=True
    )
