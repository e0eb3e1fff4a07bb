"""fastnn.ops: values and gradients in the engine beside real Keras on JAX; values on arrays beside those in the
engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers, losses, ops
from fastnn.eager import Eager
from fastnn.graph import Graph, Tensor

UNARY = (
    "negative abs sign square sqrt rsqrt reciprocal exp expm1 log log1p log2 log10 tanh sigmoid erf sin cos tan arctan "
)
UNARY += (
    "sinh cosh arcsin arccos arcsinh arctanh floor ceil round trunc isfinite isnan logical_not softplus silu gelu relu "
)
UNARY += "relu6 celu elu selu softsign squareplus soft_shrink hard_shrink tanh_shrink hard_sigmoid hard_silu hard_tanh "
UNARY += "log_sigmoid sparse_plus sparse_sigmoid log_softmax softmax glu leaky_relu mish"
BINARY = "add subtract multiply divide maximum minimum power mod floor_divide logaddexp arctan2 less "
BINARY += "greater_equal not_equal "
BINARY += "logical_and logical_or"
OTHERS = {
    "sum": lambda o, x: o.sum(x, axis=-1),
    "mean of two axes": lambda o, x: o.mean(x, axis=(1, 2), keepdims=True) * x,
    "max": lambda o, x: o.max(x, axis=1),
    "min": lambda o, x: o.min(x, axis=-1, keepdims=True) + x,
    "prod": lambda o, x: o.prod(x, axis=-1),
    "var": lambda o, x: o.var(x, axis=1),
    "std": lambda o, x: o.std(x, axis=-1),
    "logsumexp": lambda o, x: o.logsumexp(x, axis=-1),
    "norm": lambda o, x: o.norm(x, axis=-1),
    "argmax": lambda o, x: o.cast(o.argmax(x, axis=-1), "float32") * o.sum(x, axis=-1),
    "where": lambda o, x: o.where(x > 0.4, o.exp(x), -x),
    "clip": lambda o, x: o.clip(x, 0.2, 0.7),
    "transpose": lambda o, x: o.transpose(x, (0, 2, 1)),
    "reshape": lambda o, x: o.reshape(x, (-1, 2, 9)),
    "slices": lambda o, x: x[:, 1:, ::2] * x[:, :2, 1:4],
    "index": lambda o, x: x[:, -1],
    "flip": lambda o, x: o.flip(x, axis=-1),
    "concatenate": lambda o, x: o.concatenate([x, x * 2, x[:, :, :1]], axis=-1),
    "stack": lambda o, x: o.stack([x, -x], axis=2),
    "split": lambda o, x: o.split(x, 3, axis=-1)[1],
    "repeat": lambda o, x: o.repeat(x, 3, axis=1) * 0.5,
    "tile": lambda o, x: o.tile(x, (1, 2, 2)),
    "expand and squeeze": lambda o, x: o.squeeze(o.expand_dims(x, 2) * 3.0, 2),
    "matmul within a sample": lambda o, x: o.matmul(x, o.transpose(x, (0, 2, 1))),
    "matmul with an array": lambda o, x: o.matmul(x, np.linspace(-1, 1, 18, dtype="float32").reshape(6, 3)),
    "einsum": lambda o, x: o.einsum("bij,bkj->bik", x, x),
    "einsum of three": lambda o, x: o.einsum("bij,kj,bkl->bil", x, np.ones((x.shape[1], x.shape[2]), "f"), x),
    "einsum, a diagonal": lambda o, x: o.einsum("bii->bi", o.einsum("bij,bkj->bik", x, x)),
    "einsum, a trace": lambda o, x: o.einsum("bij,bkj,ik->b", x, x, np.eye(x.shape[1], dtype="f")),
    "einsum, implied": lambda o, x: o.einsum("bij,jk", x, np.ones((x.shape[2], 2), "f")),
    "cumsum": lambda o, x: o.cumsum(x, axis=-1),
    "stop_gradient": lambda o, x: x * _stopped(o, x),
    "take": lambda o, x: o.take(x, np.array([0, 2, 2]), axis=-1),
    "a vector of the samples": lambda o, x: o.sum(x, axis=(1, 2)) * 2.0,
    "swish with a beta of one's own": lambda o, x: x * o.sigmoid(1.7 * x),
    "a long formula": lambda o, x: o.sum(o.log(1 + o.square(x)) * o.sin(x) / (1 + o.exp(-x)), axis=1) ** 2,
}


def _stopped(o, x):
    if o is ops:
        return ops.stop_gradient(x)
    import jax

    return jax.lax.stop_gradient(x)


def function_of(o, name):
    from_module = getattr(o, name, None)
    if from_module is None:  # only there as an activation
        import keras

        from_module = getattr(keras.activations, name)
    return from_module


CASES = {name: lambda o, x, name=name: function_of(o, name)(x) for name in UNARY.split()}
CASES |= {name: lambda o, x, name=name: function_of(o, name)(x, x[:, ::-1, ::-1] + 0.1) * x for name in BINARY.split()}
CASES |= OTHERS


class Bias(layers.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape[1:], "zeros", name="bias")

    def call(self, x):
        return x + self.bias


def value_and_gradient(name, x, c):
    """What a case computes, and the gradient of the mean of its products with c, by a step of SGD."""
    model = fastnn.Sequential([fastnn.Input(x.shape[1:]), Bias(), layers.Lambda(lambda t: CASES[name](ops, t))])
    y = model.predict(x, verbose=0)
    model.compile(
        fastnn.optimizers.SGD(1.0), losses.FunctionLoss(lambda t, p: ops.sum(t * p, list(range(1, len(p.shape)))))
    )
    model.fit(x, np.resize(c, y.shape), batch_size=len(x), verbose=0)
    return y, -model.get_weights()[0]


def test_values_and_gradients_are_those_of_keras():
    keras = pytest.importorskip("keras", reason="real Keras is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 0.9, (2, 3, 6)).astype(np.float32)
    c = rng.normal(size=(2, 3, 6)).astype(np.float32)
    names, ours = list(CASES), {name: value_and_gradient(name, x, c) for name in CASES}

    def everything(t):  # one compilation for all
        found = []
        for name in names:
            factors = np.resize(c, ours[name][0].shape)

            def total(t, name=name, factors=factors):
                y = jax.numpy.asarray(CASES[name](keras.ops, t), "float32")
                return (y * factors).sum() / 2, y

            (_, y), gradient = jax.value_and_grad(total, has_aux=True)(t)
            found.append((y, gradient.sum(0)))
        return found

    wrong = []
    for name, pair in zip(names, jax.jit(everything)(x), strict=True):
        for what, one, other in zip(("value", "gradient"), ours[name], map(np.asarray, pair), strict=True):
            if one.shape != other.shape or not np.allclose(one, other, rtol=5e-5, atol=5e-6):
                wrong.append((name, what, one.shape, other.shape, one.ravel()[:4], other.ravel()[:4]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", CASES)
def test_arrays_and_graphs_agree(name):
    x = np.random.default_rng(1).uniform(0.1, 0.9, (5, 3, 6)).astype(np.float32)
    tensor = Tensor((None, 3, 6), name="x")
    eager = Eager(Graph([tensor], [CASES[name](ops, tensor)]))
    in_engine = eager.run({tensor: x}, 5, False, None)[0]
    on_arrays = np.asarray(CASES[name](ops, x), np.float32)
    np.testing.assert_allclose(in_engine, on_arrays, rtol=1e-5, atol=1e-6)
    one = eager.run({tensor: x[3:4]}, 1, False, None)[0]
    np.testing.assert_array_equal(in_engine[3:4], one)  # same row, same bits


def test_sparsemax_is_the_nearest_distribution():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 7)).astype(np.float32)
    y = np.asarray(ops.sparsemax(x), np.float64)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)
    for _ in range(200):  # no other distribution is nearer
        other = rng.dirichlet(np.full(7, 0.3), 50)
        assert np.all(((y - x) ** 2).sum(-1) <= ((other - x) ** 2).sum(-1) + 1e-5)


shapes = st.lists(st.integers(1, 20), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(shapes, st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 2), st.integers(1, 40))
def test_broadcasting(shape, ones, cut, samples):
    rng = np.random.default_rng(samples)
    other = [1 if flag else size for flag, size in zip(ones, shape, strict=False)]
    x = rng.normal(size=(samples, *shape)).astype(np.float32)
    y = rng.normal(size=(samples, *other)).astype(np.float32)
    w = rng.normal(size=other[min(cut, len(other) - 1) :]).astype(np.float32)
    a, b = Tensor((None, *shape), name="a"), Tensor((None, *other), name="b")
    result = Eager(Graph([a, b], [(a - b) * w + b])).run({a: x, b: y}, samples, False, None)[0]
    np.testing.assert_allclose(result, (x - y) * w + y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 300, 1500])
def test_long_rows_and_padding(n):
    x = np.random.default_rng(0).normal(size=(37, n)).astype(np.float32)
    scale = np.linspace(-1, 1, n, dtype=np.float32)
    t = Tensor((None, n), name="x")
    y = 1 / (t - t) * 0 + 1  # NaN everywhere, in the padding, too
    total = ops.sum(ops.where(y == y, t * scale - ops.mean(t, -1, keepdims=True), 0.0), -1)
    result = Eager(Graph([t], [total])).run({t: x}, 37, False, None)[0]
    expected = (x.astype(np.float64) * scale - x.mean(-1, keepdims=True, dtype=np.float64)).sum(-1)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_wrong_use_teaches():
    x = fastnn.Input((3, 4))
    for call, message in [
        (lambda: x + ops.sum(x, -1), "keepdims=True"),
        (lambda: x + np.ones(5), "cannot be broadcast"),
        (lambda: ops.concatenate([x, x], 0), "axis 0 .* counts the samples"),
        (lambda: ops.reshape(x, (5, 5)), "must begin with -1"),
        (lambda: ops.matmul(x, np.ones((3, 2))), "4 columns meet 3 rows"),
        (lambda: ops.sum(x, 3), "no axis 3"),
        (lambda: x[:, 5], "no place 5"),
        (lambda: ops.nonsense, "no function"),
    ]:
        with pytest.raises((ValueError, IndexError, AttributeError), match=message):
            call()


def test_not_a_number_is_not_hidden_by_a_threshold():
    x = np.array([[np.nan, 0.5, 1.0, 2.0, -np.inf]], np.float32)
    expected = [[np.nan, 0, 0, 2, 0]]
    np.testing.assert_array_equal(fastnn.layers.ReLU(threshold=1.0)(x), expected)
    np.testing.assert_array_equal(fastnn.layers.ThresholdedReLU(1.0)(x), expected)
