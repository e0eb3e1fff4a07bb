"""fastnn beside what real Keras made of the same cases after 24 steps. Needs no Keras: its numbers are in keras.npz.

Tolerance: 2e-4 of a value, and 2e-5. Keras computes powers of its betas in float32, which are wrong by 5e-5 in the
first steps, and errors grow with the steps that follow.
"""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from golden.cases import CASES, STEPS

RECORDED = Path(__file__).parent / "keras.npz"


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as data:
        return dict(data)


@pytest.mark.parametrize("name", CASES)
def test_as_recorded_of_keras(name, recorded):
    found = CASES[name](fastnn)
    expected = {key.partition("/")[2]: value for key, value in recorded.items() if key.partition("/")[0] == name}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-4, atol=2e-5, err_msg=key)


def test_everything_has_a_case():
    """Every optimizer, schedule, loss, metric, regularizer and constraint that does something by itself."""
    assert STEPS >= 20
    text = (Path(__file__).parent / "cases.py").read_text()
    missing = []
    for room in "optimizers", "optimizers.schedules", "losses", "metrics", "regularizers", "constraints":
        module = fastnn
        for part in room.split("."):
            module = getattr(module, part)
        missing += [
            name for name, each in vars(module).items()
            if isinstance(each, type) and each.__name__ == name and f'"{name}"' not in text and name[0] != "_"
        ]  # fmt: skip
    # Base classes; what Keras does not have.
    assert set(missing) == {
        "Optimizer", "LearningRateSchedule", "Loss", "Metric", "Regularizer", "Constraint",
        "OneCycle",
        "StateMetric", "CompiledAccuracy", "MeanLoss", "FunctionLoss", "Tensor",  # not public
    }  # fmt: skip
