"""The optimizers' kernels beside their float64 oracle, on every instruction set, and to the bit for every team."""

import numpy as np
import pytest
from fastnn._engine.runtime import OPS
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import optimizers

ISAS = kernels.isas()
SIZES = st.integers(1, 60).map(lambda n: n * 16)
SEEDS = st.integers(0, 2**32 - 1)
STEPS = st.sampled_from([0, 1, 9, 1000, 10**7, 2**40])
BETAS = dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7)

# operation, what of its optional slots it has, its own numbers, its own dimensions
CASES = {
    "sgd": ("sgd", (), {}, dict(nesterov=0)),
    "momentum": ("sgd", ("momentum",), dict(momentum=0.9), dict(nesterov=0)),
    "nesterov": ("sgd", ("momentum",), dict(momentum=0.9), dict(nesterov=1)),
    "adam": ("adam", (), BETAS, {}),
    "amsgrad": ("adam", ("velocity_hat",), BETAS, {}),
    "adamax": ("adamax", (), BETAS, {}),
    "nadam": ("nadam", (), BETAS, {}),
    "lion": ("lion", (), dict(beta_1=0.9, beta_2=0.99), {}),
    "rmsprop": ("rmsprop", (), dict(rho=0.9, momentum=0.0, epsilon=1e-7), {}),
    "rmsprop with momentum": ("rmsprop", ("momentum",), dict(rho=0.9, momentum=0.8, epsilon=1e-7), {}),
    "centered": ("rmsprop", ("average_gradient",), dict(rho=0.9, momentum=0.0, epsilon=1e-3), {}),
    "adagrad": ("adagrad", (), dict(epsilon=1e-7), {}),
    "adadelta": ("adadelta", (), dict(rho=0.95, epsilon=1e-6), {}),
    "ftrl": ("ftrl", (), dict(power=-0.5, l1=0.1, l2=0.01, shrinkage=0.1, beta=0.2), {}),
    "ftrl of another power": ("ftrl", (), dict(power=-0.8, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0), {}),
    "ftrl of power 0": ("ftrl", (), dict(power=0.0, l1=0.1, l2=0.0, shrinkage=0.0, beta=0.0), {}),
    "ftrl of a high power": ("ftrl", (), dict(power=-1.5, l1=0.0, l2=0.1, shrinkage=0.0, beta=0.0), {}),
}
SQUARES = {"velocity", "velocity_hat", "norm", "accumulator", "accumulated_grad", "accumulated_delta_var"}


def product(beta_1, t):
    """The number that Nadam's kernel is given."""
    return beta_1**t * np.prod(1 - 0.5 * 0.96 ** np.arange(1, min(t, 2000) + 1))


def slots_of(case):
    op, optional, _, _ = CASES[case]
    info = OPS[op]
    return [name for name in info.operands[3:] if name not in info.optional or name in optional]


def run(
    case, arrays, isa=None, step=0, rate=0.01, threads=1, decay=None, clip=0, limit=0.0, norms=None, accumulation=0
):
    """Run an update in place."""
    op, _, own, dims = CASES[case]
    hyper = [rate, decay or 0.0, limit, 0.0, *own.values()]
    if op == "nadam":
        hyper.append(product(own["beta_1"], step + 1))
    operands = {**dict.fromkeys(OPS[op].optional), **arrays, "norms": norms}
    dims = dict(n=arrays["param"].size, matrix_rows=0, matrix_columns=0, accumulation=accumulation, clip=clip,
                norm_count=0 if norms is None else norms.size, **dims)  # fmt: skip
    scalars = dict(rate_factor=1.0, decays=decay is not None)
    kernels.call(op, 1, operands, dims, scalars, isa=isa, step=step, hyper=hyper, threads=threads)


def random_arrays(case, n, seed):
    random = np.random.default_rng(seed)
    arrays = {}
    for name in ["param", "grad", *slots_of(case)]:
        arrays[name] = kernels.padded(random.normal(size=n).astype(np.float32))
        if name in SQUARES:
            arrays[name] *= arrays[name]
        if name == "average_gradient":
            arrays[name] *= 0.1
            arrays["velocity"] += 0.5  # more than the square of the mean
    return arrays


