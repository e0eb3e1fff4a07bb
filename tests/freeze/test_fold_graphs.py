"""Folding of graphs: any network of any shape answers as before, and what can disappear does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers, ops
from fastnn.freeze.fold import fold
from fastnn.lowering.programs import Prediction

BN = layers.BatchNormalization


def scramble(model, seed=0):
    """Give all layers random weights: averages and scales that are nothing like 0 and 1, kernels that keep the size."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        weights = []
        for variable in layer.weights:
            value = random.normal(size=variable.shape)
            if variable.name in ("moving_variance", "variance"):
                value = random.uniform(0.2, 3, size=variable.shape)
            elif variable.name in ("gamma", "scale"):
                value = random.uniform(0.5, 1.5, size=variable.shape) * random.choice([-1, 1], size=variable.shape)
            elif variable.name == "kernel":
                value = value / np.sqrt(variable.shape[0])
            elif variable.name == "alpha":
                value = value * 0.2
            weights.append(value)
        layer.set_weights(weights)
    return model


def data(model, rows=19, seed=1):
    random = np.random.default_rng(seed)
    return {each: random.normal(size=(rows, *each.shape[1:])).astype(np.float32) for each in model.graph.inputs}


def operations(graph):
    return [node.operation.name for node in graph.nodes]


def check(model, expected=None):
    """The folded graph's outputs are the model's; returns the graph and its report."""
    graph, report = fold(model.graph)
    arrays = data(model)
    before = Prediction(model.graph.in_mode(False), 19).run(arrays, 19)
    after = Prediction(graph, 19).run(dict(zip(graph.inputs, arrays.values(), strict=True)), 19)
    for one, other, old, new in zip(before, after, model.graph.outputs, graph.outputs, strict=True):
        assert old.shape == new.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * (np.abs(one).max() + 1e-6))
    if expected is not None:
        assert operations(graph) == expected, report.notes
    assert report.multiplications[1] <= report.multiplications[0]
    return graph, report


def functional(function, *shapes):
    inputs = [fastnn.Input(shape) for shape in shapes]
    return scramble(fastnn.Model(inputs if len(inputs) > 1 else inputs[0], function(*inputs)))


def dense(n, activation=None, **kwargs):
    return layers.Dense(n, activation=activation, **kwargs)


