"""ONNX models as models of fastnn: they compute what ONNX Runtime does, can be trained, saved and frozen."""

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers

onnx = pytest.importorskip("onnx", reason="ONNX models are read and written with the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="ONNX models are run with ONNX Runtime")

RANDOM = np.random.default_rng(1)
FLOAT, INT64 = 1, 7


def weights(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


def randomised(model):
    for variable in model.weights:
        variable.assign(RANDOM.uniform(0.2, 1.0, variable.shape))
    return model


def node(operator, inputs, outputs, **attributes):
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def made(nodes, shape, constants=(), opset=17, outputs="y", name="made", batch="n"):
    """An ONNX model of one input, x."""
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(each, FLOAT, None) for each in outputs.split()],
        [onnx.numpy_helper.from_array(value, key) for key, value in dict(constants).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def session(model):
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare(model, samples=5, low=-2.0, tolerance=1e-5, **options):
    """The model as read, and frozen, beside ONNX Runtime."""
    network = fastnn.from_onnx(model, **options)
    known = session(model)
    x = RANDOM.uniform(low, 2, (samples, *network.input_shape[1:])).astype(np.float32)
    names = options.get("outputs")
    wanted = known.run(names, {known.get_inputs()[0].name: x})
    for one in (network, network.freeze()):
        got = one.predict(x)
        got = got if isinstance(got, list) else [got]
        for ours, theirs in zip(got, wanted, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    return network


def kinds(model):
    return [type(each).__name__ for each in model.layers if not isinstance(each, layers.InputLayer)]


def test_dense_layers_in_all_their_spellings():
    constants = {
        "a": weights(4, 5), "b": weights(1, 5), "c": weights(6, 5), "d": weights(1), "e": weights(6, 3),
        "f": weights(3), "g": weights(3, 2),
    }  # fmt: skip
    nodes = [
        node("Gemm", "x a b", "1", alpha=0.5, beta=2.0, name="/first/Gemm"),
        node("Relu", "1", "2", name="/first/Relu"),
        node("Gemm", "2 c d", "3", transB=1),
        node("MatMul", "3 e", "4"),
        node("Add", "f 4", "5"),
        node("MatMul", "5 g", "6"),
        node("Gemm", "6 g", "y", transB=1),
    ]
    model = compare(made(nodes, (4,), constants))
    assert kinds(model) == ["Dense", "Activation", "Dense", "Dense", "Dense", "Dense"]
    assert [each.use_bias for each in model.layers if isinstance(each, layers.Dense)] == [1, 1, 1, 0, 0]
    assert model.layers[1].name == "first"
    assert len(model.trainable_weights) == 8


def test_normalisations_and_what_folds():
    constants = {"g": weights(4) + 2, "b": weights(4), "m": weights(4), "v": weights(4) + 2, "w": weights(4, 3)}
    nodes = [
        node("Sub", "x m", "0"),
        node("Div", "0 v", "1"),
        node("BatchNormalization", "1 g b m v", "2", epsilon=0.01, momentum=0.8),
        node("MatMul", "2 w", "3"),
        node("LayerNormalization", "3 s", "4", epsilon=0.1),
        node("Mul", "4 two", "5"),
        node("Sub", "two 5", "y"),
    ]
    constants |= {"s": weights(3), "two": np.array(2.0, np.float32)}
    model = compare(made(nodes, (4,), constants))
    assert kinds(model) == [
        "Rescaling", "Rescaling", "BatchNormalization", "Dense", "LayerNormalization", "Rescaling", "Rescaling",
    ]  # fmt: skip
    assert model.layers[3].momentum == pytest.approx(0.8)
    images = made([node("BatchNormalization", "x g b m v", "y")], (4, 3), constants)
    assert compare(images).layers[1].axis == 1


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
def test_activations_of_every_opset(opset):
    since = {"Celu": 12, "HardSwish": 14, "Mish": 18}
    usual = [
        "Relu",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Exp",
        "HardSigmoid",
        "HardSwish",
        "Mish",
        "Celu",
        "Erf",
    ]
    nodes = [node(each, "x", each) for each in usual if since.get(each, 0) <= opset]
    nodes += [
        node("Elu", "x", "e", alpha=0.5), node("Selu", "x", "s"), node("Selu", "x", "s2", alpha=1.2, gamma=1.1),
        node("LeakyRelu", "x", "l", alpha=0.2), node("PRelu", "x p", "p1"), node("ThresholdedRelu", "x", "t"),
        node("Softmax", "x", "soft", axis=2), node("LogSoftmax", "x", "log", axis=2), node("Softmax", "x", "both"),
        node("Shrink", "x", "sh", lambd=0.4, bias=0.1),
    ]  # fmt: skip
    if opset < 11:
        nodes += [node("Clip", "x", "c1", min=-0.5, max=0.7), node("Clip", "x", "c2", min=0.0, max=1.0)]
    else:
        nodes += [node("Clip", "x  ", "c1"), onnx.helper.make_node("Clip", ["x", "", "high"], ["c2"])]
        nodes += [node("Clip", "x low high", "c3")]
    outputs = " ".join(each.output[0] for each in nodes)
    constants = {"p": weights(3, 1), "low": np.array(0, np.float32), "high": np.array(0.7, np.float32)}
    compare(made(nodes, (3, 4), constants, opset, outputs), tolerance=2e-5)


def test_arithmetic_reductions_and_comparisons():
    unary = "Abs Ceil Cos Exp Floor Log Neg Reciprocal Round Sign Sin Sqrt Tan Atan Sinh Cosh Asinh".split()
    nodes = [node(each, "x", f"u{each}") for each in unary]
    nodes += [node(f"Reduce{each}", "x", f"r{each}", axes=[1], keepdims=0) for each in ("Mean", "Max", "Min", "L2")]
    nodes += [node(f"Reduce{each}", "x", f"k{each}", axes=[-1, 1]) for each in ("LogSumExp", "SumSquare", "Prod")]
    nodes += [
        node("ReduceSum", "x last", "total"),
        node("ArgMax", "x", "place", axis=2),
        node("Cast", "place", "p", to=1),
    ]
    nodes += [node(each, "x c", f"b{each}") for each in ("Add", "Sub", "Mul", "Div", "Pow", "Max")]
    nodes += [node("Less", "x c", "less"), node("Where", "less x one", "where"), node("Div", "c x", "turned")]
    nodes += [node("Sum", "x x one", "three"), node("Mean", "x uAbs", "mean"), node("Min", "x uAbs", "min")]
    nodes += [node("Add", "x uAbs", "merged"), node("Sub", "x uAbs", "zero"), node("Mul", "x uAbs", "square")]
    outputs = [each.output[0] for each in nodes if each.output[0] not in ("place", "less")]
    constants = {"last": np.array([2]), "c": weights(3, 1) + 2, "one": np.array([1], np.float32)}
    compare(made(nodes, (3, 4), constants, outputs=" ".join(outputs)), low=0.2, tolerance=5e-5)


def test_shapes_that_are_computed_keep_the_batch():
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "count", axis=0),
        node("Unsqueeze", "count axis0", "first"),
        node("Concat", "first rest", "wanted", axis=0),
        node("Reshape", "x wanted", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1]),
        node("Slice", "b starts ends axes", "c"),
        node("Split", "b parts", "d e", axis=2),
        node("Concat", "d c e", "f", axis=2),
        node("Flatten", "f", "g"),
        node("Unsqueeze", "g axis1", "h"),
        node("Squeeze", "h axis1", "i"),
        node("Reshape", "i copied", "j"),
        node("Gather", "j places", "k", axis=1),
        node("Expand", "k expanded", "l"),
        node("Flatten", "l", "m"),
        node("Concat", "m m", "y", axis=-1),
    ]
    constants = {
        "zero": np.array(0), "axis0": np.array([0]), "axis1": np.array([1]), "rest": np.array([3, -1]),
        "starts": np.array([0]), "ends": np.array([2**63 - 1]), "axes": np.array([2]), "parts": np.array([1, 2]),
        "copied": np.array([0, 2, -1]), "places": np.array([1, 0]), "expanded": np.array([1, 2, 12]),
    }  # fmt: skip
    assert compare(made(nodes, (12,), constants)).output_shape == (None, 48)
    fixed = made([node("Reshape", "x s", "y")], (12,), {"s": np.array([7, 4, 3])}, batch=7)
    assert compare(fixed, samples=7).output_shape == (None, 4, 3)


