"""Models and predictors as ONNX models: ONNX Runtime computes what the engine does."""

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers, ops

onnx = pytest.importorskip("onnx", reason="ONNX models are read and written with the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="ONNX models are run with ONNX Runtime")

RANDOM = np.random.default_rng(1)


def run(model, *arrays):
    """What ONNX Runtime answers, after ONNX's own checks."""
    onnx.checker.check_model(model, full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))


def randomised(model):
    """Weights that are not what layers begin with, so that each of them counts."""
    for variable in model.weights:
        low = 0.5 if "variance" in variable.path else -0.7
        variable.assign(RANDOM.uniform(low, 1.0, variable.shape))
    return model


def arrays_for(model, samples=5, low=-2.0, high=2.0):
    return [RANDOM.uniform(low, high, (samples, *each.shape[1:])).astype(np.float32) for each in model.inputs]


def compare(model, arrays=None, opset=17, tolerance=1e-5):
    """The model, and what is frozen of it, beside ONNX Runtime; two batch sizes."""
    arrays = arrays or arrays_for(model)
    for network in (model, model.freeze()):
        exported = network.to_onnx(opset=opset)
        for count in (len(arrays[0]), 1):
            data = [each[:count] for each in arrays]
            wanted = network.predict(data[0] if len(data) == 1 else data)
            wanted = [wanted[key] for key in sorted(wanted)] if isinstance(wanted, dict) else wanted
            wanted = wanted if isinstance(wanted, list) else [wanted]
            for ours, theirs in zip(wanted, run(exported, *data), strict=True):
                assert ours.shape == theirs.shape
                np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)
    return exported


def sequential(shape, *stack):
    return randomised(fastnn.Sequential([fastnn.Input(shape), *stack]))


def book():
    stack = [layers.Flatten(), layers.BatchNormalization()]
    for units in (12, 9):
        stack += [layers.Dense(units, "elu", kernel_initializer="he_normal"), layers.BatchNormalization()]
    return sequential((4, 3), *stack, layers.Dropout(0.3), layers.Dense(5, "softmax"))


@pytest.mark.parametrize("opset", [13, 17, 18, 20, 24])
def test_the_usual_network_at_every_opset(opset):
    model = book()
    model.add(layers.LayerNormalization())
    x = fastnn.Input((7,))
    heads = [layers.Dense(2, name)(x) for name in ("relu", "selu", "silu", "gelu", "mish", "softplus", "tanh")]
    heads += [activations.gelu(x, approximate=True), ops.max(x, -1, keepdims=True), ops.mean(x, -1, keepdims=True)]
    several = randomised(fastnn.Model(x, layers.concatenate(heads)))
    for each in (model, several):
        exported = compare(each, opset=opset)
        assert [(each.domain, each.version) for each in exported.opset_import] == [("", opset)]


def test_every_activation():
    x = fastnn.Input((6,))
    outputs = [layers.Activation(name)(x) for name in sorted(activations.FUNCTIONS) if name != "threshold"]
    outputs += [activations.threshold(x, 0.3, -1.0), activations.softmax(ops.reshape(x, (-1, 2, 3)), 1)]
    outputs += [layers.LeakyReLU(0.17)(x), layers.ELU(0.6)(x), layers.ReLU(1.2, 0.1, 0.4)(x), layers.PReLU()(x)]
    outputs += [layers.RReLU(0.1, 0.3)(x), layers.ThresholdedReLU(0.5)(x)]
    compare(randomised(fastnn.Model(x, outputs)))


def test_every_primitive():
    x = fastnn.Input((6,))
    unary = "negative abs sign sqrt exp expm1 log log1p tanh sigmoid erf sin cos arctan floor round".split()
    outputs = [getattr(ops, name)(x) for name in unary]
    outputs += [getattr(ops, name)(x, 0.8) for name in "add subtract multiply divide maximum minimum power".split()]
    outputs += [ops.where(getattr(ops, name)(x, 1.0), x, -1.0) for name in "less less_equal equal greater".split()]
    outputs += [ops.less(x, 1.0) * 2.0, ops.stop_gradient(x), ops.softplus(x), ops.isnan(x), ops.cast(x, "int32")]
    model = fastnn.Model(x, outputs)
    compare(model, [np.concatenate([np.ones((1, 6), np.float32), RANDOM.uniform(0.2, 2, (4, 6)).astype(np.float32)])])