def expected_of(case, arrays, rate, t):
    op, _, own, dims = CASES[case]
    slots = {name: arrays[name] for name in slots_of(case)}
    w, slots = getattr(optimizers, op)(arrays["param"], arrays["grad"], slots, rate, t, **own, **dims)
    return {"param": w, **slots}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", CASES)
@given(SIZES, SEEDS, STEPS)
@settings(max_examples=15)
def test_one_update(isa, case, n, seed, step):
    if case == "nadam":
        step = min(step, 1000)  # the oracle multiplies as many numbers
    before = random_arrays(case, n, seed)
    results = []
    for threads in 1, 2, 3:
        arrays = {name: kernels.padded(array) for name, array in before.items()}
        run(case, arrays, isa, step, threads=threads)
        results.append(arrays)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name])
    for name, array in expected_of(case, before, 0.01, step + 1).items():
        loose = case in ("centered", "ftrl of another power", "ftrl of a high power")  # a difference, a power
        tolerance = 1e-4 if loose else 5e-6
        scale = max(1.0, np.abs(array).max())
        np.testing.assert_allclose(results[0][name], array, rtol=tolerance, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("isa", ISAS)
def test_adam_from_zero_is_the_adam_of_exact_betas(isa):
    random = np.random.default_rng(0)
    arrays = {key: kernels.aligned(64) for key in ("param", "grad", "momentum", "velocity")}
    w, slots = np.zeros(64), dict(momentum=np.zeros(64), velocity=np.zeros(64))
    for step in range(200):
        arrays["grad"][:] = random.normal(size=64)
        run("adam", arrays, isa, step, rate=0.001)
        w, slots = optimizers.adam(w, arrays["grad"], slots, 0.001, step + 1, **BETAS)
    np.testing.assert_allclose(arrays["param"], w, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", CASES)
def test_zeros_stay_zeros(isa, case):
    """Padding has no gradient and must not become NaN, whatever epsilon is."""
    for epsilon in (True, False):
        op, optional, own, dims = CASES[case]
        CASES["zero"] = op, optional, {key: 0.0 if key == "epsilon" and not epsilon else value
                                       for key, value in own.items()}, dims  # fmt: skip
        arrays = {name: kernels.aligned(32) for name in ("param", "grad", *slots_of("zero"))}
        run("zero", arrays, isa)
        del CASES["zero"]
        for name, array in arrays.items():
            assert not array.any(), name


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("clip", [0, 1])
def test_nan_is_not_hidden(isa, case, clip):
    arrays = random_arrays(case, 16, 1)
    arrays["grad"][3] = np.nan
    run(case, arrays, isa, clip=clip, limit=0.5)
    assert np.isnan(arrays["param"]).tolist() == [i == 3 for i in range(16)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("epsilon", [0.0, 1e-7])
def test_adam_at_the_ends_of_the_range(isa, epsilon):
    """A second moment that has overflowed stops the parameter, one of 0 does not throw it, and NaN stays visible."""
    CASES["here"] = "adam", (), {**BETAS, "epsilon": epsilon}, {}
    arrays = {key: kernels.aligned(16) for key in ("param", "grad", "momentum", "velocity")}
    arrays["grad"][:] = np.array([1e30, -1e25, 1e19, 0, 1e-30, np.nan] + [1] * 10, np.float32)
    run("here", arrays, isa, rate=0.001)
    del CASES["here"]
    after = arrays["param"]
    assert after[0] == after[1] == after[3] == 0
    assert abs(after[2] + 0.001) < 1e-6
    assert abs(after[4]) < 1e-9
    assert np.isnan(after[5])
    np.testing.assert_allclose(after[6:], -0.001, rtol=1e-3)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n", [16, 4096, 4112, 50000])
def test_sums_of_squares(isa, n):
    """The same bits for any team, as no sum is split by it."""
    x = kernels.padded(np.random.default_rng(n).normal(size=n).astype(np.float32))
    results = []
    for threads in 1, 2, 3:
        sums = kernels.aligned(-(-n // 4096), np.float64)
        kernels.call("sum_squares", 1, dict(x=x, sums=sums), dict(n=n), isa=isa, threads=threads)
        results.append(sums)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert results[0].sum() == pytest.approx((x.astype(np.float64) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("power", [0.05, 0.3, 0.7, 0.95, 1.0])
def test_powers_of_ftrl(isa, power):
    """From tiny to large accumulators, by small and by large gradients: z shows the difference of the powers."""
    n = 4096
    random = np.random.default_rng(1)
    accumulator = np.exp(random.uniform(-60, 20, n)).astype(np.float32)
    accumulator[:4] = 0, 1e-37, 1, 1e9
    growth = np.exp(random.uniform(-12, 3, n))
    grad = np.sqrt(accumulator * growth).astype(np.float32)
    arrays = dict(param=np.ones(n), grad=grad, accumulator=accumulator, linear=np.zeros(n))
    arrays = {name: kernels.padded(each.astype(np.float32)) for name, each in arrays.items()}
    CASES["here"] = "ftrl", (), dict(power=-power, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0), {}
    run("here", arrays, isa, rate=1.0)
    del CASES["here"]
    a, g = accumulator.astype(np.float64), grad.astype(np.float64)
    after = np.float64(arrays["accumulator"]) ** power
    wrong = np.abs(arrays["linear"] - (g - (after - a**power))) / np.maximum(after, g).clip(1e-30)
    assert wrong.max() < 3e-6


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n", [16, 4112, 20000])
def test_lamb(isa, n):
    random = np.random.default_rng(n)
    before = {name: random.normal(size=n).astype(np.float32) for name in ("param", "grad", "momentum", "velocity")}
    before["velocity"] **= 2
    results = []
    for threads in 1, 2, 3:
        arrays = {name: kernels.padded(array) for name, array in before.items()}
        sums = kernels.aligned(2 * -(-n // 4096), np.float64)
        dims = dict(n=n, matrix_rows=0, matrix_columns=0, accumulation=0, clip=0, norm_count=0)
        common = dict(isa=isa, step=4, threads=threads, hyper=(0.01, 0.0, 0.0, 0.0, *BETAS.values()))
        kernels.call("lamb_direction", 1, {**arrays, "norms": None, "sums": sums}, dims,
                     dict(rate_factor=1.0, decays=0.0), **common)  # fmt: skip
        kernels.call("lamb_apply", 1, dict(param=arrays["param"], direction=arrays["grad"], sums=sums),
                     dict(n=n, accumulation=0), dict(rate_factor=1.0), **common)  # fmt: skip
        results.append(arrays)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name])
    w, _ = optimizers.lamb(before["param"], before["grad"], before, 0.01, 5, **BETAS)
    np.testing.assert_allclose(results[0]["param"], w, rtol=1e-5, atol=1e-5)


def in_memory(value, layout, isa):
    """A matrix, or several, as the engine has it: panels, rows of whole lines, or rows without gaps."""
    if layout == "panels":
        return kernels.padded(kernels.pack(value, isa=isa))
    stride = value.shape[-1] if layout == "flat" else -(-value.shape[-1] // 16) * 16
    rows = np.zeros((value[..., 0].size, stride), np.float32)
    rows[:, : value.shape[-1]] = value.reshape(len(rows), -1)
    return kernels.padded(rows.ravel())


def from_memory(memory, shape, layout, isa):
    if layout == "panels":
        return kernels.unpack(memory, *shape, isa=isa)
    stride = shape[-1] if layout == "flat" else -(-shape[-1] // 16) * 16
    rows = int(np.prod(shape[:-1]))
    return memory[: rows * stride].reshape(rows, stride)[:, : shape[-1]].reshape(shape)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("shape", "layout"),
    [((37, 70), "panels"), ((9, 3), "panels"), ((130, 17), "panels"), ((2, 3, 5, 21), "rows"), ((11, 20), "flat")],
)
def test_adafactor(isa, shape, layout):
    random = np.random.default_rng(3)
    *batches, height, columns = shape
    batches = int(np.prod(batches))
    w, g = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    g[..., 0, :] = g[..., :, 1] = 0  # a row and a column whose product is too small for a float
    slots = {"r": random.uniform(0.1, 1, shape[:-1]), "c": random.uniform(0.1, 1, (*shape[:-2], columns))}
    slots["r"][..., 0] = slots["c"][..., 1] = 1e-30
    slots = {name: value.astype(np.float32) for name, value in slots.items()}
    own = dict(beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, clip_threshold=0.9)
    count = batches * (columns // 8 + 1)
    results = []
    for threads in 1, 2, 3:
        arrays = {name: in_memory(each, layout, isa) for name, each in (("param", w), ("grad", g))}
        arrays |= {name: in_memory(each, "rows", isa) for name, each in slots.items()}
        scratch = dict(partial=kernels.aligned(count * height + 16), sums=kernels.aligned(2 * count, np.float64),
                       root=kernels.aligned(batches * (height + 16)))  # fmt: skip
        dims = dict(n=arrays["param"].size, matrix_rows=0, matrix_columns=0, accumulation=0, clip=0, norm_count=0,
                    batches=batches, height=height, columns=columns,
                    ld=0 if layout == "panels" else columns if layout == "flat" else 32, count=count,
                    size=w.size)  # fmt: skip
        places = {**arrays, **scratch, "norms": None, "direction": arrays["grad"]}
        for op in "adafactor_moments", "adafactor_rows", "adafactor_direction", "adafactor_apply":
            kernels.call(
                op, 1, {key: places[key] for key in OPS[op].operands}, {key: dims[key] for key in OPS[op].dims},
                {key: dict(rate_factor=1.0, decays=0.0)[key] for key in OPS[op].scalars}, isa=isa, step=6,
                threads=threads, hyper=(0.1, 0, 0, 0, *own.values()),
            )  # fmt: skip
        results.append(arrays)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name])
    expected, after = optimizers.adafactor(w, g, slots, 0.1, 7, **own)
    np.testing.assert_allclose(from_memory(results[0]["param"], shape, layout, isa), expected, rtol=1e-5, atol=1e-6)
    for name, value in after.items():
        np.testing.assert_allclose(from_memory(results[0][name], value.shape, "rows", isa), value, rtol=1e-5)


MUON = dict(momentum=0.95, a=3.4445, b=-4.775, c=2.0315, rms=0.2)


def muon_update(before, shape, layout, isa, threads, hyper, steps, nesterov):
    """What `optimizers.Muon` emits, by hand; returns the parameters and the momentum."""
    height, columns = shape
    short, long = sorted(shape)
    arrays = {name: in_memory(each, layout, isa) for name, each in before.items()}
    n = arrays["param"].size
    count = -(-n // 4096)
    common = dict(isa=isa, step=6, threads=threads, hyper=hyper)
    x, product = (kernels.aligned((short, kernels.row_stride(long))) for _ in range(2))
    square, fourth = (kernels.aligned((short, kernels.row_stride(short))) for _ in range(2))
    sums = kernels.aligned(count, np.float64)
    matrix = dict(accumulation=0, height=height, columns=columns, ldx=x.shape[1])
    matrix["ld"] = 0 if layout == "panels" else columns if layout == "flat" else kernels.row_stride(columns)

    def multiply(x, w, y, k, n, turned=0):
        dims = dict(accumulation=0, height=short, k=k, n=n, ldx=x.shape[1], ldy=y.shape[1], turned=turned)
        kernels.call("muon_product", 1, dict(x=x, w=w, y=y), dims, isa=isa, threads=threads, hyper=hyper)

    def blend(x, y, n, u, v):
        dims = dict(accumulation=0, height=short, n=n, ldx=x.shape[1], ldy=y.shape[1], u=u, v=v)
        kernels.call("muon_blend", 1, dict(x=x, y=y), dims, isa=isa, threads=threads, hyper=hyper)

    kernels.call(
        "muon_momentum", 1, {**arrays, "norms": None, "sums": sums},
        dict(n=n, matrix_rows=0, matrix_columns=0, accumulation=0, clip=0, norm_count=0, nesterov=nesterov),
        dict(rate_factor=1.0, decays=0.0), **common,
    )  # fmt: skip
    kernels.call("muon_start", 1, dict(grad=arrays["grad"], sums=sums, x=x), dict(**matrix, count=count), **common)
    for _ in range(steps):
        w = kernels.pack(x[:, :long], isa)
        multiply(x, w, square, short, long, turned=1)
        multiply(square, kernels.pack(square[:, :short], isa), fourth, short, short)
        blend(square, fourth, short, 8, 9)  # b and c, counted from 1
        multiply(fourth, w, product, short, long)
        blend(product, x, long, 0, 7)
    kernels.call("muon_apply", 1, dict(param=arrays["param"], x=x), matrix, dict(rate_factor=1.0), **common)
    return {name: arrays[name] for name in ("param", "momentum")}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("shape", "layout", "nesterov", "steps", "own"),
    [
        ((37, 70), "panels", True, 5, MUON),
        ((70, 37), "panels", False, 5, MUON),
        ((130, 3), "panels", True, 2, {**MUON, "rms": -1.0}),
        ((5, 21), "rows", True, 3, {**MUON, "a": 2.0, "b": -1.5, "c": 0.5}),
        ((20, 7), "flat", True, 5, MUON),
        ((1, 9), "panels", True, 0, MUON),
    ],
)
def test_muon(isa, shape, layout, nesterov, steps, own):
    random = np.random.default_rng(5)
    before = {name: random.normal(size=shape).astype(np.float32) for name in ("param", "grad", "momentum")}
    hyper = (0.1, 0, 0, 0, 0.9, 0.999, 1e-7, 1.0, 0.0, *own.values())
    results = [muon_update(before, shape, layout, isa, threads, hyper, steps, nesterov) for threads in (1, 2, 3)]
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name])
    expected, after = optimizers.muon(before["param"], before["grad"], before, 0.1, 7, **own, steps=steps,
                                      nesterov=nesterov)  # fmt: skip
    found = from_memory(results[0]["param"], shape, layout, isa)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)  # the iterations amplify what rounding did
    np.testing.assert_allclose(from_memory(results[0]["momentum"], shape, layout, isa), after["momentum"], rtol=1e-6,
                               atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
def test_muon_updates_what_is_no_matrix_as_adam_does(isa):
    """With a learning rate and a decay of its own, the decay by the whole rate."""
    random = np.random.default_rng(6)
    before = {name: random.normal(size=48).astype(np.float32) for name in ("param", "grad", "momentum", "velocity")}
    before["velocity"] **= 2
    arrays = {name: kernels.padded(each) for name, each in before.items()}
    hyper = (0.1, 0.3, 0, 0, 0.9, 0.999, 1e-7, 0.25, 0.02, *MUON.values())
    dims = dict(n=48, matrix_rows=0, matrix_columns=0, accumulation=0, clip=0, norm_count=0)
    kernels.call("muon_adam", 1, {**arrays, "norms": None, "velocity_hat": None}, dims,
                 dict(rate_factor=1.0, decays=1.0), isa=isa, step=6, hyper=hyper)  # fmt: skip
    w, after = optimizers.adam(before["param"] * (1 - 0.02 * 0.1), before["grad"], before, 0.025, 7, **BETAS)
    for name, value in {"param": w, **after}.items():
        np.testing.assert_allclose(arrays[name], value, rtol=5e-6, atol=5e-6, err_msg=name)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("clip", [2, 3])
def test_norms_that_are_not_finite(isa, clip):
    """As in Keras: an infinite norm of its own makes finite values 0, one of all gradients makes NaN of everything."""
    for norm, expected in (np.inf, 0.0 if clip == 2 else np.nan), (np.nan, np.nan):
        arrays = {name: kernels.aligned(16) for name in ("param", "grad")}
        arrays["grad"][:] = 1
        run("sgd", arrays, isa, clip=clip, limit=1.0, norms=np.array([norm]))
        np.testing.assert_array_equal(arrays["param"], np.full(16, expected, np.float32))


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize(("k", "n"), [(5, 300), (33, 100), (7, 17), (40, 257)])
def test_panels_of_a_matrix_are_shared_as_in_products(isa, k, n):
    """Every thread updates its panels, all of them are updated once, with the bits of one thread."""
    random = np.random.default_rng(n)
    before = {name: kernels.pack(random.normal(size=(k, n)), isa) for name in ("param", "grad", "momentum")}
    size = -(-before["param"].size // 16) * 16
    results = []
    for threads, matrix in (1, False), (1, True), (2, True), (3, True), (5, True), (8, True):
        arrays = {name: kernels.aligned(size) for name in before}
        for name, array in before.items():
            arrays[name][: array.size] = array
        dims = dict(n=size, matrix_rows=k * matrix, matrix_columns=n * matrix, accumulation=0, clip=0, norm_count=0)
        kernels.call("sgd", 1, {**arrays, "norms": None}, dict(**dims, nesterov=0), dict(rate_factor=1.0, decays=0.0),
                     isa=isa, hyper=(0.01, 0.0, 0.0, 0.0, 0.9), threads=threads)  # fmt: skip
        results.append(arrays)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert (results[0]["param"][: before["param"].size] != before["param"])[before["grad"] != 0].all()
