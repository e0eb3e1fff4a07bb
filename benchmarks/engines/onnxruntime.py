"""ONNX Runtime."""

from benchmarks.engines import installed, versions

NAME = "ONNX Runtime"


def available():
    return installed("onnxruntime", "onnx")


def version():
    return versions("onnxruntime")


def predictor(network, x, threads, variant):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(network.onnx(len(x)), options, providers=["CPUExecutionProvider"])
    # Arrays that are bound once: session.run takes half as long again on the small networks.
    y = np.empty((len(x), network.workload.sizes[-1]), np.float32)
    binding = session.io_binding()
    binding.bind_input(session.get_inputs()[0].name, "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output(session.get_outputs()[0].name, "cpu", 0, np.float32, y.shape, y.ctypes.data)

    def predict(x):
        session.run_with_iobinding(binding)
        return y

    return predict, (x,)
