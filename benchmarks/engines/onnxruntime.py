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
    session = onnxruntime.InferenceSession(as_onnx(network, len(x)), options, providers=["CPUExecutionProvider"])
    # Arrays that are bound once: session.run takes half as long again on the small networks.
    y = np.empty((len(x), network.workload.sizes[-1]), np.float32)
    binding = session.io_binding()
    binding.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output(session.get_outputs()[0].name, "cpu", 0, np.float32, y.shape, y.ctypes.data)

    def predict(x):
        session.run_with_iobinding(binding)
        return y

    return predict, (x,)


def as_onnx(network, batch):
    """The network as a serialised ONNX model of a fixed batch."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants, value = [], [], "x"
    for i, (kernel, bias, activation) in enumerate(network.layers):
        constants += [numpy_helper.from_array(kernel, f"kernel{i}"), numpy_helper.from_array(bias, f"bias{i}")]
        nodes.append(helper.make_node("Gemm", [value, f"kernel{i}", f"bias{i}"], [f"dense{i}"]))
        value = f"dense{i}"
        if activation is not None:
            nodes.append(helper.make_node(activation.title(), [value], [f"activation{i}"]))
            value = f"activation{i}"
    inputs, outputs = network.workload.sizes[0], network.workload.sizes[-1]
    graph = helper.make_graph(
        nodes,
        network.workload.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, inputs))],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, (batch, outputs))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()
