"""Dense layers of exported networks in the processor's vectors: the bits of plain C, and of the predictor."""

import numpy as np
import pytest
from fastnn._engine.runtime import active_isa_name

from export.compiled import STRICT, Library, need, run, same_bits, samples_of
from export.test_export_c import functional, sequential
from fastnn import layers, ops
from fastnn.export import export_c

_AVX2 = ["-mavx2", "-mfma"]
FLAGS = {
    "avx512": {"avx512": [*_AVX2, "-mavx512f"], "avx2": _AVX2},
    "avx2": {"avx2": _AVX2},
    "neon": {"neon": []},
}.get(active_isa_name(), {})
if not FLAGS:
    pytest.skip("this processor has no vectors of those kinds", allow_module_level=True)
LANES = {"avx512": 16, "avx2": 8, "neon": 4}
PLAIN = ["-UNET_LANES", "-DNET_LANES=0"]
WAYS = [(compiler, isa) for isa in FLAGS for compiler in ("gcc", "clang")]
every_way = pytest.mark.parametrize(("compiler", "isa"), WAYS)
two_ways = pytest.mark.parametrize(("compiler", "isa"), [WAYS[0], WAYS[-1]])
Dense = layers.Dense
SIZES = [2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 40, 47, 64, 65, 100, 128, 129, 150, 260, 300]


def lanes(exported, *flags):
    """Of how many the compiler would make vectors."""
    text = run("gcc", "-dM", "-E", *flags, exported.files[0])
    return int(text.split("#define NET_LANES ")[1].split()[0])


def many_sizes(x, lone):
    wide = [Dense(n, activation=("relu", None)[i % 2], use_bias=i % 3 != 0)(x) for i, n in enumerate(SIZES)]
    return [*wide, Dense(2)(lone), Dense(5)(lone), Dense(33)(lone)]


@every_way
def test_all_sizes_have_the_predictors_bits(compiler, isa, tmp_path):
    frozen = functional([(37,), (1,)], many_sizes)
    exported = export_c(frozen, tmp_path / "net.c")
    assert lanes(exported, "-O1", *FLAGS[isa]) == LANES[isa]
    inputs = samples_of(frozen.graph, 6)
    for x in inputs:
        x[3, 0], x[4], x[5, 0] = np.nan, 0.0, -np.inf
    answers = Library(exported, frozen.graph, compiler, FLAGS[isa])(*inputs)
    plain = Library(exported, frozen.graph, compiler, PLAIN)(*inputs)
    for ours, theirs, bare in zip(answers, frozen(inputs), plain, strict=True):
        assert same_bits(ours, theirs), ours.shape
        assert same_bits(ours, bare), ours.shape


@every_way
def test_between_functions_and_other_layers(compiler, isa, tmp_path):
    """What compilers make of layers and of loops between them, and rows of several."""

    def build(x):
        y = Dense(19, activation="relu")(layers.Reshape((3, 7))(x))
        both = ops.concatenate([Dense(9, activation="tanh")(y), Dense(6, activation="gelu")(y)], axis=-1)
        z = layers.Flatten()(both)
        shared = Dense(24)(z)  # read twice: its relu is a loop of its own
        return [layers.ReLU()(shared) + shared, Dense(2, activation="relu")(Dense(33, activation="sigmoid")(z))]

    frozen = functional([(21,)], build)
    exported = export_c(frozen, tmp_path / "net.c")
    (x,) = samples_of(frozen.graph, 5)
    answers = Library(exported, frozen.graph, compiler, ["-O3", *FLAGS[isa]])(x)
    for ours, theirs in zip(answers, frozen(x), strict=True):
        assert same_bits(ours, theirs)


@two_ways
@pytest.mark.parametrize("inputs", [3, 8, 37])
def test_a_lone_output_is_several_sums(compiler, isa, inputs, tmp_path):
    frozen = sequential(Dense(1, activation="relu"), shape=(inputs,))
    exported = export_c(frozen, tmp_path / "net.c")
    (x,) = samples_of(frozen.graph, 40)
    (node, _) = frozen.graph.nodes
    magnitudes = np.abs(x) @ np.abs(node.variables["kernel"].numpy()) + np.abs(node.variables["bias"].numpy())
    answers = Library(exported, frozen.graph, compiler, ["-O2", *FLAGS[isa]])(x)
    assert np.all(np.abs(answers - frozen(x)) <= (inputs + 1) * 2.0**-23 * magnitudes)
    assert same_bits(Library(exported, frozen.graph, compiler, [*FLAGS[isa], *PLAIN])(x), frozen(x))


@two_ways
def test_nothing_is_read_or_written_outside(compiler, isa, tmp_path):
    need(compiler)
    frozen = sequential(
        Dense(37, activation="relu"), Dense(17), Dense(9, activation="elu"), Dense(5), Dense(1), Dense(3), shape=(3,)
    )
    (x,) = samples_of(frozen.graph)
    source, _, test = export_c(frozen, tmp_path / "net.c", self_test=x).files
    sanitizers = ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DNET_STORAGE="]
    run(compiler, *STRICT, *sanitizers, *FLAGS[isa], source, test, "-o", tmp_path / "program", "-lm")
    run(tmp_path / "program")


def test_vectors_are_for_speed_alone(tmp_path):
    need("gcc")
    wide = export_c(sequential(Dense(64, activation="relu"), Dense(32)), tmp_path / "wide.c", name="net")
    mixed = export_c(sequential(Dense(64, activation="relu"), layers.Softmax()), tmp_path / "mixed.c", name="net")
    for isa, flags in FLAGS.items():
        assert lanes(wide, "-O3", *flags) == LANES[isa]
        assert lanes(mixed, "-O3", *flags) == min(LANES[isa], 8)
        for other in (["-O0"], ["-Os"], ["-O2", "-ffreestanding"], ["-O2", "-DNET_FMA=0"], ["-O2", *PLAIN]):
            assert lanes(wide, *flags, *other) == 0
    half = export_c(sequential(Dense(64)), tmp_path / "half.c", precision="float16")
    assert "LANES" not in half.files[0].read_text()
