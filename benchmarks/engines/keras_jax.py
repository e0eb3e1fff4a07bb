"""Keras on JAX."""

from benchmarks.engines import beyond, installed, keras_peer, versions

NAME = "Keras (JAX)"


def available():
    return installed("keras", "jax")


def version():
    return versions("keras", "jax")


def unsupported(workload):
    return beyond(workload)


def train(workload, x, y, threads):
    return keras_peer.train(keras_peer.import_keras("jax"), workload, x, y)
