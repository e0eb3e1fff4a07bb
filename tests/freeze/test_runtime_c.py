"""The C runtime without Python: the same results, no allocation. Hostile images: tests/fuzz."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from freeze import networks

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{CSRC}"]
KERNELS = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
SANITIZED = ["-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

pytestmark = pytest.mark.skipif(not CSRC.is_dir(), reason="needs the C sources")


def run(*command, **environment):
    return subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


def compiler(name):
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    return name


@pytest.mark.parametrize("name", ["gcc", "clang", "g++", "clang++"])
def test_the_header_is_c99_and_cxx(name, tmp_path):
    source = tmp_path / ("user.cc" if "+" in name else "user.c")
    standard = "c++11" if "+" in name else "c99"
    source.write_text('#include "fastnn.h"\nint main(void) { return fastnn_message(FASTNN_OK) == 0; }\n')
    done = run(compiler(name), f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{CSRC}",
               "-fsyntax-only", source)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_it_compiles_without_warnings_and_without_files(name):
    for source, flags in ("frozen.c", []), ("frozen.c", ["-DFASTNN_NO_FILES"]), ("frozen_rows.c", []):
        done = run(compiler(name), *STRICT, *flags, "-fsyntax-only", CSRC / source)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The test program under sanitizers, with the kernels of one instruction set."""
    folder = tmp_path_factory.mktemp("runtime")
    command = [compiler("gcc"), *STRICT, *KERNELS, *SANITIZED]
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    done = run(*command, folder / "empty.c", "-o", folder / "empty")
    if done.returncode:
        pytest.skip("needs gcc's sanitizers")
    machine = os.uname().machine
    isa = "neon" if machine == "aarch64" else "baseline"
    absent = [f"{kind}_{each}" for each in ("avx2", "avx512") for kind in ("isa", "training") if machine == "x86_64"]
    others = [f"-Wl,--defsym=fnn_{each}=0" for each in absent]
    wrapped = [f"-Wl,--wrap={each}" for each in ("malloc", "calloc", "realloc")]
    sources = [CSRC / name for name in ("kernels.c", "frozen.c", "cpu.c", "execute.c", "threads.c")]
    binary = folder / "runtime_test"
    libraries = [*others, *wrapped, "-pthread", "-lm", "-o", binary]
    done = run(*command, f"-DFNN_ISA={isa}", *sources, HERE / "runtime_test.c", *libraries)
    assert done.returncode == 0, done.stderr
    return binary


def saved(make, tmp_path, precision="float32"):
    frozen = make().freeze(precision=precision)
    frozen.save(tmp_path / "net.fnn")
    return frozen, tmp_path / "net.fnn"


@pytest.mark.parametrize("max_rows", [1, 4, 100])
def test_the_results_of_python_and_no_allocation(program, tmp_path, max_rows):
    for make, precision in ("classifier", "float32"), ("classifier", "int8"), ("categories", "float32"):
        make = getattr(networks, make)
        model = make()
        frozen = model.freeze(precision=precision)
        frozen.save(tmp_path / "net.fnn")
        x = networks.samples(model, 9)
        x.tofile(tmp_path / "x")
        done = run(program, "run", tmp_path / "net.fnn", 9, max_rows, tmp_path / "x", tmp_path / "y")
        assert done.returncode == 0, done.stderr
        y = np.fromfile(tmp_path / "y", np.float32).reshape(9, -1)
        if make is networks.categories:
            np.testing.assert_array_equal(y[:, :-1] > 0, frozen(x)[:, :-1] > 0)
        # The exponential differs by a rounding between instruction sets without fused multiply-adds and those with.
        np.testing.assert_allclose(y, frozen(x), rtol=3e-6, atol=1e-6)


def test_files_that_are_none(program, tmp_path):
    _, path = saved(networks.classifier, tmp_path)
    image = path.read_bytes()
    flipped = bytearray(image)
    flipped[len(image) // 2] ^= 1
    newer = image[:8] + (9).to_bytes(4, "little") + image[12:]
    wrong = {
        b"": "This is no frozen network", b"some text" * 99: "This is no frozen network",
        image[:-1]: "ends too early", image[:40]: "ends too early", bytes(flipped): "damaged", newer: "newer version",
        image + b"more": "more behind the frozen network", bytes(flipped) + b"more": "damaged",
    }  # fmt: skip
    for content, message in wrong.items():
        (tmp_path / "bad.fnn").write_bytes(content)
        assert message in run(program, "open", tmp_path / "bad.fnn").stdout
    assert "errno" in run(program, "open", tmp_path / "nothing.fnn").stdout
    assert "errno" in run(program, "open", tmp_path).stdout
