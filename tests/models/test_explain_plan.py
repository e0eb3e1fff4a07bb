"""model.explain_plan(): what a step computes, what that costs, and why so many threads."""

import numpy as np
import pytest
from fastnn._engine.program import WORK_WORTH_SHARING
from fastnn._engine.runtime import OPS, active_isa_name

import fastnn
from fastnn import layers
from fastnn.lowering.cost import COUNTS, flops_and_bytes
from harness.models import SPARSE, X, Y, classifier


@pytest.fixture(autouse=True)
def _any_number_of_threads():
    before = fastnn.get_threads()
    yield
    fastnn.set_threads(before)


def quiet(model, *args, **kwargs):
    return model.explain_plan(*args, print_fn=lambda text: None, **kwargs)


def dense(inputs, units, batch, optimizer="sgd", **options):
    model = fastnn.Sequential([fastnn.Input((inputs,)), layers.Dense(units, name="only", **options)], name="net")
    model.compile(optimizer, "mse")
    return model, quiet(model, batch)


def of(plan, op):
    return next(each for each in plan.instructions if each.op == op)


# ---- costs -----------------------------------------------------------------------------------------------------------


def test_every_operation_has_its_costs():
    assert set(COUNTS) == set(OPS)
    for op, info in OPS.items():
        for term in " ".join(COUNTS[op]).split():
            name, _, product = term.rpartition("=")
            assert not name or name.rstrip("+") in info.operands, f"{op}: {term}"
            assert not name.endswith("+") or "accumulate" in info.dims, f"{op}: {term}"
            factors = [each for each in product.split("*") if not each[0].isdigit()]
            assert set(factors) <= {"m", "width", *info.dims}, f"{op}: {term}"


def test_flops_and_bytes_of_a_dense_layer():
    m, k, n = 32, 784, 300
    _, plan = dense(k, n, m)
    forward, backward = of(plan, "dense_forward"), of(plan, "dense_backward_weights")
    assert forward.flops == backward.flops == 2 * m * k * n
    assert forward.nbytes == 4 * (m * k + k * n + n + m * n)
    assert backward.nbytes == forward.nbytes - 4 * k * n  # the gradient is never in memory
    assert forward.kernel == "dense_forward 784x300"
    assert (forward.layer, forward.rows, forward.commits) == ("only", m, False)


def test_an_operand_counts_where_there_is_one():
    sizes = dict(m=7, k=5, n=3)
    dims = dict(k=5, n=3, accumulate=0)
    with_bias = flops_and_bytes("dense_backward_weights", 7, ["x", "dz", "dw", "db"], dims)
    without = flops_and_bytes("dense_backward_weights", 7, ["x", "dz", "dw"], dims)
    adding = flops_and_bytes("dense_backward_weights", 7, ["x", "dz", "dw"], {**dims, "accumulate": 1})
    assert with_bias[1] - without[1] == 4 * sizes["n"]
    assert adding[1] - without[1] == 4 * sizes["k"] * sizes["n"]


def test_the_optimizer_reads_and_writes_its_state():
    n = {"sgd": 3, "adam": 7}
    for optimizer, passes in n.items():
        model, plan = dense(64, 32, 8, optimizer)
        update = of(plan, optimizer)
        floats = sum(variable.nbytes for variable in model.trainable_weights) // 4
        assert update.nbytes == 4 * passes * floats
        assert update.kernel == f"{optimizer} {floats}"
        assert update.layer == model.optimizer.name
        assert update.rows is None
        assert update.commits


def test_the_products_are_those_of_the_network():
    from fastnn.cli.workloads import TRAINING

    workload = TRAINING["tabular"]
    model = workload.made_by(fastnn)
    model.compile("adam", SPARSE)
    plan = quiet(model, workload.batch)
    products = [each for each in plan.instructions if each.op.startswith("dense_")]
    assert sum(each.flops for each in products) == workload.flops_per_sample * workload.batch


