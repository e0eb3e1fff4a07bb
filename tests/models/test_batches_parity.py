"""Training on what yields batches, on frames and in steps, beside real Keras: the same History."""

import itertools

import numpy as np
import pytest

import fastnn

keras = pytest.importorskip("keras", reason="compares with real Keras: pip install '.[parity]'")

ROWS = 56  # in batches of 12 and 8 all through: Keras compiles for each size
RNG = np.random.default_rng(3)
X = RNG.normal(size=(ROWS, 4)).astype(np.float32)
Y = RNG.integers(0, 3, size=ROWS)
W = RNG.uniform(0.2, 2, size=ROWS).astype(np.float32)


def models(k):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(8, activation="tanh"), k.layers.Dense(3, activation="softmax")])
    options = {} if k is fastnn else {"jit_compile": True}
    model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def chunks(size=12, weights=False):
    for start in range(0, ROWS, size):
        rows = slice(start, start + size)
        yield (X[rows], Y[rows], W[rows]) if weights else (X[rows], Y[rows])


def forever():
    while True:
        yield from chunks()


def dataset(k, count=5, weights=False, **kwargs):
    class Chunks(k.utils.PyDataset):
        def __len__(self):
            return count

        def __getitem__(self, index):
            return next(itertools.islice(chunks(weights=weights), index, None))

    return Chunks(**kwargs)


def loader(k):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    data = torch.utils.data
    return data.DataLoader(data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=12)


def pandas_frame(k):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=range(100, 100 + ROWS))
    frame["y"] = Y
    return frame[list("abcd")], frame["y"]


RUNS = {
    "endless generator": lambda k: ((forever(),), {"steps_per_epoch": 4, "epochs": 3}),
    "generator": lambda k: ((chunks(),), {}),
    "generator with weights": lambda k: ((chunks(weights=True),), {}),
    "generator that ends early": lambda k: ((chunks(),), {"steps_per_epoch": 7}),
    "PyDataset": lambda k: (
        (dataset(k, 4, workers=2),),
        {"epochs": 2, "validation_data": dataset(k), "validation_steps": 2},
    ),
    "PyDataset in steps": lambda k: ((dataset(k),), {"epochs": 4, "steps_per_epoch": 3}),
    "PyDataset and class weights": lambda k: ((dataset(k),), {"class_weight": {0: 2.0, 2: 0.5}}),
    "PyDataset with validation by a generator": lambda k: (
        (dataset(k),),
        {"validation_data": forever(), "validation_steps": 3},
    ),
    "validation by a generator in steps": lambda k: (
        (X, Y),
        {"epochs": 3, "validation_data": forever(), "validation_steps": 3},
    ),
    "validation by a generator that ends": lambda k: ((X, Y), {"epochs": 3, "validation_data": chunks()}),
    "loader": lambda k: ((loader(k),), {"epochs": 2, "validation_data": loader(k)}),
    "arrays in steps": lambda k: ((X, Y), {"epochs": 3, "steps_per_epoch": 5}),
    "arrays in steps of batches": lambda k: ((X, Y), {"epochs": 3, "steps_per_epoch": 3, "batch_size": 12}),
    "arrays, too many steps": lambda k: ((X, Y), {"epochs": 2, "steps_per_epoch": 9, "batch_size": 12}),
    "arrays, validation in steps": lambda k: (
        (X, Y),
        {"batch_size": 12, "validation_data": (X, Y), "validation_steps": 3},
    ),
    "pandas": lambda k: (pandas_frame(k), {"batch_size": 12, "validation_split": 1 / 7}),
}


@pytest.fixture(scope="module")
def pair():
    ours, theirs = models(fastnn), models(keras)
    start = [each.copy() for each in ours.get_weights()]

    def again():
        ours.set_weights(start)
        theirs.set_weights(start)
        return ours, theirs

    return again


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True`")
@pytest.mark.parametrize("run", RUNS)
def test_history(pair, run):
    ours, theirs = pair()
    histories = []
    for k, model in ((keras, theirs), (fastnn, ours)):
        data, options = RUNS[run](k)
        histories.append(model.fit(*data, **{"shuffle": False, "verbose": 0, **options}).history)
    expected, found = histories
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=1e-6, err_msg=name)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_evaluate_and_predict(pair):
    ours, theirs = pair()
    for data, options in (
        (lambda k: (dataset(k),), {}),
        (lambda k: (chunks(),), {"steps": 3}),
        (lambda k: (X, Y), {"steps": 5}),
        (lambda k: (X, Y), {"steps": 3, "batch_size": 12}),
    ):
        expected, found = (
            model.evaluate(*data(k), verbose=0, **options) for k, model in ((keras, theirs), (fastnn, ours))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    for data, options in (
        (lambda k: dataset(k), {}),
        (lambda k: chunks(), {"steps": 3}),
        (lambda k: X, {"steps": 5}),
        (lambda k: X, {"steps": 3, "batch_size": 12}),
        (lambda k: X, {"steps": 9, "batch_size": 12}),
    ):
        expected, found = (
            model.predict(data(k), verbose=0, **options) for k, model in ((keras, theirs), (fastnn, ours))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
