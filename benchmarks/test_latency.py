"""Is the comparison of single predictions a fair one? Every engine computes the same network, and the page says so."""

import re

import numpy as np
import pytest

from benchmarks import engines, latency, latency_native, measure
from benchmarks.engines import PREDICTORS
from benchmarks.latency_network import Network
from benchmarks.workloads import INFERENCE


@pytest.mark.parametrize("engine", [each for each in PREDICTORS if each != "torch_compile"])  # takes seconds to compile
@pytest.mark.parametrize("name", ["tiny", "tabular", "bookrelu", "bookelu"])
def test_every_engine_predicts_the_same(name, engine):
    module, variant = engines.load(engine)
    if not module.available():
        pytest.skip(f"{module.NAME} is not installed")
    network = Network(INFERENCE[name])
    x = network.data(3)
    call, arguments = module.predictor(network, x, 1, variant)
    for _ in range(2):  # what writes into its own arrays has to start afresh
        assert network.difference(x, call(*arguments)) <= measure.TOLERANCES.get(variant, measure.TOLERANCE)


def test_wrong_outputs_are_found():
    network = Network(INFERENCE["tiny"])
    x = network.data(3)
    assert network.difference(x, network.outputs(x)) == 0
    assert network.difference(x, network.outputs(x) * 1.01) == pytest.approx(0.01)
    assert measure._wrong("numpy", {"difference": 2e-4}) == "wrong: off by 2.0e-04"
    assert measure._wrong("fastnn:int8", {"difference": 2e-4}) is None
    assert measure._wrong("numpy", {"difference": float("nan")}) is not None


class Fake:
    """A client that answers what it is told to."""

    missing = None

    def __init__(self, engine, answers):
        self.engine = self.name = engine
        self.answers = iter(answers)
        self.asked = []

    def ask(self, *command):
        self.asked.append(command)
        return {} if command[0] == "drop" else next(self.answers)


def test_rounds():
    """The first round is thrown away; what fails or is wrong once is out."""
    good, wrong = {"median_us": 1.0, "difference": 0.0}, {"median_us": 1.0, "difference": 1.0}
    waited = {"median_us": 1.0, "p99_us": 2.0}
    a, b, c = Fake("a", [wrong]), Fake("b", [good] * 4), Fake("c", [good, {"error": "Traceback\nValueError: no"}])
    b.answers = iter([{**good, "median_us": i} for i in range(4)])
    d = Fake("d", [])
    d.missing = "not installed"
    assert measure.latencies([a, b, c, d], ["net"], [1], 3, 0.1) == {
        ("net", 1, "a"): "wrong: off by 1.0e+00",
        ("net", 1, "b"): [{**good, "median_us": i} for i in (1, 2, 3)],
        ("net", 1, "c"): "failed: ValueError: no",
        ("net", 1, "d"): "not installed",
    }
    e = Fake("e", [good, {**good, "median_us": 5.0}, waited])
    assert measure.latencies([e, d], ["net"], [1], 1, 0.1)["net", 1, measure.WAITING] == [waited]
    assert e.asked == [("latency", "net", 1, 0.1)] * 2 + [("waiting", 5.0, 0.1), ("drop", "net")]
    assert b.asked == [("latency", "net", 1, 0.1)] * 4 + [("drop", "net")]
    assert d.asked == []


def test_reading():
    if latency_native.compiler() is None:
        pytest.skip("no C compiler")
    assert latency_native.reading(1 << 16, 0.01) > 1e8


def test_longer_waits_are_more_additions():
    if latency_native.compiler() is None:
        pytest.skip("no C compiler")
    call, (few,) = latency_native.waiting(10_000)
    _, (many,) = latency_native.waiting(1_000_000)
    assert call(few) == few
    assert 0 < few < many


def test_looks_are_means_of_calls_that_take_long_enough():
    asked = []

    def timed(repeat, count):
        asked.append((repeat, count))
        return np.full(count, 100 * repeat)

    assert set(latency_native.looks(timed, 0.001)) == {100}
    repeat, count = asked[-1]
    assert repeat == 64  # 50 and more of 100 ns are 5 µs
    assert count >= 5


def test_the_page(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = ["--networks", "tiny", "--batches", "1", "16", "--engines", "fastnn:out", "numpy", "--rounds", "1"]
    options += ["--seconds", "0.01", "--epochs", "0", "--cpu", "baseline"]
    latency.main([*options, "--out", str(tmp_path)])
    page = (tmp_path / "latency.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert page.splitlines()[2].startswith(f"Made by `python -m benchmarks.latency {' '.join(options)}")
    assert "| tiny | 16 | NumPy | " in page
    assert re.search(r"fastnn [0-9.]+\S* \(baseline\)", page)
    assert "failed" not in page
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--batches", "0"], ["--networks", "huge"]])
def test_it_refuses_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit):
        latency.main(arguments)
    assert arguments[0] in capsys.readouterr().err
