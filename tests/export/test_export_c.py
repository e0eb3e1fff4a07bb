"""Networks as C: the same answers as the frozen predictor's, whatever they are made of; clean in both compilers."""

import re
from functools import partial

import numpy as np
import pytest

import fastnn
from export.compiled import STRICT, WARNINGS, Library, close, need, run, same_bits, samples_of
from fastnn import layers, ops
from fastnn.export import export_c
from fastnn.freeze.quantize import activation_limit, quantize
from fastnn.operations.activation import KERNELS


def sequential(*stack, shape=(6,), seed=0, precision="float32"):
    """A frozen network with random weights."""
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential([fastnn.Input(shape), *stack])
    return scrambled(model).freeze(precision)


def scrambled(model):
    random = np.random.default_rng(0)
    for variable in model.weights:
        low = 0.3 if "variance" in variable.name else -1
        variable.assign(random.uniform(low, 1, size=variable.shape).astype(np.float32))
    return model


def functional(shapes, build):
    inputs = [fastnn.Input(shape) for shape in shapes]
    outputs = build(*inputs)
    return scrambled(fastnn.Model(inputs if len(inputs) > 1 else inputs[0], outputs)).freeze()


ACTIVATIONS = {name: name for name in sorted(set(KERNELS) - {"linear"})}
ACTIVATIONS["gelu_tanh"] = partial(fastnn.activations.gelu, approximate=True)
Dense = layers.Dense


def all_activations():
    """Each of them after a dense layer."""
    return functional(
        [(5,)], lambda x: ops.concatenate([Dense(4, activation=each)(x) for each in ACTIVATIONS.values()], axis=-1)
    )


def formula(x):
    a, b = Dense(4)(x), Dense(4)(x)
    parts = [
        ops.sin(a) * ops.cos(b), ops.log1p(ops.abs(a)), ops.exp(b) - ops.expm1(a), ops.sqrt(ops.abs(a)) / (1 + b * b),
        ops.maximum(a, b) + ops.minimum(a, 0.25), ops.where(a > b, ops.floor(4 * a), ops.round(4 * b)), ops.erf(a),
        ops.power(ops.abs(a) + 0.1, b), ops.arctan(3 * a), ops.sign(a) * ops.log(ops.abs(b)), ops.softplus(a),
        -ops.tanh(b),
    ]  # fmt: skip
    return ops.concatenate(parts, axis=-1)


def attention(x):
    """Products of two tensors, and sums over rows of values."""
    q, k = Dense(4)(x), Dense(4)(x)
    scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))) * 0.5, axis=-1)
    return layers.LayerNormalization()(ops.matmul(scores, Dense(3)(x)))


class Offset(layers.Layer):
    """Adds a variable of its own that is broadcast in the middle."""

    def build(self, input_shape):
        self.offset = self.add_weight(shape=(3, 1), initializer="random_normal", name="offset")

    def call(self, inputs):
        return inputs * self.offset + ops.exp(self.offset)


