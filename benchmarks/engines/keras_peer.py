"""What Keras on JAX and Keras on TensorFlow share. The backend is fixed at the first import: one process each."""

import os

from benchmarks.engines import keras_style


def import_keras(backend):
    """Keras on one backend.

    Raises
    ------
    RuntimeError
        If Keras was already imported on another one.
    """
    os.environ["KERAS_BACKEND"] = backend
    import keras

    if keras.backend.backend() != backend:
        raise RuntimeError(
            f"Keras was first imported on {keras.backend.backend()}; a process can have one backend. "
            f"Expected: {backend}. Start a process for each (benchmarks.client does)."
        )
    return keras


def train(keras, workload, x, y):
    model = workload.made_by(keras, activate_outputs=False)
    # Both of these choices were measured to be faster here: logits to probabilities of which the logarithm is taken
    # again, and 32 steps an execution (2 to 4 times on the small networks) to the default of one.
    loss = "mse" if workload.loss == "mse" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=workload.optimizer.made_by(keras), loss=loss, steps_per_execution=min(32, workload.steps))
    return keras_style.trainer(model, workload, x, y)
