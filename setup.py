"""Builds the C engine for each instruction set, the Cython modules that drive it, and the C library.

Everything else about the package is in pyproject.toml. `FASTNN_DEBUG=1` builds without optimisation, for quick rounds
and for debuggers; sanitizers have builds of their own in tests/emulated.
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
COMMON_SOURCES = [CSRC / name for name in ("cpu.c", "execute.c", "frozen.c", "frozen_rows.c", "threads.c")]
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
# -ffp-contract=off: the kernels say where a multiply-add is fused; the compiler must not decide, or bits would depend
# on its version. -fno-math-errno and -fno-trapping-math allow vector sqrt and selects without changing a result.
C_FLAGS = ["-std=c11", *(["-O0", "-g"] if DEBUG else ["-O3", "-g0"]), "-Wall", "-Wextra", "-fvisibility=hidden"]
C_FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
LINK_FLAGS = ["-pthread", "-lm"]


class BuildWithEngine(build_ext):
    """build_ext that compiles the C engine, too, and links it into `runtime`.

    What will be installed gets the C library as well (csrc/fastnn.c), of the same objects: everything is compiled once,
    beside the other modules. A build in place does without the library.
    """

    def build_extensions(self):
        kernels = {  # what takes longest first: the largest instruction set, and training
            f"{isa}-{part}": (KERNELS, [*flags, f"-DFNN_ISA={isa}", f"-DFNN_{part.upper()}"])
            for isa, flags in reversed(ISA_FLAGS.items())
            for part in ("training", "inference")
        }
        common = {path.stem: (path, []) for path in COMMON_SOURCES}
        library = {} if self.inplace else {"fastnn": (CSRC / "fastnn.c", ["-DFASTNN_DISPATCH"])}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {**kernels, **common, **library}
            objects = {name: pool.submit(self._compile, name, *job) for name, job in jobs.items()}

            def compiled(names):
                return [each for name in names for each in objects[name].result()]

            # `runtime`, which waits for all of them, comes last.
            for extension in sorted(self.extensions, key=lambda each: each.name.endswith(".runtime")):
                # Generated C is glue, off the hot path and not ours to keep warning-free: compile it quickly.
                extension.extra_compile_args = [*C_FLAGS, "-w", "-O0" if DEBUG else "-O1"]
                extension.extra_link_args = list(LINK_FLAGS)
                if extension.name.endswith(".runtime"):
                    extension.extra_objects = compiled([*kernels, *common])
                    extension.depends = extension.depends + [str(path) for path in sorted(CSRC.rglob("*.[ch]"))]
                self.build_extension(extension)
            if library:
                inference = [name for name in kernels if name.endswith("-inference")]
                folder = os.path.join(self.build_lib, LIBRARY)
                self.compiler.create_static_lib(compiled([*inference, *library]), "fastnn", output_dir=folder)

    def _compile(self, name, source, flags):
        out = os.path.join(self.build_temp, name)
        return self.compiler.compile(
            [str(source)], output_dir=out, include_dirs=[str(CSRC)], extra_postargs=[*C_FLAGS, *flags]
        )


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
