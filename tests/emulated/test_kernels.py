"""Every operation, and whole training programs, in C alone: NEON under emulation, and all the others under sanitizers.

What the instruction set that is active here computes is recorded (`cases`, `training`) and given to ``kernels_test.c``.
Each build is skipped where its compiler, sanitizer or emulator is missing.
"""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastnn._engine.runtime import OPS

from emulated import cases, recording, training
from fastnn._engine import kernels

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
APART = ("kernels.c", "fastnn.c")  # once for each instruction set; the library that has all the others
X86 = platform.machine().lower() in ("x86_64", "amd64")
# As in setup.py.
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-Werror=unused-function"]  # here kernels.c is one unit, and so shows what nobody calls
ISA_FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c", "-DFNN_USE_AVX2"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c", "-DFNN_USE_AVX512"],
    "neon": [],
}
NATIVE = ("baseline", "avx2", "avx512") if X86 else (kernels.isas()[0],)
MEMORY = ["-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


@dataclass(frozen=True)
class Build:
    """A compiler, its flags (some of them for kernels.c only), the instruction sets, and what runs the program."""

    compiler: str
    flags: list
    isas: tuple = NATIVE
    runner: tuple = ()
    kernel_flags: tuple = ()


BUILDS = {
    "gcc-address-undefined": Build("gcc", MEMORY),
    "clang-address-undefined": Build("clang", MEMORY),
    # And the way through the compiler's vectors alone, which processors take that are neither x86 nor ARM.
    "gcc-thread-portable": Build("gcc", ["-O0", "-g1", "-fsanitize=thread"], NATIVE[:1], (), ("-U__SSE2__",)),
}
if platform.system() == "Linux" and "neon" not in NATIVE:
    BUILDS["neon-emulated"] = Build("aarch64-linux-gnu-gcc", ["-O3", "-static"], ("neon",), ("qemu-aarch64",))


def run(*command):
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    return done.returncode, done.stdout + done.stderr


def why_not(build, folder):
    """What is missing to compile and run a program this way, or None."""
    if not CSRC.is_dir():
        return "needs the C sources"
    for tool in (build.compiler, *build.runner):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    command = [build.compiler, *build.flags, "empty.c", "-o", "empty", "-pthread"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    code, output = done.returncode, done.stderr
    if code == 0:
        code, output = run(*build.runner, folder / "empty")
    return f"{build.compiler} {' '.join(build.flags)} does not work here: {output.strip()[-200:]}" if code else None


def compiled(build, folder):
    """The test program."""
    sources = [*(path for path in sorted(CSRC.glob("*.c")) if path.name not in APART), HERE / "kernels_test.c"]
    jobs = [(CSRC / "kernels.c", isa, [*ISA_FLAGS[isa], *build.kernel_flags, f"-DFNN_ISA={isa}"]) for isa in build.isas]
    jobs += [(path, path.stem, []) for path in sources]
    base = [build.compiler, *FLAGS, *build.flags, "-pthread"]

    def compile_one(job):
        source, name, flags = job
        return run(*base, *flags, f"-I{CSRC}", "-c", source, "-o", folder / f"{name}.o")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for code, output in pool.map(compile_one, jobs):
            assert code == 0, output
    objects = [folder / f"{name}.o" for _, name, _ in jobs]
    # In the list of instruction sets those that are left out are NULL, which ends it.
    absent = [] if build.runner else NATIVE[len(build.isas) :]
    without = [f"-Wl,--defsym=fnn_{kind}_{isa}=0" for isa in absent for kind in ("isa", "training")]
    code, output = run(*base, *objects, *without, "-o", folder / "kernels_test", "-lm")
    assert code == 0, output
    return folder / "kernels_test"


@pytest.fixture(scope="module", params=BUILDS)
def program(request, tmp_path_factory):
    """(command, instruction sets that it can run here) of one build."""
    build, folder = BUILDS[request.param], tmp_path_factory.mktemp(request.param)
    reason = why_not(build, folder)
    if reason:
        pytest.skip(reason)
    runnable = build.isas if build.runner else [isa for isa in build.isas if isa in kernels.isas()]
    return (*build.runner, compiled(build, folder)), runnable


@pytest.fixture(scope="module")
def recordings():
    return cases.all_cases() + training.all_programs()


@pytest.fixture(scope="module")
def golden(recordings, tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "recordings"
    recording.write(path, recordings)
    return path


def test_every_operation_has_a_case(recordings):
    operations = set(OPS) - {"callback"}  # which calls Python: tests/ops/test_custom.py
    assert set(cases.GENERATORS) == operations, "every operation needs its line in tests/emulated/*cases.py"
    assert set().union(*(each.operations for each in recordings)) == operations


def test_every_operation_and_training(program, golden):
    command, isas = program
    for isa in isas:
        code, output = run(*command, isa, golden)
        assert code == 0, output
        assert f"{len(OPS)} operations, 0 failures" in output


def test_a_wrong_value_is_noticed(program, tmp_path):
    command, isas = program
    case = next(cases.add(cases.Maker("add")))
    case.after["y"][0, 0] += 1
    recording.write(tmp_path / "wrong", [case])
    code, output = run(*command, isas[0], tmp_path / "wrong")
    assert code == 1, output
    assert "add on 1 threads, y[0][0]" in output
    assert "dense_forward: no recording has it" in output
