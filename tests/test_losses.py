import json

import numpy as np
import pytest

from fastnn import losses, ops

CLASSES = [
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
    losses.MeanAbsoluteError,
    losses.MeanSquaredError,
    losses.SparseCategoricalCrossentropy,
]
FROM_LOGITS = [cls for cls in CLASSES if cls.fused_activation]
SMOOTHED = [losses.BinaryCrossentropy, losses.CategoricalCrossentropy]
# NumPy in float32 is what the losses of Keras are, to a few units in the last place.
CLOSE = {"rtol": 2e-5, "atol": 1e-6}


def example(cls, shape, seed=0, logits=False):
    """Targets and predictions of a loss."""
    rng = np.random.default_rng(seed)
    *rows, n = shape
    predictions = rng.normal(size=shape) * 3
    if cls.fused_activation and not logits:
        predictions = np.exp(predictions - predictions.max(-1, keepdims=True))
        predictions /= predictions.sum(-1, keepdims=True)
    if cls.target_kind == "labels":
        return rng.integers(0, n, rows), predictions
    if cls is losses.CategoricalCrossentropy:
        return np.eye(n)[rng.integers(0, n, rows)], predictions
    if cls is losses.BinaryCrossentropy:
        return rng.integers(0, 2, shape), predictions
    return rng.normal(size=shape), predictions


def test_documented_values():
    """The examples of Keras's documentation."""
    labels, one_hot = [1, 2], [[0, 1, 0], [0, 0, 1]]
    p = [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    close = pytest.approx
    assert losses.SparseCategoricalCrossentropy()(labels, p) == close(1.1769392)
    assert losses.CategoricalCrossentropy()(one_hot, p) == close(1.1769392)
    weighted = losses.CategoricalCrossentropy()(one_hot, p, sample_weight=[0.3, 0.7])
    assert weighted == close(0.8135988)
    assert losses.CategoricalCrossentropy(reduction="sum")(one_hot, p) == close(2.3538785)
    np.testing.assert_allclose(losses.categorical_crossentropy(one_hot, p), [0.05129331, 2.3025851], rtol=1e-6)
    y, z = [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]]
    assert losses.BinaryCrossentropy(from_logits=True)(y, z) == close(0.865458)
    np.testing.assert_allclose(
        losses.binary_crossentropy([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]),
        [0.9162905, 0.7135582],
        rtol=1e-6,
    )
    assert losses.MeanSquaredError()([1.0, 0.0, 1.0], [0.9, 0.1, 0.8]) == close(0.02)
    assert losses.MeanAbsoluteError()([1.0, 0.3, 1.0], [1.9, 0.3, 1.8]) == close(0.56666666)


SHAPES = [(5, 3), (33, 17), (4, 3, 6)]
# Keras warns about a categorical crossentropy of one column, and one label alone is no array.
EDGES = [
    (cls, shape)
    for shape, others in (((7, 1), losses.CategoricalCrossentropy),
                          ((3,), losses.SparseCategoricalCrossentropy))
    for cls in CLASSES
    if cls is not others
]  # fmt: skip


@pytest.mark.parametrize(("cls", "shape"), [*((cls, shape) for cls in CLASSES for shape in SHAPES), *EDGES])
def test_same_values_as_keras(keras, cls, shape):
    y, p = example(cls, shape)
    theirs = getattr(keras.losses, cls.__name__)(reduction=None)
    np.testing.assert_allclose(cls(reduction=None)(y, p), theirs(y, p), **CLOSE)


REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_and_reductions_as_in_keras(keras, reduction):
    ours = losses.MeanSquaredError(reduction=reduction)
    theirs = keras.losses.MeanSquaredError(reduction=reduction)
    y, p = example(losses.MeanSquaredError, (7, 3))
    weights = np.linspace(0, 2, 7)
    for w in (None, weights, weights[:, None], 2.0, np.zeros(7)):
        loss = ours(y, p, w)
        np.testing.assert_allclose(loss, theirs(y, p, w), **CLOSE)
        assert loss.dtype == np.float32


@pytest.mark.parametrize("cls", FROM_LOGITS)
@pytest.mark.parametrize("shape", [(7, 2), (33, 17), (4, 3, 6)])
def test_logits_as_in_keras(keras, cls, shape):
    y, z = example(cls, shape, logits=True)
    theirs = getattr(keras.losses, cls.__name__)(from_logits=True, reduction=None)
    np.testing.assert_allclose(cls(from_logits=True, reduction=None)(y, z), theirs(y, z), **CLOSE)


