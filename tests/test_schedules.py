"""Learning-rate schedules beside Keras's, and OneCycle beside PyTorch's."""

import json

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import schedules
from harness.models import X, Y, classifier

CASES = [
    ("ExponentialDecay", dict(initial_learning_rate=0.1, decay_steps=30, decay_rate=0.7)),
    ("ExponentialDecay", dict(initial_learning_rate=0.1, decay_steps=30, decay_rate=0.7, staircase=True)),
    ("InverseTimeDecay", dict(initial_learning_rate=0.1, decay_steps=30, decay_rate=0.7)),
    ("InverseTimeDecay", dict(initial_learning_rate=0.1, decay_steps=30, decay_rate=0.7, staircase=True)),
    ("PiecewiseConstantDecay", dict(boundaries=[10, 60], values=[0.1, 0.05, 0.01])),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=70, power=2.0)),
    ("PolynomialDecay", dict(initial_learning_rate=0.1, decay_steps=30, power=0.5, cycle=True)),
    ("CosineDecay", dict(initial_learning_rate=0.1, decay_steps=80, alpha=0.1)),
    ("CosineDecay", dict(initial_learning_rate=0.01, decay_steps=80, warmup_target=0.1, warmup_steps=20)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=17, m_mul=0.8)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=17, t_mul=1.0, alpha=0.05)),
    ("CosineDecayRestarts", dict(initial_learning_rate=0.1, first_decay_steps=17, t_mul=1.5)),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_the_numbers_are_those_of_keras(name, arguments, keras):
    """1e-5 of the highest rate: powers and cosines of float32."""
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    mine = getattr(schedules, name)(**arguments)
    steps = np.arange(0, 130, 3)
    if name == "CosineDecayRestarts":  # rounding decides on which side of a restart the step at it lies
        steps = steps[steps % 17 != 0]
    if name.startswith("Cosine"):  # one by one, they would be compiled for each step
        expected = pytest.importorskip("jax").vmap(theirs)(steps)
    else:
        expected = [float(theirs(int(step))) for step in steps]
    np.testing.assert_allclose(mine(steps), expected, rtol=1e-5, atol=1e-6)
    assert [float(mine(step)) for step in steps[:5]] == pytest.approx(mine(steps)[:5])
    assert mine.get_config() == theirs.get_config()
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(mine))))
    np.testing.assert_array_equal(again(steps), mine(steps))


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_one_cycle_is_that_of_pytorch(anneal, three_phase):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=50, anneal_strategy=anneal, three_phase=three_phase
    )
    mine = schedules.OneCycle(0.5, 50, anneal=anneal, three_phase=three_phase)
    for step in range(50):
        assert mine(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        assert mine.momentum(step) == pytest.approx(optimizer.param_groups[0]["momentum"], rel=1e-6)
        optimizer.step()
        if step < 49:
            theirs.step()
    assert mine(1000) == mine(49)


class Own(schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 if step < 5 else 0.05 / (step + 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(schedules.OneCycle(0.2, 40), momentum=0.9, nesterov=True),
        lambda: optimizers.Adam(schedules.OneCycle(0.01, 40)),
        lambda: optimizers.Nadam(schedules.ExponentialDecay(0.01, 10, 0.5)),
        lambda: optimizers.RMSprop(Own()),
    ],
)
def test_a_table_of_steps_is_what_single_steps_are(make):
    """One call for an epoch, and step after step with the numbers assigned by hand: the same bits."""
    table, single = classifier(optimizer=make()), classifier(optimizer=make())
    table.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    optimizer = single.optimizer
    for _ in range(3):
        for begin in range(0, len(X), 8):
            single.train_on_batch(X[begin : begin + 8], Y[begin : begin + 8])
    assert table.optimizer.steps == optimizer.steps == 3 * -(-len(X) // 8)
    for one, other in zip(table.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(optimizer.learning_rate) == pytest.approx(float(table.optimizer.learning_rate))


def test_a_callable_is_asked_before_each_step():
    calls = []

    def rate():
        calls.append(len(calls))
        return 0.1

    model = classifier(optimizer=optimizers.SGD(rate))
    model.fit(X, Y, batch_size=16, verbose=0)
    assert len(calls) == -(-len(X) // 16)


def test_a_schedule_is_not_settable():
    optimizer = optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate.assign(0.1)
    optimizer.learning_rate = schedules.InverseTimeDecay(0.1, 10, 0.5)
    optimizer.iterations = 10
    assert float(optimizer.learning_rate) == pytest.approx(0.1 / 1.5)
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    again = optimizers.deserialize(config)
    assert again.get_config() == optimizer.get_config()
    assert [variable.name for variable in again.variables] == ["iteration"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "`decay_steps` must be > 0"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "`first_decay_steps` must be > 0"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1]), "1 less than the length of values"),
        (lambda: schedules.OneCycle(0.1, 0), "`total_steps` must be > 0"),
        (lambda: schedules.OneCycle(0.1, 10, anneal="sine"), "`anneal`"),
        (lambda: schedules.OneCycle(0.1, 10, max_momentum=1.5), "max_momentum"),
        (lambda: optimizers.SGD(schedules.OneCycle(0.1, 10)), "has none: give it a momentum"),
        (lambda: optimizers.Adagrad(schedules.OneCycle(0.1, 10)), "no momentum that OneCycle could move"),
        (lambda: schedules.ExponentialDecay(-0.1, 10, 0.5).table(np.arange(3)), "gave the learning rate -0.1"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
