"""Ctrl-C stops training soon and leaves a usable model, whatever size the network is."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, threading, time
import numpy as np
import fastnn
from fastnn import layers

threads, width, rows, verbose = (int(each) for each in sys.argv[1:])
fastnn.set_threads(threads)
model = fastnn.Sequential([fastnn.Input((width,)), layers.Dense(width, activation="elu"), layers.BatchNormalization(),
                           layers.Dense(width, activation="relu"), layers.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
x = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
y = np.zeros(rows, int)
model.fit(x[:64], y[:64], verbose=0)  # everything is built and warm
sent = []


def interrupt():
    time.sleep(0.4)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)


threading.Thread(target=interrupt).start()
before = model.optimizer.iterations
try:
    model.fit(x, y, batch_size=min(rows, 256), epochs=1_000_000, verbose=verbose)
except KeyboardInterrupt:
    waited = time.perf_counter() - sent[0]
else:
    sys.exit("fit ended without an interrupt")
for weights in model.get_weights():
    assert np.isfinite(weights).all()
steps = model.optimizer.iterations
assert model.predict(x[:5], verbose=0).shape == (5, 10)
model.fit(x[:64], y[:64], batch_size=32, verbose=0)
assert model.optimizer.iterations == steps + 2
print("waited", waited)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("width", "rows"), [(8, 64), (300, 5000), (2048, 256)])
@pytest.mark.parametrize("verbose", [0, 1])
def test_ctrl_c(threads, width, rows, verbose):
    arguments = [str(each) for each in (threads, width, rows, verbose)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    waited = float(done.stdout.split("waited")[1])
    # It is 10-50 ms on a machine of one's own. This bound only says that no step, epoch or fit is waited for.
    assert waited < 2.0
