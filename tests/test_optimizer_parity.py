"""Every optimizer beside real Keras: from the same weights, by the same gradients, the same weights after 24 steps.

Tolerance 2e-4 of what has moved, and 2e-6: Keras raises its betas to powers in float32, where 1 - 0.999 has an error of
5e-5 in the first steps.
"""

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.variables import Variable

STEPS = 24
SHAPES = [(7, 5), (5,), (5, 37), (2, 3, 4), (9, 6)]
NAMES = ["kernel", "bias", "kernel", "cube", "embeddings"]
LAYOUTS = ["panels", "rows", "panels", "rows", "flat"]
random = np.random.default_rng(0)
START = [random.normal(size=shape).astype(np.float32) for shape in SHAPES]
GRADS = [[random.normal(size=shape).astype(np.float32) * 2**i for i, shape in enumerate(SHAPES)] for _ in range(STEPS)]

CASES = [
    ("SGD", dict(learning_rate=0.1)),
    ("SGD", dict(learning_rate=0.1, momentum=0.9, weight_decay=0.01)),
    ("SGD", dict(learning_rate=0.1, momentum=0.9, nesterov=True, clipnorm=1.0)),
    ("SGD", dict(learning_rate=0.1, momentum=0.5, gradient_accumulation_steps=3, use_ema=True, ema_momentum=0.7)),
    ("RMSprop", dict(learning_rate=0.01)),
    ("RMSprop", dict(learning_rate=0.01, momentum=0.9, weight_decay=0.1, clipvalue=0.5)),
    ("RMSprop", dict(learning_rate=0.01, rho=0.8, centered=True, momentum=0.5, epsilon=1e-3)),
    ("Adagrad", dict(learning_rate=0.1, initial_accumulator_value=0.3, epsilon=1e-3)),
    ("Adagrad", dict(learning_rate=0.1, global_clipnorm=1.0, weight_decay=0.02)),
    ("Adadelta", dict(learning_rate=1.0, rho=0.9, epsilon=1e-4)),
    ("Adam", dict(learning_rate=0.01, global_clipnorm=2.0)),
    ("Adam", dict(learning_rate=0.01, amsgrad=True, clipnorm=0.5, weight_decay=0.1)),
    ("Adam", dict(learning_rate=0.01, gradient_accumulation_steps=4, clipvalue=0.3, loss_scale_factor=8.0)),
    ("Adam", dict(learning_rate=0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5)),
    ("AdamW", dict(learning_rate=0.01, beta_1=0.8)),
    ("Adamax", dict(learning_rate=0.01, beta_2=0.9, epsilon=1e-3)),
    ("Adamax", dict(learning_rate=0.01, gradient_accumulation_steps=2, weight_decay=0.1)),
    ("Nadam", dict(learning_rate=0.01)),
    ("Nadam", dict(learning_rate=0.01, beta_1=0.8, gradient_accumulation_steps=3, use_ema=True, clipnorm=1.0)),
    ("Ftrl", dict(learning_rate=0.1)),
    ("Ftrl", dict(learning_rate=0.1, l1_regularization_strength=0.5, l2_regularization_strength=0.1, beta=0.3)),
    (
        "Ftrl",
        dict(learning_rate=0.1, learning_rate_power=-0.7, l2_shrinkage_regularization_strength=0.02, weight_decay=0.01),
    ),
    (
        "Ftrl",
        dict(
            learning_rate="decay",
            learning_rate_power=-0.9,
            initial_accumulator_value=0.3,
            clipnorm=1.0,
            gradient_accumulation_steps=2,
            use_ema=True,
            l1_regularization_strength=0.05,
            l2_regularization_strength=0.2,
            l2_shrinkage_regularization_strength=0.1,
            beta=0.4,
        ),
    ),
    ("Ftrl", dict(learning_rate=0.1, learning_rate_power=0.0, initial_accumulator_value=0.0, clipvalue=0.5)),
    ("Ftrl", dict(learning_rate=0.1, learning_rate_power=-1.3, global_clipnorm=3.0)),
    (
        "Adadelta",
        dict(
            learning_rate="decay",
            rho=0.8,
            epsilon=1e-2,
            weight_decay=0.1,
            global_clipnorm=2.0,
            gradient_accumulation_steps=3,
            use_ema=True,
            ema_momentum=0.5,
            loss_scale_factor=2.0,
        ),
    ),
    ("Nadam", dict(learning_rate="decay", beta_1=0.7, beta_2=0.9, epsilon=1e-2, weight_decay=0.1, clipvalue=0.5)),
    ("Nadam", dict(learning_rate=0.01, beta_2=0.99, global_clipnorm=1.0, use_ema=True, ema_overwrite_frequency=4)),
    ("Lion", dict(learning_rate=0.01, weight_decay=0.3)),
    ("Lion", dict(learning_rate="decay", beta_1=0.8, gradient_accumulation_steps=4, global_clipnorm=1.0)),
    ("Lion", dict(learning_rate=0.01, beta_1=0.7, beta_2=0.8, clipvalue=0.4, use_ema=True, ema_momentum=0.8)),
    ("Lamb", dict(learning_rate=0.01)),
    ("Lamb", dict(learning_rate=0.1, beta_1=0.7, beta_2=0.9, epsilon=1e-2, use_ema=True, ema_overwrite_frequency=3)),
    ("Lamb", dict(learning_rate=0.01, weight_decay=0.1, clipnorm=3.0, gradient_accumulation_steps=2)),
    ("Adafactor", dict(learning_rate=0.05)),
    ("Adafactor", dict(learning_rate=0.5, weight_decay=0.1, clipnorm=1.0, use_ema=True, relative_step=False)),
    ("Adafactor", dict(learning_rate=0.1, gradient_accumulation_steps=3, global_clipnorm=2.0, loss_scale_factor=4.0)),
    (
        "Adafactor",
        dict(beta_2_decay=-0.5, epsilon_1=1e-3, epsilon_2=2.0, clip_threshold=0.3, clipvalue=0.7, learning_rate=0.1),
    ),
    ("Muon", dict(learning_rate=0.05)),
    ("Muon", dict(learning_rate=0.05, weight_decay=0.1, adam_weight_decay=None, clipnorm=1.0, use_ema=True)),
    ("Muon", dict(gradient_accumulation_steps=3, exclude_layers=["ern"], exclude_embeddings=False, rms_rate=None)),
    (
        "Muon",
        dict(
            learning_rate=0.1,
            weight_decay=None,
            adam_weight_decay=0.2,
            adam_lr_ratio=0.3,
            adam_beta_1=0.7,
            adam_beta_2=0.9,
            epsilon=1e-3,
            momentum=0.6,
            nesterov=False,
            ns_steps=2,
            muon_a=2.0,
            muon_b=-1.5,
            muon_c=0.5,
            rms_rate=0.4,
        ),
    ),
]