@pytest.mark.parametrize("cls", SMOOTHED)
@pytest.mark.parametrize("logits", [False, True])
def test_label_smoothing_as_in_keras(keras, cls, logits):
    y, p = example(cls, (9, 5), logits=logits)
    arguments = {"from_logits": logits, "label_smoothing": 0.2, "reduction": None}
    theirs = getattr(keras.losses, cls.__name__)(**arguments)
    np.testing.assert_allclose(cls(**arguments)(y, p), theirs(y, p), **CLOSE)


def test_extreme_probabilities_are_clipped_as_in_keras(keras):
    p = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    for name, y in (
        ("SparseCategoricalCrossentropy", [0, 0]),
        ("CategoricalCrossentropy", [[1, 0], [1, 0]]),
        ("BinaryCrossentropy", [[1, 1], [0, 0]]),
    ):
        ours = getattr(losses, name)(reduction=None)(y, p)
        theirs = getattr(keras.losses, name)(reduction=None)(np.array(y), p)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_ranks_agree_as_in_keras(keras):
    rng = np.random.default_rng(0)
    pairs = [((5,), (5, 1)), ((5, 1), (5,)), ((5, 3, 1), (5, 3)), ((5, 3), (5, 3, 1))]
    for true, predicted in pairs:
        y, p = rng.normal(size=true), rng.normal(size=predicted)
        ours = losses.MeanSquaredError(reduction=None)(y, p)
        theirs = np.asarray(keras.losses.MeanSquaredError(reduction=None)(y, p))
        assert np.shape(ours) == theirs.shape
        np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("dtype", ["f2", "f8", "i8", "u1", "?"])
def test_targets_and_predictions_of_any_type(dtype):
    y, p = np.array([[0, 1], [1, 1]]).astype(dtype), np.array([[1, 1], [0, 1]]).astype(dtype)
    np.testing.assert_array_equal(losses.mean_squared_error(y.T, np.asfortranarray(p)), [0.5, 0.5])