def test_tables_scalers_and_constants_in_nodes():
    value = onnx.numpy_helper.from_array(weights(4, 3), "value")
    nodes = [
        node("Constant", "", "w", value=value),
        node("Scaler", "x", "0", domain="ai.onnx.ml", offset=[0.1, 0.2, 0.3, 0.4], scale=[2.0] * 4),
        node("Identity", "w", "w2"), node("MatMul", "0 w2", "1"), node("Dropout", "1", "2"), node("Abs", "2", "3"),
        node("Cast", "3", "4", to=INT64), node("Gather", "t 4", "y", axis=0),
    ]  # fmt: skip
    model = compare(made(nodes, (4,), {"t": weights(30, 2).astype(np.float16).astype(np.float32)}))
    assert [each for each in kinds(model) if each in ("Dense", "Dropout", "Embedding")] == [
        "Dense",
        "Dropout",
        "Embedding",
    ]


def test_it_is_trained_saved_and_copied(tmp_path):
    nodes = [
        node("Gemm", "x w b", "1"),
        node("ReduceMean", "1", "2", axes=[1]),
        node("Sub", "1 2", "3"),
        node("Tanh", "3", "y"),
    ]
    content = made(nodes, (4,), {"w": weights(4, 3), "b": weights(3)}).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    model = fastnn.from_onnx(str(path))
    x, y = weights(64, 4), weights(64, 3) * 0.1
    np.testing.assert_array_equal(model.predict(x), fastnn.from_onnx(content).predict(x))
    model.compile("adam", "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    for suffix in ("fastnn", "keras"):
        model.save(tmp_path / f"model.{suffix}")
        again = fastnn.models.load_model(tmp_path / f"model.{suffix}")
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert "OnnxOperator" in kinds(again)


def test_round_trips():
    stack = [layers.Flatten(), layers.Dense(7, "elu"), layers.BatchNormalization(), layers.Dense(3, "softmax")]
    book = randomised(fastnn.Sequential([fastnn.Input((4, 3)), *stack]))
    x, z = fastnn.Input((6,), name="x"), fastnn.Input((6,), name="z")
    hidden = layers.LayerNormalization()(layers.Dense(6, "gelu")(x))
    several = randomised(fastnn.Model([x, z], [layers.Add()([hidden, z]), layers.concatenate([hidden, x])]))
    for model in (book, several):
        arrays = [weights(5, *each.shape[1:]) for each in model.inputs]
        data = arrays[0] if len(arrays) == 1 else arrays
        for exported in (model.to_onnx(), model.freeze().to_onnx(opset=20)):
            again = fastnn.from_onnx(exported)
            for one, other in ((again, model), (again.freeze(), model), (fastnn.from_onnx(again.to_onnx()), model)):
                got, wanted = (
                    each if isinstance(each, list) else [each] for each in [one.predict(data), other.predict(data)]
                )
                for ours, theirs in zip(got, wanted, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_some_of_the_outputs():
    nodes = [node("Relu", "x", "r"), node("TopK", "x k", "y i"), node("Tanh", "r", "z")]
    model = made(nodes, (4,), {"k": np.array([2])}, outputs="y z")
    assert kinds(compare(model, outputs=["z"])) == ["Activation", "Activation"]
    assert len(fastnn.from_onnx(model, outputs=["z", "r"]).outputs) == 2
    with pytest.raises(ValueError, match=r"no value \['nothing'\]"):
        fastnn.from_onnx(model, outputs=["nothing"])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("TopK", "x k", "y i", dict(name="best"))],
            r"node 'best' \(TopK\) cannot be read: .*not supported.*Supported: Abs",
        ),
        ([("Conv", "x w", "y", {})], r"the one that makes y.*\(Conv\).*not supported"),
        ([("Transpose", "x", "y", dict(perm=[1, 0]))], "moves the batch"),
        ([("Reshape", "x merged", "y", {})], "no batch as its first axis|samples of a batch"),
        ([("ReduceMean", "x", "y", dict(axes=[0]))], "counts the samples"),
        ([("ReduceMean", "x", "y", {})], "counts the samples"),
        ([("Gemm", "x w", "y", dict(transA=1))], "transA=0"),
        ([("Gemm", "x x", "y", dict(transB=1))], "constant matrix"),
        ([("Slice", "x k k", "y", {})], "some of the samples"),
        (
            [("Shape", "x", "s", {}), ("Cast", "s", "t", dict(to=1)), ("Mul", "x t", "y", {})],
            "samples in the batch|batch",
        ),
        ([("Identity", "w", "y", {})], "does not depend on the samples"),
    ],
)
def test_what_cannot_be_read_is_refused(nodes, message):
    constants = {"k": np.array([2]), "w": weights(4, 3), "merged": np.array([-1, 2])}
    model = made([node(*each[:3], **each[3]) for each in nodes], (4,), constants)
    with pytest.raises(ValueError, match=message):
        fastnn.from_onnx(model)