def test_layers_that_work_on_more_axes():
    sample = layers.Dense(4, "relu"), layers.BatchNormalization(), layers.Dense(3, use_bias=False), layers.Softmax()
    compare(sequential((2, 5), *sample))
    names = (
        layers.BatchNormalization(axis=1),
        layers.BatchNormalization(axis=[1, 2]),
        layers.LayerNormalization(axis=[1, 2]),
        layers.Permute((2, 1)),
    )
    compare(sequential((3, 4), *names, layers.UnitNormalization(), layers.Reshape((2, 6)), layers.PReLU(shared_axes=1)))
    norms = layers.RMSNormalization(), layers.LayerNormalization(rms_scaling=True), layers.GroupNormalization(2)
    compare(sequential((3, 4), *norms, layers.Normalization(mean=0.3, variance=2.0), layers.Rescaling(0.5, 0.1)))
    noise = layers.GaussianNoise(0.1), layers.GaussianDropout(0.1), layers.AlphaDropout(0.1), layers.Identity()
    compare(sequential((6,), *noise, layers.ActivityRegularization(0.1), layers.RepeatVector(3)))


def test_networks_of_several_inputs_and_outputs():
    a, b = fastnn.Input((5,), name="wide"), fastnn.Input((5,), name="deep")
    merged = [getattr(layers, name)([a, b]) for name in "add subtract multiply average maximum minimum".split()]
    merged += [layers.concatenate([a, b]), layers.Dot(1, normalize=True)([a, b]), a]
    rows = [layers.Reshape((5, 1))(each) for each in (a, b)]
    merged += [layers.Dot((2, 2))(rows), layers.Dot((1, 1))(rows), layers.Concatenate(1)(rows)]
    exported = compare(fastnn.Model([a, b], [*merged, merged[0]]))
    assert [each.name for each in exported.graph.input] == ["wide", "deep"]
    model = fastnn.Model({"x": a, "b": b}, {"sum": merged[0], "product": merged[2]})
    exported = model.to_onnx()
    assert [each.name for each in exported.graph.input] == ["b", "x"]
    assert [each.name for each in exported.graph.output] == ["product", "sum"]
    assert exported.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_values_that_are_moved():
    x = fastnn.Input((4, 6))
    outputs = [ops.transpose(x, (0, 2, 1)), x[:, 1:3, ::2], x[:, ::-1, -1], x[:, 3:0:-2], ops.repeat(x, 2, 1)]
    outputs += [ops.tile(x, (1, 1, 3)), ops.broadcast_to(ops.expand_dims(x, 1), (None, 2, 4, 6)), ops.roll(x, 2, 2)]
    outputs += [ops.flip(x, 2), ops.concatenate([x, ops.ones((4, 2))], 2), ops.pad(x, ((0, 0), (1, 0), (0, 2)))]
    outputs += [ops.take(x, [2, 0, 0], 1), ops.argmax(x, 1), ops.argmin(x, -1, keepdims=True), ops.min(x, 2)]
    outputs += [ops.matmul(x, np.ones((6, 2), np.float32)), ops.matmul(x, ops.transpose(x, (0, 2, 1)))]
    outputs += [ops.einsum("bij,kj->bik", x, np.ones((3, 6), np.float32)), ops.cumsum(x, 1), ops.sum(x, (1, 2))]
    compare(fastnn.Model(x, outputs))


def test_numbers_of_categories():
    x = fastnn.Input((3,))
    outputs = [layers.Embedding(5, 4)(x), layers.Discretization([0.5, 2.0])(x)]
    outputs += [layers.CategoryEncoding(4, mode)(x) for mode in ("one_hot", "multi_hot", "count")]
    compare(randomised(fastnn.Model(x, outputs)), [np.array([[0, 1, 1], [4, 2, 0], [3, 3, 3]], np.float32)])


def test_own_layers_that_branch_on_training_and_share_weights():
    class Branching(layers.Layer):
        def call(self, x, training=None):
            return x * 2.0 if training else ops.tanh(x) + 1.0

    x, dense = fastnn.Input((6,)), layers.Dense(6)
    hidden = Branching()(dense(dense(x)))
    model = randomised(fastnn.Model(x, [layers.DenseTranspose(dense)(hidden), dense(ops.reshape(hidden, (-1, 1, 6)))]))
    exported = model.to_onnx()
    assert sum(tuple(each.dims) == (6, 6) for each in exported.graph.initializer) == 1
    compare(model)


def test_subclasses_and_models_that_data_have_built():
    class Own(fastnn.Model):
        def __init__(self):
            super().__init__(name="own")
            self.first, self.heads = layers.Dense(4, "gelu"), [layers.Dense(2), layers.Dense(3)]

        def call(self, x):
            hidden = self.first(x)
            return {"two": self.heads[0](hidden), "three": self.heads[1](hidden)}

    own = Own()
    own.build((None, 5))
    exported = compare(randomised(own))
    assert {each.name for each in own.to_onnx().graph.output} == {each.name for each in exported.graph.output}
    stack = fastnn.Sequential([layers.Dense(3), layers.Dense(2)])
    with pytest.raises(ValueError, match="not built"):
        stack.to_onnx()
    stack.predict(np.ones((2, 4)), verbose=0)
    compare(stack)


