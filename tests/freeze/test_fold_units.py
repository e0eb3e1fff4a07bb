"""What folding removes beside scalings: units, layers and branches that make no difference; and what it reports."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.freeze.fold import fold

from .test_fold_graphs import BN, check, dense, functional, operations, scramble


def kernels(graph):
    return [node.variables["kernel"].shape for node in graph.nodes if node.operation.name == "dense"]


def test_pruned_units_disappear():
    first, second, third = dense(8, "tanh"), dense(7, "gelu"), dense(3)
    model = functional(lambda x: third(BN()(second(first(x)))), (5,))
    kernel = second.kernel.numpy()
    kernel[[0, 4]] = 0  # nobody reads two units of the first layer
    kernel[:, [1, 2, 6]] = 0  # three of the second are constant
    second.kernel.assign(kernel)
    kernel = third.kernel.numpy()
    kernel[[2, 3]] = 0
    third.kernel.assign(kernel)
    graph, report = check(model, ["dense", "activation", "dense", "activation", "dense"])
    assert kernels(graph) == [(5, 6), (6, 3), (3, 3)]
    assert any("4 of 7 units" in note and "2 read by nobody, 2 constant" in note for note in report.notes)


def test_a_unit_that_only_a_removed_one_reads_is_removed():
    first, second, third = dense(6, "relu"), dense(6, "relu"), dense(2)
    model = functional(lambda x: third(second(first(x))), (5,))
    kernel = np.diag(np.arange(1.0, 7))
    second.kernel.assign(kernel)
    kernel = third.kernel.numpy()
    kernel[[1, 5]] = 0
    third.kernel.assign(kernel)
    assert kernels(check(model)[0]) == [(5, 4), (4, 4), (4, 2)]


def test_units_that_are_alike_become_one():
    first, prelu, ends = dense(6), layers.PReLU(), [dense(3), dense(2)]
    model = functional(lambda x: [end(prelu(first(x))) for end in ends], (5,))
    kernel, bias, alpha = first.kernel.numpy(), first.bias.numpy(), prelu.alpha.numpy()
    kernel[:, 4], bias[4], alpha[4] = kernel[:, 1], bias[1], alpha[1]
    kernel[:, 5], bias[5] = kernel[:, 2], bias[2]  # but not their slopes
    first.set_weights([kernel, bias])
    prelu.set_weights([alpha])
    graph, _ = check(model)
    assert kernels(graph) == [(5, 5), (5, 3), (5, 2)]


def test_a_unit_is_left_that_would_be_the_last():
    first, second = dense(4, "relu"), dense(2)
    model = functional(lambda x: second(first(x)), (5,))
    first.kernel.assign(np.zeros((5, 4)))
    assert kernels(check(model)[0]) == [(5, 1), (1, 2)]


@pytest.mark.parametrize("reads", ["softmax", "output", "sum", "norm"])
def test_units_stay_where_others_depend_on_them(reads):
    first, second = dense(4), dense(2)

    def network(x):
        y = first(x)
        z = {
            "softmax": lambda: layers.Softmax()(y), "output": lambda: layers.ReLU()(y),
            "sum": lambda: layers.Add()([y, layers.ReLU()(x)]), "norm": lambda: layers.LayerNormalization()(y),
        }[reads]()  # fmt: skip
        return [second(z), *([z] if reads == "output" else [])]

    model = functional(network, (4,))
    kernel = first.kernel.numpy()
    kernel[:, 1] = 0
    first.kernel.assign(kernel)
    assert kernels(check(model)[0]) == [(4, 4), (4, 2)]


def test_pruning_with_masks():
    model = functional(lambda x: dense(3)(dense(40, "relu")(x)), (20,))
    kernel = model.layers[1].kernel.numpy()
    kernel[:, ::2] = 0
    model.layers[1].kernel.assign(kernel)
    fastnn.pruning.hold_zeros(model)
    graph, report = check(model)
    assert kernels(graph) == [(20, 20), (20, 3)]
    assert report.parameters == (20 * 40 + 40 + 40 * 3 + 3, 20 * 20 + 20 + 20 * 3 + 3)
    assert report.multiplications == (20 * 40 + 40 * 3, 20 * 20 + 20 * 3)


def test_equal_branches_are_shared():
    shared, norm = dense(4, "tanh"), layers.LayerNormalization()

    def network(x):
        other = dense(4, "tanh")
        y = [norm(shared(x)), norm(shared(x)), norm(other(x))]
        network.other = other
        return layers.Concatenate()(y)

    model = functional(network, (5,))
    network.other.set_weights(shared.get_weights())
    check(model, ["dense", "activation", "rownorm", "arrange"])
    weights = network.other.get_weights()
    weights[0][2, 3] += 0.5
    network.other.set_weights(weights)
    check(model, ["dense", "activation", "rownorm", "dense", "activation", "rownorm", "arrange"])


def test_a_layer_used_twice_is_folded_for_each_use():
    shared = dense(4)
    model = functional(lambda x, y: [layers.ReLU()(BN()(shared(x))), layers.ReLU()(BN()(shared(y)))], (5,), (5,))
    check(model, ["dense", "activation", "dense", "activation"])


def test_embeddings():
    table = layers.Embedding(9, 6)
    model = functional(lambda x: layers.ReLU()(dense(4)(BN()(table(x)))), (3,))
    graph, _ = fold(model.graph)
    assert operations(graph) == ["embedding", "activation"]
    ids = np.array([[0, 8, 3], [1, 1, 7]])
    np.testing.assert_allclose(model.freeze()(ids), model.predict(ids, verbose=0), rtol=1e-5, atol=1e-5)
    growing = functional(lambda x: dense(400)(layers.Embedding(9, 2)(x)), (3,))
    assert operations(fold(growing.graph)[0]) == ["embedding", "dense"]


def test_an_output_that_others_read():
    def network(x):
        y = BN()(dense(4)(x))
        z = BN()(y)
        return [y, z, layers.ReLU()(z), x, y]

    graph, report = check(functional(network, (5,)), ["dense", "affine", "activation"])
    assert graph.outputs[0] is graph.outputs[4]
    assert graph.outputs[3] is graph.inputs[0]
    assert list(report.kept.values()) == ["it is an output of the network"]


def test_predictors_of_what_folds_to_nothing_or_to_one_value_twice():
    x = np.ones((3, 4), np.float32)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dropout(0.5), layers.Activation("linear")])
    np.testing.assert_array_equal(model.freeze()(x), x)
    shared = dense(2)
    model = functional(lambda x: [shared(x), shared(x)], (4,))
    one, other = model.freeze()(x)
    np.testing.assert_array_equal(one, other)


def test_the_branch_of_inference_is_folded():
    class Switch(layers.Layer):
        def call(self, x, training=None):
            return ops.exp(x) if training else 2.0 * x + 1.0

    model = functional(lambda x: dense(3)(Switch()(x)), (4,))
    check(model, ["dense"])


def test_constants_are_computed():
    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((2, shape[-1] // 2), "ones", name="w")

        def call(self, x):
            return dense.layer(x * ops.softplus(ops.reshape(ops.transpose(self.w), (-1,))) + ops.sum(self.w))

    dense.layer = dense(3)
    check(functional(lambda x: Own()(x), (6,)), ["dense"])
    check(functional(lambda x: ops.matmul(BN()(x), np.eye(4, 3)) + 1.0, (4,)), ["dense"])
    # A formula that reads data stays one, and no constant in it becomes an operation.
    graph, _ = check(functional(lambda x: ops.sin(x * 2.0 + 1.0) * 0.5, (6,)))
    assert operations(graph) == ["elementwise"] * 4


@pytest.mark.parametrize("first", ["batch", "given"])
def test_large_means_are_subtracted_first(first):
    """Folded into the dense layer they would cancel there, and with them five of seven digits."""
    random = np.random.default_rng(0)
    mean, variance = random.uniform(1e4, 2e4, size=20), random.uniform(0.5, 2, size=20)
    norm = layers.Normalization(mean=mean, variance=variance) if first == "given" else BN(epsilon=1e-6)
    model = functional(lambda x: dense(4)(dense(9, "tanh")(norm(x))), (20,))
    if first == "batch":
        norm.set_weights([np.ones(20), np.zeros(20), mean, variance])
    x = (mean + random.normal(size=(50, 20)) * np.sqrt(variance)).astype(np.float32)
    graph, report = fold(model.graph)
    assert operations(graph) == ["parameter", "elementwise", "dense", "activation", "dense"]
    frozen = model.freeze()
    _, relative = report.compare(model.predict(x, verbose=0), frozen.predict(x))
    assert relative < 2e-6
    assert any("subtracted first" in note for note in report.notes)


def test_large_shifts_of_features_that_count_for_nothing():
    """A factor of 0 leaves nothing that could cancel; an immense centre is none of float32."""
    shifts, factors = [1e3, 500.0, -3e25, 1.0], [0.0, 2.0, 1e-17, 1.0]
    model = functional(lambda x: layers.ReLU()(layers.Rescaling(factors, shifts)(x)), (4,))
    check(model, ["parameter", "elementwise", "parameter", "elementwise", "parameter", "elementwise", "activation"])


def test_features_that_never_vary():
    """Their deviation counts as 1e-7: a factor of ten million."""
    norm = layers.Normalization(mean=[3.0, 0.1, 7.0], variance=[1.0, 0.0, 2.0])
    model = functional(lambda x: dense(4)(norm(x)), (3,))
    x = np.array([[2.5, 0.1, 6.0], [3.0, 0.1, 9.0]], np.float32)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)


def test_factors_that_would_leave_float32():
    model = functional(lambda x: dense(4)(layers.Rescaling(1e-30)(layers.ReLU()(x * 1e25))), (3,))
    check(model)
    graph, report = fold(model.graph)
    assert operations(graph).count("affine") == 2
    assert all("too far from 1" in reason for reason in report.kept.values())


def test_a_network_with_what_is_not_a_number():
    norm = BN()
    model = functional(lambda x: dense(3)(dense(5, "relu")(norm(x))), (4,))
    norm.set_weights([np.ones(4), np.zeros(4), np.full(4, np.nan), np.ones(4)])
    assert np.isnan(model.freeze()(np.ones((2, 4), np.float32))).all()


def test_networks_of_a_thousand_layers():
    x = inputs = fastnn.Input((4,))
    for _ in range(260):
        x = layers.Activation("tanh")(BN()(dense(4)(BN()(x))))
    model = scramble(fastnn.Model(inputs, x))
    graph, _ = fold(model.graph)
    assert operations(graph) == ["dense", "activation"] * 260


def test_report_names_what_stays_as_arithmetic():
    """A scaling of other than features, and one beside a sum, are written as products and sums."""

    def residual(x):
        y = dense(4, activation="relu")(x)
        return dense(3)(layers.Add()([y, BN()(y)]))

    by_axis = functional(lambda x: dense(3)(BN(axis=1)(dense(4)(x))), (5, 6))
    for model, reader in ((by_axis, by_axis.layers[-1].name), (functional(residual, (6,)), "add")):
        _, report = fold(scramble(model).graph)
        (name,) = [layer.name for layer in model.layers if isinstance(layer, BN)]
        assert list(report.kept) == [name]
        assert report.kept[name].startswith(reader)

    def formula(x):
        y = dense(4)(x)
        return dense(3)(0.5 * y * (1.0 + ops.tanh(0.8 * (y + 0.04 * y**3))))

    assert not fold(functional(formula, (6,)).graph)[1].kept


def test_report():
    model = functional(lambda x: layers.ReLU()(BN()(layers.Activation("tanh")(BN()(dense(5)(x))))), (6,))
    graph, report = fold(model.graph)
    first, second = [layer.name for layer in model.layers if isinstance(layer, BN)]
    assert report.notes[0] == f"{first} folded into {model.layers[1].name}, which comes before it"
    assert list(report.kept) == [second]
    assert "activation" in report.kept[second]
    assert report.nodes == (5, 4)
    assert report.parameters == (35 + 40, 35 + 10)
    assert report.multiplications == (40, 35)
    assert report.difference is None
    frozen = model.freeze()
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    assert report.compare(model.predict(x, verbose=0), frozen.predict(x)) == report.difference
    assert model.freeze(validation_data=x).report.folding.difference == pytest.approx(report.difference)
    assert all(0 <= each < 1e-5 for each in report.difference)
    text = str(report)
    assert all(each in text for each in ("multiplications", report.notes[0], f"relative {report.difference[1]:.2g}"))
    assert report.compare([np.ones(2), np.zeros(3)], [np.ones(2), np.full(3, 0.5)]) == (0.5, np.inf)
    assert frozen.notes == tuple(report.notes)
