"""What the smaller precisions cost: the book's network, trained on Fashion-MNIST, frozen in each of them."""

import numpy as np

from benchmarks.workloads import INFERENCE
from fastnn.cli.models import PRECISIONS
from fastnn.cli.workloads import LOSSES


def measured(name, epochs):
    """Train and freeze.

    Parameters
    ----------
    name : str
        A network of `INFERENCE` with 784 inputs and 10 outputs.
    epochs : int

    Returns
    -------
    dict of str to dict
        For each precision ``{"accuracy" (share of the 10,000 test images), "changed" (how many of them get another
        class than from the model), "difference" (largest of any probability to the model's), "layers" (what each dense
        layer is stored in)}``, or ``{"unsupported": why}`` where the images are not at hand.
    """
    import fastnn

    workload = INFERENCE[name]
    try:
        (x, y), (x_test, y_test) = fastnn.datasets.fashion_mnist.load_data()
    except OSError as error:
        return {"unsupported": str(error)}
    fastnn.utils.set_random_seed(0)
    model = workload.made_by(fastnn)
    model.compile(workload.optimizer.made_by(fastnn), LOSSES[workload.loss][0])
    x, x_test = (np.reshape(each, (len(each), -1)).astype(np.float32) / 255 for each in (x, x_test))
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    results = {}
    for precision in (*PRECISIONS, "mixed"):
        report = model.freeze(precision, validation_data=(x_test, y_test)).report
        (output,) = report.outputs
        results[precision] = {
            "accuracy": output.accuracy[1],
            "changed": round(output.changed * report.samples),
            "difference": output.largest,
            "layers": [each.precision for each in report.layers],
        }
    return results
