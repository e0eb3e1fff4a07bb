"""The pool of threads: limits, forks, two callers at once."""

import os
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._engine import kernels, runtime
from harness.process import run_python


@pytest.fixture(autouse=True)
def any_number_of_threads():
    before = fastnn.get_threads()
    yield
    fastnn.set_threads(before)


def fitted(seed=0, epochs=2):
    """Weights after training with enough work for a team."""
    fastnn.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    model = fastnn.Sequential([fastnn.Input((200,)), layers.Dense(300, activation="relu"), layers.Dense(5)])
    model.compile("adam", "mse")
    x, y = random.normal(size=(512, 200)), random.normal(size=(512, 5))
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    return b"".join(weights.tobytes() for weights in model.get_weights())


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", None, True])
def test_bad_limits_are_refused(threads):
    with pytest.raises(ValueError, match="positive integer"):
        fastnn.set_threads(threads)


def test_limit():
    fastnn.set_threads(3)
    assert fastnn.get_threads() == 3
    fastnn.set_threads(np.int64(1))
    assert fastnn.get_threads() == 1


def run(code, **environment):
    done = run_python(code, **environment)
    return done.returncode, done.stdout.strip(), done.stderr


def test_environment():
    code = "import fastnn; print(fastnn.get_threads())"
    available = runtime.cpu_count()
    assert run(code, OMP_NUM_THREADS="1")[1] == "1"
    assert run(code, OMP_NUM_THREADS="1,2")[1] == "1"
    assert run(code, OMP_NUM_THREADS="nonsense")[1] == str(available)
    assert run(code, OMP_NUM_THREADS="4096")[1] == str(available)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity, which Linux has")
def test_workers_may_run_wherever_the_process_may():
    """One that began beside another is moved by its affinity, which then has to be what it was."""
    fastnn.set_threads(2)
    fitted(epochs=20)
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    assert len(threads) > 1
    assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset(os.sched_getaffinity(0))}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity, which Linux has")
def test_affinity_is_respected():
    pin = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    code = f"{pin}; import fastnn; print(fastnn.get_threads())"
    assert run(code, OMP_NUM_THREADS="")[1] == "1"


@pytest.mark.parametrize("name", runtime.isas())
def test_forced_instruction_set(name):
    code, out, _ = run("import fastnn; print(fastnn.show_config('dict')['instruction set'])", FASTNN_CPU=name.upper())
    assert (code, out) == (0, name)


def test_unknown_instruction_set_is_refused():
    code, _, error = run("import fastnn", FASTNN_CPU="mmx")
    assert code != 0
    assert "ImportError" in error
    assert "mmx" in error
    for name in runtime.isas():
        assert name in error


def test_show_config(capsys):
    fastnn.show_config()
    printed = capsys.readouterr().out
    config = fastnn.show_config(mode="dict")
    assert config["instruction set"] == runtime.active_isa_name()
    assert config["fastnn"] == fastnn.__version__
    for key, value in config.items():
        assert key in printed
        assert str(value) in printed
    with pytest.raises(ValueError, match="'print' or 'dict'"):
        fastnn.show_config("json")


def test_nothing_starts_a_thread_before_there_is_work():
    code = """
import os, numpy as np, fastnn
fastnn.set_threads(4)
model = fastnn.Sequential([fastnn.Input((8,)), fastnn.layers.Dense(16), fastnn.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(np.zeros((100, 8)), np.zeros(100), verbose=0)
print(len(os.listdir("/proc/self/task")))
"""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("counts threads in /proc")
    assert run(code, OPENBLAS_NUM_THREADS="1")[1] == "1"


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads
sys.path.insert(0, {tests!r})
import fastnn
from engine.test_threads import fitted
fastnn.set_threads(2)
expected = fitted()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.write(writer, b"same" if fitted() == expected else b"other")
    finally:
        os._exit(0)
os.close(writer)
with os.fdopen(reader, "rb") as pipe:
    said = pipe.read().decode()
os.waitpid(child, 0)
print(said, "same" if fitted() == expected else "other")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork():
    """A child that is forked after a team has run trains with a team of its own; so does the parent, afterwards. In a
    process of its own, for other tests load libraries that do not survive a fork."""
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code, out, error = run(FORK.format(tests=tests))
    assert (code, out) == (0, "same same"), error


@pytest.mark.parametrize(("inputs", "units", "rows", "threads"), [(3, 160, 64, 4), (2, 16, 2000, 3), (5, 16, 900, 8)])
def test_more_threads_than_inputs(inputs, units, rows, threads):
    """Some threads of the team have no rows of the weights then; they must not touch the bias either."""
    x, dz = kernels.padded(np.ones((rows, inputs))), kernels.padded(np.ones((rows, units)))
    for _ in range(50):
        dw, db = kernels.aligned(kernels.packed_floats(inputs, units)), kernels.aligned(kernels.row_stride(units))
        dims = dict(k=inputs, n=units, ldx=x.shape[1], lddz=dz.shape[1], accumulate=0)
        kernels.call("dense_backward_weights", rows, dict(x=x, dz=dz, dw=dw, db=db), dims, threads=threads)
        assert (db[:units] == rows).all()
        assert (kernels.unpack(dw, inputs, units) == rows).all()


def test_two_callers_at_once():
    """The second finds the pool taken and works alone, with the same result."""
    fastnn.set_threads(1)
    # One after the other: the stream of seeds is shared.
    models = []
    for seed in 0, 1, 2:
        fastnn.utils.set_random_seed(seed)
        random = np.random.default_rng(seed)
        model = fastnn.Sequential([fastnn.Input((200,)), layers.Dense(300, activation="relu"), layers.Dense(5)])
        model.compile("adam", "mse")
        models.append((model, random.normal(size=(512, 200)), random.normal(size=(512, 5))))
    fastnn.set_threads(2)
    workers = [
        threading.Thread(target=model.fit, args=(x, y), kwargs=dict(batch_size=128, epochs=2, verbose=0))
        for model, x, y in models
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed, (model, _, _) in enumerate(models):
        assert b"".join(weights.tobytes() for weights in model.get_weights()) == fitted(seed)
