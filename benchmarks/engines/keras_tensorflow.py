"""Keras on TensorFlow."""

from benchmarks.engines import beyond, installed, keras_peer, versions

NAME = "Keras (TensorFlow)"


def available():
    return installed("keras", "tensorflow")


def version():
    from importlib.metadata import packages_distributions

    # TensorFlow for CPU goes by several distribution names.
    return versions("keras", packages_distributions()["tensorflow"][0])


def unsupported(workload):
    return beyond(workload)


def _import_keras(threads):
    import tensorflow as tf

    # The same value again is accepted after TensorFlow has started its threads; another one is an error, rightly.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return keras_peer.import_keras("tensorflow")


def train(workload, x, y, threads):
    return keras_peer.train(_import_keras(threads), workload, x, y)
