"""OpenVINO, on its own CPU plugin."""

from benchmarks.engines import installed, versions

NAME = "OpenVINO"


def available():
    return installed("openvino", "onnx")


def version():
    return versions("openvino")


def predictor(network, x, threads, variant):
    import openvino

    core = openvino.Core()
    model = core.read_model(network.onnx(len(x)))
    # By default it rounds to bfloat16 where the processor has that: the others compute in float32.
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # Tensors that are set once: a call with arrays takes several times as long on the small networks.
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    outputs = request.get_output_tensor().data

    def predict():
        request.infer()
        return outputs

    return predict, ()
