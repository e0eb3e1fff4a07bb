"""Arguments that are no data: counts, switches, numbers."""

import numpy as np
import pytest

from fastnn.training import arguments


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_counts(value):
    counted = arguments.count(value, "batch_size")
    assert counted == 3
    assert type(counted) is int
    assert arguments.count(None, "batch_size", 32) == 32
    assert arguments.count(0, "epochs", least=0) == 0


@pytest.mark.parametrize("value", [np.array([3]), np.array([3, 4]), [3], 3.0, "3", True, np.True_, None, 0, -1, 2 - 0j])
def test_what_does_not_count_is_refused(value):
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1. Received: batch_size="):
        arguments.count(value, "batch_size")


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_switches(value):
    assert arguments.flag(value, "shuffle") is bool(value)


@pytest.mark.parametrize("value", ["batch", "", 0, 1, None, [], np.array([True])])
def test_what_is_no_switch_is_refused(value):
    with pytest.raises(ValueError, match="`shuffle` must be True or False. Received: shuffle="):
        arguments.flag(value, "shuffle")
