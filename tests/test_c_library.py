"""The C library as a C programmer meets it: built by one command or by CMake, linked, called from C, C++ and Rust."""

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fastnn._engine.runtime import active_isa_name

import fastnn
from fastnn import layers
from freeze import networks

ROOT = Path(__file__).parents[1]
CSRC = ROOT / "csrc"
EXAMPLES = ROOT / "examples" / "c"
STRICT = ["-Wall", "-Wextra", "-Werror"]
NATIVE = {
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"],
}.get(active_isa_name(), [])  # what the predictor computes with, so that there are the same bits

pytestmark = pytest.mark.skipif(not CSRC.is_dir(), reason="needs the C sources")


def need(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def run(*command, code=0, **options):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == code, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The folder of net.fnn, x.csv and y, which is what the predictor gives."""
    folder = tmp_path_factory.mktemp("network")
    model = networks.classifier()
    frozen = model.freeze()
    frozen.save(folder / "net.fnn")
    x = networks.samples(model, 70)  # more than a batch
    np.savetxt(folder / "x.csv", x, "%.9g", ",")
    np.save(folder / "y.npy", frozen(x))
    return folder


def predicted(network, *command, **options):
    """What a program prints for the rows of x.csv, beside what it should."""
    with open(network / "x.csv") as rows:
        done = subprocess.run(
            [str(each) for each in command], stdin=rows, capture_output=True, text=True, timeout=60, **options
        )
    assert done.returncode == 0, done.stderr
    return np.array([line.split() for line in done.stdout.splitlines()], np.float32), np.load(network / "y.npy")


@pytest.fixture(scope="module", params=["gcc", "clang"])
def library(request, tmp_path_factory):
    """(compiler, folder of libfastnn.so and libfastnn.a), made by the commands at the head of fastnn.c, with less
    optimisation."""
    need(request.param, "ar")
    folder = tmp_path_factory.mktemp(request.param)
    flags = ["-O1" if request.param == "gcc" else "-O0", *NATIVE, *STRICT, "-fPIC"]
    run(request.param, *flags, "-c", CSRC / "fastnn.c", "-o", folder / "fastnn.o")
    run("ar", "rcs", folder / "libfastnn.a", folder / "fastnn.o")
    run(request.param, "-shared", folder / "fastnn.o", "-o", folder / "libfastnn.so", "-lm")
    return request.param, folder


def test_one_command_gives_the_bits_of_the_predictor(library, network, tmp_path):
    compiler, folder = library
    source = EXAMPLES / "predict.c"
    flags = ["-std=c99", "-pedantic", *STRICT, f"-I{CSRC}", source]
    run(compiler, *flags, folder / "libfastnn.a", "-lm", "-o", tmp_path / "static")
    run(compiler, *flags, f"-L{folder}", f"-Wl,-rpath,{folder}", "-lfastnn", "-lm", "-o", tmp_path / "shared")
    for program in "static", "shared":
        y, expected = predicted(network, tmp_path / program, network / "net.fnn")
        np.testing.assert_array_equal(y, expected)


def test_what_is_visible_and_what_is_needed(library):
    need("nm")
    _, folder = library
    declared = re.findall(r"^FASTNN_API .*?(fastnn_\w+)\(", (CSRC / "fastnn.h").read_text(), re.MULTILINE)
    lines = [line.split() for line in run("nm", "-D", folder / "libfastnn.so").splitlines()]
    assert sorted(line[-1] for line in lines if line[-2] in "TDBR") == sorted(declared)
    needed = {line[-1].split("@")[0] for line in lines if line[-2] == "U"}
    files = {"__errno_location", "open", "close", "fstat", "mmap", "munmap"}
    text = {"memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen", "strncmp"}
    others = {"sinf", "cosf", "sqrtf", "__stack_chk_fail"}
    assert needed <= files | text | others, "no memory, no threads, no locks"


def test_what_a_wrong_file_and_a_wrong_row_say(library, network, tmp_path):
    compiler, folder = library
    program = tmp_path / "predict"
    run(compiler, f"-I{CSRC}", EXAMPLES / "predict.c", folder / "libfastnn.a", "-lm", "-o", program)
    assert "No such file" in run(program, tmp_path / "none.fnn", code=1)
    assert "This is no frozen network" in run(program, network / "x.csv", code=1)
    assert "a row of 20 numbers" in run(program, network / "net.fnn", code=1, input="1, 2, 3\n")


def test_latency_in_c(library, network, tmp_path):
    compiler, folder = library
    program = tmp_path / "latency"
    flags = ["-std=c99", "-pedantic", *STRICT, f"-I{CSRC}"]
    run(compiler, *flags, EXAMPLES / "latency.c", folder / "libfastnn.a", "-lm", "-o", program)
    assert re.fullmatch(r"50 %: \d+ ns, 99 %: \d+ ns, 99.9 %: \d+ ns, memory: \d+ bytes\n",
                        run(program, network / "net.fnn", 200))  # fmt: skip


def test_an_image_inside_of_a_program_in_cxx(library, network, tmp_path):
    compiler, folder = library
    compiler = {"gcc": "g++", "clang": "clang++"}[compiler]
    need(compiler)
    image = (network / "net.fnn").read_bytes()
    (tmp_path / "net.h").write_text(",".join(map(str, image)))  # as `xxd -i < net.fnn` has it
    flags = ["-std=c++11", "-pedantic", *STRICT, f"-I{CSRC}", f"-I{tmp_path}"]
    run(compiler, *flags, EXAMPLES / "embedded.cpp", folder / "libfastnn.a", "-lm", "-o", tmp_path / "embedded")
    y, expected = predicted(network, tmp_path / "embedded")
    np.testing.assert_array_equal(y, expected)


def test_the_program_on_the_page(library, network, tmp_path):
    compiler, folder = library
    page = (ROOT / "docs" / "c_interface.md").read_text()
    (program,) = re.findall(r"^```c\n(.*?int main.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "page.c").write_text(program)
    flags = ["-std=c99", "-pedantic", *STRICT, f"-I{CSRC}"]
    run(compiler, *flags, tmp_path / "page.c", folder / "libfastnn.a", "-lm", "-o", tmp_path / "page")
    assert "the first of 7 probabilities: 0." in run(tmp_path / "page", cwd=network)


def table_of_memory(library):
    """The rows of the page's table: bytes of images and of sessions for so many rows, with this processor's kernels."""
    opened = ctypes.CDLL(library)
    opened.fastnn_memory.restype = ctypes.c_size_t
    opened.fastnn_memory.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    opened.fastnn_open.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    for sizes in (8, 16, 16, 1), (784, 300, 100, 10):
        hidden = [layers.Dense(size, "relu") for size in sizes[1:-1]]
        model = fastnn.Sequential([fastnn.Input(sizes[:1]), *hidden, layers.Dense(sizes[-1])], name="net")
        for precision in "float32", "float16", "int8":
            image = np.frombuffer(model.freeze(precision).image, np.uint8)
            net = ctypes.create_string_buffer(64)
            assert opened.fastnn_open(image.ctypes.data, image.nbytes, net) == 0
            nbytes = [image.nbytes, *(opened.fastnn_memory(net, rows) for rows in (1, 16, 64, 256))]
            yield "-".join(map(str, sizes)), precision, *(round(each / 1000) for each in nbytes)


def test_the_table_of_memory(library):
    compiler, folder = library
    if active_isa_name() != "avx512" or compiler == "clang":
        pytest.skip("the page has the numbers of AVX-512, once")
    page = (ROOT / "docs" / "c_interface.md").read_text()
    shown = re.findall(r"^\| ([\d-]+) \| (\w+) \| (.*) \|$", page, re.MULTILINE)
    for (network, precision, *nbytes), row in zip(table_of_memory(folder / "libfastnn.so"), shown, strict=True):
        assert row[:2] == (network, precision)
        numbers = [int(each.removesuffix(" kB")) for each in row[2].split(" | ")]
        assert numbers == pytest.approx(nbytes, rel=0.05, abs=1), (network, precision)


def test_from_rust(library, network, tmp_path):
    need("rustc")
    compiler, folder = library
    if compiler == "clang":
        pytest.skip("the same as with gcc")
    with_link = ["rustc", "--edition", "2021", "-L", folder, EXAMPLES / "predict.rs", "-o", tmp_path / "predict"]
    run(*with_link, cwd=tmp_path)
    y, expected = predicted(network, tmp_path / "predict", network / "net.fnn")
    np.testing.assert_array_equal(y, expected)


# ---- CMake and pkg-config --------------------------------------------------------------------------------------------

CONSUMER = """
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C)
find_package(fastnn 0.1 REQUIRED)
foreach(kind fastnn static shared)
  add_executable(with_${kind} SOURCE)
  target_link_libraries(with_${kind} PRIVATE fastnn::${kind})