# ---- the plan --------------------------------------------------------------------------------------------------------


def test_it_says_what_runs():
    model = classifier(optimizer="adam")
    texts = []
    plan = model.explain_plan(print_fn=texts.append)
    assert texts == [str(plan)]
    names = [layer.name for layer in model.layers]
    assert [each.layer for each in plan.instructions if each.op == "dense_forward"] == [names[0], names[2]]
    assert of(plan, "dense_forward").kernel == "dense_forward 6x9 relu"
    assert of(plan, "batchnorm_train").layer == names[1]
    assert of(plan, "softmax_crossentropy_sparse").layer == SPARSE
    assert of(plan, "sparse_accuracy").layer == "accuracy"
    assert [each.layer for each in plan.instructions if each.op == "copy_vector"] == [names[1]] * 4
    for expected in (
        repr(model.name),
        active_isa_name(),
        "dense_forward 6x9 relu",
        "adam",
        "fence, commits",
        "batch of 32",
    ):
        assert expected in str(plan)
    assert plan.batch == 32
    assert "Training step" in repr(plan)


def test_totals():
    plan = quiet(classifier())
    assert plan.flops == sum(each.flops for each in plan.instructions) > 0
    assert plan.nbytes == sum(each.nbytes for each in plan.instructions) > 0
    assert plan.work == sum(each.work for each in plan.instructions) > 0
    assert plan.seconds is None
    assert f"{len(plan.instructions)} instructions" in str(plan).splitlines()[-1]


def test_memory():
    model, plan = dense(64, 32, 8, "adam")
    parameters = sum(variable.nbytes for variable in model.weights)
    assert plan.memory["parameters"] == plan.memory["gradients"] == parameters
    assert plan.memory["optimizer"] == 2 * parameters
    assert plan.memory["activations"] >= 8 * (64 + 32) * 4


def test_prediction():
    model = classifier()
    plan = quiet(model, 5, training=False)
    ops = [each.op for each in plan.instructions]
    assert ops == ["gather", "dense_forward", "batchnorm_infer", "dense_forward", "softmax_forward", "scatter"]
    assert of(plan, "dense_forward").rows == plan.batch == 5
    assert "gradients" not in str(plan)
    assert quiet(model, 10_000, training=False).batch == 256
    uncompiled = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    assert of(quiet(uncompiled, training=False), "dense_forward").flops == 2 * 32 * 3 * 2


