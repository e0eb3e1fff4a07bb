"""Networks from C beside their peers: all answer rightly, or the page says that they do not."""

import pytest

from benchmarks import embedded_page, embedded_peers, embedded_rtneural, embedded_sizes, embedded_ways, latency_native
from benchmarks.latency_network import Network

NETWORKS = {name: Network(embedded_peers.NETWORKS[name]) for name in ("binary", "effect", "wine")}
needs_compiler = pytest.mark.skipif(latency_native.compiler() is None, reason="no C compiler")


@needs_compiler
def test_the_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(embedded_peers, "limit_threads", lambda threads: None)  # it pins the process
    options = ["--networks", *NETWORKS, "--rounds", "1", "--seconds", "0.001"]
    embedded_peers.main([*options, "--out", str(tmp_path)])
    page = (tmp_path / "embedded.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert "| binary: 3-16-8-1 relu, sigmoid |" in page
    assert "| effect: 1-8-8-1 tanh |" in page
    assert "wrong" not in page
    assert "- RTNeural static, Eigen: no sources: see --rtneural" in page


@needs_compiler
def test_wrong_answers_and_refusals_are_said():
    wrong = embedded_ways.compiled(latency_native.compiler(), (), "int run(void) { return 0; }")
    refusing = embedded_ways.compiled(latency_native.compiler(), (), "int run(void) { return 2; }")
    calls = {
        "wrong": embedded_ways.Function(wrong),
        "refusing": embedded_ways.Function(refusing),
        "none": "missing: it",
    }
    network = NETWORKS["wine"]
    results = embedded_peers.measured(network, calls, 1, 0.001)
    assert results["wrong"].startswith("wrong: off by")
    assert results["refusing"] == "refused: the network answers with status 2"
    assert results["none"] == "missing: it"


def test_the_worst_comes_first():
    results = {
        "tiny": {"export_c": [10.0, 10.0], "a": [20.0, 30.0], "b": [40.0, 40.0]},
        "book": {"export_c": [10.0, 10.0], "a": [5.0, 5.0], "b": "wrong: off by 1"},
    }
    text = embedded_page._worst(results, "export_c", lambda way: way != "export_c")
    rows = [line.split(" | ") for line in text.splitlines()[2:]]
    assert [row[0] for row in rows] == ["| book", "| tiny"]
    assert rows[1][1:3] == ["a", "**2.50×**"]


def test_the_form_of_rtneural():
    """Without its sources: what is written for it."""
    network = NETWORKS["binary"]
    assert embedded_rtneural._model(network) == (
        "ModelT<float, 3, 1, RTNeural::DenseT<float, 3, 16>, RTNeural::ReLuActivationT<float, 16>, "
        "RTNeural::DenseT<float, 16, 8>, RTNeural::ReLuActivationT<float, 8>, RTNeural::DenseT<float, 8, 1>, "
        "RTNeural::SigmoidActivationT<float, 1>>"
    )


def test_sizes_on_microcontrollers():
    found = embedded_sizes.measured({"wine": NETWORKS["wine"]})
    if isinstance(found, str):
        pytest.skip(found)
    for sizes in found.values():
        flash, ram = sizes["export_c"]
        assert 500 < flash < 6000
        assert 80 <= ram <= 200


def test_sources_that_are_none_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        embedded_peers.parse(["--rtneural", str(tmp_path)])
    assert "RTNeural/RTNeural.h" in capsys.readouterr().err