def test_nothing_has_no_loss():
    assert losses.mean_squared_error(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    assert losses.MeanSquaredError()(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="rows of length 0"):
        losses.mean_squared_error(np.zeros((3, 0)), np.zeros((3, 0)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.mean_squared_error(np.zeros((5, 2)), np.zeros((5, 3))), ValueError,
         "Expected y_true of shape (5, 3) for y_pred of shape (5, 3). Received y_true of shape (5"),
        (lambda: losses.mean_squared_error("a", np.zeros((5, 3))), TypeError, "y_true"),
        (lambda: losses.sparse_categorical_crossentropy([0, 3], np.ones((2, 3))), ValueError,
         "y_true[1] is 3. Expected labels"),
        (lambda: losses.sparse_categorical_crossentropy([0.0, np.nan], np.ones((2, 3))),
         ValueError, "y_true[1] is nan"),
        (lambda: losses.MeanSquaredError()(np.ones((4, 2)), np.ones((4, 2)), np.ones(3)),
         ValueError, "sample_weight of shape (3,)"),
        (lambda: losses.MeanSquaredError(reduction="median"), ValueError, "`reduction`"),
        (lambda: losses.MeanSquaredError(dtype="float64"), ValueError, "float32"),
        (lambda: losses.CategoricalCrossentropy(axis=0), ValueError, "last axis"),
        (lambda: losses.CategoricalCrossentropy(axis=True), ValueError, "last axis"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), ValueError, "in [0, 1]"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5), ValueError, "ignore_class"),
        (lambda: losses.get("mean_squared_eror"), ValueError, "Did you mean 'mean_squared_error'"),
        (lambda: losses.get(3), ValueError, "Could not interpret loss identifier: 3"),
        (lambda: losses.resolve("crossentropy"), ValueError, "Name one"),
        (lambda: losses.Loss()([1], [1]), NotImplementedError, "Loss must implement call"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize("cls", CLASSES)
def test_configuration_is_that_of_keras(keras, cls):
    theirs = getattr(keras.losses, cls.__name__)
    assert cls().get_config() == theirs().get_config()
    assert cls(name="mine", reduction="sum").get_config() == (theirs(name="mine", reduction="sum").get_config())


@pytest.mark.parametrize("cls", CLASSES)
def test_config_round_trip(cls):
    logits = {"from_logits": True} if cls in FROM_LOGITS else {}
    loss = cls(reduction="sum", name="mine", **logits)
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is cls
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("cls", CLASSES)
def test_get_and_resolve_by_every_spelling(cls):
    loss = losses.get(cls.__name__)
    assert type(loss) is cls
    function = getattr(losses, loss.name)
    assert losses.get(loss.name) is function
    assert losses.get(loss) is loss
    assert type(losses.get(cls)) is cls
    assert type(losses.resolve(function)) is cls
    assert losses.resolve(function).name == loss.name
    assert losses.resolve(loss) is loss


def test_aliases_and_kinds_of_crossentropy():
    assert losses.get(None) is None
    assert losses.resolve(None) is None
    for alias, cls in (("mse", losses.MeanSquaredError), ("MAE", losses.MeanAbsoluteError),
                       ("bce", losses.BinaryCrossentropy)):  # fmt: skip
        assert type(losses.resolve(alias)) is cls
        assert losses.resolve(alias).name == alias
    for name in ("crossentropy", "CE"):
        assert type(losses.resolve(name, None, 1)) is losses.BinaryCrossentropy
        assert type(losses.resolve(name, "values", 3)) is losses.CategoricalCrossentropy
        assert type(losses.resolve(name, "labels", 3)) is losses.SparseCategoricalCrossentropy


def test_a_loss_of_ones_own():
    class Huge(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.max(ops.abs(y_true - y_pred), -1)

    class Other(losses.MeanSquaredError):
        call = Huge.call

    class Compiled(losses.MeanSquaredError):
        call = Huge.call

        def lower(self, *args, **kwargs):
            raise AssertionError("not called here")

    class Caller(losses.MeanSquaredError):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return 0.0

    loss = Huge()
    assert loss.name.startswith("huge")
    for each in (loss, Other()):  # not silently trained with what it inherits
        assert isinstance(losses.resolve(each), losses.FunctionLoss)
    for each in (Compiled(), type("Renamed", (losses.MeanSquaredError,), {})()):
        assert losses.resolve(each) is each
    zeros, some = np.zeros((2, 2), np.float32), np.array([[1, 2], [3, 0]], np.float32)
    assert loss(zeros, some) == losses.resolve(loss)(zeros, some) == 2.5
    with pytest.raises(ValueError, match="Caller has no compiled form"):
        losses.resolve(Caller())
    loss = losses.Loss()
    with pytest.raises(ValueError, match="cannot be trained with"):
        loss.lower(None, None, None, None, None, None)


class Slot:
    def __init__(self, n, ld, rows=1):
        self.n, self.ld, self.rows_per_sample = n, ld, rows


class Recorder:
    """A builder that remembers what was emitted."""

    def emit(self, op, **bindings):
        from fastnn._engine.runtime import OPS

        info = OPS[op]
        work = bindings.pop("work_per_row")
        assert work > 0
        self.rows = bindings.pop("rows")
        assert set(bindings) == {*info.operands, *info.dims, *info.scalars}
        self.op, self.bindings = op, bindings


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("gradient", [None, Slot(5, 48)])
def test_lowering_of_predictions(cls, gradient):
    b, p, target, row_loss, weights = Recorder(), Slot(5, 16, 4), Slot(5, 32), object(), object()
    cls().lower(b, p, target, weights, row_loss, gradient, scale=0.5)
    assert b.op == cls._op
    assert b.rows == 4
    assert b.bindings["p"] is p
    assert b.bindings["dp"] is gradient
    assert b.bindings["lddp"] == (48 if gradient else 0)
    assert b.bindings["labels" if cls.target_kind == "labels" else "targets"] is target
    assert b.bindings["row_loss"] is row_loss
    assert b.bindings["weights"] is weights
    assert (b.bindings["n"], b.bindings["ldp"], b.bindings["scale"]) == (5, 16, 0.5)


@pytest.mark.parametrize("cls", FROM_LOGITS)
def test_lowering_of_logits(cls):
    b, p, z, target, gradient = Recorder(), Slot(5, 16), Slot(5, 32), Slot(5, 48), Slot(5, 64)
    cls().lower(b, p, target, None, None, gradient, logits=z)  # the activation is fused
    assert b.op == cls._logits_op
    assert b.bindings["z"] is z
    assert b.bindings["y"] is p
    assert (b.bindings["ldz"], b.bindings["ldy"], b.bindings["lddz"]) == (32, 16, 64)
    cls(from_logits=True).lower(b, p, target, None, None, None, logits=p)
    assert b.bindings["z"] is p
    assert b.bindings["y"] is None
    assert b.bindings["dz"] is None


def test_lowering_refuses_other_reductions():
    for reduction in ("none", None):
        loss = losses.MeanSquaredError(reduction=reduction)
        with pytest.raises(ValueError, match="training needs one number"):
            loss.lower(Recorder(), Slot(1, 16), Slot(1, 16), None, None, None)
