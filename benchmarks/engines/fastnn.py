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


def train(workload, x, y, threads):
    import fastnn
    from fastnn.cli.workloads import LOSSES

    fastnn.set_threads(threads)
    model = workload.made_by(fastnn)
    model.compile(optimizer=workload.optimizer.made_by(fastnn), loss=LOSSES[workload.loss][0])
    return keras_style.trainer(model, workload, x, y)


def predictor(network, x, threads, variant):
    """Variants: "out" has its output given; the others are precisions of `freeze`."""
    import fastnn

    fastnn.set_threads(threads)
    frozen = network.model().freeze(precision="float32" if variant in ("", "out") else variant)
    return frozen, (x, frozen(x)) if variant == "out" else (x,)
