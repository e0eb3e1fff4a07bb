"""Layers and variables as attributes: what becomes a part of a layer, until it is built, as in Keras."""

import copy
import json

import numpy as np
import pytest

import fastnn
from fastnn import layers

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def network(k):
    """A model whose parts are in lists, dictionaries and tuples, nested and filled one by one."""

    class Net(k.Model):
        def __init__(self):
            super().__init__()
            self.stack = []
            for units in (5, 4):
                self.stack.append(k.layers.Dense(units, kernel_initializer="ones"))
            self.blocks = [[], ()]
            self.blocks[0].extend([k.layers.Dense(3), k.layers.Dropout(0.5)])
            self.blocks += [[k.layers.ReLU()]]
            self.heads = {"a": k.layers.Dense(2)}
            self.heads["b"] = k.layers.Dense(2, use_bias=False)
            self.heads.update({"c": [k.layers.Dense(2)]})
            self.pair = (k.layers.Dense(2), k.layers.Dense(2))
            self.scale = k.Variable(np.full(2, 2.0, "float32"))
            self.fixed = k.Variable(np.ones(2, "float32"), trainable=False)
            self.numbers = [1.0, 2.0]

        def call(self, inputs):
            for layer in [*self.stack, *self.blocks[0]]:
                inputs = layer(inputs)
            inputs = self.blocks[2][0](inputs)
            outputs = self.heads["a"](inputs) + self.heads["b"](inputs) + self.heads["c"][0](inputs)
            return (outputs + self.pair[0](inputs) * self.pair[1](inputs)) * self.scale * self.numbers[1] + self.fixed

    return Net()


def test_edited_containers():
    """What is taken out of them is a part no more. (Keras keeps some of that.)"""
    model = network(fastnn)
    model.stack[0] = layers.Dense(6)
    model.stack.insert(1, layers.Dense(7))
    model.stack.pop()
    model.blocks[0].remove(model.blocks[0][1])
    del model.heads["b"]
    model.heads["b"] = model.heads.pop("a")
    model.heads["a"] = model.heads["b"]
    model.blocks[2].append(model.stack[0])
    model.heads["c"].clear()
    model.heads["c"].append(layers.Dense(2))
    model.numbers.sort(reverse=True)
    model(X)
    assert sorted(each.units for each in model.layers if isinstance(each, layers.Dense)) == [2, 2, 2, 2, 3, 6, 7]
    assert len(model.layers) == 8
    assert len(model.weights) == 2 * 7 + 2


def test_parts_are_those_of_keras(keras):
    found = []
    for k in fastnn, keras:
        model = network(k)
        model.compile("sgd", "mse")
        model.fit(X, X[:, :2], verbose=0)
        shapes = sorted(tuple(each.shape) for each in model.weights)
        trained = sorted(tuple(each.shape) for each in model.trainable_weights)
        found.append((sorted(type(each).__name__ for each in model.layers), shapes, trained))
    assert found[0] == found[1]


def test_parts_in_containers_are_trained_saved_and_copied(tmp_path):
    model = network(fastnn)
    model.compile("sgd", "mse")
    model(X)
    assert len(model.layers) == 10
    assert len(model.weights) == 2 * 8 - 1 + 2
    before = model.get_weights()
    model.fit(X, X[:, :2], verbose=0)
    changed = [(now != then).any() for now, then in zip(model.get_weights(), before, strict=True)]
    assert sum(changed) > 10
    assert changed[0]  # the variable that is an attribute
    path = tmp_path / "w.weights.h5"
    pytest.importorskip("h5py")
    model.save_weights(path)
    other = network(fastnn)
    other(X)
    other.load_weights(path)
    np.testing.assert_array_equal(other(X), model(X))
    assert json.loads(json.dumps(model.numbers)) == [1.0, 2.0] == copy.deepcopy(model.numbers)
    assert type(copy.copy(model.heads)) is dict


class Own(layers.Layer):
    def __init__(self):
        super().__init__()
        self.inside, self.listed, self.named = layers.Dense(2), [layers.Dense(2)], {"a": 1}

    def call(self, inputs):
        return self.listed[0](self.inside(inputs))


LATE = {
    "another layer": lambda own: setattr(own, "inside", layers.Dense(2)),
    "a new layer": lambda own: setattr(own, "extra", layers.Dense(2)),
    "a model": lambda own: setattr(own, "extra", fastnn.Sequential([layers.Dense(2)])),
    "a list": lambda own: setattr(own, "listed", [layers.Dense(2)]),
    "appended": lambda own: own.listed.append(layers.Dense(2)),
    "nested": lambda own: own.listed.extend([[layers.Dense(2)]]),
    "item": lambda own: own.listed.__setitem__(0, layers.Dense(2)),
    "named": lambda own: own.named.update(b=layers.Dense(2)),
    "variable": lambda own: setattr(own, "variable", fastnn.Variable(1.0)),
    "weight": lambda own: own.add_weight(shape=(2,), name="late"),
    "kernel": lambda own: setattr(own.inside, "kernel", fastnn.Variable(np.zeros((4, 2)))),
    "activation": lambda own: setattr(own.inside, "activation", layers.LeakyReLU()),
}


