"""The losses of ``distances``, ``focal`` and ``overlap`` beside real Keras: values, gradients, reductions, training."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import _eager, losses, metrics
from fastnn._engine import kernels

N, C = 24, 5
_random = np.random.default_rng(0)
NUMBERS = _random.normal(size=(N, C)).astype(np.float32)
LOGITS = (2 * _random.normal(size=(N, C))).astype(np.float32)
BITS = _random.integers(0, 2, (N, C)).astype(np.float32)
SIGNS = 2 * BITS - 1
LABELS = _random.integers(0, C, N)
ONE_HOT = np.eye(C, dtype=np.float32)[LABELS]
SOME_IGNORED = np.where(np.arange(N) < 5, -1, LABELS)
SIGMOID = (1 / (1 + np.exp(-LOGITS))).astype(np.float32)
SOFTMAX = (np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)).astype(np.float32)
UNIT = LOGITS / np.linalg.norm(LOGITS, axis=1, keepdims=True)
WEIGHTS = _random.random(N).astype(np.float32)
ROUND = np.round(LOGITS)

# loss, targets, predictions (many of them where the loss has a kink), settings
CASES = [
    ("Huber", NUMBERS, LOGITS, {}),
    ("Huber", np.zeros_like(ROUND), ROUND, {"delta": 2.0}),
    ("LogCosh", NUMBERS, 5 * LOGITS, {}),
    ("MeanAbsoluteError", ROUND[::-1], ROUND, {}),
    ("MeanAbsolutePercentageError", ROUND[::-1] + 0.5, ROUND + 0.5, {}),
    ("MeanSquaredLogarithmicError", NUMBERS, LOGITS, {}),
    ("MeanSquaredLogarithmicError", np.abs(NUMBERS), np.full((N, C), 1e-7, np.float32), {}),
    ("Poisson", np.abs(np.round(NUMBERS)), np.abs(LOGITS), {}),
    ("Hinge", SIGNS, ROUND, {}),
    ("Hinge", BITS, LOGITS, {}),
    ("SquaredHinge", BITS, LOGITS, {}),
    ("SquaredHinge", NUMBERS, LOGITS, {}),
    ("CategoricalHinge", ONE_HOT, LOGITS, {}),
    ("CategoricalHinge", ONE_HOT, ROUND, {}),
    ("KLDivergence", SOFTMAX[::-1], SOFTMAX, {}),
    ("KLDivergence", ONE_HOT, np.round(SIGMOID), {}),
    ("CosineSimilarity", NUMBERS, LOGITS, {}),
    ("BinaryFocalCrossentropy", BITS, SIGMOID, {}),
    ("BinaryFocalCrossentropy", BITS, np.round(SIGMOID), {}),
    ("BinaryFocalCrossentropy", BITS, SIGMOID, {"apply_class_balancing": True, "gamma": 1.5, "label_smoothing": 0.1}),
    ("BinaryFocalCrossentropy", BITS, LOGITS, {"from_logits": True, "gamma": 3.0}),
    ("CategoricalFocalCrossentropy", ONE_HOT, SOFTMAX, {}),
    ("CategoricalFocalCrossentropy", ONE_HOT, SIGMOID, {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5], "label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", ONE_HOT, LOGITS, {"from_logits": True, "gamma": 1.5}),
    ("CategoricalGeneralizedCrossEntropy", LABELS, SOFTMAX, {}),
    ("CategoricalGeneralizedCrossEntropy", LABELS, SOFTMAX, {"q": 0.8}),
    ("Dice", BITS, SIGMOID, {}),
    ("Dice", BITS, SIGMOID, {"axis": -1}),
    ("Tversky", BITS, SIGMOID, {"alpha": 0.3, "beta": 0.8}),
    ("Tversky", BITS, SIGMOID, {"alpha": 0.3, "beta": 0.8, "axis": -1}),
    ("Circle", 100 * LABELS - 200, UNIT, {}),
    ("Circle", LABELS, NUMBERS, {"gamma": 1.5, "margin": 0.2, "remove_diagonal": False}),
    ("SparseCategoricalCrossentropy", SOME_IGNORED, SOFTMAX, {"ignore_class": -1}),
    ("SparseCategoricalCrossentropy", LABELS, LOGITS, {"ignore_class": 2, "from_logits": True}),
]
REDUCED = [
    (name, y, p, {**settings, "reduction": reduction})
    for name, y, p, settings in (CASES[0], CASES[-8], CASES[-4], CASES[-2], CASES[-1])
    for reduction in ("sum", "mean_with_sample_weight", "mean")
]


def value_and_gradient(loss, y, p, weights):
    """Of one batch, as a training step computes them."""
    runner, shape = _eager._Runner(len(p)), (len(p), kernels.row_stride(C))
    prediction, gradient = _eager.Slot(kernels.padded(p), C), _eager.Slot(kernels.aligned(shape), C)
    row_loss = _eager.Slot(kernels.aligned(len(p)))
    labels = loss.target_kind in ("labels", "groups")
    target = _eager.Slot(np.ascontiguousarray(y, np.int32)) if labels else _eager.Slot(kernels.padded(y), C)
    weights = None if weights is None else _eager.Slot(weights)
    loss.lower(runner, prediction, target, weights, row_loss, gradient)
    return row_loss.array.mean(dtype=np.float64), gradient.array[:, :C]


@pytest.mark.filterwarnings("ignore")
def test_values_and_gradients_are_those_of_keras(keras):
    jax = pytest.importorskip("jax")
    cases = [(case, weights) for case in (*CASES, *REDUCED) for weights in (None, WEIGHTS)]
    theirs = [getattr(keras.losses, name)(**settings) for (name, _, _, settings), _ in cases]

    @jax.jit  # all in one, since compiling is what takes long
    def of_all(predictions):
        def total(predictions):
            values = [
                loss(y, p, sample_weight=weights)
                for loss, p, ((_, y, _, _), weights) in zip(theirs, predictions, cases, strict=True)
            ]
            return sum(values), values

        return jax.grad(total, has_aux=True)(predictions)

    gradients, values = of_all([case[2] for case, _ in cases])
    for ((name, y, p, settings), weights), value, gradient in zip(cases, values, gradients, strict=True):
        ours = getattr(losses, name)(**settings)
        case = f"{name} {settings} weighted={weights is not None}"
        found, found_gradient = value_and_gradient(ours, y, p, weights)
        np.testing.assert_allclose(ours(y, p, sample_weight=weights), value, rtol=2e-5, atol=1e-6, err_msg=case)
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-6, err_msg=case)
        atol = 2e-6 * max(1, np.abs(gradient).max())
        np.testing.assert_allclose(found_gradient, gradient, rtol=3e-5, atol=atol, err_msg=case)


ACTIVATIONS = {id(SIGMOID): "sigmoid", id(SOFTMAX): "softmax"}


@pytest.mark.filterwarnings("ignore")
def test_twenty_steps_of_training_are_those_of_keras(keras):
    """SGD on one layer, for each loss; the reference is JAX's gradient of Keras's loss."""
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(5).normal(size=(N, 4)).astype(np.float32)
    start = np.random.default_rng(6).normal(size=(4, C)).astype(np.float32) * 0.5
    chosen = [case for case in (*CASES, *REDUCED) if case[2] is not ROUND and case[0] != "MeanAbsolutePercentageError"]
    chosen = [case for case in chosen if case[2] is not UNIT]  # as the network has no layer that makes it so
    chosen = [case for case in chosen if case[2].std() > 0 and not np.array_equal(case[2], np.round(SIGMOID))]
    activations = [ACTIVATIONS.get(id(p), "softplus" if name == "Poisson" else None) for name, _, p, _ in chosen]
    rate = 0.02

    def step(kernels_):
        def total(kernels_):
            values = []
            for kernel, activation, (name, y, _, settings) in zip(kernels_, activations, chosen, strict=True):
                p = getattr(keras.activations, activation or "linear")(x @ kernel)
                values.append(getattr(keras.losses, name)(**settings)(y, p, sample_weight=WEIGHTS))
            return sum(values), values

        gradients, values = jax.grad(total, has_aux=True)(kernels_)
        return [kernel - rate * gradient for kernel, gradient in zip(kernels_, gradients, strict=True)], values

    def twenty(kernels_):
        return jax.lax.scan(lambda carry, _: step(carry), kernels_, length=20)

    expected, history = jax.jit(twenty)([start] * len(chosen))
    for kernel, values, activation, (name, y, _, settings) in zip(expected, history, activations, chosen, strict=True):
        dense = fastnn.layers.Dense(C, activation, use_bias=False)
        model = fastnn.Sequential([fastnn.Input((4,)), dense])
        model.set_weights([start])
        model.compile(fastnn.optimizers.SGD(rate), getattr(losses, name)(**settings))
        fitted = model.fit(x, y, batch_size=N, epochs=20, shuffle=False, verbose=0, sample_weight=WEIGHTS)
        case = f"{name} {settings}"
        np.testing.assert_allclose(fitted.history["loss"], values, rtol=1e-4, atol=1e-5, err_msg=case)
        np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-4, atol=2e-5, err_msg=case)


def test_epochs_of_reductions_are_those_of_keras(keras):
    """Batches of 10, 10 and 4: what is reported of an epoch weighs batches by their size."""
    x = np.random.default_rng(5).normal(size=(N, 4)).astype(np.float32)
    cases = [*REDUCED[:2], ("Dice", BITS, None, {})]  # each is the loss of an output: one model for all
    y, weighted = [case[1] for case in cases], [WEIGHTS] * len(cases)
    results, weights = [], None
    for k in keras, fastnn:
        inputs = k.Input((4,))
        model = k.Model(inputs, [k.layers.Dense(C, "sigmoid", name=f"{i}")(inputs) for i in range(len(cases))])
        kwargs = {"run_eagerly": True} if k is keras else {}
        chosen = [getattr(k.losses, name)(**settings) for name, _, _, settings in cases]
        model.compile(k.optimizers.SGD(0.01), chosen, **kwargs)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        history = model.fit(x, y, batch_size=10, shuffle=False, verbose=0, sample_weight=weighted).history
        found = [{name: value for name, [value] in history.items()}]
        for each in weighted, None:
            found.append(model.evaluate(x, y, batch_size=10, verbose=0, sample_weight=each, return_dict=True))
        results.append(found)
    for theirs, ours in zip(*results, strict=True):
        assert set(ours) == set(theirs) == {"loss", "0_loss", "1_loss", "2_loss"}
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-5, err_msg=name)


def test_names_configurations_and_functions_of_keras(keras):
    missing = {name for name in dir(keras.losses) if not name.startswith("_") and not hasattr(losses, name)}
    assert missing == {"CTC", "ctc"}  # of sequences
    assert {name for name in dir(keras.metrics) if not name.startswith("_") and not hasattr(metrics, name)} == set()
    for name, y, p, settings in CASES:
        ours, theirs = getattr(losses, name)(**settings), getattr(keras.losses, name)(**settings)
        wanted = theirs.get_config()
        if name == "Huber":
            wanted["delta"] = settings.get("delta", 1.0)  # Keras forgets it
        assert ours.get_config() == wanted, name
        again = losses.deserialize(json.loads(json.dumps(losses.serialize(ours))))
        assert again.get_config() == ours.get_config()
        assert again(y, p) == ours(y, p)
    for alias in ("kld", "KLD", "mape", "MAPE", "msle", "MSLE", "bce", "log_cosh", "huber", "cosine_similarity"):
        assert losses.get(alias).__name__ == keras.losses.get(alias).__name__


METRICS = {
    "MeanAbsolutePercentageError": (NUMBERS, LOGITS),
    "MeanSquaredLogarithmicError": (NUMBERS, LOGITS),
    "LogCoshError": (NUMBERS, LOGITS),
    "Hinge": (BITS, LOGITS),
    "SquaredHinge": (SIGNS, LOGITS),
    "CategoricalHinge": (ONE_HOT, LOGITS),
    "KLDivergence": (ONE_HOT, SOFTMAX),
    "Poisson": (BITS, SIGMOID),
    "CosineSimilarity": (NUMBERS, LOGITS),
}


def test_metrics_of_these_losses_are_those_of_keras(keras):
    for name, (y, p) in METRICS.items():
        for weights in None, WEIGHTS:
            ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
            assert ours(y, p, weights) == pytest.approx(float(theirs(y, p, weights)), rel=2e-5), name
            assert ours.get_config() == theirs.get_config()
            assert ours._direction == getattr(theirs, "_direction", None), name
    x = np.random.default_rng(5).normal(size=(N, 4)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(C, "softmax")])
    of_functions = [losses.huber, metrics.MeanMetricWrapper(losses.huber, name="wide", delta=3.0)]
    model.compile("sgd", "mse", metrics=[*METRICS, *of_functions])
    found = model.evaluate(x, ONE_HOT, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)
    for name in METRICS:
        assert found[name] == pytest.approx(float(getattr(metrics, name)()(ONE_HOT, p)), rel=1e-5), name
    assert found["huber"] == pytest.approx(float(losses.Huber()(ONE_HOT, p)), rel=1e-5)
    assert found["wide"] == pytest.approx(float(losses.Huber(3.0)(ONE_HOT, p)), rel=1e-5)


def test_circle_of_rows_without_a_pair_or_beside_references(keras):
    alone = np.arange(N)
    np.testing.assert_array_equal(losses.circle(alone, UNIT), 0)
    assert losses.Circle()(alone, UNIT) == 0
    alone[: N // 2] = 7
    for weights in None, WEIGHTS:  # the mean of those that have one
        found, expected = (each.Circle()(alone, UNIT, sample_weight=weights) for each in (losses, keras.losses))
        assert found == pytest.approx(float(expected), rel=1e-5)
    value, gradient = value_and_gradient(losses.Circle(), alone, UNIT, None)
    assert value == pytest.approx(float(losses.Circle()(alone, UNIT)), rel=1e-6)
    assert np.isfinite(gradient).all()
    given = dict(gamma=20, margin=0.3)
    for references in ((LABELS[:9], NUMBERS[:9]), (LABELS[:, None], None), (None, NUMBERS)):
        for diagonal in False, True:
            arguments = (LABELS, UNIT, *references, diagonal)
            expected = keras.losses.circle(*arguments, **given)
            np.testing.assert_allclose(losses.circle(*arguments, **given), expected, rtol=2e-5, atol=1e-5)


def test_circle_brings_embeddings_of_a_class_together():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200) * 10**9 - 10**9  # any whole numbers
    x = (random.normal(size=(4, 6))[labels // 10**9 + 1] + 0.7 * random.normal(size=(200, 6))).astype(np.float32)
    stack = [fastnn.layers.Dense(16, "relu"), fastnn.layers.Dense(3), fastnn.layers.UnitNormalization()]
    model = fastnn.Sequential([fastnn.Input((6,)), *stack])
    model.compile(fastnn.optimizers.Adam(0.01), losses.Circle(gamma=10))
    history = model.fit(x, labels, epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]
    similarity = model.predict(x, verbose=0) @ model.predict(x, verbose=0).T
    same = labels[:, None] == labels
    assert similarity[same].mean() > similarity[~same].mean() + 0.8
    assert model.evaluate(x, labels, batch_size=200, verbose=0) == pytest.approx(
        float(losses.Circle(gamma=10)(labels, model.predict(x, verbose=0))), rel=1e-5
    )
    assert np.isfinite(model.train_on_batch(x[:32], labels[:32, None]))
    with pytest.raises(ValueError, match="Expected labels: whole numbers in"):
        model.fit(x, labels + 0.5, verbose=0)
    several = fastnn.Sequential([fastnn.Input((2, 6)), fastnn.layers.Dense(3)])
    several.compile("sgd", "circle")
    with pytest.raises(ValueError, match="compares samples: it expects one embedding for each"):
        several.fit(np.zeros((4, 2, 6)), np.zeros((4, 2)), verbose=0)
    model.compile("sgd", "circle", metrics=["sparse_categorical_accuracy"])
    with pytest.raises(ValueError, match="needs targets of labels .class numbers., but loss"):
        model.fit(x, labels, verbose=0)


def test_metric_with_ignored_labels(keras):
    options = {"ignore_class": 2}
    for weights in None, WEIGHTS:
        ours = metrics.SparseCategoricalCrossentropy(**options)(LABELS, SOFTMAX, weights)
        theirs = keras.metrics.SparseCategoricalCrossentropy(**options)(LABELS, SOFTMAX, weights)
        assert ours == pytest.approx(float(theirs), rel=1e-5)
    model = fastnn.Sequential([fastnn.Input((C,)), fastnn.layers.Activation("linear")])
    metric = metrics.SparseCategoricalCrossentropy("own", **options)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=[metric])
    found = model.evaluate(SOFTMAX, LABELS, verbose=0, return_dict=True)["own"]
    expected = metrics.SparseCategoricalCrossentropy(**options)(LABELS, SOFTMAX)
    assert found == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.Dice(axis=0), "over everything (axis=None)"),
        (lambda: losses.CosineSimilarity(axis=0), "last axis"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(1.0), "interval (0, 1)"),
        (lambda: losses.CategoricalFocalCrossentropy(alpha=[1, 2])(ONE_HOT, SOFTMAX), "2 values of `alpha` for 5"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=1.5), "`ignore_class` must be"),
        (lambda: losses.Circle(gamma="large"), "gamma"),
        (lambda: losses.Circle(remove_diagonal=2), "`remove_diagonal` must be True or False"),
        (lambda: losses.circle(LABELS, UNIT, LABELS[:3], UNIT[:4]), "one label for each of 4 reference embeddings"),
        (lambda: losses.circle(LABELS, UNIT, LABELS, UNIT[:, :2]), "(references, n)"),
        (lambda: losses.Huber(reduction="none").lower(None, None, None, None, None, None), "needs one number"),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_labels_that_are_ignored_may_be_no_columns():
    x = np.random.default_rng(5).normal(size=(N, 4)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(C, "softmax")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=-1))
    loss = model.train_on_batch(x, SOME_IGNORED)
    model.fit(x, SOME_IGNORED, verbose=0)
    assert np.isfinite(loss)
    with pytest.raises(ValueError, match="Expected labels"):
        model.fit(x, SOME_IGNORED - 1, verbose=0)
