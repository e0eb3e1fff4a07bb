"""What all tests share."""

import os

import pytest
from hypothesis import settings

# Real Keras, where it is installed, is what fastnn is compared with; JAX is its lightest backend.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # it compiles for seconds what then runs for microseconds


# Machines are shared and slow at times; the same examples each time, so that a failure can be repeated.
settings.register_profile("fastnn", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("fastnn")


@pytest.fixture(scope="session")
def keras():
    """Real Keras; tests that compare with it are skipped where it is not installed."""
    return pytest.importorskip("keras", exc_type=ImportError)
