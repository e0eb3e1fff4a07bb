"""Builds the C engine once for each instruction set and the Cython modules that drive it.

Everything else about the package is in pyproject.toml. `FASTNN_SANITIZE=1` builds with the address and undefined
behaviour sanitizers, `FASTNN_DEBUG=1` without optimisation and with assertions.
"""

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

CSRC = Path("csrc")
ENGINE = Path("fastnn", "_engine")
LIBRARY = ENGINE / "lib"  # of C programs, with libfastnn.a
COMMON_SOURCES = [CSRC / name for name in ("cpu.c", "execute.c", "frozen.c", "frozen_rows.c", "order.c", "threads.c")]
KERNELS = CSRC / "kernels.c"

if platform.machine().lower() in ("x86_64", "amd64"):
    ISA_FLAGS = {
        "baseline": [],
        "avx2": ["-mavx2", "-mfma", "-mf16c", "-DFNN_USE_AVX2"],
        "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"]
        + ["-DFNN_USE_AVX512", "-mprefer-vector-width=512"],
    }
elif platform.machine().lower() in ("aarch64", "arm64"):
    ISA_FLAGS = {"neon": []}
else:
    ISA_FLAGS = {"baseline": []}

DEBUG = os.environ.get("FASTNN_DEBUG") == "1"
SANITIZE = os.environ.get("FASTNN_SANITIZE") == "1"
# -ffp-contract=off: the kernels say where a multiply-add is fused; the compiler must not decide, or bits would depend
# on its version. -fno-math-errno and -fno-trapping-math allow vector sqrt and selects without changing a result.
C_FLAGS = ["-std=c11", *(["-O0", "-g"] if DEBUG else ["-O3", "-g0"]), "-Wall", "-Wextra", "-fvisibility=hidden"]
C_FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
LINK_FLAGS = ["-pthread", "-lm"]
if SANITIZE:
    C_FLAGS += ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
    LINK_FLAGS += ["-fsanitize=address,undefined"]


class BuildWithEngine(build_ext):
    """build_ext that first compiles kernels.c for every instruction set and links the objects into `runtime`.

    What will be installed gets the C library, too (csrc/fastnn.c). A build in place, as one makes it again and again,
    does without: it would take a third longer.
    """

    def build_extensions(self):
        headers = [str(path) for path in sorted(CSRC.rglob("*.[ch]"))]
        for extension in self.extensions:
            # Generated C is glue, off the hot path and not ours to keep warning-free: compile it quickly.
            extension.extra_compile_args = [*C_FLAGS, "-w", "-O0" if DEBUG else "-O1"]
            extension.extra_link_args = list(LINK_FLAGS)
            if extension.name.endswith(".runtime"):
                extension.extra_objects = self._engine_objects()
                extension.depends = extension.depends + headers
        super().build_extensions()
        if not self.inplace:
            objects = self._objects([CSRC / "fastnn.c"], ["-DFASTNN_DISPATCH", "-DFNN_INFERENCE"], "library-")
            self.compiler.create_static_lib(objects, "fastnn", output_dir=os.path.join(self.build_lib, LIBRARY))

    def _engine_objects(self):
        return self._objects(COMMON_SOURCES)

    def _objects(self, sources, common_flags=(), prefix=""):
        """Those of sources, and of the kernels of every instruction set."""
        jobs = [(str(KERNELS), [*flags, f"-DFNN_ISA={isa}"], isa) for isa, flags in ISA_FLAGS.items()]
        jobs += [(str(path), [], "common") for path in sources]

        def compile_one(job):
            source, flags, name = job
            out = os.path.join(self.build_temp, prefix + name)
            return self.compiler.compile(
                [source], output_dir=out, include_dirs=[str(CSRC)], extra_postargs=[*C_FLAGS, *flags, *common_flags]
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [each for objects in pool.map(compile_one, jobs) for each in objects]


class BuildWithHeader(build_py):
    """build_py that puts the headers that the .pxd files name, and that of the C library, beside them; the repository
    has one copy, in csrc/."""

    def run(self):
        super().run()
        include = os.path.join(self.build_lib, ENGINE, "include")
        self.mkpath(include)
        for name in ("engine.h", "fastnn.h", "frozen.h"):
            self.copy_file(str(CSRC / name), include)


def extension(path):
    name = ".".join(path.with_suffix("").parts)
    return Extension(
        name,
        [str(path)],
        include_dirs=[str(CSRC), numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
    )


if sys.platform == "win32":
    raise SystemExit("fastnn needs gcc or clang and POSIX threads; on Windows build it inside WSL.")

setup(
    ext_modules=cythonize([extension(path) for path in sorted(ENGINE.glob("*.pyx"))], build_dir="build/cython"),
    cmdclass={"build_ext": BuildWithEngine, "build_py": BuildWithHeader},
)
