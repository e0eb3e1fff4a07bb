"""Optimizers by hand, for the two peers that are fastest as pure functions: JAX and torch.compile.

They work on lists of arrays of either library, through operators and its `sqrt`.
"""


def slots(rule, parameters, zeros_like):
    """The state that an update needs beside the parameters: a list of lists."""
    count = 2 if rule.kind == "adam" else 1 if rule.momentum else 0
    return [[zeros_like(each) for each in parameters] for _ in range(count)]


def update(rule, parameters, gradients, state, step, sqrt):
    """One step; `step` counts from 1. Returns the new parameters and the new state."""
    rate = rule.learning_rate
    if rule.kind == "adam":
        rate = rate * sqrt(1 - 0.999**step) / (1 - 0.9**step)
        first = [m + (g - m) * 0.1 for m, g in zip(state[0], gradients, strict=True)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(state[1], gradients, strict=True)]
        moved = [p - rate * m / (sqrt(v) + rule.epsilon) for p, m, v in zip(parameters, first, second, strict=True)]
        return moved, [first, second]
    if not rule.momentum:
        return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], state
    velocity = [rule.momentum * v - rate * g for v, g in zip(state[0], gradients, strict=True)]
    if rule.nesterov:
        moved = [p + rule.momentum * v - rate * g for p, v, g in zip(parameters, velocity, gradients, strict=True)]
    else:
        moved = [p + v for p, v in zip(parameters, velocity, strict=True)]
    return moved, [velocity]