def test_the_file_and_what_it_says(tmp_path):
    model = book()
    path = tmp_path / "book.onnx"
    returned = model.freeze().to_onnx(path)
    loaded = onnx.load(path)
    assert loaded == returned
    assert (loaded.producer_name, loaded.producer_version) == ("fastnn", fastnn.__version__)
    assert loaded.graph.name == model.name
    assert "4 x 3" in loaded.graph.input[0].doc_string
    assert [each.op_type for each in loaded.graph.node] == [
        "Flatten", "Gemm", "Elu", "Gemm", "Elu", "Gemm", "Softmax",
    ]  # fmt: skip


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 1e-5), ("int8", 2e-3)])
def test_rounded_weights_are_written_as_they_run(precision, tolerance):
    model = book()
    (x,) = arrays_for(model)
    frozen = model.freeze(precision=precision)
    exported = frozen.to_onnx()
    np.testing.assert_allclose(run(exported, x)[0], frozen.predict(x), rtol=tolerance, atol=tolerance)
    assert np.abs(run(exported, x)[0] - model.predict(x)).max() > 1e-5
    assert f"stored in {precision}" in exported.doc_string
    stored = {each.data_type for each in exported.graph.initializer if len(each.dims) == 2}
    assert stored == {getattr(onnx.TensorProto, precision.upper())}
    again = fastnn.from_onnx(exported)
    np.testing.assert_allclose(again.predict(x, verbose=0), run(exported, x)[0], rtol=1e-5, atol=1e-6)


def test_runtimes_convert_rounded_weights_when_they_load(tmp_path):
    """And not in each call."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    for precision in "float16", "int8":
        exported = book().freeze(precision=precision).to_onnx()
        assert "Cast" in [each.op_type for each in exported.graph.node]
        runtime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
        left = [each.op_type for each in onnx.load(tmp_path / "optimized.onnx").graph.node]
        assert not {"Cast", "Mul"} & set(left)


def test_what_cannot_be_written_is_refused(tmp_path):
    model = book()
    for opset in (12, 999, True, "17"):
        with pytest.raises(ValueError, match="from 13 to"):
            model.to_onnx(opset=opset)
    with pytest.raises(FileNotFoundError):
        model.to_onnx(tmp_path / "nowhere" / "model.onnx")
    x = fastnn.Input((3,), name="x")
    with pytest.raises(ValueError, match="'noisy' is called with training=True"):
        fastnn.Model(x, layers.Dropout(0.5, name="noisy")(x, training=True)).to_onnx()
    lookup = layers.IntegerLookup(vocabulary=[3, 5], name="table")
    with pytest.raises(ValueError, match="'table' looks up"):
        fastnn.Model(x, looked_up := lookup(x)).to_onnx()
    y = layers.Embedding(4, 2)(looked_up)
    compare(randomised(fastnn.Model(lookup.output, y)), [np.array([[0, 1, 2], [2, 2, 2]], np.float32)])


def test_without_the_package_a_message_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn\[onnx\]'"):
        book().to_onnx()


def test_by_the_name_that_keras_has(tmp_path, capsys):
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    model.export(tmp_path / "a.onnx", format="onnx", opset_version=15)
    assert "Saved artifact at" in capsys.readouterr().out
    model.to_onnx(tmp_path / "b.onnx", opset=15)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    model.export(tmp_path / "a.onnx", "onnx", verbose=False)
    assert not capsys.readouterr().out
    with pytest.raises(ValueError, match=r"format='onnx'\).*Received: format='tf_saved_model'"):
        model.export(tmp_path / "saved")
    with pytest.raises(ValueError, match="takes `opset_version`.*Received: opset"):
        model.export(tmp_path / "a.onnx", "onnx", opset=15)
    with pytest.raises(ValueError, match="leave out `input_signature`"):
        model.export(tmp_path / "a.onnx", "onnx", input_signature=[(None, 3)])


@pytest.mark.parametrize("name", ["model.keras", "model.fnn", "model.weights.h5"])
def test_names_of_other_formats_are_refused(tmp_path, name):
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    with pytest.raises(ValueError, match="ends in '.onnx'"):
        model.to_onnx(tmp_path / name)
    assert not list(tmp_path.iterdir())
