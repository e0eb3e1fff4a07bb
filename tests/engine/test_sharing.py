"""Instructions that threads share by rows: in which order everything runs, what waits; and no bit depends on it."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.lowering.sharing import arrange


@pytest.fixture(autouse=True)
def any_number_of_threads():
    before = fastnn.get_threads()
    yield
    fastnn.set_threads(before)


class Place:
    """Memory of a program, as far as `arrange` looks at it."""

    nbytes = 64


def emitted(op, fence=True, by_rows=False, **bindings):
    return op, bindings, dict(work_per_row=10.0, fence=fence, by_rows=by_rows)


def arranged(*instructions):
    return [(op, keywords["fence"], keywords["by_rows"]) for op, _, keywords in arrange(instructions)]


def test_gradients_of_weights_follow_the_rows():
    """One fence for all of them; the sums of three instructions by rows choose their threads."""
    x, y, dy, dx, loss = (Place() for _ in range(5))
    assert arranged(
        emitted("dense_forward", by_rows=True, x=x, y=y),
        emitted("softmax_crossentropy_sparse", by_rows=True, z=y, row_loss=loss, dz=dy),
        emitted("accumulate", values=loss, acc=(0, 0, 8)),
        emitted("dense_backward_weights", x=x, dz=dy, dw=(1, 0, 8)),
        emitted("dense_backward_input", by_rows=True, fence=False, dz=dy, dx=dx),
        emitted("sgd"),
    ) == [
        ("dense_forward", False, 30.0),
        ("softmax_crossentropy_sparse", False, 30.0),
        ("dense_backward_input", False, 30.0),
        ("accumulate", True, 0.0),
        ("dense_backward_weights", False, 0.0),
        ("sgd", True, 0.0),
    ]


def test_what_is_overwritten_is_read_first():
    x, dy = Place(), Place()
    instructions = [
        emitted("activation_forward", by_rows=True, x=x, y=dy),
        emitted("dense_backward_weights", x=x, dz=dy, dw=(1, 0, 8)),
        emitted("activation_backward", by_rows=True, dy=dy, dx=dy),
    ]
    assert [fence for _, fence, _ in arranged(*instructions)] == [False, True, True]


def test_sums_into_one_gradient_wait_for_each_other():
    places = [Place() for _ in range(4)]
    instructions = [emitted("activation_forward", by_rows=True, x=places[0], y=places[1])]
    for x in places[1:3]:
        instructions.append(emitted("dense_backward_weights", x=x, dz=places[3], dw=(1, 0, 8)))
    assert [fence for _, fence, _ in arranged(*instructions)] == [False, True, True]


def test_others_wait_as_they_were_told():
    x, y = Place(), Place()
    instructions = [
        emitted("batchnorm_train", x=x, y=y),
        emitted("dense_forward", by_rows=True, x=y, y=x),
        emitted("copy_vector", fence=False, x=(0, 0, 4), y=(1, 0, 4)),
        emitted("batchnorm_backward", x=x, y=y),
    ]
    assert [fence for _, fence, _ in arranged(*instructions)] == [True, True, False, True]


def test_what_relied_on_a_fence_gets_another_one():
    """The gradient of weights had one, and runs behind the rows now; the product by panels adds to what they wrote."""
    x, small, large, dx = (Place() for _ in range(4))
    assert arranged(
        emitted("dense_backward_weights", x=x, dz=small, dw=(1, 0, 8)),
        emitted("dense_backward_input", by_rows=True, fence=False, dz=small, dx=dx),
        emitted("dense_backward_weights", x=x, dz=large, dw=(2, 0, 8)),
        emitted("dense_backward_input", fence=False, dz=large, dx=dx),
    )[-1] == ("dense_backward_input", True, 0.0)


def branches():
    """A product whose threads share rows and one whose threads share panels add to the same gradient."""
    inputs = fastnn.Input((20,))
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Concatenate()([layers.Dense(1024)(x), layers.Dense(64)(x)])
    return fastnn.Model(inputs, layers.Dense(3)(x))


def network(shared):
    """Rows, halves of rows, rows within samples, and a layer that is used twice: its gradients are added up."""
    inputs = fastnn.Input((20,))
    x = layers.Dense(40, activation="relu")(inputs)
    twice = layers.Dense(40, activation="tanh")
    x = twice(x)
    if shared:
        x = twice(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Reshape((8, 5))(x)
    x = layers.Dense(24, activation="silu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(150, activation="elu")(x)
    return fastnn.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize("made", [lambda: network(shared=False), lambda: network(shared=True), branches])
@pytest.mark.parametrize("batch", [256, 100, 64])
def test_same_bits_on_any_number_of_threads(made, batch):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(600, 20)), random.normal(size=(600, 3))
    found = set()
    for threads in 1, 2, 3, 5:
        fastnn.set_threads(threads)
        fastnn.utils.set_random_seed(3)
        model = made()
        model.compile(fastnn.optimizers.Adam(clipnorm=1.0), "mse")
        model.fit(x, y, batch_size=batch, epochs=4, verbose=0)
        found.add(b"".join(each.tobytes() for each in (*model.get_weights(), model.predict(x, verbose=0))))
    assert len(found) == 1


def test_few_rows_are_summed_alike_in_every_program():
    """A batch of 130 has the same gradients whether it was all that its program was made for, or the end of an epoch of
    batches of 256."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(256 + 130, 64)), random.normal(size=(256 + 130, 3))
    found = set()
    for in_one_epoch in True, False:
        fastnn.utils.set_random_seed(3)
        model = fastnn.Sequential([fastnn.Input((64,)), layers.Dense(128, activation="relu"), layers.Dense(3)])
        model.compile("sgd", "mse")
        if in_one_epoch:
            model.fit(x, y, batch_size=256, shuffle=False, verbose=0)
        else:
            for part in slice(256), slice(256, None):
                model.train_on_batch(x[part], y[part])
        found.add(b"".join(each.tobytes() for each in model.get_weights()))
    assert len(found) == 1
