"""Tied weights, autoencoders, layer-wise and masked pretraining."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, pretraining
from harness.layers import data

X = data(96, 12) @ data(12, 12, seed=1) / 3


class ByHand(layers.Layer):
    """The product with the transposed kernel, composed of operations."""

    def __init__(self, dense, activation):
        super().__init__()
        self.dense, self.activation = dense, fastnn.activations.get(activation)

    def build(self, input_shape):
        self.own = self.add_weight(self.dense.kernel.shape[:1], "zeros", name="bias")

    def call(self, x):
        return self.activation(ops.matmul(x, ops.transpose(self.dense.kernel)) + self.own)


def tied(transposed, **dense):
    """An autoencoder of three dense layers, whose kernels the decoder uses again."""
    fastnn.utils.set_random_seed(2)
    units = [layers.Dense(n, "tanh", **dense) for n in (33, 17, 5)]
    activations = [None, "elu", "tanh"]
    back = [transposed(each, activation) for each, activation in zip(units, activations, strict=True)]
    return fastnn.Sequential([fastnn.Input((12,)), *units, *reversed(back)])


def trained(model, epochs=5):
    model.compile(fastnn.optimizers.Adam(0.01), "mse")
    model.fit(X, X, batch_size=20, epochs=epochs, verbose=0)
    return model


def test_the_transposed_layer_trains_both_uses_of_the_kernel():
    ours, by_hand = trained(tied(layers.DenseTranspose)), trained(tied(ByHand))
    assert ours.count_params() == by_hand.count_params()
    assert ours.count_params() == 12 * 33 + 33 * 17 + 17 * 5 + 33 + 17 + 5 + 17 + 33 + 12
    for one, other in zip(ours.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(ours(X[:7]), by_hand(X[:7]), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(ours(X))[:1], ours(X[:1]))


def test_it_agrees_with_keras(keras):
    class Transposed(keras.layers.Layer):
        def __init__(self, dense, activation):
            super().__init__()
            self.dense, self.activation = dense, keras.activations.get(activation)

        def build(self, input_shape):
            self.own = self.add_weight(shape=(self.dense.kernel.shape[0],), initializer="zeros", name="bias")

        def call(self, x):
            return self.activation(keras.ops.matmul(x, keras.ops.transpose(self.dense.kernel)) + self.own)

    results = []
    start = [data(12, 7, seed=3) * 0.3, data(7, seed=4) * 0.1]
    for package, transposed in (keras, Transposed), (fastnn, layers.DenseTranspose):
        dense = package.layers.Dense(7, "tanh", kernel_regularizer="l2")
        model = package.Sequential([package.Input((12,)), dense, transposed(dense, "sigmoid")])
        dense.set_weights(start)
        model.compile(package.optimizers.SGD(0.1, momentum=0.9), "mse")
        history = model.fit(X, X, batch_size=24, epochs=5, shuffle=False, verbose=0).history["loss"]
        results.append([*dense.get_weights(), model.layers[1].get_weights()[0], np.array(history)])
    for theirs, ours in zip(*results, strict=True):  # a layer's own weights come first: the bias
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_decoder_trains_where_the_encoder_does_not():
    model = tied(layers.DenseTranspose)
    model.layers[0].trainable = False  # the kernel that the last layer shares; its bias goes on
    before = model.get_weights()
    trained(model)
    changed = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    names = [each.path.split("/")[-2:] for each in model.weights]
    still = [name for name, each in zip(names, changed, strict=True) if not each]
    assert still == [[model.layers[0].name, "kernel"], [model.layers[0].name, "bias"]]


@pytest.mark.parametrize("rank", [1, 2])
def test_frozen_and_of_any_rank(rank):
    dense = layers.Dense(5, use_bias=False)
    shape = (12,) if rank == 1 else (4, 12)
    model = fastnn.Sequential([fastnn.Input(shape), dense, layers.DenseTranspose(dense, "relu")])
    model.layers[1].bias.assign(data(12))
    x = data(9, *shape)
    kernel = dense.kernel.numpy()
    np.testing.assert_allclose(model(x), np.maximum(x @ kernel @ kernel.T + data(12), 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.freeze()(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_file_keeps_weights_tied(tmp_path):
    model = trained(tied(layers.DenseTranspose), 1)
    for name in "model.keras", "model.fastnn":
        model.save(tmp_path / name)
        again = fastnn.models.load_model(tmp_path / name)
        np.testing.assert_array_equal(again(X), model(X))
        assert again.layers[-1].dense is again.layers[0]
        assert again.count_params() == model.count_params()


@pytest.mark.parametrize("is_tied", [False, True])
def test_autoencoder(is_tied):
    fastnn.utils.set_random_seed(0)
    hidden = [layers.Dense(9, "selu"), layers.BatchNormalization(), layers.Dense(4, "tanh")]
    body = fastnn.Sequential([fastnn.Input((3, 4)), layers.Flatten(), *hidden])
    model = pretraining.autoencoder(body, is_tied, noise=layers.GaussianNoise(0.1), output_activation="sigmoid")
    assert model.output_shape == (None, 3, 4)
    _, encoder, decoder = model.layers
    assert encoder is body
    activations = [each.activation.__name__ for each in decoder.layers[:-1]]
    assert activations == ["selu", "sigmoid"]
    kinds = {type(each) for each in decoder.layers[:-1]}
    assert kinds == {layers.DenseTranspose if is_tied else layers.Dense}
    x = 1 / (1 + np.exp(-X.reshape(-1, 3, 4)))
    model.compile("adam", "mse")
    losses = model.fit(x, x, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("is_tied", [False, True])
def test_greedy_pretraining(is_tied):
    fastnn.utils.set_random_seed(0)
    scale = layers.Rescaling(0.5)
    body = fastnn.Sequential(
        [fastnn.Input((12,)), scale, layers.Dense(10, "selu"), layers.BatchNormalization(), layers.Dense(6, "selu")]
    )
    kernels = [body.layers[i].kernel for i in (1, 3)]
    before = [each.numpy() for each in kernels]
    histories = pretraining.greedy_pretrain(
        body, X, epochs=25, optimizer=fastnn.optimizers.Adam(0.01), tied=is_tied, noise=layers.Dropout(0.1),
        validation_split=0.2,
    )  # fmt: skip
    assert len(histories) == 2
    for history in histories:
        assert history.history["val_loss"][-1] < 0.8 * history.history["val_loss"][0]
    assert all((a != b.numpy()).any() for a, b in zip(before, kernels, strict=True))
    assert [body.layers[i].kernel for i in (1, 3)] == kernels, "trained in place"
    model = fastnn.Sequential([body, layers.Dense(2, "softmax")])
    optimizer = fastnn.optimizers.SGD(0.1)
    optimizer.learning_rate_multipliers = {body: 0.0}
    model.compile(optimizer, "sparse_categorical_crossentropy")
    pretrained = [each.numpy() for each in kernels]
    model.fit(X, (X[:, 0] > 0).astype(int), verbose=0)
    for each, value in zip(kernels, pretrained, strict=True):
        np.testing.assert_array_equal(each.numpy(), value)


@pytest.mark.parametrize(("replacement", "shape"), [("sample", (12,)), ("mean", (3, 4))])
def test_masked_pretraining_learns_what_is_missing(replacement, shape):
    fastnn.utils.set_random_seed(0)
    x = np.repeat(data(400, 3), 4, axis=1).reshape(400, *shape)  # each feature is there four times
    flatten = [layers.Flatten()] if len(shape) > 1 else []
    body = fastnn.Sequential([fastnn.Input(shape), *flatten, layers.Dense(40, "relu"), layers.Dense(30, "relu")])
    history = pretraining.masked_pretrain(
        body, x, 0.2, replacement, epochs=40, optimizer=fastnn.optimizers.Adam(0.01)
    ).history
    assert history["reconstruction_loss"][-1] < 0.15  # of a variance of 1: what is replaced can be told
    assert history["mask_loss"][-1] < 0.45  # 0.50 is the entropy of a mask that nothing is known of
    assert history["loss"][-1] == pytest.approx(history["reconstruction_loss"][-1] + history["mask_loss"][-1])
    alone = pretraining.masked_pretrain(body, x, mask_weight=0, validation_split=0.1, epochs=1).history
    assert set(alone) == {"loss", "val_loss"}


@pytest.mark.parametrize("replacement", ["sample", "mean"])
def test_masked_features(replacement):
    layer = layers.MaskFeatures(0.3, replacement, seed=5)
    x = np.arange(8000, dtype=np.float32).reshape(2000, 4)[:250]
    np.testing.assert_array_equal(layer(x), x)
    y = np.asarray(layer(x, training=True))
    replaced = y != x
    assert 0.25 < replaced.mean() < 0.35
    for column in range(4):
        new = y[replaced[:, column], column]
        if replacement == "mean":
            np.testing.assert_allclose(new, x[:, column].mean(), rtol=1e-6)
        else:
            assert np.isin(new, x[:, column]).all()
            assert len(set(new)) > 40
    config = layer.get_config()
    assert (config["rate"], config["replacement"], config["seed"]) == (0.3, replacement, 5)
    layer.rate = 0
    np.testing.assert_array_equal(layer(x, training=True), x)
    layer.rate = 1
    assert (np.asarray(layer(x, training=True)) != x).mean() > 0.99
    np.testing.assert_array_equal(layer(x[:1], training=True), x[:1])  # there is no other sample


def bare(*stack):
    return fastnn.Sequential([fastnn.Input((12,)), *stack])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.DenseTranspose(3), "`dense` must be the Dense layer"),
        (lambda: layers.DenseTranspose(layers.Dense(3))(X), "which is not built yet"),
        (lambda: bare(dense := layers.Dense(3), layers.Dense(4), layers.DenseTranspose(dense)), "last axis is 3"),
        (lambda: layers.MaskFeatures(1.5), r"`rate` must be a number in \[0, 1\]"),
        (lambda: layers.MaskFeatures(replacement="zero"), "`replacement` must be one of"),
        (lambda: bare(layers.Dense(3), layers.MaskFeatures()).fit(X, X), "compile"),
        (lambda: pretraining.autoencoder(fastnn.Sequential([layers.Dense(3)])), "knows the shape of its input"),
        (lambda: pretraining.greedy_pretrain(bare(layers.ReLU()), X), "has no Dense layer"),
        (lambda: pretraining.autoencoder(bare(layers.Dense(3)), noise=0.1), "`noise` must be a layer"),
        (lambda: pretraining.masked_pretrain(layers.Dense(3), X), "`body` must be a model"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_nothing_is_trained_before_the_mask():
    model = bare(layers.Dense(3), layers.MaskFeatures(), layers.Dense(12))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="put it before all layers that are trained"):
        model.fit(X, X, verbose=0)
