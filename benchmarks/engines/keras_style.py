"""What fastnn and real Keras share: how they are trained. `Workload.made_by` describes the network to both."""


def trainer(model, workload, x, y):
    """run(epochs) through `fit`."""

    def run(epochs):
        history = model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return history.history["loss"][-1]

    return run
