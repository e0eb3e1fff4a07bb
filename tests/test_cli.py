"""The command line, as a user runs it: in a process of its own, and its edges in this one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.cli import demo, main


def run(folder, *args, timeout=300):
    """Run ``python -m fastnn`` in `folder`, where no sources can shadow the installed package."""
    return subprocess.run(
        [sys.executable, "-m", "fastnn", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def accuracy(output):
    return float(re.search(r"Test accuracy: (0\.\d+)", output)[1])


# ---- demo --------------------------------------------------------------------------------------


def test_demo_learns_the_digits(tmp_path):
    result = run(tmp_path, "demo")
    assert result.returncode == 0, result.stderr
    assert accuracy(result.stdout) >= 0.97
    difference = float(re.search(r"differ from the model's by at most (\S+)\.\n", result.stdout)[1])
    assert difference <= demo._TOLERANCE
    times = [float(us) for us in re.findall(r"^  \S.* (\d+\.\d\d)$", result.stdout, re.MULTILINE)]
    assert len(times) == 4
    assert min(times) > 0


def test_demo_repeats_itself(tmp_path):
    """Same seed, same bits: losses and accuracies are equal to the last digit printed."""

    def figures(*args):
        result = run(tmp_path, "demo", "--epochs", "2", *args)
        assert result.returncode == 0, result.stderr
        return re.findall(r"\b(?:\w*loss|\w*accuracy): (\S+)", result.stdout)

    first = figures()
    assert len(first) >= 2 * 4
    assert figures() == first
    assert figures("--seed", "1") != first


def test_demo_without_batch_norm(tmp_path):
    result = run(tmp_path, "demo", "--no-batch-norm", "--epochs", "10")
    assert result.returncode == 0, result.stderr
    assert accuracy(result.stdout) >= 0.95


def test_demo_draws_the_learning_curve(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    result = run(tmp_path, "demo", "--epochs", "1", "--batch-size", "64", "--plot", "curve.png")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "Learning curve: curve.png" in result.stdout


def test_demo_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo", "--epochs", "1"]) == 0
    assert "pip install 'fastnn[plot]'" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_demo_reports_a_wrong_predictor(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "_TOLERANCE", -1.0)
    assert main(["demo", "--epochs", "1"]) == 1
    assert "please report it" in capsys.readouterr().out


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="Debian's package dataset-fashion-mnist is not installed",
)
@pytest.mark.parametrize(("args", "expected"), [((), 0.865), (("--no-batch-norm",), 0.86)])
def test_demo_learns_fashion_mnist(tmp_path, args, expected):
    result = run(tmp_path, "demo", "--dataset", "fashion-mnist", "--epochs", "5", *args, timeout=600)
    assert result.returncode == 0, result.stderr
    assert accuracy(result.stdout) >= expected


def test_demo_without_data(tmp_path, monkeypatch, capsys):
    def load_data():
        raise OSError("fashion-mnist is not on this machine and could not be downloaded")

    monkeypatch.setattr(fastnn.datasets.fashion_mnist, "load_data", load_data)
    assert main(["demo", "--dataset", "fashion-mnist"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("fastnn: fashion-mnist is not on this machine")


def test_interrupted(monkeypatch, capsys):
    def interrupt(dataset):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_load", interrupt)
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


# ---- bench -------------------------------------------------------------------------------------


def test_bench(tmp_path):
    result = run(tmp_path, "bench", "--workloads", "tiny", "tabular", "--seconds", "0.02", "--threads", "1")
    assert result.returncode == 0, result.stderr
    machine, versions, _, header, *lines = result.stdout.splitlines()
    assert "processors usable" in machine
    assert fastnn.__version__ in versions
    assert header.split() == ["workload", "threads", "samples/s", "µs/step", "GFLOP/s"]
    assert [line.split()[:2] for line in lines] == [["tiny", "1"], ["tabular", "1"]]
    assert min(float(figure.replace(",", "")) for line in lines for figure in line.split()[2:]) > 0


@pytest.mark.skipif(fastnn.show_config("dict")["processors usable"] < 2, reason="one processor")
def test_bench_compares_thread_counts(capsys):
    before = fastnn.get_threads()
    assert main(["bench", "--workloads", "tiny", "--seconds", "0.01", "--threads", "1", "2"]) == 0
    *_, one, two = capsys.readouterr().out.splitlines()
    assert one.split()[:2] == ["tiny", "1"]
    assert re.fullmatch(r" +2 .* \d+\.\d\d×", two)
    assert fastnn.get_threads() == before


def test_bench_refuses_more_threads_than_processors(capsys):
    assert main(["bench", "--threads", "100000"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.match(r"fastnn: --threads: there are \d+ processors. Received: 100000", captured.err)


def test_bench_peers(capsys):
    assert main(["bench", "--peers"]) == 0
    assert "python -m benchmarks.report" in capsys.readouterr().out


# ---- the rest ----------------------------------------------------------------------------------


def test_info(tmp_path):
    result = run(tmp_path, "info")
    assert result.returncode == 0, result.stderr
    assert fastnn.__version__ in result.stdout


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["demo", "--dataset", "cifar"], "invalid choice: 'cifar'"),
        (["demo", "--epochs", "0"], "expected at least 1, received 0"),
        (["demo", "--batch-size", "many"], "invalid .* value: 'many'"),
        (["demo", "--seed", "-1"], "expected 0 to 4294967295, received -1"),
        (["bench", "--workloads", "huge"], "invalid choice: 'huge'"),
        (["bench", "--threads", "0"], "expected at least 1, received 0"),
        (["bench", "--seconds", "0"], "expected a positive number, received 0"),
    ],
)
def test_wrong_arguments(capsys, args, message):
    with pytest.raises(SystemExit, match="2"):
        main(args)
    assert re.search(message, capsys.readouterr().err)