def keras_optimizer(keras, name):
    if name == "Lamb":  # has not been given its place in the package
        return pytest.importorskip("keras.src.optimizers.lamb").Lamb
    return getattr(keras.optimizers, name)


def with_schedule(schedules, options):
    if options.get("learning_rate") != "decay":
        return options
    return options | {"learning_rate": schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.8)}


def twins(keras, name, options):
    theirs = keras_optimizer(keras, name)(name="mine", **with_schedule(keras.optimizers.schedules, options))
    mine = getattr(optimizers, name)(name="mine", **with_schedule(optimizers.schedules, options))
    their_variables = [keras.Variable(value, name=name) for value, name in zip(START, NAMES, strict=True)]
    my_variables = [
        Variable(value, name=name, layout=layout) for value, name, layout in zip(START, NAMES, LAYOUTS, strict=True)
    ]
    return theirs, mine, their_variables, my_variables


def close(one, other):
    moved = np.abs(other).max()
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6 + 2e-4 * min(moved, 0.1))


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{i} {name}" for i, (name, _) in enumerate(CASES)])
def test_steps(keras, name, options):
    theirs, mine, their_variables, my_variables = twins(keras, name, options)
    if "weight_decay" in options:
        for each in theirs, mine:
            each.exclude_from_weight_decay(var_names=["bias"])
    jax = pytest.importorskip("jax")  # without it Keras compiles anew at each step
    theirs.build(their_variables)
    step = jax.jit(theirs.stateless_apply)
    values, state = [v.value for v in their_variables], [v.value for v in theirs.variables]
    for grads in GRADS:
        values, state = step(state, grads, values)
        mine.apply(grads, my_variables)
    for variable, value in zip([*their_variables, *theirs.variables], [*values, *state], strict=True):
        variable.assign(value)
    assert mine.iterations == int(theirs.iterations)
    assert len(mine.variables) == len(theirs.variables)
    for one, other, start in zip(my_variables, their_variables, START, strict=True):
        close(one.numpy() - start, np.asarray(other) - start)
    for one, other in zip(mine.variables, theirs.variables, strict=True):  # in the same order, which files need
        assert one.shape == other.shape
        assert one.name == other.name or one.name == "u_product"
        value = np.asarray(other)
        np.testing.assert_allclose(one.numpy(), value, rtol=1e-3, atol=1e-4 * max(np.abs(value).max(), 1e-6))
    if options.get("use_ema"):
        theirs.finalize_variable_values(their_variables)
        mine.finalize_variable_values(my_variables)
        for one, other, start in zip(my_variables, their_variables, START, strict=True):
            close(one.numpy() - start, np.asarray(other) - start)
