"""Learning from data without labels, before a head is put on and the whole is trained with the few labels there are.

Everything here works on the layers of a model that you go on with: weights are shared with it and never copied. ::

    body = fastnn.Sequential([fastnn.Input((784,)), layers.Dense(100, "selu"), layers.Dense(30, "selu")])
    pretraining.greedy_pretrain(body, x_unlabelled, epochs=10)
    model = fastnn.Sequential([body, layers.Dense(10, "softmax")])
    optimizer = fastnn.optimizers.Adam()
    optimizer.learning_rate_multipliers = {body: 0.1}
    model.compile(optimizer, "sparse_categorical_crossentropy")
"""

import math

import numpy as np

from fastnn import layers, ops, optimizers
from fastnn.models import Model, Sequential

__all__ = ["autoencoder", "greedy_pretrain", "masked_pretrain"]


def autoencoder(encoder, tied=False, noise=None, output_activation=None, name=None):
    """A stack that encodes with the given model and decodes with its mirror image.

    Parameters
    ----------
    encoder : Sequential
        Of any layers; each `Dense` one has a counterpart in the decoder, which has the activation of the `Dense` layer
        before it. Its input's shape must be known.
    tied : bool, default False
        The decoder shares the encoder's kernels (`layers.DenseTranspose`): half the weights, and a decoder that cannot
        outgrow the encoder.
    noise : Layer, optional
        What spoils the input in training, for a denoising autoencoder: ``layers.GaussianNoise(0.2)``,
        ``layers.Dropout(0.5)``, ``layers.MaskFeatures(0.3)``.
    output_activation : str or callable, optional
        Of the reconstruction: "sigmoid" for values in [0, 1], None for others.
    name : str, optional

    Returns
    -------
    Sequential
        ``[noise,] encoder, decoder``, both `Sequential` models, the encoder being the given one. Train it to give its
        input: ``model.fit(x, x)``.

    Raises
    ------
    ValueError
        If the encoder's input is unknown, or it has no `Dense` layer.

    References
    ----------
    Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 313, 2006. Vincent,
    Larochelle, Lajoie, Bengio and Manzagol, Stacked denoising autoencoders, JMLR 11, 2010.
    """
    stages = _stages(encoder, "autoencoder")[1]
    dense = [stage[0] for stage in stages]
    activations = [output_activation, *(each.activation for each in dense[:-1])]
    mirrored = [_mirror(layer, its, tied) for layer, its in zip(dense[::-1], activations[::-1], strict=True)]
    shape = encoder.input_shape[1:]
    if len(shape) > len(encoder.output_shape) - 1:  # it was flattened
        mirrored.append(layers.Reshape(shape))
    decoder = Sequential([layers.Input(encoder.output_shape[1:]), *mirrored], name="decoder")
    return Sequential([layers.Input(shape), *_noise(noise), encoder, decoder], name=name)


def greedy_pretrain(
    body,
    x,
    epochs=10,
    batch_size=32,
    optimizer="adam",
    loss="mse",
    tied=False,
    noise=None,
    validation_split=0.0,
    callbacks=None,
    verbose=0,
):
    """Train a stack one `Dense` layer after the other, each as the encoder of an autoencoder of what comes before it.

    Parameters
    ----------
    body : Sequential
        Its layers are trained in place. Layers after a `Dense` one, up to the next, are trained with it; layers before
        the first only prepare the input. Its input's shape must be known.
    x : array_like, shape (samples, ...)
    epochs, batch_size, validation_split, callbacks, verbose
        Of `fit`, for each layer.
    optimizer : str or Optimizer, default "adam"
        Each layer has a new one of these settings.
    loss : str or Loss, default "mse"
        Between what goes into a layer and what a linear decoder makes of what comes out.
    tied, noise
        As for `autoencoder`.

    Returns
    -------
    list of History
        One for each `Dense` layer. `body` is then ready for a head: ``Sequential([body, Dense(10, "softmax")])``.

    Notes
    -----
    What goes into a layer is computed once, so that memory for it is needed: samples times units.

    References
    ----------
    Bengio, Lamblin, Popovici and Larochelle, Greedy layer-wise training of deep networks, NeurIPS 2006.
    """
    prefix, stages = _stages(body, "greedy_pretrain")
    settings = optimizers.get(optimizer)
    histories, done = [], prefix
    for stage in stages:
        codes = x
        if done:
            codes = Sequential([layers.Input(body.input_shape[1:]), *done]).predict(x, verbose=0)
        decoder = _mirror(stage[0], None, tied)
        model = Sequential([layers.Input(codes.shape[1:]), *_noise(noise), *stage, decoder])
        model.compile(type(settings).from_config(settings.get_config()), loss)
        histories.append(
            model.fit(
                codes, codes, batch_size, epochs, verbose, callbacks, validation_split=validation_split
            )
        )  # fmt: skip
        done = [*done, *stage]
    return histories


