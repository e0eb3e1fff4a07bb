"""The examples run. What they find is in docs/experiments.md; here they are too short to find anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.datasets import _cache, _mnist_like

EXAMPLES = Path(__file__).parents[1] / "examples"
EXPERIMENTS = ["deep_networks", "optimizers_compared", "schedules_compared", "transfer", "mc_dropout"]


def has_fashion_mnist():
    folders = [*_cache.candidates("fashion-mnist"), Path("/usr/share/datasets/fashion-mnist")]
    return any(all(_mnist_like._existing(folder / name) for name in _mnist_like.FILES) for folder in folders)


def run(tmp_path, script, *args):
    command = [sys.executable, str(EXAMPLES / script), *args]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_layer_of_ones_own(tmp_path):
    assert "where the answers agree" in run(tmp_path, "own_layer.py")


@pytest.mark.skipif(not has_fashion_mnist(), reason="Fashion-MNIST is not on this machine")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment(tmp_path, name):
    printed = run(tmp_path, f"experiments/{name}.py", "--quick", "--out", "pictures")
    assert printed.count("\n|") > 3, printed  # a table
    assert f"{name}.png, after" in printed
    assert (tmp_path / "pictures" / f"{name}.png").stat().st_size > 10_000


def test_every_example_is_run_here():
    known = {"own_layer", "common", "digits", *EXPERIMENTS}
    assert {path.stem for path in EXAMPLES.rglob("*.py")} == known
