import io
import logging
import re
import sys
import threading

import pytest

from fastnn import config
from fastnn.training import progress
from fastnn.training.progress import Progress
from harness.terminal import run_in_terminal, screen

LOGS = {"loss": 0.25, "accuracy": 0.9, "val_loss": 0.00012345}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Writes(io.StringIO):
    """Counts its writes."""

    writes = 0

    def write(self, text):
        self.writes += 1
        return super().write(text)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until told otherwise."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "perf_counter", lambda: Clock.now)
    return Clock


def run(stream, monkeypatch, verbose, epochs=2, seconds=2.0, clock=None):
    monkeypatch.setattr(sys, "stdout", stream)
    shown = Progress(verbose, epochs, 50)
    for epoch in range(epochs or 1):
        shown.epoch_begin(epoch)
        for step in range(1, 51):
            if clock:
                clock.now += seconds / 50
            shown.update(step, lambda: {"loss": 1.5})
        shown.epoch_end(LOGS, seconds)
    return stream.getvalue()


LINES = (
    "Epoch 1/2 - 50/50 - 2.0s - 25 steps/s - loss: 0.2500 - accuracy: 0.9000 - "
    "val_loss: 1.2345e-04\n"
    "Epoch 2/2 - 50/50 - 2.0s - 25 steps/s - loss: 0.2500 - accuracy: 0.9000 - "
    "val_loss: 1.2345e-04\n"
)


@pytest.mark.parametrize("verbose", [1, 2, "auto", True])
def test_one_line_an_epoch_where_there_is_no_terminal(monkeypatch, clock, verbose):
    stream = Writes()
    assert run(stream, monkeypatch, verbose, clock=clock) == LINES
    assert stream.writes == 2


def test_verbose_2_is_lines_in_a_terminal_too(monkeypatch, clock):
    assert run(Terminal(), monkeypatch, 2, clock=clock) == LINES


def test_verbose_0_prints_nothing(monkeypatch, clock):
    assert run(Terminal(), monkeypatch, 0, clock=clock) == ""


def test_evaluation_has_no_epochs(monkeypatch, clock):
    line = run(io.StringIO(), monkeypatch, 1, epochs=None, clock=clock)
    assert line.startswith("50/50 - 2.0s - 25 steps/s - loss: 0.2500")


def test_live_bar_in_a_terminal(monkeypatch, clock):
    before = set(threading.enumerate())
    text = run(Terminal(), monkeypatch, 1, clock=clock)
    frames = [frame for frame in text.replace("\n", "\r").split("\r") if frame.strip()]
    bars = [frame for frame in frames if "|" in frame]
    lines = [frame for frame in frames if "|" not in frame]
    assert "".join(line + "\n" for line in lines) == LINES
    assert 2 * 10 <= len(bars) <= 2 * 21  # at most 10 a second, for 2 seconds an epoch
    assert bars[0].startswith("Epoch 1/2: ")
    assert "/50 |" in bars[0]
    assert re.search(r" 2[45]\.\d\d steps/s", bars[0])
    assert "ETA 00:01" in bars[0]
    assert "loss: 1.5000" in bars[0]
    assert set(threading.enumerate()) <= before, "tqdm's thread that watches bars"


def test_short_epochs_get_no_bar(monkeypatch, clock):
    assert "|" not in run(Terminal(), monkeypatch, 1, seconds=0.2, clock=clock)


def test_logs_are_asked_for_only_when_drawn(monkeypatch, clock):
    monkeypatch.setattr(sys, "stdout", Terminal())
    asked = []
    shown = Progress(1, 1, 1000)
    shown.epoch_begin(0)
    for step in range(1, 1001):
        clock.now += 0.001
        shown.update(step, lambda: asked.append(1) or {})
    shown.close()
    assert 1 <= len(asked) <= 10


def test_close_removes_the_bar_after_an_interrupt(monkeypatch, clock):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    shown = Progress(1, 1, 1000)
    shown.epoch_begin(0)
    clock.now += 1.0
    shown.update(10, lambda: LOGS)
    assert "10/1000" in stream.getvalue()
    shown.close()
    shown.close()
    assert stream.getvalue().endswith("\r")


def test_without_standard_output_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    shown = Progress(1, 1, 10)
    shown.epoch_begin(0)
    shown.update(1, lambda: LOGS)
    shown.epoch_end(LOGS, 1.0)


@pytest.mark.parametrize("verbose", [3, -1, "yes", None, 0.5])
def test_wrong_verbose_is_refused(verbose):
    with pytest.raises(ValueError, match="Expected `verbose`"):
        Progress(verbose, 1, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0051, "5.1ms"),
        (0.25, "250ms"),
        (2.34, "2.3s"),
        (61, "1:01"),
        (3725, "1:02:05"),
    ],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


def test_values_that_are_not_finite_are_printed():
    values = {"loss": float("nan"), "a": float("inf"), "b": -0.5}
    assert progress._values(values) == "loss: nan - a: inf - b: -0.5000"


INTERRUPTED = """
import numpy as np
import fastnn

model = fastnn.Sequential([fastnn.Input((100,)), fastnn.layers.Dense(200), fastnn.layers.Dense(1)])
model.compile("sgd", "mse")
samples = 20_000_000  # of no memory
try:
    model.fit(np.broadcast_to(np.float32(0), (samples, 100)), np.broadcast_to(0.0, samples), shuffle=False)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("columns", [40, 100])
def test_after_ctrl_c_nothing_is_left_of_the_bar(columns):
    """Nor of the ^C that the terminal writes behind it."""
    written = run_in_terminal(INTERRUPTED, columns, typed=b"\x03", after=r"Epoch 1/1: \d+/625000 \|")
    assert "^C" in written
    assert screen(written, columns) == ["stopped", ""]


def test_lines_may_go_to_the_log(capsys, caplog):
    config.disable_interactive_logging()
    try:
        progress = Progress(1, 2, 10)
        with caplog.at_level(logging.INFO, logger="fastnn"):
            progress.epoch_begin(0)
            progress.epoch_end({"loss": 0.5}, 1.0)
    finally:
        config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert caplog.messages == ["Epoch 1/2 - 10/10 - 1.0s - 10 steps/s - loss: 0.5000"]
    assert config.is_interactive_logging_enabled()


def test_an_unknown_number_of_steps(monkeypatch, clock):
    """A generator's first epoch; its length is known afterwards."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    shown = Progress(1, 2, None)
    shown.epoch_begin(0)
    for step in (1, 2, 3):
        clock.now += 1
        shown.update(step, lambda: {"loss": 1.5})
    assert "3/? " in stream.getvalue()
    shown.epoch_end(LOGS, 3.0, 3)
    assert "Epoch 1/2 - 3/3 - 3.0s" in stream.getvalue()
    shown.epoch_begin(1)
    clock.now += 1
    shown.update(1, lambda: {"loss": 1.5})
    assert "1/3 " in stream.getvalue()
    shown.epoch_end(LOGS, 2.0, 2)
    assert "Epoch 2/2 - 2/3 - 2.0s" in stream.getvalue()
