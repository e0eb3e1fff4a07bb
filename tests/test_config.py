"""Other Cython code can be built against the package."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig

import pytest

import fastnn
from harness.process import run_python

MODULE = """
# cython: language_level=3
from fastnn._engine.engine cimport FNN_ALIGN_BYTES, fnn_instr
from fastnn._engine.runtime cimport Buffer, thread_limit


def answers(Buffer buffer):
    return FNN_ALIGN_BYTES, sizeof(fnn_instr) > 0, thread_limit(), <size_t>buffer.data % FNN_ALIGN_BYTES
"""

USE = """
import sys
sys.path.insert(0, sys.argv[1])
import fastnn
fastnn.set_threads(1)
import other
assert other.answers(fastnn._engine.runtime.Buffer(100)) == (64, True, 1, 0)
print("done")
"""


def test_the_header_is_where_it_is_said_to_be():
    assert "engine.h" in os.listdir(fastnn.get_include())
    installed = sysconfig.get_path("platlib")
    if fastnn.__file__.startswith(installed):
        assert fastnn.get_include().startswith(installed)


def test_other_cython_code_can_be_built_and_calls_the_engine(tmp_path):
    pytest.importorskip("Cython", reason="Cython is not installed")
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    python_headers = sysconfig.get_path("include")
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"the compiler of this Python, {compiler[0]}, is not there")
    if not os.path.exists(os.path.join(python_headers, "Python.h")):
        pytest.skip("the headers of Python are not installed")
    (tmp_path / "other.pyx").write_text(MODULE)
    module = "other" + sysconfig.get_config_var("EXT_SUFFIX")
    includes = [f"-I{python_headers}", f"-I{fastnn.get_include()}"]
    # Cython finds the .pxd files where Python finds the package.
    for command in (
        [sys.executable, "-m", "cython", "other.pyx"],
        [*compiler, "-O0", "-w", "-shared", "-fPIC", *includes, "other.c", "-o", module],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run_python(USE, str(tmp_path))
    assert done.stdout.strip() == "done", done.stderr
