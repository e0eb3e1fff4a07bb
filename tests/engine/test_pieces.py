"""Updates that follow the gradient of a large matrix piece by piece: which ones do, and that no bit depends on it."""

import os
from pathlib import Path

import numpy as np
import pytest
from fastnn._engine.program import WORK_WORTH_SHARING, Instruction, Program
from fastnn._engine.runtime import Buffer

import fastnn
from fastnn import layers, optimizers
from fastnn.lowering import builder, pieces


@pytest.fixture(autouse=True)
def any_number_of_threads():
    before = fastnn.get_threads()
    yield
    fastnn.set_threads(before)


def mlp(*widths, batch_norm=False, **options):
    """Of 200 inputs and 3 outputs, with enough parameters to be worth it."""
    rows = [fastnn.Input((200,))]
    for units in widths:
        rows += [layers.BatchNormalization()] * batch_norm
        rows.append(layers.Dense(units, activation="relu", **options))
    return fastnn.Sequential([*rows, layers.Dense(3)])


def twice():
    inputs, layer = fastnn.Input((300,)), layers.Dense(300, activation="tanh")
    return fastnn.Model(inputs, layers.Dense(3)(layer(layer(inputs))))


def branches():
    """Both layers read the same values; the gradient of those is a sum."""
    inputs = fastnn.Input((200,))
    x = layers.Dense(300, activation="relu")(inputs)
    x = layers.Concatenate()([layers.Dense(170, activation="elu")(x), layers.Dense(333)(x)])
    return fastnn.Model(inputs, layers.Dense(3)(x))


def compiled(made, optimizer="adam", **options):
    fastnn.utils.set_random_seed(0)
    model = made()
    model.compile(optimizer() if callable(optimizer) else optimizer, "mse", **options)
    return model


def followed(model, batch=32):
    """The kernels that are followed, each with what follows it."""
    result = []
    for each in model.explain_plan(batch, print_fn=lambda text: None).instructions:
        if each.follows:
            result[-1].append(each.op)
        elif each.op == "dense_backward_weights":
            result.append([each.kernel.split()[1]])
    return [each for each in result if len(each) > 1]


def fitted(made, optimizer, batch, threads):
    """The weights after two epochs, the last batch of which is smaller."""
    fastnn.set_threads(threads)
    model, random = compiled(made, optimizer), np.random.default_rng(0)
    samples = 2 * batch + 7
    x, y = random.normal(size=(samples, model.input_shape[1])), random.normal(size=(samples, 3))
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    return b"".join(each.tobytes() for each in model.get_weights()), bool(followed(model, batch))


UPDATES = [
    lambda: optimizers.SGD(0.01),
    lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    lambda: optimizers.Adam(amsgrad=True),
    lambda: optimizers.AdamW(clipvalue=0.01),
    optimizers.Adamax,
    optimizers.Nadam,
    optimizers.Lion,
    lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    optimizers.Adagrad,
    optimizers.Adadelta,
    optimizers.Ftrl,
]


@pytest.mark.parametrize("made", [lambda: mlp(600, 47, 330), lambda: mlp(600, 200, batch_norm=True), branches])
@pytest.mark.parametrize("batch", [32, 256])
def test_same_bits_as_in_two_passes(monkeypatch, made, batch):
    """On any number of threads."""
    with monkeypatch.context() as patch:
        patch.setattr(builder, "join_updates", lambda emitted, batch: emitted)
        expected, joined = fitted(made, "adam", batch, 1)
        assert not joined
    for threads in (1, 2, 3, 4):
        assert fitted(made, "adam", batch, threads) == (expected, True), threads


@pytest.mark.parametrize("optimizer", UPDATES)
def test_same_bits_of_every_optimizer(monkeypatch, optimizer):
    def made():
        return mlp(600, 300, batch_norm=True)

    with monkeypatch.context() as patch:
        patch.setattr(builder, "join_updates", lambda emitted, batch: emitted)
        expected, _ = fitted(made, optimizer, 16, 1)
    assert fitted(made, optimizer, 16, 3) == (expected, True)


def test_what_follows():
    adam = ["adam"]
    assert followed(compiled(lambda: mlp(600, 300))) == [["600x300", *adam], ["200x600", *adam]]
    assert followed(compiled(lambda: mlp(600, 300, batch_norm=True))) == [
        ["600x300", *adam],
        ["200x600", "batchnorm_dense_gradients", *adam],
    ]


def test_an_update_waits_for_all_who_read_the_weights():
    plan = compiled(lambda: mlp(600, 300)).explain_plan(32, print_fn=lambda text: None)
    shown = [(each.op, each.fence, each.commits) for each in plan.instructions]
    inputs = [each.kernel for each in plan.instructions].index("dense_backward_input 600x300 relu")
    assert shown[inputs : inputs + 6] == [
        ("dense_backward_input", True, False),
        ("dense_backward_weights", True, True),
        ("adam", False, True),
        ("dense_backward_weights", True, True),
        ("adam", False, True),
        ("adam", True, True),  # the biases, whose gradients these have written
    ]


