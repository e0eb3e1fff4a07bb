"""Models made of inputs and outputs, or by subclasses: structure, calls, sharing, configurations, pictures."""

import json
import re

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data


def heads(package=fastnn, named=False):
    """Two inputs, a layer called twice, two outputs."""
    L = package.layers
    a, b = package.Input((4,), name="a"), package.Input((3,), name="b")
    shared = L.Dense(5, activation="tanh", name="shared")
    joined = L.Concatenate(name="joined")([shared(a), L.Dense(5, name="alone")(b), shared(L.Dense(4, name="first")(b))])
    value, kind = L.Dense(1, name="value")(joined), L.Dense(3, activation="softmax", name="kind")(joined)
    if named:
        return package.Model({"a": a, "b": b}, {"y": value, "x": kind})
    return package.Model([a, b], [value, kind])


X = {"a": data(20, 4), "b": data(20, 3, seed=1)}
LIST = [X["a"], X["b"]]


def test_structure():
    model = heads()
    assert model.name.startswith("functional")
    assert [layer.name for layer in model.layers] == ["b", "a", "first", "shared", "alone", "joined", "value", "kind"]
    assert model.input_shape == [(None, 4), (None, 3)]
    assert model.output_shape == [(None, 1), (None, 3)]
    assert (model.input_names, model.output_names) == (["a", "b"], ["value", "kind"])
    assert model.get_layer("shared").output is model.get_layer("joined").input[0]
    assert model.count_params() == 16 + 25 + 20 + 16 + 48
    assert heads(named=True).output_shape == {"y": (None, 1), "x": (None, 3)}


def test_calls_take_lists_and_dictionaries():
    model, named = heads(), heads(named=True)
    named.set_weights(_weights_for(named, model))
    for one in model(X), model(LIST), model(tuple(LIST)), model.predict(X, verbose=0), model.predict_on_batch(LIST):
        np.testing.assert_array_equal(one[0], model(X)[0])
        np.testing.assert_array_equal(one[1], model(X)[1])
    result = named(X)
    np.testing.assert_array_equal(result["y"], model(X)[0])
    np.testing.assert_array_equal(result["x"], model(X)[1])
    frozen = model.freeze()
    for value, expected in zip(frozen(X), model(LIST), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(frozen(LIST)[1], frozen(X)[1])
    np.testing.assert_allclose(named.freeze()(X)["y"], result["y"], rtol=1e-6, atol=1e-6)


def _weights_for(model, other):
    by_name = {variable.path.split("/")[-2:][0] + variable.name: variable for variable in other.weights}
    return [by_name[each.path.split("/")[-2:][0] + each.name].numpy() for each in model.weights]


def test_parts_of_a_model_share_its_layers():
    model = heads()
    body = fastnn.Model(model.input, model.get_layer("joined").output)
    head = fastnn.Model(model.get_layer("joined").output, model.output)
    for one, expected in zip(head(body(X)), model(X), strict=True):
        np.testing.assert_array_equal(one, expected)
    assert body.get_layer("shared") is model.get_layer("shared")
    source = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)])
    reused = fastnn.Sequential(source.layers[:-1])
    hidden = fastnn.Model(source.inputs, source.layers[0].output)
    np.testing.assert_array_equal(reused(X["a"]), hidden(X["a"]))
    assert hidden.weights == source.layers[0].weights


def test_models_are_layers_of_models():
    inner = heads()
    x = fastnn.Input((4,))
    value, kind = inner([x, layers.Dense(3)(x)])
    outer = fastnn.Model(x, layers.add([value, fastnn.Sequential([layers.Dense(1)])(kind)]))
    middle = outer.get_layer(index=1)(X["a"])
    expected = inner([X["a"], middle])
    stacked = outer.layers[-2](expected[1])
    np.testing.assert_allclose(outer(X["a"]), expected[0] + stacked, rtol=1e-5)
    outer.compile(fastnn.optimizers.SGD(0.1), "mse")
    before = inner.get_weights()
    outer.fit(X["a"], data(20, 1), verbose=0)
    assert any((one != other).any() for one, other in zip(before, inner.get_weights(), strict=True))


