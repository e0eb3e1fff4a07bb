"""Random changes of images, beside Keras's affine transformation with the same numbers; mixup in `fit`."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from reference import augment

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 5, 6, 2)).astype(np.float32)
LAYERS = {
    "flip": lambda: layers.RandomFlip(seed=3),
    "translation": lambda: layers.RandomTranslation(0.3, (-0.2, 0.5), seed=3),
    "rotation": lambda: layers.RandomRotation(0.2, seed=3),
    "zoom": lambda: layers.RandomZoom(0.4, seed=3),
    "contrast": lambda: layers.RandomContrast((0.5, 0.5), seed=3),
    "brightness": lambda: layers.RandomBrightness(0.3, seed=3),
}


def test_warps_are_keras_transformations(keras):
    """A layer's seed is the key of stream 0, so the oracle knows what it draws."""
    u = augment.draws(4, 3, 0, 0)
    L = layers
    cases = [
        ("flip", L.RandomFlip("horizontal", seed=3), (1, 0, 0, 0, 0), "constant", "nearest"),
        ("translate", L.RandomTranslation(0.3, (-0.2, 0.5), "wrap", seed=3), (-0.3, 0.3, -0.2, 0.5, 0), "wrap", None),
        ("rotate", L.RandomRotation(0.2, "constant", fill_value=9.0, seed=3), (-0.2, 0.2, 0, 0, 0), "constant", None),
        ("rotate", L.RandomRotation(0.2, "nearest", "nearest", seed=3), (-0.2, 0.2, 0, 0, 0), "nearest", "nearest"),
        ("zoom", L.RandomZoom(0.4, seed=3), (-0.4, 0.4, 0, 0, 1), "reflect", None),
        ("zoom", L.RandomZoom(0.4, 0.9, seed=3), (-0.4, 0.4, -0.9, 0.9, 0), "reflect", None),
    ]
    for kind, layer, numbers, fill, interpolation in cases:
        transform = np.zeros((4, 8), np.float32)
        transform[:, :6] = augment.matrices(kind, *numbers, u, 5, 6)
        expected = keras.ops.image.affine_transform(
            IMAGES, transform, interpolation or "bilinear", fill, 9.0 if kind == "rotate" else 0.0
        )
        np.testing.assert_allclose(
            layer(IMAGES, training=True), expected, rtol=1e-4, atol=2e-2, err_msg=f"{kind} {fill}"
        )


@pytest.mark.parametrize("name", LAYERS)
def test_each_sample_and_step_draws_anew_and_inference_changes_nothing(name):
    layer = LAYERS[name]()
    np.testing.assert_array_equal(layer(IMAGES), IMAGES)
    same = np.repeat(IMAGES[:1], 40, axis=0)
    first, second = (np.asarray(layer(same, training=True)) for _ in range(2))
    assert len(np.unique(first.reshape(40, -1), axis=0)) > (1 if name == "flip" else 35)
    assert (first != second).any()
    np.testing.assert_array_equal(first, LAYERS[name]()(same, training=True))
    grey = layer(same[..., 0], training=True)
    assert grey.shape == same.shape[:3]
    assert layer.get_config()["seed"] == 3
    assert type(layer)(**layer.get_config()).get_config() == layer.get_config()


def test_a_pipeline_trains_and_vanishes_when_frozen():
    fastnn.utils.set_random_seed(0)
    stack = [make() for make in LAYERS.values()]
    dense = [layers.Flatten(), layers.Rescaling(1 / 255), layers.Dense(3, activation="softmax")]
    model = fastnn.Sequential([fastnn.Input((5, 6, 2)), *stack, *dense])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.tile(IMAGES, (8, 1, 1, 1)).astype(np.uint8), np.tile([0, 1, 2, 1], 8)
    losses = model.fit(x, y, epochs=40, verbose=0).history["loss"]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert "random_warp" not in {node.operation.name for node in frozen.graph.nodes}
    ops = [each.op for each in model._programs["train", False].program.instructions]
    assert "reshape" not in ops  # images stay rows from the data to the dense layer
    stack = [layers.Dense(4), layers.RandomFlip(), layers.Flatten(), layers.Dense(1)]
    late = fastnn.Sequential([fastnn.Input((4, 4)), *stack])
    late.compile("sgd", "mse")
    with pytest.raises(ValueError, match="passes no gradient on: put it before"):
        late.fit(np.ones((2, 4, 4)), np.ones((2, 1)), verbose=0)


def test_a_dictionary_is_mixed_with_the_same_numbers():
    images = np.broadcast_to(np.eye(8, dtype=np.float32)[:, :, None, None], (8, 8, 2, 3))
    layer = layers.MixUp(0.5, seed=2)
    mixed = layer({"images": images, "labels": np.eye(8)})
    assert mixed["images"].shape == images.shape
    np.testing.assert_allclose(mixed["images"][:, :, 1, 2], mixed["labels"], atol=1e-7)
    np.testing.assert_allclose(mixed["labels"].sum(axis=1), 1, rtol=1e-6)
    assert (np.count_nonzero(mixed["labels"], axis=1) == 2).any()
    same = layer({"images": images, "labels": np.eye(8)}, training=False)
    np.testing.assert_array_equal(same["labels"], np.eye(8))
    with pytest.raises(ValueError, match="labels cannot be mixed"):
        layer({"images": images, "labels": np.arange(8)})
    with pytest.raises(ValueError, match="Received the keys"):
        layer({"images": images, "boxes": images})


def test_mixup_mixes_targets_as_inputs():
    """The targets are the inputs, so a model that is the identity has no loss if both are mixed alike."""
    model = fastnn.Sequential([fastnn.Input((5,)), layers.MixUp(0.5, seed=1), layers.Dense(5)])
    model.layers[1].kernel.assign(np.eye(5))
    model.compile(fastnn.optimizers.SGD(0.0), "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(50, 5))
    history = model.fit(x, x, batch_size=8, verbose=0).history
    assert history["loss"][0] < 1e-12
    assert history["mae"][0] < 1e-6
    model.fit(x, -x, verbose=0)
    assert model.evaluate(x, x, verbose=0)[0] < 1e-12
    mixed = model.layers[0](x, training=True)
    assert (np.abs(mixed - x).max(axis=1) > 1e-3).mean() > 0.5
    sparse = fastnn.Sequential([fastnn.Input((5,)), layers.MixUp(), layers.Dense(3, activation="softmax")])
    sparse.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="labels cannot be mixed: train on one-hot rows"):
        sparse.fit(x, np.zeros(50), verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip("diagonal"), "`mode` must be one of"),
        (lambda: layers.RandomTranslation(2, 0.1), r"`height_factor` must be a number, or a list of two, in \[-1, 1\]"),
        (lambda: layers.RandomZoom(-1), "`height_factor` must be"),
        (lambda: layers.RandomRotation((0.1, 0.2, 0.3)), "`factor` must be"),
        (lambda: layers.RandomRotation(0.1, fill_mode="mirror"), "`fill_mode` must be one of"),
        (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "`interpolation` must be one of"),
        (lambda: layers.RandomContrast(-0.1), "`factor` must be"),
        (lambda: layers.RandomBrightness(0.1, value_range=(1, 0)), "`value_range` must be two numbers"),
        (lambda: layers.RandomFlip(data_format="channels_first"), "`data_format` is not supported"),
        (lambda: layers.RandomFlip()(np.ones((2, 5))), r"expects samples of shape \(height, width\)"),
        (lambda: layers.MixUp(0), "`alpha` must be a positive number"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