def test_as_many_threads_as_the_updates_are_worth():
    """The gradient of few rows is quickly made, the update is not."""
    fastnn.set_threads(64)
    plan = compiled(lambda: mlp(300, 300)).explain_plan(1, print_fn=lambda text: None)
    adam = next(each for each in plan.instructions if each.follows)
    leader = plan.instructions[plan.instructions.index(adam) - 1]
    assert plan.largest == (leader, leader.work + adam.work)
    assert leader.threads == adam.threads == plan.team == int(plan.largest[1] // WORK_WORTH_SHARING) > 8
    assert "with what follows it is estimated" in str(plan)


@pytest.mark.parametrize(
    ("made", "optimizer", "batch"),
    [
        (lambda: mlp(100, 50), "adam", 32),  # stays in a cache
        (lambda: mlp(600, 300), "adam", 257),
        (lambda: mlp(600, 300), lambda: optimizers.Adam(clipnorm=1.0), 32),
        (lambda: mlp(600, 300), lambda: optimizers.Adam(global_clipnorm=1.0), 32),
        (lambda: mlp(600, 300), lambda: optimizers.Adam(gradient_accumulation_steps=2), 32),
        (lambda: mlp(600, 300), optimizers.Lamb, 32),
        (lambda: mlp(600, 300), optimizers.Muon, 32),
        (lambda: mlp(600, 300, kernel_regularizer="l2"), "adam", 32),
    ],
)
def test_who_needs_the_whole_gradient_has_it(made, optimizer, batch):
    assert followed(compiled(made, optimizer), batch) == []


def test_a_layer_that_is_used_twice_adds_its_gradients_up():
    assert followed(compiled(lambda: twice(), "adam")) == []


def test_a_constraint_comes_after_the_update():
    model = compiled(lambda: mlp(600, 300, kernel_constraint=fastnn.constraints.MaxNorm(0.5)))
    assert len(followed(model)) == 2
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(64, 200)), random.normal(size=(64, 3)), verbose=0)
    assert all(np.linalg.norm(each.kernel.numpy(), axis=0).max() < 0.5001 for each in model.layers[:2])


def test_a_long_step_can_still_be_interrupted(monkeypatch):
    """Only its last updates are early."""
    plan = compiled(lambda: mlp(600, 300)).explain_plan(32, print_fn=lambda text: None)
    cycles = [each.work for each in plan.instructions if each.op == "dense_backward_weights"][-1]
    monkeypatch.setattr(pieces, "_LONGEST_COMMIT", 1.01 * cycles)
    assert followed(compiled(lambda: mlp(600, 300))) == [["200x600", "adam"]]
    monkeypatch.setattr(pieces, "_LONGEST_COMMIT", 0.99 * cycles)
    assert followed(compiled(lambda: mlp(600, 300))) == []


def test_gradients_of_ones_own_are_whole():
    """`model.gradients` computes no update, and an update by itself reads gradients that lie in memory."""
    model, random = compiled(lambda: mlp(600, 300), lambda: optimizers.SGD(1.0)), np.random.default_rng(0)
    x, y = random.normal(size=(32, 200)), random.normal(size=(32, 3))
    before = model.layers[0].kernel.numpy()
    gradients = model.gradients(x, y)
    model.train_on_batch(x, y)
    first = gradients[0] if not isinstance(gradients, tuple) else gradients[1][0]
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), before - np.asarray(first), rtol=1e-5, atol=1e-7)


def test_gradients_in_pieces_take_no_memory():
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("needs /proc")
    model = compiled(lambda: fastnn.Sequential([fastnn.Input((4096,)), layers.Dense(4096)]), optimizers.SGD(0.1))
    x, y = np.zeros((2, 4, 4096), np.float32)
    plan = model.explain_plan(4, print_fn=lambda text: None)
    assert plan.memory["gradients"] == 4 * 4096  # of the biases
    before = int(pages.read_text().split()[1])
    model.train_on_batch(x, y)
    grown = (int(pages.read_text().split()[1]) - before) * os.sysconf("SC_PAGE_SIZE")
    assert grown < model.layers[0].kernel.nbytes / 4


def test_a_program_has_all_that_follows():
    x = Buffer(64)
    instruction = Instruction("copy_vector", dict(x=(x, 0, 64), y=(x, 0, 64)), dict(n=16), {}, followers=1)
    with pytest.raises(ValueError, match="copy_vector has 1 followers"):
        Program([instruction], 1)
