"""Is the sweep a fair one? The networks of both engines compute the same, and every kind of network comes up."""

from dataclasses import replace

import numpy as np
import pytest

import fastnn
from benchmarks import networks, sweep
from benchmarks.engines import keras_style, pytorch
from benchmarks.workloads import TRAINING, find
from fastnn.cli.workloads import LOSSES

BASE = replace(TRAINING["tabular"], sizes=(7, 20, 17, 5), batch=24, samples=24, batch_norm=True)
KINDS = {
    **{each: replace(BASE, activation=each) for each in networks.ACTIVATIONS},
    **{each: replace(BASE, loss=each) for each in LOSSES},
    **{f"optimizer {i}": replace(BASE, optimizer=each) for i, each in enumerate(networks.OPTIMIZERS)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_fastnn_and_pytorch_train_the_same(kind):
    """From the same weights, on batches of all samples, so that their order does not matter."""
    torch = pytest.importorskip("torch")
    network = KINDS[kind]
    x, y = network.data()
    ours = network.made_by(fastnn)
    ours.compile(network.optimizer.made_by(fastnn), LOSSES[network.loss][0])
    theirs = pytorch.build(torch, network)
    weights = iter(ours.get_weights())
    with torch.no_grad():
        for module in theirs:
            for parameter in module.parameters():
                value = torch.from_numpy(next(weights))
                parameter.copy_(value.T if value.ndim == 2 else value)
            for _ in range(2 * isinstance(module, torch.nn.BatchNorm1d)):
                next(weights)  # moving averages
    losses = [
        keras_style.trainer(ours, network, x, y)(10),
        pytorch.trainer(torch, theirs, network, x, y)(10),
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_networks_are_what_their_names_say():
    assert find(networks.name_of(0, 3)) == find("random-0-3") != find("random-1-3")
    assert find("tiny") is TRAINING["tiny"]
    for name in ("huge", "random-0", "random-0-x", "random-0-1-2"):
        with pytest.raises(ValueError, match="Expected a name such as tiny or random-0-17"):
            find(name)


def test_every_kind_comes_up():
    drawn = [find(networks.name_of(0, number)) for number in range(200)]
    assert {each.activation for each in drawn} == set(networks.ACTIVATIONS)
    assert {each.optimizer for each in drawn} == set(networks.OPTIMIZERS)
    assert {each.loss for each in drawn} == set(LOSSES)
    for each in drawn:
        assert 1 <= min(each.sizes) <= max(each.sizes) <= networks.WIDEST
        assert 1 <= each.batch <= networks.LARGEST_BATCH
        assert 3 <= len(each.sizes) <= networks.DEEPEST + 2
        assert each.samples % each.batch == 0


def test_the_page(tmp_path, capsys):
    for library in ("torch", "matplotlib"):
        pytest.importorskip(library)
    options = ["--networks", "2", "--rounds", "1", "--seconds", "0.01"]
    sweep.main([*options, "--out", str(tmp_path)])
    page = (tmp_path / "sweep.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert page.splitlines()[2].startswith(f"Made by `python -m benchmarks.sweep {' '.join(options)}")
    assert "of 2** (" in page
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    sweep.main([*options, "--only", "1"])
    assert "\n| 1 | " in capsys.readouterr().out
