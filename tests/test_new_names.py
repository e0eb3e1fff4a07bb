"""Names that scripts and subclasses use beside layers and training: variables, metrics, optimizers, steps."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, metrics, optimizers, saving, utils


def test_variables():
    v = fastnn.Variable([1.0, 2.0], name="v")
    v.assign_add([1.0, 1.0])
    v.assign_sub(3.0)
    assert v.numpy().tolist() == [-1.0, 0.0]
    assert fastnn.Variable("ones", shape=(2, 3)).numpy().tolist() == [[1.0] * 3] * 2
    assert float(fastnn.Variable(3)) == 3.0
    assert int(fastnn.Variable([4])) == 4
    with fastnn.name_scope("outer"), fastnn.name_scope("inner"):
        assert fastnn.Variable(0.0, name="w").path == "outer/inner/w"
    with pytest.raises(ValueError, match="the `shape` argument should be specified"):
        fastnn.Variable("zeros")
    with pytest.raises(ValueError, match="float32"):
        fastnn.Variable(0, dtype="int32")
    with pytest.raises(TypeError, match="one value"):
        float(v)


def test_shapes_are_told_without_variables():
    dense = layers.Dense(5)
    assert dense.compute_output_shape((None, 3)) == (None, 5)
    assert not dense.built
    assert dense.path is None
    assert layers.Concatenate().compute_output_shape([(None, 3), (None, 4)]) == (None, 7)
    dense.build((None, 3))
    assert dense.path == dense.name
    assert dense.dtype == "float32"


def test_input_spec_is_checked():
    layer = layers.Dense(2)
    layer.input_spec = fastnn.InputSpec(min_ndim=2, axes={-1: 3})
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        layer(np.ones((1, 4)))
    with pytest.raises(ValueError, match="greater than the maximum"):
        fastnn.InputSpec(ndim=2, axes={2: 3})


def test_layers_as_configurations():
    class Twice(layers.Wrapper):
        def call(self, inputs):
            return 2 * self.layer(inputs)

    twice = Twice(layers.Dense(2, kernel_initializer="ones"))
    np.testing.assert_array_equal(twice(np.ones((1, 3))), [[6, 6]])
    config = layers.serialize(twice)
    assert layers.deserialize(config, {"Twice": Twice}).layer.units == 2
    with pytest.raises(ValueError, match="not a"):
        layers.deserialize({"class_name": "Adam", "config": {}})


def test_metric_of_ones_own_on_arrays():
    class Largest(metrics.Metric):
        def __init__(self, name="largest"):
            super().__init__(name=name)
            self.value = self.add_weight(name="value", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(max(float(self.value), float(np.max(y_pred))))

        def result(self):
            return self.value.numpy()

    metric = Largest()
    assert metric([0.0], [3.0]) == 3.0
    assert metric([0.0], [2.0]) == 3.0
    assert [each.path for each in metric.variables] == ["largest/value"]
    metric.reset_state()
    assert metric.result() == 0.0
    mean = metrics.Mean()
    mean.update_state([1.0, 3.0])
    assert [float(each.numpy()) for each in mean.variables] == [4.0, 2.0]
    mean.variables[0].assign(8.0)
    assert mean.result() == 4.0


def trained():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, kernel_regularizer="l2")])
    model.compile("adam", "mse", metrics=["mae"])
    x, y = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model.train_on_batch(x, y)
    return model, x, y


def test_steps_and_results():
    model, x, y = trained()
    logs = model.test_step((x, y))
    assert model.get_metrics_result() == logs
    assert set(logs) == {"loss", "mae"}
    y_pred = model.predict_step((x, y))
    assert model.compute_loss(x, y, y_pred) == pytest.approx(logs["loss"], rel=1e-5)
    assert model.compute_metrics(x, y, y_pred)["mae"] == pytest.approx(logs["mae"], rel=1e-5)
    assert set(model.train_step((x, y))) == {"loss", "mae"}
    model.reset_metrics()
    assert model.get_metrics_result()["mae"] == 0.0


def test_steps_of_ones_own_are_refused_not_ignored():
    class Own(fastnn.Model):
        def train_step(self, data):
            return {}

    with pytest.raises(NotImplementedError, match="Own overrides train_step"):
        Own().compile("sgd", "mse")


def test_optimizer_state():
    model, _, _ = trained()
    optimizer, store = model.optimizer, {}
    optimizer.save_own_variables(store)
    other = optimizers.Adam()
    with pytest.raises(ValueError, match="not yet been built"):
        other.set_weights([])
    other.build(list(optimizer.state))
    other.load_own_variables(store)
    for one, two in zip(optimizer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    other.set_weights([each.numpy() * 0 for each in other.variables])
    assert other.iterations == 0
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        other.load_own_variables({})
    assert optimizers.SGD(loss_scale_factor=4.0).scale_loss(2.0) == 8.0


def test_small_helpers(capsys):
    assert fastnn.version() == fastnn.__version__
    a, b = fastnn.Input((2,)), fastnn.Input((2,))
    assert utils.get_source_inputs(layers.add([layers.Dense(2)(a), b])) == [a, b]
    config = utils.Config(a=1)
    config.b = 2
    config.freeze()
    with pytest.raises(ValueError, match="frozen"):
        config.c = 3
    assert config.to_json() == '{"a": 1, "b": 2}'
    assert config["b"] == config.b == 2
    with pytest.raises(AttributeError, match="Unknown attribute"):
        config.missing
    model = fastnn.Sequential([fastnn.Input((2,)), *(layers.Dense(2, name=f"d{i}") for i in range(4))])
    model.summary(layer_range=("d1", "d2"))
    printed = capsys.readouterr().out
    assert "d1" in printed
    assert "d2" in printed
    assert "d0" not in printed
    assert "d3" not in printed
    assert saving.CustomObjectScope
    with pytest.warns(UserWarning, match="Could not reach"):
        fastnn.callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {"loss": np.float32(1)})
