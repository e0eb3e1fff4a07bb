"""Networks that between them have every operation that an image can hold."""

import numpy as np

import fastnn
from fastnn import layers, ops


def classifier():
    stack = [layers.Dense(33, "elu"), layers.BatchNormalization(), layers.Dense(7, "softmax")]
    return fastnn.Sequential([fastnn.Input((20,)), *stack])


def normalised():
    """Rows within a sample, normalisation by rows, slopes, sums and formulas."""
    x = fastnn.Input((6, 20))
    y = layers.PReLU()(layers.Dense(9)(x))
    y = layers.LayerNormalization()(y)
    y = layers.Concatenate()([y, layers.Activation("softplus")(y * 2.0 + ops.exp(-y))])
    y = y + ops.mean(y, axis=1, keepdims=True)
    y = ops.matmul(y, ops.transpose(y, (0, 2, 1)))
    y = layers.Add()([ops.max(y, axis=-1), layers.Flatten()(y)[:, 3:9]])
    return fastnn.Model(x, layers.Dense(3, "sigmoid")(y))


def categories():
    """Whole numbers: tables, indicators, bins."""
    x = fastnn.Input((4,))
    y = [layers.Flatten()(layers.Embedding(11, 5)(x)), layers.CategoryEncoding(12, output_mode="count")(x)]
    y.append(layers.Discretization(bin_boundaries=[1.0, 2.5, 7.0])(x))
    return fastnn.Model(x, layers.UnitNormalization()(layers.Concatenate()(y)))


def several():
    a, b = fastnn.Input((5,), name="a"), fastnn.Input((3,), name="b")
    y = layers.Dense(8, "relu", name="both")(layers.Concatenate()([a, b]))
    return fastnn.Model({"a": a, "b": b}, {"value": layers.Dense(1)(y), "kind": layers.Softmax()(y)})


ALL = (classifier, normalised, categories)


def samples(model, rows, seed=0):
    random = np.random.default_rng(seed)
    shape = (rows, *model.input_shape[1:])
    values = random.integers(0, 11, shape) if model.input_shape[-1] == 4 else random.normal(size=shape)
    return values.astype(np.float32)
