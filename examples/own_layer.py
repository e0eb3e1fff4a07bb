"""A layer of one's own: a block that composes existing layers, with Monte-Carlo dropout.

Run: python examples/own_layer.py
"""

import numpy as np

import fastnn
from fastnn import layers


class Bottleneck(layers.Layer):
    """Dense down, activation, dropout that stays on, dense up."""

    def __init__(self, width, rate=0.2, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.dropout = layers.Dropout(rate)

    def build(self, input_shape):
        self.down = layers.Dense(self.width, activation="mish", kernel_initializer="he_normal")
        self.up = layers.Dense(input_shape[-1])

    def call(self, inputs, training=None):
        return self.up(self.dropout(self.down(inputs), training=True))


def main():
    fastnn.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = fastnn.datasets.digits.load_data()
    model = fastnn.Sequential(
        [
            fastnn.Input((8, 8)),
            layers.Flatten(),
            layers.Rescaling(1 / 16),
            layers.Dense(64, activation="relu"),
            Bottleneck(32),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=20, verbose=0)
    # Each call draws new masks: the spread of the answers says how sure the network is.
    answers = np.stack([np.asarray(model(x_test, training=True)) for _ in range(30)])
    mean, spread = answers.mean(axis=0), answers.std(axis=0)
    accuracy = (mean.argmax(axis=1) == y_test).mean()
    sure = spread.max(axis=1) < 0.1
    accuracy_sure = (mean.argmax(axis=1) == y_test)[sure].mean()
    print(f"accuracy {accuracy:.3f}; where the answers agree ({sure.mean():.0%} of the images) {accuracy_sure:.3f}")


if __name__ == "__main__":
    main()
