"""Precisions of layers: as told, calibrated, measured, chosen; and what is reported of them."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers
from fastnn.freeze import from_image
from fastnn.freeze import precision as precision_module
from fastnn.freeze.calibrate import ranges
from fastnn.freeze.evaluation import outputs_of
from fastnn.freeze.fold import fold
from fastnn.freeze.pack import pack

from ..export.compiled import Library
from .test_fold_graphs import KINDS, random_model

RANDOM = np.random.default_rng


def classifier(seed=0, activation="softmax"):
    fastnn.utils.set_random_seed(seed)
    stack = [
        layers.BatchNormalization(name="norm"),
        layers.Dense(80, "relu", name="first"),
        layers.Dense(70, "tanh", name="second"),
        layers.Dense(5, activation, name="last"),
    ]
    return fastnn.Sequential([fastnn.Input((90,)), *stack], name="net")


def outlier():
    """int8 ruins the second layer: each unit has a weight a thousand times larger than the others, on an input that is
    tiny; and so that no scaling of inputs helps, each input has such a weight to the first unit."""
    model = classifier(activation=None)
    kernel, bias = model.get_layer("first").get_weights()
    kernel[:, 7] *= 1e-5
    model.get_layer("first").set_weights([kernel, bias])
    kernel, bias = model.get_layer("second").get_weights()
    kernel[7], kernel[:, 0] = 1e3 * np.sign(kernel[7]), 1e3 * np.sign(kernel[:, 0])
    model.get_layer("second").set_weights([kernel, bias])
    return model


def samples(rows=400, features=90, seed=1):
    return RANDOM(seed).normal(size=(rows, features)).astype(np.float32)


def packed_nodes(frozen):
    return {node.output.name: node for node in frozen.graph.nodes if node.operation.name == "packed_dense"}


# ---- ranges ----------------------------------------------------------------------------------------------------------


def test_ranges_are_the_largest_that_each_layer_reads():
    model, x = classifier(), samples(2500)
    frozen = model.freeze("int8", calibration_data=x)
    values, expected = x.astype(np.float64), {}
    values /= np.sqrt(1 + model.get_layer("norm").epsilon)
    for name, function in [("first", lambda z: np.maximum(z, 0)), ("second", np.tanh), ("last", None)]:
        kernel, bias = model.get_layer(name).get_weights()
        expected[name] = np.abs(x if name == "first" else values).max()  # the scaling is folded into the first layer
        values = values @ kernel + bias
        values = function(values) if function else values
    found = {name: node.attributes["range"] for name, node in packed_nodes(frozen).items()}
    assert found == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
    assert [each.range for each in frozen.report.layers] == list(found.values())
    again = from_image(frozen.image)
    assert {name: node.attributes["range"] for name, node in packed_nodes(again).items()} == found


def test_what_is_beyond_a_range_is_cut_off():
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 64)
    model = fastnn.Sequential([fastnn.Input((64,)), layers.Dense(64, kernel_initializer="identity")])
    frozen = model.freeze("int8", calibration_data=x)
    np.testing.assert_allclose(frozen(x), x, atol=1e-4)
    np.testing.assert_allclose(frozen(3 * x), np.clip(3 * x, -1, 1), atol=1e-4)
    np.testing.assert_allclose(model.freeze("int8")(3 * x), 3 * x, atol=3e-4)


def test_ranges_of_several_inputs_and_of_nothing():
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((3,), name="b")
    model = fastnn.Model({"a": a, "b": b}, {"y": layers.Dense(2, name="one")(a), "z": layers.Dense(2, name="two")(b)})
    frozen = model.freeze("int8", {"a": np.full((5, 4), -3.0), "b": np.zeros((5, 3))})
    assert {name: node.attributes["range"] for name, node in packed_nodes(frozen).items()} == {"one": 3.0, "two": None}
    batches = ({"a": np.full((2, 4), float(n)), "b": np.full((2, 3), -0.5)} for n in range(4))
    frozen = model.freeze("int8", batches)
    assert {name: node.attributes["range"] for name, node in packed_nodes(frozen).items()} == {"one": 3.0, "two": 0.5}


def test_ranges_of_inputs_that_are_made_alike():
    """Where one input's weights are huge, int8 scales the inputs first: the range is that of what it reads."""
    model, x = classifier(), samples()
    kernel, bias = model.get_layer("second").get_weights()
    kernel[7] *= 900
    model.get_layer("second").set_weights([kernel, bias])
    frozen = model.freeze("int8", calibration_data=x, validation_data=x, tolerance=0.05)
    scaling = next(node for node in frozen.graph.nodes if node.operation.name == "affine")
    hidden = fastnn.Model(model.inputs, model.get_layer("first").output).predict(x, verbose=0)
    expected = np.abs(hidden * scaling.variables["scale"].numpy()).max()
    assert packed_nodes(frozen)["second"].attributes["range"] == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(np.abs(hidden).max(), rel=0.01)


