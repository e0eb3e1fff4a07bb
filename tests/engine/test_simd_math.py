"""The vector functions of csrc/simd_math.h over the whole float range, against float64.

They are compiled here, apart from the engine, because no operation shows each of them bare.
"""

import ctypes
import math
import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fastnn._engine import kernels
from reference import activations as oracle

CSRC = Path(__file__).parents[2] / "csrc"
FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c", "-DFNN_USE_AVX2"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-DFNN_USE_AVX512"],
    "neon": [],
}
FUSED = {
    "baseline": platform.machine() in ("aarch64", "arm64"),
    "avx2": True,
    "avx512": True,
    "neon": True,
}
SMALLEST = 2.0**-125  # of the results that are held to a relative error; below, exp is flushed to 0

# name: (reference, largest error in ulp with fused multiply-add, without it)
FUNCTIONS = {
    "vf_exp": (np.exp, 1, 1.5),
    "vf_expm1": (np.expm1, 2, 2),
    "vf_log": (np.log, 1, 1),
    "vf_log1p_unit": (np.log1p, 2, 2),
    "vf_tanh": (np.tanh, 3, 3),
    "vf_sigmoid": (oracle.sigmoid, 3, 3),
    "vf_normal_cdf": (oracle.normal_cdf, 80, 80),
    "vf_log1p": (np.log1p, 3, 3),
    "vf_erf": (np.vectorize(math.erf), 2, 2),
    "vf_sin": (np.sin, 2, 2),
    "vf_cos": (np.cos, 2, 2),
    "vf_atan": (np.arctan, 3, 3),
    "vf_floor": (np.floor, 0, 0),
    "vf_nearest": (np.round, 0, 0),
}
SOURCE = (
    '#include "simd_math.h"\n'
    "#define SWEEP(f, y) void sweep_##f(const float *x, float *out, long n)"
    " { for (long i = 0; i < n; i += VF) { vf v = vf_load(x + i); vf_store(out + i, y); } }\n"
    + "".join(f"SWEEP({name}, {name}(v))\n" for name in FUNCTIONS if name != "vf_normal_cdf")
    + "static inline vf cdf(vf x) { vf bell; return vf_normal_cdf(x, &bell); }\n"
    + "SWEEP(vf_normal_cdf, cdf(v))\n"
    + "void raise(float *x, float y, long n) { long i = 0; vf v[VF_ABREAST], p = vf_set(y);"
    + " for (; i + VF_ABREAST * VF <= n; i += VF_ABREAST * VF) {"
    + " for (int j = 0; j < VF_ABREAST; j++) v[j] = vf_load(x + i + j * VF);"
    + " vf_pow_positive(v, VF_ABREAST, p);"
    + " for (int j = 0; j < VF_ABREAST; j++) vf_store(x + i + j * VF, v[j]); }"
    + " for (; i < n; i += VF) { v[0] = vf_load(x + i); vf_pow_positive(v, 1, p); vf_store(x + i, v[0]); } }\n"
    + "void divide(float *x, float y, long n) {"
    + " for (long i = 0; i < n; i += VF) vf_store(x + i, vf_quotient(vf_set(y), vf_load(x + i))); }\n"
)


@pytest.fixture(scope="module", params=kernels.isas())
def isa(request):
    return request.param


