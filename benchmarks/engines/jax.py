"""JAX: a whole epoch as one compiled scan."""

from benchmarks.engines import beyond, functional, installed, versions

NAME = "JAX (epoch in one scan)"


def available():
    return installed("jax")


def version():
    return versions("jax")


def unsupported(workload):
    return beyond(workload)


def train(workload, x, y, threads):
    import jax
    import jax.numpy as jnp
    import numpy as np

    rule = workload.optimizer
    inputs, targets = jnp.asarray(x), jnp.asarray(y, jnp.float32 if workload.loss == "mse" else jnp.int32)
    parameters, averages = _initial(workload)
    state = parameters, averages, functional.slots(rule, parameters, jnp.zeros_like), jnp.zeros(())
    gradient = jax.value_and_grad(_loss(workload), has_aux=True)

    def step(carry, rows):
        parameters, averages, slots, count = carry
        (loss, statistics), gradients = gradient(parameters, inputs[rows], targets[rows])
        count += 1
        parameters, slots = functional.update(rule, parameters, gradients, slots, count, jnp.sqrt)
        averages = [a + 0.01 * (s - a) for a, s in zip(averages, statistics, strict=True)]
        return (parameters, averages, slots, count), loss

    def epoch(carry, order):
        carry, losses = jax.lax.scan(step, carry, order)
        return carry, losses.mean()

    epoch = jax.jit(epoch, donate_argnums=0)
    rng = np.random.default_rng(0)

    def run(epochs):
        nonlocal state
        for _ in range(epochs):
            # NumPy's permutation: jax.random.permutation sorts, which takes longer than a small network's epoch.
            order = rng.permutation(len(x)).astype(np.int32).reshape(-1, workload.batch)
            state, loss = epoch(state, order)
        return float(loss)

    return run


def _initial(workload):
    """Parameters (gamma, beta, kernel, bias of each layer) and moving averages (mean, variance)."""
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(0)
    gain = 1.0 if workload.initializer == "lecun_normal" else 2.0
    parameters, averages = [], []
    for k, n, _ in workload.layers:
        if workload.batch_norm:
            parameters += [jnp.ones(k), jnp.zeros(k)]
            averages += [jnp.zeros(k), jnp.ones(k)]
        kernel = rng.standard_normal((k, n), dtype=np.float32) * (gain / k) ** 0.5
        parameters += [jnp.asarray(kernel, jnp.float32), jnp.zeros(n)]
    return parameters, averages


def _forward(workload):
    """forward(parameters, x) -> outputs, batch statistics."""
    import jax

    def forward(parameters, x):
        remaining, statistics = iter(parameters), []
        for _, _, activation in workload.layers:
            if workload.batch_norm:
                mean, variance = x.mean(0), x.var(0)
                statistics += [mean, variance]
                gamma, beta = next(remaining), next(remaining)
                x = (x - mean) * (gamma * jax.lax.rsqrt(variance + 1e-3)) + beta
            x = x @ next(remaining) + next(remaining)
            if activation:
                x = getattr(jax.nn, activation)(x)
        return x, statistics

    return forward


def _loss(workload):
    import jax
    import jax.numpy as jnp

    forward = _forward(workload)

    def loss(parameters, x, y):
        z, statistics = forward(parameters, x)
        if workload.loss == "mse":
            return jnp.mean((z - y) ** 2), statistics
        picked = jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)
        return -jnp.mean(picked), statistics

    return loss