class Own(fastnn.Model):
    def __init__(self, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(6, activation="relu")
        self.dropout = layers.Dropout(rate)
        self.heads = [layers.Dense(1), layers.Dense(2)]

    def call(self, inputs, training=None):
        x = self.dropout(self.hidden(inputs), training=training)
        return {"one": self.heads[0](x), "two": self.heads[1](x)}


def test_a_subclass_is_traced_at_its_first_data():
    model = Own()
    with pytest.raises(ValueError, match="not built"):
        model.output_shape
    result = model(X["a"])
    assert {name: value.shape for name, value in result.items()} == {"one": (20, 1), "two": (20, 2)}
    assert model.output_shape == {"one": (None, 1), "two": (None, 2)}
    assert len(model.weights) == 6
    assert (model(X["a"], training=True)["one"] != result["one"]).any()
    model.compile("sgd", {"one": "mse", "two": "mse"}, metrics={"two": ["mae"]})
    history = model.fit(X["a"], {"one": data(20, 1), "two": data(20, 2)}, verbose=0).history
    assert list(history) == ["loss", "one_loss", "two_loss", "two_mae"]
    built = Own()
    built.build((None, 4))
    assert built.count_params() == model.count_params()
    x = fastnn.Input((4,))
    part = fastnn.Model(x, built(x)["two"])
    np.testing.assert_array_equal(part(X["a"]), built(X["a"])["two"])


class Plain(fastnn.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def test_call_without_training():
    model = Plain()
    model.compile("sgd", "mse")
    model.fit(X["a"], data(20, 2), verbose=0)
    assert model.predict(X["a"], verbose=0).shape == (20, 2)
    assert "Plain" in repr(model)


def test_summary_says_what_is_connected():
    lines = []
    heads().summary(print_fn=lines.append)
    text = lines[0]
    assert "Connected to" in text
    for part in ("shared[0][0],", "alone[0][0],", "shared[1][0]", "Total params: 125"):
        assert part in text
    stack = fastnn.Input((4,))
    lines.clear()
    fastnn.Model(stack, layers.Dense(2)(stack)).summary(print_fn=lines.append)
    assert "Connected to" not in lines[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fastnn.Model(fastnn.Input((4,)), 3), "All `outputs` of a model must be symbolic"),
        (lambda: fastnn.Model(np.ones(3), fastnn.Input((4,))), "All `inputs` of a model"),
        (lambda: fastnn.Model(fastnn.Input((4,)), layers.Dense(1)(fastnn.Input((4,)))), "not among the inputs"),
        (lambda: fastnn.Model(inputs=fastnn.Input((4,))), "needs `inputs` and `outputs`"),
        (lambda: _twice("same"), "The name 'same' is used 2 times"),
        (lambda: heads()({"a": X["a"]}), r"expected a dictionary with \['a', 'b'\]"),
        (lambda: heads()(X["a"]), "expected a list of 2 arrays"),
        (lambda: heads()([X["a"], X["b"][:3]]), "(?i)number of samples|cardinality"),
        (lambda: heads()([X["b"], X["a"]]), r"input 'a'.*\(4,\)"),
        (lambda: fastnn.Model(), "neither inputs and outputs nor a `call`"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):  # noqa: PT012
        model = make()
        model(X["a"])


def _twice(name):
    x = fastnn.Input((4,))
    return fastnn.Model(x, layers.Dense(1, name=name)(layers.Dense(4, name=name)(x)))


@pytest.mark.parametrize("named", [False, True])
def test_configurations_are_those_of_keras(named, keras):
    ours, theirs = heads(named=named), heads(keras, named)
    from_theirs = fastnn.models.model_from_json(theirs.to_json())
    from_ours = keras.models.model_from_json(ours.to_json())
    config, expected = ours.get_config(), theirs.get_config()
    for key in ("input_layers", "output_layers"):
        assert json.dumps(config[key]) == json.dumps(expected[key])
    assert [each["name"] for each in config["layers"]] == [each["name"] for each in expected["layers"]]
    assert json.dumps([each["inbound_nodes"] for each in config["layers"]]) == json.dumps(
        [each["inbound_nodes"] for each in expected["layers"]]
    )
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    values = ours.get_weights()
    from_theirs.set_weights(values)
    from_ours.set_weights(values)
    result, same, other = ours.predict(X, verbose=0), from_theirs.predict(X, verbose=0), from_ours.predict(X, verbose=0)
    for key in ["x", "y"] if named else [0, 1]:
        np.testing.assert_array_equal(result[key], same[key])
        np.testing.assert_allclose(result[key], other[key], rtol=1e-5, atol=1e-6)


def test_a_model_inside_a_model_as_a_configuration():
    x = fastnn.Input((4,))
    value, kind = heads()([x, layers.Dense(3)(x)])
    model = fastnn.Model(x, [value, layers.Dropout(0.5)(kind, training=False)])
    again = fastnn.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    for one, other in zip(model(X["a"]), again(X["a"]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_clones():
    model = heads()
    clone = fastnn.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not set(clone.weights) & set(model.weights)
    stack = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3), layers.Dense(1)], name="stack")
    copy = fastnn.models.clone_model(stack, clone_function=lambda layer: layer)
    assert copy.weights == stack.weights
    noisy = fastnn.models.clone_model(
        model,
        clone_function=lambda layer: layer,
        call_function=lambda layer, *a, **k: layers.Identity()(layer(*a, **k)),
    )
    np.testing.assert_array_equal(noisy(X)[0], model(X)[0])
    with pytest.raises(ValueError, match="call_function"):
        fastnn.models.clone_model(stack, call_function=lambda layer, x: layer(x))


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    x = fastnn.Input((4,))
    value, kind = heads()([x, layers.Dense(3)(x)])
    model = fastnn.Model(x, [value, kind])
    everything = dict.fromkeys(
        ["show_shapes", "show_dtype", "show_layer_names", "show_layer_activations", "show_trainable"], True
    )
    figure = fastnn.utils.plot_model(model, tmp_path / "model.png", expand_nested=True, dpi=50, **everything)
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")
    texts = [text.get_text() for text in figure.axes[0].texts]
    for part in ("joined (Concatenate)", "output: (None, 15)", "activation: softmax"):
        assert any(part in text for text in texts)
    plain = fastnn.utils.plot_model(model, None, rankdir="LR")
    assert len(plain.axes[0].patches) < len(figure.axes[0].patches)
    with pytest.raises(ValueError, match="rankdir"):
        fastnn.utils.plot_model(model, rankdir="up")
    with pytest.raises(ValueError, match="`?layer_range"):
        fastnn.utils.plot_model(model, layer_range=["a", "b"])
    pytest.importorskip("pydot", reason="writes Graphviz's language")
    assert fastnn.utils.plot_model(model, tmp_path / "model.dot", show_layer_names=True) is None
    text = (tmp_path / "model.dot").read_text()
    assert text.startswith("digraph")
    assert text == fastnn.utils.model_to_dot(model).to_string()


def nested(keras):
    """A model of models, one of which is called twice, so that arrows go in a circle."""
    layers = keras.layers
    a, b, x = keras.Input((3,), name="a"), keras.Input((2,), name="b"), keras.Input((3,), name="x")
    encoder = keras.Model(x, [layers.Dense(4, name="e1")(x), layers.Dense(4, name="e2")(x)], name="encoder")
    innermost = keras.Sequential([layers.Dense(3, name="deep")], name="innermost")
    stack = keras.Sequential([layers.Dense(3, name="first"), innermost, layers.Dense(4, name="last")], name="stack")
    added = layers.Add(name="add")([*encoder(a), stack(layers.Dense(4, name="side")(b))])
    return keras.Model([a, b], layers.Dense(1, name="head")(stack(added)))


def test_models_inside_are_framed_and_their_layers_do_not_leave_the_frame(tmp_path):
    pytest.importorskip("matplotlib")
    model = nested(fastnn)
    for rankdir in ("TB", "BT", "LR", "RL"):
        figure = fastnn.utils.plot_model(model, None, expand_nested=True, show_layer_names=True, rankdir=rankdir)
        axes = figure.axes[0]
        frames = {
            text.get_text(): patch.get_bbox()
            for text, patch in zip(axes.texts, axes.patches, strict=False)
            if patch.get_linestyle() == "--"
        }
        assert set(frames) == {"encoder", "stack", "innermost"}
        places = {text.get_text().split()[0]: text.get_position() for text in axes.texts if " (" in text.get_text()}
        assert len(places) == 11
        inside = {"encoder": {"x", "e1", "e2"}, "stack": {"first", "deep", "last"}, "innermost": {"deep"}}
        for frame, names in inside.items():
            assert {name for name, place in places.items() if frames[frame].contains(*place)} == names


def test_the_picture_has_the_arrows_of_keras(keras):
    pytest.importorskip("pydot", reason="model_to_dot makes graphs of pydot")

    def arrows(graph):
        """Pairs of names; and the labels of the frames."""
        names, edges, frames, graphs = {}, [], [], [graph]
        while graphs:
            one = graphs.pop()
            for each in filter(lambda each: each.get_label(), one.get_nodes()):
                names[each.get_name()] = re.sub(r"^.*<b>|</b>.*| .*$|\"", "", each.get_label())
            edges += [(str(each.get_source()), str(each.get_destination())) for each in one.get_edges()]
            frames += [each.get_label().strip('"') for each in one.get_subgraphs()]
            graphs += one.get_subgraphs()
        return {(names[one], names[other]) for one, other in edges}, sorted(frames)

    ours, theirs = (arrows(each.utils.model_to_dot(nested(each), expand_nested=True)) for each in (fastnn, keras))
    assert ours == theirs
    assert len(ours[0]) == 12


def test_the_picture_for_graphviz():
    pytest.importorskip("pydot", reason="model_to_dot makes graphs of pydot")
    x = fastnn.Input((3,), name="in")
    hidden = fastnn.layers.Dense(4, "relu", name='a "name"')(x)
    inner = fastnn.Sequential([fastnn.layers.Dense(2, name="two")], name="inner")
    model = fastnn.Model(x, [fastnn.layers.Dense(1, name="one")(hidden), inner(hidden)], name="my model")
    text = fastnn.utils.model_to_dot(model, show_shapes=True, expand_nested=True).to_string()
    assert text.startswith("digraph")
    assert text.count("->") == 3
    assert r'label="a \"name\" (Dense)\ninput: (None, 3)\noutput: (None, 4)"' in text
    assert "inner" not in re.sub(r"subgraph.*?\}", "", text, flags=re.DOTALL)
    assert re.search(r'subgraph [^}]*label="inner"[^}]*label="two \(Dense\)', text)
    text = fastnn.utils.model_to_dot(model, subgraph=True, show_layer_names=False).to_string()
    assert text.startswith("subgraph")
    assert text.count("Dense") == 2
    with pytest.raises(ValueError, match="rankdir"):
        fastnn.utils.model_to_dot(model, rankdir="up")
    with pytest.raises(TypeError, match="is drawn of a fastnn.Model, before"):
        fastnn.utils.model_to_dot(model.freeze())


def test_a_flag_changed_after_compile_is_warned_of_once():
    model = heads()
    model.compile("sgd", "mse")
    y = [data(20, 1), data(20, 3)]
    model.get_layer("shared").trainable = False
    with pytest.warns(UserWarning, match=r"\['shared'\] have changed their `trainable`"):
        model.fit(X, y, verbose=0)
    before = model.get_layer("shared").get_weights()
    model.fit(X, y, verbose=0)  # warnings are errors here
    assert (before[0] != model.get_layer("shared").get_weights()[0]).any()
    model.compile("sgd", "mse")
    model.fit(X, y, verbose=0)
    frozen = model.get_layer("shared").get_weights()
    model.fit(X, y, verbose=0)
    np.testing.assert_array_equal(frozen[0], model.get_layer("shared").get_weights()[0])


def test_operations_between_layers_of_a_nested_model():
    """The new calls of layers after an operation were lost, and the layers' outputs with them."""
    inputs = fastnn.Input((4,))
    inner = fastnn.Model(inputs, layers.Dense(2)(fastnn.ops.tanh(layers.Dense(3)(inputs)) * 2.0))
    for _ in range(2):
        outer = fastnn.Model(inputs, layers.Dense(1)(inner(inputs)))
        assert outer(np.ones((5, 4))).shape == (5, 1)
    assert inner.layers[-1].output.shape == (None, 2)
    inner.layers[-1].activation = "relu"
    assert np.min(inner(np.random.default_rng(0).normal(size=(50, 4)))) == 0
    assert inner.layers[-1].output is inner.output