PATTERNS = {
    "dense, BN, activation, BN, dense": (
        lambda x: dense(4)(BN()(layers.Activation("tanh")(BN()(dense(9)(x))))), [(6,)],
        ["dense", "activation", "dense"],
    ),
    "BN on the input of several dense layers": (
        lambda x: (lambda y: [dense(3)(y), dense(4)(y)])(BN()(x)), [(6,)], ["dense", "dense"],
    ),
    "BN after a sum goes into both branches": (
        lambda x: layers.ReLU()(BN()(layers.Add()([dense(5)(x), dense(5)(x)]))), [(6,)],
        ["dense", "dense", "elementwise", "activation"],
    ),
    "BN after a difference": (
        lambda x: BN()(layers.Subtract()([dense(5)(x), dense(5)(x)])), [(6,)], ["dense", "dense", "elementwise"],
    ),
    "a shift after a sum goes into one branch": (
        lambda x: [layers.ReLU()(x - dense(6)(x) + np.arange(6.0)), layers.ReLU()(dense(6)(x) + x + 1.0)], [(6,)],
        ["dense", "elementwise", "activation", "dense", "elementwise", "activation"],
    ),
    "BN after a sum goes into what follows": (
        lambda x: dense(3)(BN()(layers.Add()([x, dense(6, "tanh")(x)]))), [(6,)],
        ["dense", "activation", "elementwise", "dense"],
    ),
    "a mean's division goes into the branches": (
        lambda x: layers.ReLU()(layers.Average()([dense(5)(x), dense(5)(x)])), [(6,)],
        ["dense", "dense", "elementwise", "activation"],
    ),
    "products with constants": (
        lambda x: (dense(5)(x * 3.0 - 1.0) * np.arange(1.0, 6.0) + 2.0) / 4.0, [(6,)], ["dense"],
    ),
    "BN after a joint, piece by piece": (
        lambda x: layers.ReLU()(BN()(layers.Concatenate()([dense(5)(x), dense(3)(x)]))), [(6,)],
        ["dense", "dense", "arrange", "activation"],
    ),
    "BN of one part of a joint": (
        lambda x: dense(4)(layers.Concatenate()([x, BN()(dense(3, "tanh")(x))])), [(6,)],
        ["dense", "activation", "arrange", "dense"],
    ),
    "layer normalisation's own scaling": (
        lambda x: dense(4)(layers.LayerNormalization()(dense(7, "tanh")(x))), [(6,)],
        ["dense", "activation", "rownorm", "dense"],
    ),
    "BN after layer normalisation": (
        lambda x: layers.ReLU()(BN()(layers.LayerNormalization()(x))), [(6,)], ["rownorm", "activation"],
    ),
    "BN along another axis": (
        lambda x: BN(axis=1)(x), [(4, 3)], ["parameter", "elementwise", "parameter", "elementwise"],
    ),
    "BN along another axis of what is flattened": (
        lambda x: dense(3)(layers.Flatten()(BN(axis=1)(x))), [(4, 3)], ["reshape", "dense"],
    ),
    "BN before a permutation": (
        lambda x: dense(3)(layers.Flatten()(layers.Permute((2, 1))(BN()(x)))), [(4, 3)],
        ["arrange", "reshape", "dense"],
    ),
    "BN before a repetition": (
        lambda x: dense(3)(layers.RepeatVector(3)(BN()(x))), [(4,)], ["reshape", "arrange", "dense"],
    ),
    "BN after a repetition": (
        lambda x: BN()(layers.RepeatVector(3)(dense(4)(x))), [(4,)], ["dense", "reshape", "arrange"],
    ),
    "BN after a permutation": (
        lambda x: layers.ReLU()(BN(axis=1)(layers.Permute((2, 1))(dense(5)(x)))), [(4, 3)],
        ["dense", "arrange", "activation"],
    ),
    "a positive factor passes ReLU": (
        lambda x: dense(4)(layers.LeakyReLU()(layers.Rescaling(0.1)(x))), [(6,)], ["activation", "dense"],
    ),
    "and PReLU, upwards": (
        lambda x: layers.Rescaling(0.1)(layers.PReLU()(dense(4)(x))), [(6,)], ["dense", "prelu"],
    ),
    "a negative one does not": (
        lambda x: dense(4)(layers.ReLU()(layers.Rescaling(-0.1)(x))), [(6,)], ["affine", "activation", "dense"],
    ),
    "a shift passes a sum": (
        lambda x: dense(4)(layers.Add()([layers.Rescaling(1.0, 0.5)(x), x])), [(6,)], ["elementwise", "dense"],
    ),
    "a factor passes a product": (
        lambda x: dense(4)(layers.Multiply()([layers.Rescaling(0.5)(x), x])), [(6,)], ["elementwise", "dense"],
    ),
    "a scaling passes a mean over an axis": (
        lambda x: dense(4)(ops.mean(BN()(x), axis=1)), [(5, 6)], ["reduce", "dense"],
    ),
    "dense layers one after the other": (lambda x: dense(3)(dense(9)(dense(8)(x))), [(6,)], ["dense"]),
    "but not through a narrow middle": (lambda x: dense(9)(dense(2)(x)), [(9,)], ["dense", "dense"]),
    "nor if somebody reads the middle": (
        lambda x: (lambda y: [y, dense(3)(y)])(dense(9)(x)), [(6,)], ["dense", "dense"],
    ),
    "a scaling between dense layers": (lambda x: dense(3)(layers.Rescaling(0.5, 2.0)(dense(9)(x))), [(6,)], ["dense"]),
    "what does nothing": (
        lambda x: layers.Identity()(layers.Dropout(0.5)(layers.GaussianNoise(0.3)(
            layers.ActivityRegularization(l2=0.1)(layers.Activation("linear")(layers.Rescaling(1.0)(x)))))),
        [(6,)], [],
    ),
    "rearrangements that undo each other": (
        lambda x: layers.Reshape((6,))(layers.ReLU()(layers.Reshape((3, 2))(layers.Reshape((2, 3))(x)))), [(6,)],
        ["activation"],
    ),
    "transpositions around an activation": (
        lambda x: layers.Permute((2, 1))(layers.Activation("tanh")(layers.Permute((2, 1))(x))), [(4, 3)],
        ["activation"],
    ),
    "Normalization over several axes": (
        lambda x: dense(2)(layers.Flatten()(layers.Normalization(axis=(1, 2), mean=1.0, variance=4.0)(x))), [(4, 3)],
        ["reshape", "dense"],
    ),
    "group normalisation": (
        lambda x: dense(4)(layers.GroupNormalization(2)(x)), [(6,)], ["reshape", "rownorm", "reshape", "dense"],
    ),
    "BN after another normalisation of rows": (
        lambda x: [BN()(layers.UnitNormalization()(x)), BN()(layers.RMSNormalization()(x))], [(6,)],
        ["rownorm", "rownorm"],
    ),
    "a pixel's mean and deviation, as arithmetic": (lambda x: dense(3)((x - 127.5) / 127.5), [(6,)], ["dense"]),
    "a sum of constants": (lambda x: dense(3)(x + (ops.exp(np.ones(6)) - 1.0)), [(6,)], ["dense"]),
    "several inputs": (
        lambda x, y: dense(2)(BN()(layers.Concatenate()([BN()(x), layers.Normalization(mean=1, variance=2)(y)]))),
        [(4,), (3,)], ["arrange", "dense"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern(name):
    function, shapes, expected = PATTERNS[name]
    check(functional(function, *shapes), expected)


KINDS = (
    "dense dense dense bn bn act act add subtract average multiply concatenate layernorm flatten reshape permute "
    "repeat prelu shared scale prune mean bn1 dropout"
).split()


def random_model(seed, steps):
    """A network that is grown step by step from tensors that are there."""
    random = np.random.default_rng(seed)
    inputs = [fastnn.Input((int(random.integers(1, 9)),)) for _ in range(random.integers(1, 3))]
    if random.random() < 0.4:
        inputs.append(fastnn.Input((int(random.integers(2, 4)), int(random.integers(1, 6)))))
    tensors, made = list(inputs), []
    pruned = []

    def layer(new, x):
        made.append((new, x.shape))
        return new(x)

    for kind in steps:
        x = tensors[int(random.integers(max(0, len(tensors) - 4), len(tensors)))]
        alike = [each for each in tensors if each.shape == x.shape]
        y = alike[int(random.integers(len(alike)))]
        if kind == "dense":
            x = layer(dense(int(random.integers(1, 10)), use_bias=bool(random.integers(2))), x)
        elif kind == "prune":
            new = dense(int(random.integers(2, 10)))
            x = layer(dense(3), layer(layers.Activation("tanh"), layer(new, x)))
            pruned += [new, made[-1][0]]
        elif kind in ("bn", "bn1"):
            x = layer(BN(axis=1 if kind == "bn1" else -1, scale=bool(random.integers(2))), x)
        elif kind == "act":
            x = layers.Activation(str(random.choice(["relu", "tanh", "elu", "softmax", "leaky_relu", "silu"])))(x)
        elif kind in ("add", "subtract", "average", "multiply"):
            y = layers.Activation("tanh")(y) if kind == "multiply" else y
            x = getattr(layers, kind.capitalize())()([x, y])
        elif kind == "concatenate":
            x = layers.Concatenate(axis=int(random.integers(1, x.ndim)))([x, y])
        elif kind == "layernorm":
            x = layer(layers.LayerNormalization(epsilon=0.1), x)
        elif kind == "flatten":
            x = layers.Flatten()(x)
        elif kind == "reshape":
            x = layers.Reshape((*x.shape[2:], x.shape[1]) if x.ndim > 2 else (1, x.shape[1]))(x)
        elif kind == "permute" and x.ndim > 2:
            x = layers.Permute((2, 1))(x)
        elif kind == "repeat" and x.ndim == 2:
            x = layers.RepeatVector(2)(x)
        elif kind == "prelu":
            x = layer(layers.PReLU(), x)
        elif kind == "shared":
            fitting = [new for new, shape in made if shape == x.shape]
            x = fitting[int(random.integers(len(fitting)))](x) if fitting else x
        elif kind == "scale":
            x = x * float(random.uniform(-1, 2)) + float(random.normal())
        elif kind == "mean" and x.ndim > 2:
            x = ops.mean(x, axis=int(random.integers(1, 3)))
        elif kind == "dropout":
            x = layers.Dropout(0.3)(x)
        if x.ndim <= 3 and x.shape[-1] < 60:
            tensors.append(x)
    outputs = [tensors[-1], *(tensors[int(random.integers(len(tensors)))] for _ in range(random.integers(0, 3)))]
    outputs = [layers.Identity()(each) for each in outputs]
    model = scramble(fastnn.Model(inputs, outputs), seed)
    for new in pruned:
        kernel = new.kernel.numpy()
        axis = int(random.integers(2))
        zero = random.random(kernel.shape[axis]) < 0.5
        kernel[(slice(None),) * axis + (zero,)] = 0
        if random.random() < 0.5 and new.bias is not None:
            kernel[:, -1], bias = kernel[:, 0], new.bias.numpy()
            bias[-1] = bias[0]
            new.bias.assign(bias)
        new.kernel.assign(kernel)
    return model


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(KINDS), min_size=1, max_size=14))
def test_random_graphs(seed, steps):
    check(random_model(seed, steps))


def test_a_layer_that_is_applied_twice_is_noted_once():
    x, shared = fastnn.Input((4,)), dense(3, "tanh", name="both")
    graph, report = check(scramble(fastnn.Model(x, layers.Concatenate()([shared(x), shared(x)]))))
    assert operations(graph) == ["dense", "activation", "arrange"]
    assert report.notes == ["both computed once: it is applied twice to the same"]
