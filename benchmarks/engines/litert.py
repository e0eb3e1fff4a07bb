"""LiteRT, which computes dense layers with XNNPACK."""

from benchmarks.engines import installed, versions

NAME = "LiteRT"


def available():
    return installed("ai_edge_litert")


def version():
    return versions("ai-edge-litert")


def predictor(network, x, threads, variant):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=as_tflite(network, len(x)), num_threads=threads)
    interpreter.allocate_tensors()
    (details,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    given, answer, invoke = (
        interpreter.tensor(details["index"]),
        interpreter.tensor(result["index"]),
        interpreter.invoke,
    )

    def predict(x):
        given()[...] = x
        invoke()
        return answer()

    return predict, (x,)


def as_tflite(network, batch):
    """The network as a .tflite file of a fixed batch, as TensorFlow's converter writes it, without TensorFlow."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    buffers, tensors, operators = [schema.BufferT()], [], []
    codes = [schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.ELU, schema.BuiltinOperator.SOFTMAX]

    def tensor(name, shape, value=None):
        if value is not None:
            buffers.append(schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
        number = 0 if value is None else len(buffers) - 1
        kind = schema.TensorType.FLOAT32
        tensors.append(schema.TensorT(shape=list(shape), type=kind, buffer=number, name=name, hasRank=True))
        return len(tensors) - 1

    def operator(code, inputs, units, kind=0, options=None):
        output = tensor(f"output{len(operators)}", (batch, units))
        operators.append(
            schema.OperatorT(
                opcodeIndex=codes.index(code),
                inputs=inputs,
                outputs=[output],
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )
        return output

    kinds = schema.BuiltinOptions
    first = last = tensor("x", (batch, network.workload.sizes[0]))
    for i, (kernel, bias, activation) in enumerate(network.layers):
        units = len(bias)
        inputs = [last, tensor(f"kernel{i}", kernel.T.shape, kernel.T), tensor(f"bias{i}", bias.shape, bias)]
        fused = schema.ActivationFunctionType.RELU if activation == "relu" else schema.ActivationFunctionType.NONE
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=fused)
        last = operator(codes[0], inputs, units, kinds.FullyConnectedOptions, options)
        if activation == "elu":
            last = operator(codes[1], [last], units)
        elif activation == "softmax":
            last = operator(codes[2], [last], units, kinds.SoftmaxOptions, schema.SoftmaxOptionsT(beta=1.0))
    model = schema.ModelT(
        version=3,
        # The old field is one byte wide; codes above 127 are in the new one alone.
        operatorCodes=[
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1) for code in codes
        ],
        subgraphs=[schema.SubGraphT(tensors=tensors, inputs=[first], outputs=[last], operators=operators, name="main")],
        buffers=buffers,
        description=network.workload.name,
    )
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