# name -> (network, what its samples are, does it sum over a row elsewhere than in dense layers)
NETWORKS = {
    "activations": (all_activations, None, False),
    "formula": (lambda: functional([(5,)], formula), None, False),
    "softmax": (lambda: sequential(Dense(7, activation="relu"), Dense(13, activation="softmax")), None, True),
    "prelu": (lambda: sequential(layers.PReLU(shared_axes=[1]), layers.PReLU(), shape=(3, 4)), None, False),
    "affine": (
        lambda: sequential(Dense(5, activation="tanh"), layers.BatchNormalization(), layers.Dropout(0.3)),
        None,
        False,
    ),
    "rows": (lambda: sequential(Dense(5), Dense(3, activation="elu"), shape=(4, 6)), None, False),
    "layer normalisation": (lambda: sequential(layers.LayerNormalization(), Dense(3), shape=(2, 9)), None, True),
    "rms": (lambda: sequential(layers.RMSNormalization(), layers.UnitNormalization()), None, True),
    "attention": (lambda: functional([(5, 6)], attention), None, True),
    "merging": (
        lambda: functional(
            [(4,), (4,)],
            lambda a, b: [
                layers.Add()([Dense(3)(a), Dense(3)(b)]),
                layers.Concatenate()([layers.Multiply()([a, b]), layers.Maximum()([a, b]), a]),
            ],
        ),
        None,
        False,
    ),
    "moving": (
        lambda: functional(
            [(4, 6)],
            lambda x: layers.Permute((2, 1))(
                layers.ZeroPadding1D(1)(x) if hasattr(layers, "ZeroPadding1D") else ops.pad(x, ((0, 0), (1, 1), (0, 0)))
            )[:, ::2, 1:],
        ),
        None,
        False,
    ),
    "parameters": (lambda: sequential(Offset(), layers.Reshape((4, 3)), shape=(3, 4)), None, False),
    "reductions": (
        lambda: functional(
            [(4, 3)],
            lambda x: ops.concatenate(
                [
                    ops.max(x, axis=1),
                    ops.min(x, axis=1),
                    ops.sum(x, axis=1),
                    ops.max(x, axis=2),
                    ops.cast(ops.argmax(x, axis=1), "float32"),
                    ops.cast(ops.argmin(x, axis=2), "float32"),
                ],
                axis=-1,
            ),  # fmt: skip
        ),
        None,
        False,
    ),
    "embedding": (
        lambda: sequential(layers.Embedding(7, 3), layers.Flatten(), Dense(4), shape=(5,)),
        np.array([[0, 1, 2, 3, 6], [6, 6, 0, 0, 5]]),
        False,
    ),
    "categories": (
        lambda: sequential(layers.CategoryEncoding(6, output_mode="count"), Dense(2), shape=(4,)),
        np.array([[0, 1, 5, 1], [2, 2, 2, 0]]),
        False,
    ),
    "bins": (lambda: sequential(layers.Discretization([-0.5, 0.0, 1.0]), shape=(8,)), None, False),
    "copied": (lambda: functional([(4,)], lambda x: [x, layers.Reshape((2, 2))(x)]), None, False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_the_predictors(name, tmp_path):
    build, x, sums = NETWORKS[name]
    frozen = build()
    inputs = samples_of(frozen.graph) if x is None else [x]
    exported = export_c(frozen, tmp_path / "net.c")
    for compiler in ("gcc", "clang"):
        answers = Library(exported, frozen.graph, compiler)(*inputs)
        expected = frozen(inputs if len(inputs) > 1 else inputs[0])
        if not isinstance(expected, (list, tuple)):
            answers, expected = [answers], [expected]
        for ours, theirs in zip(answers, expected, strict=True):
            if sums:
                assert close(ours, theirs, ulp=8), np.abs(ours - theirs).max()
            else:
                assert same_bits(ours, theirs), np.abs(ours - theirs).max()


def random_network(seed):
    """Values read once or many times, soon or late, in place or not, some of them answers, too."""
    random = np.random.default_rng(seed)

    def build(x):
        known = [x, Dense(6)(x)]
        ways = [
            lambda a, b: a + b,
            lambda a, b: a * b,
            lambda a, b: layers.ReLU()(a),
            lambda a, b: Dense(6, activation="tanh")(a),
            lambda a, b: layers.Reshape((6,))(layers.Permute((2, 1))(layers.Reshape((2, 3))(a))),
            lambda a, b: layers.Concatenate()([a, b])[:, 3:9],
            lambda a, b: layers.Reshape((6,))(layers.Reshape((2, 3))(a) + ops.max(layers.Reshape((2, 3))(b), 1, True)),
        ]
        for _ in range(14):
            first, second = random.integers(max(0, len(known) - 4), len(known), size=2)
            known.append(ways[random.integers(len(ways))](known[first], known[second]))
        return [known[-1], known[-1], *(known[each] for each in random.integers(1, len(known), size=3))]

    return functional([(6,)], build)


@pytest.mark.parametrize("seed", range(6))
def test_values_stay_as_long_as_they_are_read(seed, tmp_path):
    frozen = random_network(seed)
    exported = export_c(frozen, tmp_path / "net.c")
    inputs = samples_of(frozen.graph)
    for ours, theirs in zip(Library(exported, frozen.graph)(*inputs), frozen(inputs[0]), strict=True):
        assert same_bits(ours, theirs), np.abs(ours - theirs).max()


def test_softmax_differs_by_its_sum_alone(tmp_path):
    frozen = sequential(layers.Softmax(), shape=(200,))
    exported = export_c(frozen, tmp_path / "net.c")
    x = np.random.default_rng(0).normal(size=(20, 200)).astype(np.float32) * 3
    ours, theirs = Library(exported, frozen.graph)(x), frozen(x)
    assert np.max(np.abs(ours / theirs - 1)) <= (200 + 4) * 2.0**-23
    np.testing.assert_allclose(ours.sum(axis=1), 1, rtol=1e-6)


def extremes():
    values = [
        0.0,
        -0.0,
        1e-30,
        -1e-30,
        1e30,
        -1e30,
        np.inf,
        -np.inf,
        np.nan,
        0.5,
        -0.5,
        88.8,
        -88.8,
        20,
        -104,
        1.5,
        2.5,
    ]
    return np.array(values, np.float32)[:, None]


def test_extreme_values(tmp_path):
    names = "sqrt exp expm1 log log1p tanh sigmoid softplus erf arctan floor round sign abs".split()

    def build(x):
        activated = [layers.Activation(each)(x) for each in ACTIVATIONS.values()]
        return ops.concatenate([*activated, *(getattr(ops, each)(x) for each in names)], axis=-1)

    frozen = functional([(1,)], build)
    assert {node.operation.name for node in frozen.graph.nodes} == {"activation", "elementwise", "arrange"}
    exported = export_c(frozen, tmp_path / "net.c")
    x = np.concatenate([extremes(), np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32) * 30])
    ours, theirs = Library(exported, frozen.graph)(x), frozen(x)
    for column, name in enumerate([*ACTIVATIONS, *names]):
        a, b = ours[:, column], theirs[:, column]
        different = (a.view(np.uint32) != b.view(np.uint32)) & ~(np.isnan(a) & np.isnan(b))
        different &= ~(np.maximum(np.abs(a), np.abs(b)) < 2.0**-120)  # the engine takes numbers below 2^-126 for 0
        assert not different.any(), (name, x[different, 0], a[different], b[different])


def int8_dense(x, kernel, bias, limit_of=None):
    """The arithmetic of an int8 layer, in NumPy."""
    integers, scale = quantize(kernel)
    limit = np.float32(activation_limit(integers))
    largest = np.abs(x).max(axis=1, keepdims=True) if limit_of is None else np.full((len(x), 1), limit_of, np.float32)
    with np.errstate(all="ignore"):
        inverse = limit / largest
        inverse[np.isinf(inverse)] = 0
        rounded = np.clip(np.rint(x * inverse), -limit, limit).astype(np.int64)
        sums = rounded @ integers.astype(np.int64)
        assert np.abs(sums[np.isfinite(x).all(axis=1)]).max() < 2**31
        y = sums.astype(np.float32) * (largest / limit * scale) + bias
    y[~np.isfinite(x).all(axis=1)] = np.nan
    return y


@pytest.mark.parametrize("flags", [["-O1"], ["-O3", "-march=native", "-std=gnu11"]], ids=["plain", "vectors"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_int8_has_the_bits_of_its_description(compiler, flags, tmp_path):
    frozen = sequential(Dense(33, activation="relu"), Dense(7), shape=(19,))
    exported = frozen.export_c(tmp_path / "net.c", precision="int8")
    x = np.random.default_rng(1).normal(size=(40, 19)).astype(np.float32) * 10
    x[3], x[4, 5], x[6, 2], x[7], x[8, 0] = 0, np.nan, np.inf, 1e-38, 1e38
    expected = x
    for node in frozen.graph.nodes:
        if node.operation.name == "activation":
            expected = np.where(expected < 0, np.float32(0), expected)
        else:
            expected = int8_dense(expected, *(node.variables[name].numpy() for name in ("kernel", "bias")))
    assert np.isnan(expected[[4, 6]]).all()
    assert same_bits(Library(exported, frozen.graph, compiler, flags)(x), expected)


def test_int8_of_inputs_that_matter_differently(tmp_path):
    """As batch normalisation of an input that hardly varies leaves them."""
    random = np.random.default_rng(0)
    frozen = sequential(Dense(16), shape=(20,))
    (node,) = frozen.graph.nodes
    kernel = random.normal(size=(20, 16)).astype(np.float32)
    kernel[3] *= 500
    kernel[4] = 0
    node.variables["kernel"].assign(kernel)
    x = random.normal(size=(50, 20)).astype(np.float32)
    x[:, 3] = 0
    exported = export_c(frozen.graph, tmp_path / "net.c", precision="int8")
    expected = x @ kernel + node.variables["bias"].numpy()
    error = np.abs(Library(exported, frozen.graph)(x) - expected).max()
    assert 20 * error < np.abs(int8_dense(x, kernel, node.variables["bias"].numpy()) - expected).max()
    np.testing.assert_array_equal(node.variables["kernel"].numpy(), kernel)


def test_a_calibrated_range_clips(tmp_path):
    frozen = sequential(Dense(5))
    (node,) = frozen.graph.nodes
    node.attributes.update(precision="int8", range=1.5)
    exported = export_c(frozen.graph, tmp_path / "net.c")
    (x,) = samples_of(frozen.graph, 50)
    assert np.abs(x).max() > 2
    expected = int8_dense(x, *(node.variables[name].numpy() for name in ("kernel", "bias")), limit_of=np.float32(1.5))
    assert same_bits(Library(exported, frozen.graph)(x), expected)


def test_float16_is_float32_with_rounded_weights(tmp_path):
    frozen = sequential(Dense(11, activation="elu"), Dense(6))
    half = export_c(frozen, tmp_path / "half.c", precision="float16")
    for node in frozen.graph.nodes:
        if node.operation.name != "activation":
            kernel = node.variables["kernel"].numpy()
            kernel[0, 0], kernel[1, 1] = 3e-6, -1e-9  # subnormal there, and nothing
            node.variables["kernel"].assign(kernel.astype(np.float16).astype(np.float32))
    half = export_c(frozen, tmp_path / "half.c", precision="float16")
    single = export_c(frozen, tmp_path / "single.c", precision="float32")
    (x,) = samples_of(frozen.graph)
    assert same_bits(Library(half, frozen.graph)(x), Library(single, frozen.graph)(x))
    assert half.rom_bytes == single.rom_bytes - 2 * (6 * 11 + 11 * 6)


def test_bits_without_fused_multiply_adds_do_not_depend_on_the_compiler(tmp_path):
    frozen = sequential(Dense(21, activation="gelu"), Dense(9, activation="tanh"), shape=(14,))
    exported = export_c(frozen, tmp_path / "net.c")
    (x,) = samples_of(frozen.graph, 30)
    expected = None
    for compiler in ("gcc", "clang"):
        for flags in (["-O0"], ["-O3", "-march=native", "-std=gnu11", "-UNET_FMA"], ["-Os", "-ffp-contract=fast"]):
            answers = Library(exported, frozen.graph, compiler, ["-UNET_FMA", *flags, "-DNET_FMA=0"])(x)
            expected = answers if expected is None else expected
            assert same_bits(answers, expected), (compiler, flags)


def test_the_file_needs_no_library(tmp_path):
    need("gcc")
    exported = export_c(all_activations(), tmp_path / "net.c")
    run("gcc", *STRICT, "-O2", "-ffreestanding", "-DNET_FMA=0", "-c", exported.files[0], "-o", tmp_path / "net.o")
    undefined = run("nm", "-u", tmp_path / "net.o")
    assert set(undefined.split()) <= {"U", "memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}, undefined
    text = exported.files[0].read_text()
    assert "double" not in text
    assert "malloc" not in text


@pytest.mark.parametrize(("compiler", "precision"), [("gcc", "float32"), ("clang", "float16"), ("gcc", "int8")])
def test_self_test_under_sanitizers(compiler, precision, tmp_path):
    need(compiler)
    frozen = sequential(
        Dense(9, activation="elu"), layers.Reshape((3, 3)), layers.LayerNormalization(), layers.Flatten(), Dense(5)
    )
    (x,) = samples_of(frozen.graph)
    export_c(frozen, tmp_path / "net.c", self_test=x)
    test = (tmp_path / "net_test.c").read_text()
    rounded = sequential(Dense(9), layers.LayerNormalization(), Dense(5), precision="int8")
    export_c(rounded, tmp_path / "rounded.c", self_test=samples_of(rounded.graph)[0])
    assert "0.001f * (1.0f" in (tmp_path / "rounded_test.c").read_text()
    export_c(frozen, tmp_path / "lone.c", self_test=x[0])
    assert "x[1][" in (tmp_path / "lone_test.c").read_text()
    exported = export_c(frozen, tmp_path / "net.c", precision=precision)
    assert "net_test.c" not in [each.name for each in exported.files]
    test = re.sub(r"1e-05f", {"float32": "1e-5f", "float16": "1e-2f", "int8": "5e-2f"}[precision], test)
    (tmp_path / "net_test.c").write_text(test)
    binary = tmp_path / "program"
    flags = ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DNET_STORAGE="]
    run(compiler, *STRICT, *flags, tmp_path / "net.c", tmp_path / "net_test.c", "-o", binary, "-lm")
    run(binary)
    (tmp_path / "net_test.c").write_text(test.replace("wanted = expected[i][j]", "wanted = expected[i][j] + 1.0f"))
    run(compiler, "-std=c99", tmp_path / "net.c", tmp_path / "net_test.c", "-o", binary, "-lm")
    with pytest.raises(AssertionError):
        run(binary)


def test_from_cplusplus(tmp_path):
    need("gcc", "g++")
    frozen = sequential(Dense(2))
    exported = export_c(frozen, tmp_path / "net.c", name="brain")
    (tmp_path / "main.cpp").write_text(
        '#include "net.h"\n#include "net.h"\n'
        "int main() { float x[BRAIN_INPUT_SIZE] = {1}, y[BRAIN_OUTPUT_SIZE]; brain_predict(x, y); return y[0] == 0; }\n"
    )
    run("gcc", *STRICT, "-c", exported.files[0], "-o", tmp_path / "net.o")
    flags = [each for each in WARNINGS if each != "-Wstrict-prototypes"]
    run("g++", *flags, tmp_path / "main.cpp", tmp_path / "net.o", "-o", tmp_path / "program", "-lm")
    run(tmp_path / "program")


def test_files_and_sizes(tmp_path):
    frozen = sequential(Dense(50, "relu", name="first"), Dense(3, name="last*/ layer é"), shape=(10,))
    exported = frozen.export_c(tmp_path / "my-net.c", precision="int8")
    assert exported.name == "my_net"
    assert [each.name for each in exported.files] == ["my-net.c", "my-net.h"]
    assert exported.rom_bytes == 500 + 150 + 4 * 2 * (50 + 3)
    assert exported.ram_bytes == 4 * 50 + 2 * 50
    header, source = exported.files[1].read_text(), exported.files[0].read_text()
    assert '#include "my-net.h"' in source
    assert "#define MY_NET_INPUT_SIZE 10" in header
    assert f"ROM: {exported.rom_bytes} bytes" in source
    assert "void my_net_predict(const float *x, float *y)" in header
    assert max(map(len, source.splitlines())) <= 130
    assert not re.search(r"\b(net|NET)_", source)
    Library(exported, frozen.graph)
    again = [each.read_bytes() for each in exported.files]
    frozen.export_c(tmp_path / "my-net.c", precision="int8")
    assert again == [each.read_bytes() for each in exported.files]


def test_layers_in_place_share_memory(tmp_path):
    frozen = sequential(*(Dense(32, activation="relu") for _ in range(6)), shape=(32,))
    assert export_c(frozen, tmp_path / "net.c").ram_bytes == 2 * 32 * 4


def test_what_cannot_be_exported_is_named(tmp_path):
    words = fastnn.Sequential(
        [
            fastnn.Input((2,), dtype="string"),
            layers.StringLookup(vocabulary=["a", "b"], name="words"),
            layers.Embedding(4, 2),
            layers.Flatten(),
            Dense(1),
        ]
    )
    with pytest.raises(ValueError, match="Layer 'words'.*before the network"):
        words.freeze().export_c(tmp_path / "net.c")
    model = fastnn.Sequential([fastnn.Input((3,)), layers.BatchNormalization(name="norm"), Dense(1)])
    with pytest.raises(ValueError, match="Layer 'norm'.*cannot be exported to C"):
        export_c(model.graph, tmp_path / "net.c")
    frozen = sequential(Dense(2))
    with pytest.raises(ValueError, match="precision"):
        frozen.export_c(tmp_path / "net.c", precision="int4")
    with pytest.raises(ValueError, match=r"must end with \.c"):
        frozen.export_c(tmp_path / "net.txt")
    with pytest.raises(FileNotFoundError, match="no folder"):
        frozen.export_c(tmp_path / "nowhere" / "net.c")
    for name in ("2nd", "a b", "while"):
        with pytest.raises(ValueError, match="name"):
            frozen.export_c(tmp_path / "net.c", name=name)
    with pytest.raises(ValueError, match="freeze the model with"):
        frozen.export_c(tmp_path / "net.c", precision="int8", self_test=np.zeros((1, 6)))
    assert not list(tmp_path.iterdir())
