"""What all tests share."""

import os

import pytest

# Real Keras, where it is installed, is what fastnn is compared with; JAX is its lightest backend.
os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture(scope="session")
def keras():
    """Real Keras; tests that compare with it are skipped where it is not installed."""
    return pytest.importorskip("keras", exc_type=ImportError)
