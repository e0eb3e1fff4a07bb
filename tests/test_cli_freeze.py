"""The commands about frozen networks: freeze, inspect, export-c and latency."""

import gc
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.cli import latency, main


@pytest.fixture
def model():
    fastnn.utils.set_random_seed(0)
    stack = [
        layers.BatchNormalization(),
        layers.Dense(16, activation="relu", name="hidden"),
        layers.Dense(3, name="out"),
    ]
    return fastnn.Sequential([fastnn.Input((8,)), *stack])


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "net.fastnn")
    return tmp_path / "net.fastnn"


@pytest.fixture
def x(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return x


def run(*args):
    return main([str(each) for each in args])


# ---- freeze ------------------------------------------------------------------------------------


def test_freeze_writes_what_the_model_predicts(model, path, x, tmp_path, capsys):
    assert run("freeze", path, "--data", tmp_path / "x.npy", "--tolerance", "1e-5") == 0
    output = capsys.readouterr().out
    assert "folded into" in output
    assert re.search(r"on 20 samples:\noutput 'out': largest difference \d\S*, relative RMS error \d", output)
    assert re.search(r"net\.fnn: [\d,]+ bytes\n$", output)
    np.testing.assert_allclose(
        fastnn.load_frozen(tmp_path / "net.fnn").predict(x), model.predict(x, verbose=0), atol=1e-5
    )


def test_freeze_with_labels(model, path, x, tmp_path, capsys):
    np.save(tmp_path / "y.npy", model.predict(x, verbose=0).argmax(1))
    data = ["--data", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--calibration", tmp_path / "x.npy"]
    assert run("freeze", path, *data, "--tolerance", "0.0", "--precision", "mixed") == 0
    assert "accuracy 100.00% -> 100.00%" in capsys.readouterr().out
    assert run("freeze", path, *data, "--precision", "int8") == 0
    assert "range" in str(fastnn.load_frozen(tmp_path / "net.fnn").report)


def test_freeze_in_a_precision_and_elsewhere(path, tmp_path):
    assert run("freeze", path, "--precision", "int8", "-o", tmp_path / "small.fnn") == 0
    assert run("freeze", path) == 0
    assert (tmp_path / "small.fnn").stat().st_size < (tmp_path / "net.fnn").stat().st_size


def test_freeze_misses_the_tolerance(path, x, tmp_path, capsys):
    assert run("freeze", path, "--precision", "int8", "--data", tmp_path / "x.npy", "--tolerance", "1e-9") == 1
    assert re.search(r"relative RMS error of its outputs is 0\.0\d+, .*tolerance=1e-09", capsys.readouterr().err)
    assert not (tmp_path / "net.fnn").exists()


def test_freeze_refuses(path, x, tmp_path, capsys):
    np.savez(tmp_path / "two.npz", x=x, y=x)
    for args, message in [
        (["net.txt"], "A model is a file that ends in .fastnn, .keras"),
        ([tmp_path / "nothing.fastnn"], "There is no file"),
        ([path, "--tolerance", "0.1"], "--tolerance needs --data"),
        ([path, "--labels", "y.npy"], "--labels needs --data"),
        ([path, "--precision", "mixed"], "--precision mixed needs --data"),
        ([path, "-o", tmp_path / "nowhere" / "net.fnn"], "Make it first"),
        ([path, "-o", "net.bin"], "-o: a frozen network is a file that ends in .fnn. Received: 'net.bin'"),
        ([path, "--data", tmp_path / "two.npz"], "--data: expected an array for each of ['input"),
        ([path, "--data", tmp_path / "nothing.npy"], "No such file"),
    ]:
        assert run("freeze", *args) == 1
        assert message in capsys.readouterr().err


@pytest.fixture
def several(tmp_path):
    """The path of a model with two inputs and two outputs, data for it, and targets."""
    a, b = fastnn.Input((5,), name="a"), fastnn.Input((3,), name="b")
    y = layers.Dense(64, "relu")(layers.Dense(80, "relu")(layers.Concatenate()([a, b])))
    heads = [layers.Dense(1, name="value")(y), layers.Dense(4, "softmax", name="kind")(y)]
    fastnn.Model([a, b], heads).save(tmp_path / "several.fastnn")
    random = np.random.default_rng(0)
    data = {"a": random.normal(size=(40, 5)), "b": random.normal(size=(40, 3))}
    targets = {"kind": random.integers(0, 4, 40), "value": random.normal(size=40)}
    np.savez(tmp_path / "x.npz", **data)
    np.savez(tmp_path / "y.npz", **targets)
    return tmp_path / "several.fastnn", data, targets


def test_freeze_with_several_inputs_and_outputs(several, tmp_path, capsys):
    path, data, targets = several
    options = ["--data", tmp_path / "x.npz", "--calibration", tmp_path / "x.npz", "--precision", "mixed"]
    assert run("freeze", path, *options, "--labels", tmp_path / "y.npz") == 0
    printed = capsys.readouterr().out
    assert re.search(r"output 'value': .*RMSE.*\noutput 'kind': .*accuracy", printed)
    np.savez(tmp_path / "kind.npz", kind=targets["kind"])
    assert run("freeze", path, *options, "--labels", tmp_path / "kind.npz") == 0
    assert "RMSE" not in capsys.readouterr().out
    expected = fastnn.models.load_model(path).predict(data, verbose=0)
    for found, each in zip(fastnn.load_frozen(tmp_path / "several.fnn")(data), expected, strict=True):
        np.testing.assert_allclose(found, each, atol=0.05)
    np.savez(tmp_path / "part.npz", a=data["a"])
    np.save(tmp_path / "a.npy", data["a"])
    for name, message in (
        ("part.npz", r"numpy\.savez\('.*part\.npz', a=a, b=b\).*Received: .* with \['a'\]"),
        ("a.npy", r"numpy\.savez\('.*a\.npz', a=a, b=b\).*one array"),
    ):
        assert run("freeze", path, "--data", tmp_path / name) == 1
        assert re.search(message, capsys.readouterr().err)


def test_an_archive_of_one_array_may_have_any_name(path, x, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", whatever=x)
    assert run("freeze", path, "--data", tmp_path / "x.npz") == 0
    assert "on 20 samples" in capsys.readouterr().out


# ---- inspect -----------------------------------------------------------------------------------


def check_table(output):
    assert re.search(r"│ hidden \((packed_)?dense\) +│ \(None, 16\) +│ +144 │ float32 +│ +576 │", output)
    assert " Total: 195 parameters, 780 bytes" in output
    assert "batch_normalization" in output.splitlines()[-1]
    assert "folded into" in output.splitlines()[-1]


def test_inspect_a_model(path, capsys):
    assert run("inspect", path) == 0
    output = capsys.readouterr().out
    size = path.stat().st_size
    first = f"{path}: {size:,} bytes, model of fastnn, version 1 of the format, written by fastnn {fastnn.__version__}"
    assert output.splitlines()[0] == first
    assert "BatchNormalization" in output
    check_table(output)


def test_inspect_names_inputs_and_outputs(several, capsys):
    path, _, _ = several
    assert run("freeze", path) == 0
    for each in path, path.with_suffix(".fnn"):
        capsys.readouterr()
        assert run("inspect", each) == 0
        assert capsys.readouterr().out.splitlines()[1:3] == ["inputs: a (5,), b (3,)", "outputs: value (1,), kind (4,)"]


def test_inspect_an_archive_of_keras(model, tmp_path, capsys):
    pytest.importorskip("h5py", reason="the extra `keras` is not installed")
    model.save(tmp_path / "net.keras")
    assert run("inspect", tmp_path / "net.keras") == 0
    output = capsys.readouterr().out
    assert re.search(r"model of Keras 3, version \d", output)
    check_table(output)


def test_inspect_onnx(model, tmp_path, capsys):
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    model.to_onnx(tmp_path / "net.onnx")
    assert run("inspect", tmp_path / "net.onnx") == 0
    output = capsys.readouterr().out
    assert re.search(r"ONNX, version \d+ of the format, operators ai\.onnx 17\n", output)
    assert " Total: 195 parameters, 780 bytes" in output


@pytest.mark.parametrize(("precision", "nbytes"), [("float32", 780), ("float16", 428), ("int8", 328)])
def test_inspect_a_frozen_network(path, tmp_path, capsys, precision, nbytes):
    assert run("freeze", path, "--precision", precision) == 0
    capsys.readouterr()
    assert run("inspect", tmp_path / "net.fnn") == 0
    output = capsys.readouterr().out
    assert "frozen network of fastnn, version 1 of the format" in output
    assert f" Total: 195 parameters, {nbytes} bytes" in output
    assert precision in output


def test_whoever_reads_the_output_may_stop(path):
    """``fastnn inspect net.fastnn | head -1`` says nothing about a broken pipe."""
    command = (
        f"{shlex.quote(sys.executable)} -m fastnn inspect {shlex.quote(str(path))} | true; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=path.parent)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_inspect_refuses(tmp_path, capsys):
    (tmp_path / "damaged.fastnn").write_bytes(b"no such thing")
    assert run("inspect", tmp_path / "damaged.fastnn") == 1
    assert "damaged.fastnn" in capsys.readouterr().err
    assert run("inspect", "net.txt") == 1
    assert "Received: 'net.txt'" in capsys.readouterr().err


def test_a_class_of_ones_own(tmp_path, capsys):
    @fastnn.saving.register_keras_serializable("test_cli_freeze")
    class Own(layers.Dense):
        pass

    fastnn.Sequential([fastnn.Input((2,)), Own(1)]).save(tmp_path / "own.fastnn")
    fastnn.saving.get_custom_objects().clear()
    assert run("inspect", tmp_path / "own.fastnn") == 1
    assert "Own" in capsys.readouterr().err


# ---- export-c ----------------------------------------------------------------------------------


def test_export_c(path, tmp_path, capsys):
    assert run("export-c", path, "-o", tmp_path / "out.c", "--precision", "int8", "--name", "digits") == 0
    output = capsys.readouterr().out
    assert re.search(r"out\.c: [\d,]+ bytes\n.*out\.h: [\d,]+ bytes\n[\d,]+ bytes of weights", output)
    assert "digits_predict(" in (tmp_path / "out.h").read_text()
    assert "int8_t" in (tmp_path / "out.c").read_text()


def test_export_c_of_a_frozen_network(path, x, tmp_path):
    """With the precisions and ranges that it has been frozen in: the same source as without the file."""
    frozen = fastnn.models.load_model(path).freeze({"hidden": "int8", "out": "float16"}, calibration_data=x)
    frozen.save(tmp_path / "net.fnn")
    expected = frozen.export_c(tmp_path / "net.c").files[0].read_text()
    assert run("export-c", tmp_path / "net.fnn", "-o", tmp_path / "net.c") == 0
    assert "int8_t" in expected
    assert (tmp_path / "net.c").read_text() == expected


def test_what_has_been_rounded_cannot_be_more_precise(path, tmp_path, capsys):
    assert run("freeze", path, "--precision", "int8", "-o", tmp_path / "net.fnn") == 0
    assert run("export-c", tmp_path / "net.fnn", "-o", tmp_path / "net.c", "--precision", "float32") != 0
    assert "is int8 already" in capsys.readouterr().err
    assert run("export-c", tmp_path / "net.fnn", "-o", tmp_path / "net.c", "--precision", "int8") == 0


def test_ranges_are_of_int8(path, x, tmp_path, capsys):
    assert run("freeze", path, "--calibration", tmp_path / "x.npy") != 0
    assert "needs --precision int8 or mixed" in capsys.readouterr().err


# ---- latency -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 300])
def test_latency(path, capsys, batch):
    before = fastnn.get_threads()
    assert run("latency", path, "--seconds", "0.01", "--batch", batch) == 0
    assert fastnn.get_threads() == before
    _, what, _, header, *rows = capsys.readouterr().out.splitlines()
    assert what == f"{path}, float32, batch {batch}, threads: 1"
    assert header.split() == ["microseconds", *"median p90 p99 p99.9 max p99/median calls".split()]
    for call, row in zip(("frozen(x)", "frozen(x, out)", "no rows"), rows, strict=False):
        assert row.startswith(call)
        median, *others, ratio, calls = (float(each.replace(",", "")) for each in row[len(call) :].split())
        assert [0, median, *others] == sorted([0, median, *others])
        assert ratio == pytest.approx(others[1] / median, abs=0.2)
        assert calls >= 10
    shares = [float(line.split()[-1][:-1]) for line in rows[6:]]
    assert len(shares) == 17
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_latency_of_a_workload(capsys):
    assert run("latency", "tiny", "--seconds", "0.01") == 0
    assert "tiny, float32, batch 1" in capsys.readouterr().out


def test_latency_of_a_frozen_file(path, tmp_path, capsys):
    assert run("freeze", path) == 0
    assert run("latency", tmp_path / "net.fnn", "--seconds", "0.01") == 0
    assert "net.fnn, float32, batch 1, threads: 1" in capsys.readouterr().out
    assert run("latency", tmp_path / "net.fnn", "--precision", "int8") == 1
    assert "--precision: " in capsys.readouterr().err


def test_latency_of_several_inputs(several, capsys):
    path, _, _ = several
    assert run("latency", path, "--seconds", "0.01", "--batch", 3) == 0
    assert "batch 3" in capsys.readouterr().out


def test_latency_refuses(tmp_path, capsys):
    text = fastnn.Input((1,), dtype="string")
    fastnn.Model(text, layers.StringLookup(vocabulary=["a"])(text)).save(tmp_path / "text.fastnn")
    for args, message in [
        (["huge"], "Networks to time are tiny, tabular,"),
        (["huge.txt"], "a frozen network one that ends in .fnn. Received: 'huge.txt'"),
        (["tiny", "--threads", "100000"], "Received: 100000"),
        ([tmp_path / "text.fastnn"], "looks up text"),
    ]:
        assert run("latency", *args) == 1
        assert message in capsys.readouterr().err


def test_calls_are_timed_until_time_is_up():
    given = []
    times = latency.time_calls(lambda *arguments: given.append(arguments), (1, 2), 0.001)
    assert given == [(1, 2)] * len(times)
    assert len(times) > 10
    assert 0 < times.min() < 1e6
    assert times.sum() < 1e9


def test_garbage_is_collected_again():
    def fail():
        assert not gc.isenabled()
        raise ValueError

    with pytest.raises(ValueError):
        latency.time_calls(fail, (), 1)
    assert gc.isenabled()


def test_histogram():
    times = np.concatenate([np.full(900, 1000), np.full(95, 4000), np.full(5, 10**6)])
    lines = list(latency.histogram(times))
    assert len(lines) == 17
    assert lines[0].split() == ["1.00", "█" * 50, "90.00%"]
    assert lines[15].split() == ["3.67", "█████▎", "9.50%"]
    assert lines[16].split() == ["4.00", "▎", "0.50%"]
    assert [line.split()[-1] for line in lines[1:15]] == ["0.00%"] * 14


def test_histogram_of_equal_times():
    lines = list(latency.histogram(np.full(10, 50)))
    assert lines[0].split() == ["0.05", "█" * 50, "100.00%"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["freeze"], "required: MODEL"),
        (["freeze", "net.fastnn", "--precision", "float8"], "invalid choice: 'float8'"),
        (["freeze", "net.fastnn", "--tolerance", "-1"], "expected a number that is not negative, received -1"),
        (["inspect"], "required: FILE"),
        (["export-c", "net.fastnn"], "required: -o/--out"),
        (["latency", "tiny", "--batch", "0"], "expected at least 1, received 0"),
        (["latency", "tiny", "--seconds", "-1"], "expected a positive number, received -1"),
    ],
)
def test_wrong_arguments(capsys, args, message):
    with pytest.raises(SystemExit, match="2"):
        main(args)
    assert re.search(message, capsys.readouterr().err)