def test_bad_files_and_inputs_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        fastnn.from_onnx(tmp_path / "nowhere.onnx")
    for content in (b"", b"no model", made([], (4,)).SerializeToString()[:-9]):
        with pytest.raises(ValueError, match="no ONNX model, or damaged"):
            fastnn.from_onnx(content)
    with pytest.raises(TypeError, match="Received: int"):
        fastnn.from_onnx(3)
    relu = [node("Relu", "x", "y")]
    with pytest.raises(ValueError, match="opset 8; this reads opset 9"):
        fastnn.from_onnx(made(relu, (4,), opset=8))
    open_shape = made(relu, ("features",))
    with pytest.raises(ValueError, match="input_shapes"):
        fastnn.from_onnx(open_shape)
    assert fastnn.from_onnx(open_shape, input_shapes={"x": (4,)}).input_shape == (None, 4)
    with pytest.raises(ValueError, match=r"no input \['z'\]"):
        fastnn.from_onnx(made(relu, (4,)), input_shapes={"z": (4,)})


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_are_refused_or_read(data):
    nodes = [
        node("Gemm", "x w b", "1"), node("Shape", "1", "2"), node("Slice", "2 zero one", "3"),
        node("Concat", "3 rest", "4", axis=0), node("Reshape", "1 4", "5"), node("Softmax", "5", "6"),
        node("LayerNormalization", "6 scale", "7"), node("ReduceMean", "7", "y", axes=[1]),
    ]  # fmt: skip
    constants = {"w": weights(4, 6), "b": weights(6), "scale": weights(3), "zero": np.array([0]), "one": np.array([1])}
    content = bytearray(made(nodes, (4,), constants | {"rest": np.array([2, 3])}).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        fastnn.from_onnx(bytes(content))


def test_what_pytorch_exports(tmp_path):
    torch = pytest.importorskip("torch", reason="exports real modules")
    pytest.importorskip("onnxscript", reason="PyTorch exports with it")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.first = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Dropout(0.2))
            self.inner = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU(), nn.PReLU(8), nn.Hardswish())
            self.last = nn.Linear(16, 3, bias=False)

        def forward(self, x):
            hidden = self.first(x)
            hidden = torch.cat([hidden + self.inner(hidden), hidden * 2.0], dim=1)
            scores = self.last(hidden.reshape(hidden.shape[0], -1))
            return torch.softmax(scores / 1.5, dim=-1), torch.nn.functional.leaky_relu(hidden, 0.1).mean(
                dim=1, keepdim=True
            )

    torch.manual_seed(0)
    module = Net()
    module(torch.randn(16, 3, 4))  # moves the statistics
    module.eval()
    x = torch.randn(7, 3, 4)
    for dynamo in (True, False):
        path = tmp_path / f"{dynamo}.onnx"
        shapes = (
            {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (x,), path, input_names=["x"], dynamo=dynamo, verbose=False, **shapes)
        model = fastnn.from_onnx(path)
        for one in (model, model.freeze()):
            for ours, theirs in zip(one.predict(x.numpy()[:5]), module(x[:5]), strict=True):
                np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_what_scikit_learn_exports():
    skl2onnx = pytest.importorskip("skl2onnx", reason="exports scikit-learn's networks")
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = weights(60, 4), RANDOM.integers(0, 3, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = make_pipeline(StandardScaler(), MLPClassifier((8, 6), "tanh", max_iter=5)).fit(x, labels)
        regressor = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5).fit(x, x.sum(1))
        options = {"zipmap": False}
        exported = skl2onnx.to_onnx(classifier, x[:1], options={id(classifier): options})
        frozen = fastnn.from_onnx(exported, outputs=["probabilities"]).freeze()
        np.testing.assert_allclose(frozen(x), classifier.predict_proba(x), rtol=1e-4, atol=1e-5)
        frozen = fastnn.from_onnx(skl2onnx.to_onnx(regressor, x[:1])).freeze()
        np.testing.assert_allclose(frozen(x), regressor.predict(x)[:, None], rtol=1e-4, atol=1e-5)