def test_rows_of_inputs_with_more_axes():
    model = fastnn.Sequential([fastnn.Input((5, 3)), layers.Dense(2), layers.Reshape((10,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    plan = quiet(model, 4)
    assert of(plan, "dense_forward").rows == 20
    assert of(plan, "dense_forward").flops == 2 * 20 * 3 * 2
    assert of(plan, "reshape").kernel == "reshape 5x2 to 1x10"


def test_weighted_programs():
    model = classifier()
    model.fit(X, Y, sample_weight=np.ones(len(X)), verbose=0)
    assert [each.op for each in quiet(model).instructions].count("gather") == 2  # x, and the weights
    quiet(model, measure=True)


# ---- threads ---------------------------------------------------------------------------------------------------------


def test_small_work_is_for_one_thread():
    fastnn.set_threads(4)
    plan = quiet(classifier())
    assert (plan.threads_allowed, plan.largest_team, plan.team) == (4, 1, 1)
    assert {each.threads for each in plan.instructions} == {1}
    assert plan.measured == {}
    assert "4 threads are allowed" in str(plan)
    assert len(plan.why()) == 1


def test_large_work_is_shared():
    fastnn.set_threads(2)
    _, plan = dense(784, 300, 64)
    assert (plan.largest_team, plan.team, of(plan, "dense_forward").threads) == (2, 2, 2)
    assert of(plan, "accumulate").threads == 1
    assert of(plan, "dense_forward").work > 2 * WORK_WORTH_SHARING
    assert "not measured yet" in str(plan)
    assert f"{WORK_WORTH_SHARING:,}" in str(plan)


def test_the_limit_is_respected():
    fastnn.set_threads(1)
    _, plan = dense(784, 300, 64)
    assert plan.team == of(plan, "dense_forward").threads == 1
    assert "1 thread is allowed" in str(plan)


def test_it_shows_what_running_has_shown():
    fastnn.set_threads(2)
    model, _ = dense(300, 300, 64)
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(640, 300)), random.normal(size=(640, 300)), batch_size=64, epochs=20, verbose=0)
    plan = quiet(model, 64)
    assert set(plan.measured) <= {1, 2}
    assert plan.team in plan.measured
    assert all(0 < seconds < 10 for seconds in plan.measured.values())
    assert max(each.threads for each in plan.instructions) == plan.team
    assert "measured while running" in str(plan)
    assert quiet(model, 32).measured == {}


# ---- measuring -------------------------------------------------------------------------------------------------------


def fitted(explain):
    model = classifier(optimizer="adam")
    model.fit(X, Y, epochs=2, verbose=0)
    if explain:
        plan = quiet(model, measure=True)
        assert all(each.seconds >= 0 for each in plan.instructions)
        assert plan.seconds == sum(each.seconds for each in plan.instructions) > 0
        for training in True, False:
            assert "GFLOP/s" in str(quiet(model, training=training, measure=True))
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def test_measuring_changes_nothing():
    plain, explained = fitted(explain=False), fitted(explain=True)
    for one, other in zip(plain.get_weights(), explained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain.optimizer.iterations == explained.optimizer.iterations


def test_what_follows_is_in_the_time_of_the_first():
    model, _ = dense(784, 300, 32)
    plan = quiet(model, 32, measure=True)
    number = [each.op for each in plan.instructions].index("dense_backward_weights")
    first, update = plan.instructions[number : number + 2]
    assert update.follows
    assert update.seconds == 0 < first.seconds
    assert plan._rate(number) == pytest.approx((first.flops + update.flops) / first.seconds / 1e9)
    assert "follows: run piece by piece by the instruction above" in str(plan)


def test_measuring_amid_an_epoch_leaves_its_losses_alone():
    def losses(explain):
        class Explain(fastnn.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if explain and batch == 1:
                    quiet(model, measure=True)

        model = classifier()
        return model.fit(X, Y, epochs=1, verbose=0, callbacks=[Explain()]).history

    assert losses(explain=True) == losses(explain=False)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_a_network_that_reads_text(training):
    colours, sizes = fastnn.Input((1,), name="colour"), fastnn.Input((2,), name="size")
    lookup = layers.StringLookup(vocabulary=["red", "blue"], num_oov_indices=0, output_mode="one_hot")
    outputs = layers.Dense(3)(layers.concatenate([lookup(colours), sizes]))
    model = fastnn.Model([colours, sizes], outputs)
    model.compile("sgd", "mse")
    plan = quiet(model, 16, training=training, measure=True)
    assert all(each.seconds is not None for each in plan.instructions)


def test_before_data_has_told_the_kind_of_targets():
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "crossentropy")
    assert of(quiet(model), "softmax_crossentropy_sparse")
    model.fit(X, np.eye(3)[Y], verbose=0)  # and then it tells otherwise
    assert of(quiet(model), "softmax_crossentropy_dense")


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_errors_teach():
    built = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="compile.*before calling `explain_plan"):
        built.explain_plan()
    built.compile("sgd", None)
    with pytest.raises(ValueError, match="without a loss"):
        built.explain_plan()
    unbuilt = fastnn.Sequential([layers.Dense(2)])
    unbuilt.compile("sgd", "mse")
    for training in True, False:
        with pytest.raises(ValueError, match="not built.*shape of its input"):
            unbuilt.explain_plan(training=training)
    with pytest.raises(ValueError, match="batch_size"):
        classifier().explain_plan(0)