def masked_pretrain(
    body,
    x,
    rate=0.3,
    replacement="sample",
    mask_weight=1.0,
    epochs=10,
    batch_size=32,
    optimizer="adam",
    loss="mse",
    validation_split=0.0,
    callbacks=None,
    verbose=0,
):
    """Train a model of a table's rows to tell the features that were replaced, and what they were.

    Two linear heads read what the body makes of rows some of whose values were replaced (`layers.MaskFeatures`): one
    reconstructs the row, one says which of its values are not its own. All runs inside the compiled step.

    Parameters
    ----------
    body : Model
        With one input, of known shape, and one output. It is trained in place; the heads are thrown away.
    x : array_like, shape (samples, features)
        Features of similar scale, standardised for example.
    rate, replacement
        Of `layers.MaskFeatures`.
    mask_weight : float, default 1.0
        Of the second head's cross-entropy beside the reconstruction's loss; 0: no such head.
    epochs, batch_size, validation_split, callbacks, verbose
        Of `fit`. Nothing is replaced in validation.
    optimizer : str or Optimizer, default "adam"
    loss : str or Loss, default "mse"
        Of the reconstruction.

    Returns
    -------
    History
        With "reconstruction_loss" and "mask_loss".

    References
    ----------
    As for `layers.MaskFeatures`.
    """
    if not isinstance(body, Model) or not body.built or len(body.inputs) != 1 or len(body.outputs) != 1:
        raise ValueError(f"masked_pretrain: `body` must be a model with one known input and one output. Got: {body!r}")
    shape = body.input_shape[1:]
    size = math.prod(shape)
    inputs = layers.Input(shape)
    seen = layers.MaskFeatures(rate, replacement)(inputs)
    codes = body(seen)
    if len(codes.shape) > 2:
        codes = layers.Flatten()(codes)
    outputs = {"reconstruction": layers.Reshape(shape, name="reconstruction")(layers.Dense(size)(codes))}
    losses = {"reconstruction": loss}
    if mask_weight:
        mask = layers.Reshape((size,))(layers.pretraining.Replaced()([inputs, seen]))
        outputs["mask"] = layers.Concatenate(name="mask")([layers.Dense(size)(codes), mask])
        losses["mask"] = _mask_loss
    model = Model(inputs, outputs)
    model.compile(optimizer, losses, loss_weights={"reconstruction": 1.0, "mask": mask_weight} if mask_weight else None)
    targets = {"reconstruction": x, "mask": np.broadcast_to(np.float32(0), (len(x), 1))}  # the mask's loss reads none
    targets = {name: targets[name] for name in outputs}
    return model.fit(x, targets, batch_size, epochs, verbose, callbacks, validation_split=validation_split)


def _mask_loss(_, prediction):
    """The cross-entropy of a row's logits, its first half, with its mask, the other half."""
    logits, mask = ops.split(prediction, 2, axis=-1)
    return ops.mean(ops.softplus(logits) - logits * mask, axis=-1)


def _stages(stack, name):
    """The layers before the first `Dense` one, and a list of lists of layers that each begin with one."""
    if not isinstance(stack, Sequential) or not stack.built:
        raise ValueError(
            f"{name}: expected a Sequential model that knows the shape of its input: start it with fastnn.Input(shape)."
            f" Received: {stack!r}"
        )
    prefix, stages = [], []
    for layer in stack.layers:
        if isinstance(layer, layers.Dense):
            stages.append([layer])
        else:
            (stages[-1] if stages else prefix).append(layer)
    if not stages:
        raise ValueError(f"{name}: model {stack.name!r} has no Dense layer. Its layers: {stack.layers}")
    return prefix, stages


def _mirror(dense, activation, tied):
    """The layer that leads back from what a dense layer puts out to what goes in."""
    if tied:
        return layers.DenseTranspose(dense, activation)
    return layers.Dense(dense.kernel.shape[0], activation, kernel_initializer=dense.kernel_initializer)


def _noise(layer):
    if layer is not None and not isinstance(layer, layers.Layer):
        raise ValueError(
            f"`noise` must be a layer such as layers.GaussianNoise(0.2) or layers.Dropout(0.5). Received: {layer!r}"
        )
    return [] if layer is None else [layer]