endforeach()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where CMake has installed the library with all instruction sets. Without optimisation, which takes a third."""
    need("cmake", "gcc")
    folder = tmp_path_factory.mktemp("cmake")
    flags = ["-DCMAKE_C_COMPILER=gcc", "-DCMAKE_C_FLAGS_RELEASE=-O0 -Werror", "-DCMAKE_INSTALL_LIBDIR=lib/here"]
    run("cmake", "-S", CSRC, "-B", folder / "build", *flags)
    run("cmake", "--build", folder / "build", "--parallel", 2)
    run("cmake", "--install", folder / "build", "--prefix", folder / "first")
    (folder / "first").rename(folder / "moved")  # what is installed may be moved
    return folder / "moved"


def test_find_package(installed, network, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.replace("SOURCE", str(EXAMPLES / "predict.c")))
    config = installed / "lib" / "here" / "cmake" / "fastnn"
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dfastnn_DIR={config}")
    run("cmake", "--build", tmp_path / "build")
    for kind in "fastnn", "static", "shared":
        y, expected = predicted(network, tmp_path / "build" / f"with_{kind}", network / "net.fnn")
        np.testing.assert_array_equal(y, expected)


def test_pkg_config(installed, network, tmp_path):
    need("pkg-config")
    paths = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib" / "here" / "pkgconfig")}
    assert run("pkg-config", "--modversion", "fastnn", env=paths).strip() == fastnn.__version__
    flags = run("pkg-config", "--cflags", "--libs", "--static", "fastnn", env=paths).split()
    run("gcc", EXAMPLES / "predict.c", *flags, "-o", tmp_path / "predict")
    folder = {**os.environ, "LD_LIBRARY_PATH": str(installed / "lib" / "here")}
    y, expected = predicted(network, tmp_path / "predict", network / "net.fnn", env=folder)
    np.testing.assert_array_equal(y, expected)


# ---- the library in the package --------------------------------------------------------------------------------------


def test_the_library_in_the_package(network, tmp_path):
    need("gcc")
    if (Path(fastnn.__file__).parents[1] / "csrc" / "fastnn.c").exists():
        with pytest.raises(FileNotFoundError, match="built in place"):
            fastnn.get_library()
        pytest.skip("the package was built in place, which leaves the library out")
    library = fastnn.get_library()
    flags = ["-std=c99", f"-I{fastnn.get_include()}"]
    run("gcc", *flags, EXAMPLES / "predict.c", library, "-lm", "-o", tmp_path / "static")
    whole = ["-Wl,--whole-archive", library, "-Wl,--no-whole-archive"]
    run("gcc", "-shared", *whole, "-lm", "-o", tmp_path / "libfastnn.so")
    links = [f"-L{tmp_path}", f"-Wl,-rpath,{tmp_path}", "-lfastnn"]
    run("gcc", *flags, EXAMPLES / "predict.c", *links, "-o", tmp_path / "shared")
    for program in "static", "shared":
        y, expected = predicted(network, tmp_path / program, network / "net.fnn")
        np.testing.assert_array_equal(y, expected)
    assert os.path.getsize(library) < 1_000_000


# ---- promises --------------------------------------------------------------------------------------------------------


def test_threads_share_a_net(network, tmp_path):
    need("gcc")
    flags = ["-O0", "-g1", "-fsanitize=thread", *STRICT, f"-I{CSRC}"]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    tried = subprocess.run(["gcc", *flags, "empty.c", "-o", "empty"], cwd=tmp_path, capture_output=True)
    if tried.returncode or subprocess.run(tmp_path / "empty", capture_output=True).returncode:
        pytest.skip("needs gcc's thread sanitizer")
    sources = [CSRC / "fastnn.c", Path(__file__).with_name("c_threads.c")]
    run("gcc", *flags, *sources, "-pthread", "-lm", "-o", tmp_path / "threads")
    assert run(tmp_path / "threads", network / "net.fnn", 4) == "the same\n"


def test_every_function_refuses_what_is_wrong(network, tmp_path):
    need("gcc")
    flags = ["-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", *STRICT, f"-I{CSRC}"]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run(["gcc", *flags, "empty.c", "-o", "empty"], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs gcc's sanitizers")
    sources = [CSRC / "fastnn.c", Path(__file__).with_name("c_arguments.c")]
    run("gcc", *flags, *sources, "-lm", "-o", tmp_path / "arguments")
    networks.several().freeze(precision="int8").save(tmp_path / "several.fnn")
    os.mkfifo(tmp_path / "pipe.fnn")
    files = network / "net.fnn", tmp_path / "several.fnn", tmp_path / "pipe.fnn", tmp_path
    assert run(tmp_path / "arguments", *files) == "as it should be\n"


def test_a_big_endian_machine_refuses(tmp_path):
    need("gcc")
    (tmp_path / "user.c").write_text("""
        #include "engine.h"
        #include "fastnn.h"
        const fnn_isa *fnn_isa_best(void) { return 0; }
        _Alignas(64) static const char image[64] = "\\x89" "FNN\\r\\n\\x1a\\n";
        int main(void) { fastnn_net net; return fastnn_open(image, 64, &net); }
    """)
    big = ["-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__"]
    run("gcc", "-O0", *STRICT, *big, f"-I{CSRC}", CSRC / "frozen.c", tmp_path / "user.c", "-o", tmp_path / "big")
    refused = re.search(r"FASTNN_OK.*?FASTNN_UNSUPPORTED", (CSRC / "fastnn.h").read_text(), re.DOTALL).group()
    run(tmp_path / "big", code=len(re.findall(r"FASTNN_\w+\s*(?:=\s*0)?\s*(?:,|$)", refused)) - 1)


def test_machines_of_32_bits_without_files():
    need("arm-none-eabi-gcc")
    flags = ["-mcpu=cortex-m7", "-mthumb", "-std=c11", "-DFASTNN_NO_FILES", *STRICT]
    run("arm-none-eabi-gcc", *flags, "-fsyntax-only", CSRC / "fastnn.c")


def test_fast_math_is_refused(tmp_path):
    need("gcc")
    assert "without -ffast-math" in run("gcc", "-ffast-math", "-fsyntax-only", CSRC / "fastnn.c", code=1)