@pytest.mark.parametrize("change", LATE)
def test_a_built_layer_gets_no_new_parts(change):
    layer = Own()
    before = layer(X)
    weights, listed = layer.weights, list(layer.listed)
    with pytest.raises(ValueError, match=r"(?s)cannot add new elements of state.*'(own|dense).*All state.*a new"):
        LATE[change](layer)
    assert layer.weights == weights
    assert layer.listed == listed
    np.testing.assert_array_equal(layer(X), before)


def test_what_a_built_layer_may_get():
    layer = Own()
    layer(X)
    layer.inside = layer.inside
    layer.listed = [layer.listed[0], *layer.listed]
    layer.extra, layer.named["b"], layer.note = [], 2, {"x": (1, 2)}
    assert len(layer.weights) == 4
    model = fastnn.Sequential([fastnn.Input((4,)), layer])
    model.extra = layers.Dense(2)  # models that know their layers otherwise
    inputs = fastnn.Input((4,))
    model = fastnn.Model(inputs, layer(inputs))
    model.extra = layers.Dense(2)


def test_state_made_in_the_first_call():
    class Lazy(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inside = None

        def call(self, inputs):
            if self.inside is None:
                self.inside = layers.Dense(3)
            return self.inside(inputs)

    layer = Lazy()
    assert layer(X).shape == (6, 3)
    assert len(layer.weights) == 2


def test_no_rows():
    """As in Keras, a batch of none may be predicted, but not a data set of none."""
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    assert model.predict_on_batch(X[:0]).shape == model(X[:0]).shape == (0, 2)
    with pytest.raises(ValueError, match="x is empty"):
        model.predict(X[:0], verbose=0)


def test_a_list_is_cheap_to_append_to():
    """It took time that grew with the list, as all attributes were searched each time."""
    layer = Own()
    layer(X)
    layer.notes = list(range(20_000))
    looked = []
    layer._abandon = looked.append
    for number in range(10):
        layer.notes.append(number)
    layer.notes.pop()
    assert not looked


@pytest.mark.parametrize("where", ["list", "slot", "outside"])
def test_a_call_sees_what_changed(where):
    class Scaled(layers.Layer):
        __slots__ = ("slot",)

        def __init__(self):
            super().__init__()
            self.list, self.slot, self.box = [1], 1, type("Box", (), {"value": 1})()

        @property
        def outside(self):
            return self.box.value

        @outside.setter
        def outside(self, value):
            self.box.value = value

        def call(self, inputs):
            return inputs * float(len(self.list) * self.slot * self.outside)

    layer = Scaled()
    np.testing.assert_array_equal(layer(X), X)
    if where == "list":
        layer.list *= 3
    else:
        setattr(layer, where, 3)
    np.testing.assert_array_equal(layer(X), X * 3)


@pytest.mark.parametrize("kind", ["before", "after", "list"])
def test_layers_of_a_stack_may_be_attributes(kind):
    class Net(fastnn.Sequential):
        def __init__(self):
            if kind == "before":
                self.hidden = layers.Dense(3)
                super().__init__([self.hidden, layers.Dense(1)])
                return
            super().__init__()
            self.parts = [layers.Dense(3), layers.Dense(1)]
            self.hidden = self.parts[0]
            for layer in self.parts if kind == "list" else [self.hidden, self.parts[1]]:
                self.add(layer)

    model = Net()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert len(model.layers) == 2
    assert len(model.weights) == 4
    if kind != "before":
        model.parts.clear()
        assert len(model.layers) == 2


def test_attributes_are_no_layers_of_a_stack_or_functional_model(keras):
    found = []
    for k in fastnn, keras:
        inputs = k.Input((4,))
        stack, functional = k.Sequential([inputs, k.layers.Dense(1)]), k.Model(inputs, k.layers.Dense(1)(inputs))
        for model in stack, functional:
            model.other, model.others = k.layers.Dense(7), [k.layers.Dense(3)]
            model.other.build((None, 4))
            model.trainable = False
            copy = k.models.clone_model(model)
            described = model.get_config()["layers"]
            found.append(
                (len(model.layers), len(model.weights), model.other.trainable, len(copy.layers), len(described))
            )
        stack.add(k.layers.Dense(2))
        found.append((len(stack.layers), stack.output_shape))
        nested = k.Sequential([k.Input((4,)), stack])
        found.append(nested.output_shape)
    assert found[:4] == found[4:]


def test_metrics_in_containers(keras):
    for k in fastnn, keras:

        class Net(k.Model):
            def __init__(self, k=k):
                super().__init__()
                self.kept = [k.metrics.Mean(name="a"), {"x": k.metrics.Mean(name="b")}]

        assert [each.name for each in Net().metrics] == ["a", "b"]
