"""The same description for fastnn and for real Keras: only the imported package differs."""


def build(keras, workload, *, output_activation=None):
    """The network of a workload as a Sequential model."""
    layers = [keras.Input((workload.sizes[0],))]
    for _, units, activation in workload.layers:
        if workload.batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers.append(
            keras.layers.Dense(
                units, activation=activation or output_activation, kernel_initializer=workload.initializer
            )
        )
    return keras.Sequential(layers)


def optimizer(keras, workload):
    """The optimizer of a workload."""
    rule = workload.optimizer
    if rule.kind == "adam":
        return keras.optimizers.Adam(rule.learning_rate, epsilon=rule.epsilon)
    return keras.optimizers.SGD(rule.learning_rate, momentum=rule.momentum, nesterov=rule.nesterov)


def trainer(model, workload, x, y):
    """run(epochs) through `fit`."""

    def run(epochs):
        history = model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return history.history["loss"][-1]

    return run