@pytest.fixture(scope="module")
def compiled(isa, tmp_path_factory):
    """The functions of one instruction set as a shared library."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not CSRC.is_dir():
        pytest.skip("needs a C compiler and the C sources")
    folder = tmp_path_factory.mktemp(isa)
    (folder / "sweep.c").write_text(SOURCE)
    command = [*compiler.split(), "-std=c11", "-O2", "-ffp-contract=off", "-fPIC", "-shared"]
    command += [*FLAGS[isa], f"-I{CSRC}", "sweep.c", "-o", "sweep.so", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "sweep.so"))


def apply(library, name, x):
    x = np.resize(np.asarray(x, np.float32), -(-len(x) // 16) * 16)
    out = np.empty_like(x)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (x, out)]
    getattr(library, f"sweep_{name}")(*pointers, ctypes.c_long(len(x)))
    return x, out


def sweep():
    """Every 8209th float of all there are, and densely where the functions bend."""
    rng = np.random.default_rng(0)
    every = np.arange(0, 2**32, 8209, dtype=np.uint64).astype(np.uint32).view(np.float32)
    parts = [rng.uniform(-reach, reach, 150_000).astype(np.float32) for reach in (1, 15, 104)]
    return np.concatenate([every, *parts])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp_over_the_float_range(compiled, isa, name):
    reference, fused, unfused = FUNCTIONS[name]
    x = sweep()
    if name == "vf_log1p_unit":
        x = np.abs(x[np.abs(x) <= 1])
    x, y = apply(compiled, name, x)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64))
        rounded = expected.astype(np.float32)
        if name == "vf_log":  # denormals are taken for 0
            expected = np.where((x >= 0) & (x < np.finfo(np.float32).tiny), -np.inf, expected)
            rounded = expected.astype(np.float32)
        error = np.abs(y - expected) / np.spacing(np.abs(rounded)).astype(np.float64)
    if name in ("vf_sin", "vf_cos"):  # near a zero of theirs an absolute error counts
        error = np.where(np.abs(y - expected) <= 2.0**-24, 0, error)
    finite = np.isfinite(rounded)
    assert np.array_equal(np.isnan(y), np.isnan(rounded))
    assert np.array_equal(y[np.isinf(rounded)], rounded[np.isinf(rounded)])
    normal = finite & (np.abs(rounded) >= SMALLEST)
    assert np.all(np.isfinite(y[normal]))
    worst = np.argmax(np.where(normal, error, 0))
    limit = fused if FUSED[isa] else unfused
    assert error[worst] <= limit, f"{name}({x[worst]!r}) = {y[worst]!r}, {error[worst]:.2f} ulp off"
    assert np.all(np.abs(y[finite & ~normal]) <= SMALLEST)


INF, NAN = math.inf, math.nan
SPECIAL = {  # (argument, result)
    "vf_exp": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (88.8, INF), (-104.0, 0)],
    "vf_expm1": [(0.0, 0), (INF, INF), (-INF, -1), (89.5, INF), (-40.0, -1), (1e-30, 1e-30)],
    "vf_log": [(1.0, 0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN)],
    "vf_log1p_unit": [(0.0, 0), (1e-30, 1e-30)],
    "vf_tanh": [(0.0, 0), (INF, 1), (-INF, -1), (20.0, 1), (-20.0, -1), (1e-30, 1e-30)],
    "vf_sigmoid": [(0.0, 0.5), (INF, 1), (-INF, 0), (100.0, 1)],
    "vf_log1p": [(0.0, 0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (1e-30, 1e-30)],
    "vf_erf": [(0.0, 0), (INF, 1), (-INF, -1), (5.0, 1), (1e30, 1)],
    "vf_sin": [(0.0, 0), (INF, NAN), (1e30, np.sin(np.float64(np.float32(1e30))))],
    "vf_cos": [(0.0, 1), (INF, NAN)],
    "vf_atan": [(0.0, 0), (INF, math.pi / 2), (-INF, -math.pi / 2)],
    "vf_floor": [(-0.5, -1), (2.5, 2), (1e30, 1e30), (INF, INF), (-INF, -INF)],
    "vf_nearest": [(0.5, 0), (1.5, 2), (2.5, 2), (-1.5, -2), (1e30, 1e30)],
    "vf_normal_cdf": [(INF, 1), (-INF, 0), (3e38, 1), (-3e38, 0), (14.0, 1)],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(compiled, name):
    x, expected = np.array([*SPECIAL[name], (NAN, NAN), (-NAN, NAN)], np.float32).T
    _, y = apply(compiled, name, x)
    np.testing.assert_array_equal(y[: len(x)], expected)
    assert name != "vf_tanh" or np.signbit(apply(compiled, name, [-0.0])[1][0])


def apply_with(library, name, x, y):
    """In place, with a number beside the array."""
    x = np.resize(np.asarray(x, np.float32), -(-len(x) // 16) * 16)
    out = x.copy()
    getattr(library, name)(ctypes.c_void_p(out.ctypes.data), ctypes.c_float(y), ctypes.c_long(len(x)))
    return x.astype(np.float64), out


@pytest.mark.parametrize("y", [0.0, 0.05, 0.5, 0.7, 1.0, 1.3, 3.0, -0.3, -2.0])
def test_powers_of_positive_numbers(compiled, y):
    """Where the results are normal: 3 ulp, and what the rounding of y log x costs."""
    x = sweep()
    x = x[np.isfinite(x) & (x >= np.finfo(np.float32).tiny)]
    y = float(np.float32(y))
    exponent = y * np.log2(x.astype(np.float64))
    x = x[(exponent > -125) & (exponent < 126.9)]
    assert len(x) > 10_000
    assert len(x) % 64 or len(x[:-16]) % 64  # a rest is raised alone
    for values in x, x[:-16]:
        x, result = apply_with(compiled, "raise", values, y)
        expected = x**y
        error = np.abs(result - expected) / np.spacing(expected.astype(np.float32)).astype(np.float64)
        allowed = 3 + 2 * np.abs(y * np.log(x))
        worst = np.argmax(error / allowed)
        assert error[worst] <= allowed[worst], f"{x[worst]!r} ** {y} = {result[worst]!r}, {error[worst]:.2f} ulp off"


def test_quotients(compiled):
    """The limits of what it promises: normal divisors up to 2^125."""
    x = np.abs(sweep())
    x = x[(x >= np.finfo(np.float32).tiny) & (x <= 2.0**125)]
    for y in 1.0, -0.3, 0.0:
        x, result = apply_with(compiled, "divide", x, y)
        expected = np.float64(np.float32(y)) / x
        normal = (np.abs(expected) < 2.0**127) & (np.abs(expected) > 2.0**-126)
        error = np.abs(result - expected) / np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
        assert error[normal].max(initial=0) <= 2
        assert y or not result.any()