def test_calibration_refuses_what_is_not_finite():
    x = samples(10)
    x[3, 4] = np.inf
    with pytest.raises(ValueError, match="calibration_data: what 'first' reads has infinities or NaN"):
        classifier().freeze("int8", calibration_data=x)


# ---- as told ---------------------------------------------------------------------------------------------------------


def test_a_precision_for_each_layer():
    model, x = classifier(), samples()
    told = {"first": "int8", "second": "float16"}
    frozen = model.freeze(told, validation_data=x)
    assert {name: node.attributes["precision"] for name, node in packed_nodes(frozen).items()} == {
        **told,
        "last": "float32",
    }
    assert [each.precision for each in frozen.report.layers] == ["int8", "float16", "float32"]
    assert frozen.precision == "mixed"
    sizes = [90 * 80 + 8 * 80, 2 * 80 * 70 + 4 * 70, 4 * 71 * 5]
    assert [each.bytes for each in frozen.report.layers] == sizes
    first, second, last = (each.error for each in frozen.report.layers)
    assert 0.05 > first > second > 0
    assert last is None
    uniform = model.freeze("int8", validation_data=x)
    assert uniform.report.outputs[0].relative > frozen.report.outputs[0].relative > second


def test_errors_alone_are_those_of_a_network_with_one_such_layer():
    model, x = classifier(), samples()
    report = model.freeze("int8", validation_data=x).report
    for each in report.layers:
        alone = model.freeze({each.name: "int8"}, validation_data=x).report
        assert alone.outputs[0].relative == pytest.approx(each.error, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float8"}, "Received: precision='float8'"),
        ({"precision": {"first": "mixed"}}, "Received: precision={'first': 'mixed'}"),
        ({"precision": {"norm": "int8"}}, "are 'first', 'second', 'last'. Received a dictionary with 'norm'"),
        ({"precision": {"secnd": "int8"}}, "that are not there. Did you mean 'second'"),
        ({"precision": "mixed"}, "pass some hundred samples"),
        ({"precision": "int8", "tolerance": 0.1}, "needs validation_data"),
        ({"precision": "int8", "tolerance": -1}, "Received: tolerance=-1"),
        ({"precision": "int8", "validation_data": np.ones((3, 5)), "tolerance": 2}, "0.002: 0.2 percentage points"),
        ({"precision": "int8", "tolerance": True}, "Received: tolerance=True"),
        ({"validation_data": (1, 2, 3)}, "a tuple of 3"),
        ({"calibration_data": (samples(9), np.zeros(9))}, "samples alone, calibration_data=x. Received: a tuple of 2"),
        ({"validation_data": (samples(9), np.zeros(8, int))}, "8 targets for 9 samples"),
        ({"validation_data": (samples(9), np.full(9, 5))}, "5"),
        ({"validation_data": (samples(9), np.zeros((9, 4)))}, r"expected the shape \(9,\). Received: \(9, 4\)"),
        ({"validation_data": samples(9, 89)}, "validation_data"),
        ({"validation_data": samples(0)}, "validation_data"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        classifier().freeze(**options)


# ---- what is reported ------------------------------------------------------------------------------------------------


def test_report_of_a_classifier():
    model, x = classifier(), samples(1000)
    y = RANDOM(0).integers(0, 5, 1000)
    frozen = model.freeze("int8", validation_data=(x, y))
    (output,) = frozen.report.outputs
    before, after = model.predict(x, verbose=0), frozen.predict(x)
    assert output.largest == pytest.approx(np.abs(before - after).max(), rel=1e-6)
    assert output.relative == pytest.approx(np.linalg.norm(before - after) / np.linalg.norm(before), rel=1e-4)
    assert output.changed == np.mean(before.argmax(1) != after.argmax(1)) > 0
    assert output.accuracy == (np.mean(before.argmax(1) == y), np.mean(after.argmax(1) == y))
    assert output.lost == output.accuracy[0] - output.accuracy[1] == frozen.report.loss
    assert frozen.report.samples == 1000
    one_hot = model.freeze("int8", validation_data=(x, np.eye(5)[y])).report
    assert one_hot.outputs == frozen.report.outputs
    column = model.freeze("int8", validation_data=(x, y[:, None])).report
    assert column.outputs == frozen.report.outputs


def test_logits_sigmoid_and_regression():
    x = samples(300)
    logits = classifier(activation=None)
    y = logits.predict(x, verbose=0).argmax(1)
    (output,) = logits.freeze("int8", validation_data=(x, y)).report.outputs
    assert output.accuracy[0] == 1
    assert output.accuracy[1] == 1 - output.changed
    (output,) = logits.freeze("int8", validation_data=(x, np.zeros((300, 5)))).report.outputs
    assert output.accuracy is output.changed is None
    (one_hot,) = logits.freeze("int8", validation_data=(x, np.eye(5)[y])).report.outputs
    assert one_hot.accuracy == (1, 1 - one_hot.changed)
    found = logits.freeze("int8").predict(x)
    assert output.rmse[1] == pytest.approx(np.sqrt(np.mean(np.square(found))), rel=1e-5)
    model = classifier(activation="sigmoid")
    (output,) = model.freeze("float16", validation_data=(x, model.predict(x, verbose=0) > 0.5)).report.outputs
    assert output.accuracy == (1, 1 - output.changed)


def several_outputs():
    a, b = fastnn.Input((70,), name="a"), fastnn.Input((3,), name="b")
    y = layers.Dense(64, "relu", name="both")(layers.Concatenate()([a, b]))
    return fastnn.Model([a, b], [layers.Dense(1, name="value")(y), layers.Dense(4, "softmax", name="kind")(y), b])


def test_several_inputs_and_outputs():
    model, x = several_outputs(), [samples(50, 70), samples(50, 3)]
    y = [np.zeros(50), RANDOM(0).integers(0, 4, 50), None]
    for targets in (y, {"value": y[0], "kind": y[1]}):
        frozen = model.freeze("int8", validation_data=(x, targets))
        value, kind, same = frozen.report.outputs
        assert [each.name for each in frozen.report.outputs[:2]] == ["value", "kind"]
        assert value.accuracy is None is kind.rmse
        assert value.rmse is not None is not kind.accuracy
        assert same.largest == 0
        assert frozen.report.loss == kind.lost
    with pytest.raises(ValueError, match="3 outputs"):
        model.freeze(validation_data=(x, y[0]))


def test_reports_are_kept_in_files():
    model, x = classifier(), samples(100)
    frozen = model.freeze("int8", x, (x, np.zeros(100, int)), tolerance=1.0)
    text = str(frozen.report)
    for expected in (
        "norm folded into first",
        "second",
        "int8",
        "accuracy",
        "points)",
        "on 100 samples",
        "tolerance 1",
    ):
        assert expected in text
    assert frozen.report.folding.difference[1] < 1e-5
    for again in (from_image(frozen.image), copy.deepcopy(frozen)):
        assert str(again.report) == text
        assert again.report.outputs[0].lost == frozen.report.outputs[0].lost
        assert again.report.folding.kept == frozen.report.folding.kept
    assert str(model.freeze().report).count("\n") > 4


def test_summary(capsys):
    frozen = classifier().freeze({"first": "int8"})
    frozen.summary()
    output = capsys.readouterr().out
    assert "'net': (None, 90) -> (None, 5)" in output
    assert "│ first (packed_dense)" in output
    assert "│ int8 " in output
    assert " Total: 13,305 parameters, 31,940 bytes" in output
    assert output.endswith(" norm folded into first, which follows it\n")


# ---- tolerance and choice --------------------------------------------------------------------------------------------


def test_a_missed_tolerance_is_refused_with_numbers():
    model, x = outlier(), samples()
    with pytest.raises(
        ValueError, match=r"precision='int8', the relative RMS error of its outputs is \d\S*, on 400"
    ) as e:
        model.freeze("int8", validation_data=x, tolerance=0.02)
    assert "Permitted: tolerance=0.02 of relative error" in str(e.value)
    assert "alone: 'second' (int8: " in str(e.value)
    assert 'precision="mixed"' in str(e.value)
    y = model.predict(x, verbose=0).argmax(1)
    with pytest.raises(ValueError, match=r"its accuracy falls from 100\.00% to \d\d\.\d\d%, by 0\.\d+, on 400 samples"):
        model.freeze("int8", validation_data=(x, y), tolerance=0.002)
    with pytest.raises(ValueError, match="That is in float32"):
        model.freeze(validation_data=x, tolerance=1e-12)
    frozen = model.freeze(validation_data=x, tolerance=1e-5)
    assert 0 < frozen.report.loss < 1e-5


@pytest.mark.parametrize("labelled", [True, False])
def test_mixed_meets_the_tolerance_that_int8_misses(labelled):
    model, x = outlier(), samples()
    data = (x, model.predict(x, verbose=0).argmax(1)) if labelled else x
    told = 0.02 if labelled else None
    frozen = model.freeze("mixed", validation_data=data, tolerance=told)
    precisions = {each.name: each.precision for each in frozen.report.layers}
    assert precisions == {"first": "int8", "second": "float32", "last": "float32"}
    assert frozen.report.loss <= frozen.report.tolerance == 0.02
    assert model.freeze("int8", validation_data=data).report.loss > 0.1
    again = model.freeze("mixed", validation_data=data, tolerance=told)
    assert bytes(again.image) == bytes(frozen.image)


def test_accuracy_and_error_are_limited_together():
    model, x = outlier(), samples()
    data = (x, model.predict(x, verbose=0).argmax(1))
    by_accuracy = model.freeze("mixed", validation_data=data, tolerance=1).report
    assert by_accuracy.losses["error"] > 0.1
    assert by_accuracy.loss == by_accuracy.losses["accuracy"]
    both = model.freeze("mixed", validation_data=data, tolerance={"accuracy": 1, "error": 0.02})
    assert both.report.losses["error"] <= 0.02
    assert "tolerance 0.02 of relative error: kept with" in str(both.report)
    assert from_image(both.image).report.limits == both.report.limits == {"accuracy": 1, "error": 0.02}
    with pytest.raises(ValueError, match=r"relative RMS error of its outputs is .*tolerance=0\.02 of relative error\."):
        model.freeze("int8", validation_data=data, tolerance={"accuracy": 1, "error": 0.02})
    with pytest.raises(
        ValueError, match=r"falls from.*, and the relative.*tolerance=0 of accuracy and 0\.02 of relative"
    ):
        model.freeze("int8", validation_data=data, tolerance={"accuracy": 0, "error": 0.02})
    with pytest.raises(ValueError, match="needs labels"):
        model.freeze("int8", validation_data=x, tolerance={"accuracy": 0.1})
    for wrong in {}, {"accuracy": -1}, {"loss": 0.1}, {"error": None}:
        with pytest.raises(ValueError, match="Received: tolerance="):
            model.freeze(validation_data=data, tolerance=wrong)


def test_outputs_without_labels_are_not_forgotten():
    """Beside a classifier that may lose all of its accuracy."""
    model, x = several_outputs(), [samples(50, 70), samples(50, 3)]
    kind = RANDOM(0).integers(0, 4, 50)
    report = model.freeze("mixed", validation_data=(x, {"kind": kind}), tolerance=1).report
    assert report.limits == {"accuracy": 1, "error": 0.02}
    assert report.losses["error"] <= 0.02
    assert model.freeze("mixed", validation_data=(x, {"kind": kind})).report.limits == {
        "accuracy": 0.002,
        "error": 0.02,
    }


def test_mixed_raises_as_far_as_it_has_to():
    model, x = classifier(activation=None), samples()
    all_int8 = model.freeze("mixed", calibration_data=x)
    assert [each.precision for each in all_int8.report.layers] == ["int8", "int8", "float32"]
    assert all_int8.report.outputs == model.freeze("mixed", calibration_data=iter([x[:150], x[150:]])).report.outputs
    assert packed_nodes(all_int8)["first"].attributes["range"] is not None
    worst = max(all_int8.report.layers[:2], key=lambda each: each.error**2 / (each.inputs * each.units))
    one = model.freeze("mixed", validation_data=x, tolerance=0.99 * all_int8.report.loss)
    assert [each.precision for each in one.report.layers].count("int8") == 1
    assert {each.name: each.precision for each in one.report.layers}[worst.name] == "float32"
    assert one.report.loss <= one.report.tolerance
    none = model.freeze("mixed", validation_data=x, tolerance=1e-5)
    assert none.precision == "float32"
    with pytest.raises(ValueError, match="That is in float32"):
        model.freeze("mixed", validation_data=x, tolerance=0)


def test_mixed_goes_by_float16_where_there_are_many_weights(monkeypatch):
    monkeypatch.setattr(precision_module, "LARGE", 80 * 70)
    model, x = outlier(), samples()
    frozen = model.freeze("mixed", validation_data=x)
    assert [each.precision for each in frozen.report.layers] == ["int8", "float16", "float32"]
    kernel, bias = model.get_layer("second").get_weights()
    kernel[7] *= 100  # beyond float16
    model.get_layer("second").set_weights([kernel, bias])
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        model.freeze("float16")
    frozen = model.freeze("mixed", validation_data=x)
    assert frozen.report.layers[1].precision == "float32"
    kernel[7, 7] = np.nan
    model.get_layer("second").set_weights([kernel, bias])
    assert model.freeze("mixed", validation_data=x).report.layers[1].precision == "float32"


def test_digits_keep_their_accuracy():
    fastnn.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = fastnn.datasets.digits.load_data()
    stack = [layers.Flatten(), layers.Rescaling(1 / 16), layers.Dense(100, "relu"), layers.Dense(70, "relu")]
    model = fastnn.Sequential([fastnn.Input(x.shape[1:]), *stack, layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=12, verbose=0)
    for options in (
        {"precision": "float16"},
        {"precision": "int8"},
        {"precision": "int8", "calibration_data": x[:200]},
    ):
        report = model.freeze(**options, validation_data=(x_test, y_test), tolerance=0.003).report
        assert report.outputs[0].accuracy[0] > 0.93
        assert report.outputs[0].changed < 0.01


# ---- outputs that are inputs -----------------------------------------------------------------------------------------

GRAPHS = {
    "the other input": lambda x, y: [layers.Dense(3)(x), layers.Identity()(y)],
    "the first input": lambda x, y: [layers.Dense(3)(y), layers.Identity()(x)],
    "reshaped and as it is": lambda x, y: [layers.Reshape((2, 3))(x), layers.Identity()(x)],
    "read and as it is": lambda x, y: [layers.Dense(3)(x), layers.Identity()(x)],
    "swapped": lambda x, y: [y, x],
    "twice": lambda x, y: [x, x, layers.Flatten()(layers.Reshape((3, 2))(y)), layers.Dense(3)(y)],
}


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", GRAPHS)
def test_inputs_as_outputs(name, precision):
    ends = [fastnn.Input((6,)), fastnn.Input((6,))]
    model = fastnn.Model(ends, GRAPHS[name](*ends))
    frozen = model.freeze(precision)
    for rows in (1, 5, 300):
        x = [samples(rows, 6, seed) for seed in (1, 2)]
        for one, other in zip(model.predict(x, verbose=0), frozen.predict(x), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-5 if precision == "float32" else 0.05)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(KINDS), min_size=1, max_size=8), st.sampled_from([1, 17]))
def test_random_graphs_with_inputs_as_outputs(seed, steps, rows):
    """Whatever is an output, the inputs among them too, however often and in any order."""
    random = RANDOM(seed)
    model = random_model(seed, steps)
    ends = [*model.outputs, *(model.inputs[number] for number in random.integers(len(model.inputs), size=2))]
    model = fastnn.Model(model.inputs, [ends[number] for number in random.permutation(len(ends))])
    x = [random.normal(size=(rows, *each.shape[1:])).astype(np.float32) for each in model.inputs]
    for one, other in zip(model.predict(x, verbose=0), model.freeze().predict(x), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * (np.abs(one).max() + 1e-6))


# ---- what else reads the precisions ----------------------------------------------------------------------------------


def test_what_is_measured_is_what_is_frozen():
    """To the bit, as if the predictor had been asked."""
    model, x = classifier(), samples(70)
    frozen = model.freeze({"first": "int8", "second": "float16"}, calibration_data=x, validation_data=x)
    before, after = model.predict(x, verbose=0), frozen(x)
    assert frozen.report.outputs[0].largest == np.abs(np.float64(before) - np.float64(after)).max()
    folded, _ = fold(model.graph)
    dense = [node for node in folded.nodes if node.operation.name == "dense"]
    graph = pack(folded, dict(zip(dense, ["int8", "float16", "float32"], strict=True)), ranges(folded, [x]))
    np.testing.assert_array_equal(outputs_of(graph, [x])[0], after)


def test_exported_c_has_the_precisions_and_the_ranges(tmp_path):
    """To the bit, but for what softmax sums in another order."""
    model, x = classifier(activation=None), samples(40)
    frozen = model.freeze({"first": "int8", "second": "float16"}, calibration_data=x / 2)
    from fastnn.export import export_c

    library = Library(export_c(frozen, tmp_path / "net.c"), frozen.graph)
    assert "int8_t" in (tmp_path / "net.c").read_text()
    answers, expected = library(x), frozen(x)
    np.testing.assert_allclose(answers, expected, rtol=1e-6, atol=1e-6)
    dynamic = model.freeze({"first": "int8", "second": "float16"})(x)
    assert np.abs(answers - expected).max() < 0.001 * np.abs(answers - dynamic).max()


@pytest.mark.parametrize(
    ("mode", "advice"), [("int8", "precision='int8', calibration"), ("float8", "'float16', 'int8'")]
)
def test_the_name_that_keras_has_says_who_does_it(mode, advice):
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    with pytest.raises(NotImplementedError, match=f"{advice}.*quantize"):
        model.quantize(mode)
    with pytest.raises(NotImplementedError, match=f"{{'{model.layers[0].name}': 'int8'}}.*quantize"):
        model.layers[0].quantize(mode)
