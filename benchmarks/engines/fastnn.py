"""fastnn, as a user would write it."""

from benchmarks.engines import installed, keras_style

NAME = "fastnn"


def available():
    return installed("fastnn")


def version():
    import fastnn

    return f"fastnn {fastnn.__version__} ({fastnn.show_config('dict')['instruction set']})"


def unsupported(workload):
    return None


def _build(workload, threads):
    import fastnn

    fastnn.set_threads(threads)
    return keras_style.build(fastnn, workload, output_activation=None if workload.loss == "mse" else "softmax")


def train(workload, x, y, threads):
    import fastnn

    model = _build(workload, threads)
    loss = "mse" if workload.loss == "mse" else "sparse_categorical_crossentropy"
    model.compile(optimizer=keras_style.optimizer(fastnn, workload), loss=loss)
    return keras_style.trainer(model, workload, x, y)


def predictor(workload, batch, threads):
    return _build(workload, threads).freeze().predict
