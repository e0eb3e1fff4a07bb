"""torch.compile, of the whole training step (gradient and update in one graph), or of the whole network."""

from benchmarks.engines import beyond, functional, installed, pytorch, versions

NAME = "torch.compile"


def available():
    return installed("torch")


def version():
    return versions("torch")


def unsupported(workload):
    return beyond(workload)


def train(workload, x, y, threads):
    # Compiling the loss of an nn.Module and optimizer.step instead is 2 to 5 times slower on the small networks, where
    # autograd's own work between the two graphs is most of a step.
    torch = pytorch.import_torch(threads)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    model = pytorch.build(torch, workload)
    rule = workload.optimizer
    parameters = [each.detach() for each in model.parameters()]
    averages = [each.detach() for each in model.buffers() if each.is_floating_point()]
    state = functional.slots(rule, parameters, torch.zeros_like)
    gradient = torch.func.grad_and_value(_loss(torch, workload), has_aux=True)
    count = torch.zeros(())

    def step(xb, yb):
        gradients, (loss, statistics) = gradient(parameters, xb, yb)
        count.add_(1)
        moved, slots = functional.update(rule, parameters, gradients, state, count, torch.sqrt)
        for old, new in zip([*parameters, *sum(state, [])], [*moved, *sum(slots, [])], strict=True):
            old.copy_(new)
        for average, value in zip(averages, statistics, strict=True):
            average.lerp_(value, 0.01)
        return loss

    compiled = torch.compile(step)

    def run(epochs):
        with torch.no_grad():
            for _ in range(epochs):
                order = torch.randperm(len(inputs))
                total = torch.zeros(())
                for xb, yb in zip(
                    inputs[order].split(workload.batch), targets[order].split(workload.batch), strict=True
                ):
                    total += compiled(xb, yb)
        return float(total) / workload.steps

    return run


def predictor(network, x, threads, variant):
    torch = pytorch.import_torch(threads)
    torch._dynamo.reset()  # each call would look through what was compiled before
    # What PyTorch recommends for inference: weights are constants, packed once.
    torch._inductor.config.freezing = True
    return pytorch.caller(torch, torch.compile(pytorch.with_numbers(torch, network), dynamic=False)), (x,)


def _loss(torch, workload):
    """loss(parameters, x, y) -> loss, batch statistics; the parameters in nn.Module's order.

    Batch normalisation is written out: nn.BatchNorm1d changes its buffers, which torch.func.grad forbids.
    """
    F = torch.nn.functional
    loss_of = F.mse_loss if workload.loss == "mse" else F.cross_entropy

    def loss(parameters, x, y):
        remaining, statistics = iter(parameters), []
        for _, _, activation in workload.layers:
            if workload.batch_norm:
                variance, mean = torch.var_mean(x, 0, correction=0)
                statistics += [mean.detach(), variance.detach()]
                gamma, beta = next(remaining), next(remaining)
                x = (x - mean) * (gamma * torch.rsqrt(variance + 1e-3)) + beta
            x = F.linear(x, next(remaining), next(remaining))
            if activation:
                x = getattr(F, activation)(x)
        return loss_of(x, y), statistics

    return loss
