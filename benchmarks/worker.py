"""One engine in a process of its own, pinned: ``python -m benchmarks.worker ENGINE --threads N``.

Reads commands from standard input, one a line, and answers each with one line of JSON. The first line it writes says
what it is: ``{"name", "version"}``, or ``{"missing": why}``.

``prepare WORKLOAD SECONDS``
    Build, compile, warm up; choose the epochs of a run so that it takes about SECONDS.
    ``{"epochs", "prepared_in"}`` or ``{"unsupported": why}``.
``run WORKLOAD``
    Train that many epochs more. ``{"samples_per_second", "epochs", "seconds", "loss"}``.
``drop NAME``
    Forget this workload or network.
``latency NETWORK BATCH SECONDS``
    Time single predictions of a network of `benchmarks.workloads.INFERENCE` for about SECONDS; built at the first time.
    ``{"median_us", "p99_us", "calls", "difference"}`` (to float64, relative to the largest output).
``waiting MICROSECONDS SECONDS``
    Time additions that take so long and need nothing but the processor. ``{"median_us", "p99_us", "calls"}``.
``reading BYTES SECONDS``
    Read so much memory again and again. ``{"bytes_per_second"}``.
``accuracy NETWORK EPOCHS``
    Train the network on Fashion-MNIST and freeze it in each precision; see `benchmarks.latency_accuracy`.
``gemm LIBRARY FORM M K N SECONDS``
    Time a matrix product of `benchmarks.gemm` for about SECONDS. ``{"seconds" (of one product), "gflops"}``.

What goes wrong is answered as ``{"error": traceback}``.
"""

import argparse
import gc
import json
import os
import sys
import time
import traceback

from benchmarks.threads import limit_threads


class Worker:
    """What the commands act on: the engine, and what it has compiled."""

    def __init__(self, engine, variant, threads):
        self.engine = engine
        self.variant = variant
        self.threads = threads
        self.runs = {}
        self.predictors = {}
        self.products = {}

    def prepare(self, name, seconds):
        from benchmarks.workloads import find

        workload = find(name)
        if reason := self.engine.unsupported(workload):
            return {"unsupported": reason}
        started = time.perf_counter()
        run = self.engine.train(workload, *workload.data(), self.threads)
        run(1)
        run(1)  # some compile once more when their own output comes back in
        prepared_in = time.perf_counter() - started
        seconds, epochs = float(seconds), 1
        while (took := _seconds(run, epochs)[0]) < 0.3 * seconds:
            epochs = max(epochs + 1, min(10 * epochs, int(0.6 * seconds / took * epochs)))
        epochs = max(1, round(epochs * seconds / took))
        self.runs[name] = run, workload.samples * epochs, epochs
        return {"epochs": epochs, "prepared_in": prepared_in}

    def run(self, name):
        run, samples, epochs = self.runs[name]
        seconds, loss = _seconds(run, epochs)
        return {
            "samples_per_second": samples / seconds,
            "epochs": epochs,
            "seconds": seconds,
            "loss": float(loss),
        }

    def drop(self, name):
        self.runs.pop(name, None)
        self.predictors = {key: value for key, value in self.predictors.items() if key[0] != name}
        gc.collect()
        return {}

    def latency(self, name, batch, seconds):
        from fastnn.cli.latency import time_calls

        if (name, batch) not in self.predictors:
            self.predictors[name, batch] = self._predictor(name, int(batch))
        call, arguments, difference = self.predictors[name, batch]
        timed = getattr(call, "times", None)  # by a clock of its own
        times = timed(*arguments, float(seconds)) if timed else time_calls(call, arguments, float(seconds))
        return {**_tail(times), "difference": difference}

    def _predictor(self, name, batch):
        from benchmarks.latency_network import Network
        from benchmarks.workloads import INFERENCE

        network = Network(INFERENCE[name])
        x = network.data(batch)
        call, arguments = self.engine.predictor(network, x, self.threads, self.variant)
        return call, arguments, network.difference(x, call(*arguments))

    def waiting(self, microseconds, seconds):
        from benchmarks import latency_native
        from fastnn.cli.latency import time_calls

        call, arguments = latency_native.waiting(1e3 * float(microseconds))
        return _tail(time_calls(call, arguments, float(seconds)))

    def reading(self, nbytes, seconds):
        from benchmarks import latency_native

        return {"bytes_per_second": latency_native.reading(int(nbytes), float(seconds))}

    def accuracy(self, name, epochs):
        from benchmarks import latency_accuracy

        return latency_accuracy.measured(name, int(epochs))

    def gemm(self, library, form, m, k, n, seconds):
        from benchmarks import gemm

        key = library, form, int(m), int(k), int(n)
        if key not in self.products:
            run = gemm.product(*key, threads=self.threads)
            self.products[key] = run, gemm.repeats(run, float(seconds))
        run, count = self.products[key]
        took = gemm.timed(run, count) / count
        return {"seconds": took, "gflops": 2e-9 * int(m) * int(k) * int(n) / took}


def _tail(nanoseconds):
    import numpy as np

    median, p99 = np.percentile(nanoseconds, (50, 99)) / 1e3
    return {"median_us": median, "p99_us": p99, "calls": len(nanoseconds)}


def _seconds(run, epochs):
    """Time and loss of a run that no garbage collection falls into."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        loss = run(epochs)
        return time.perf_counter() - started, loss
    finally:
        gc.enable()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    limit_threads(arguments.threads)

    # Libraries print to standard output as they please; the protocol keeps it and gives them standard error.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def reply(message):
        print(json.dumps(message), file=replies)

    from benchmarks import engines

    engine, variant = engines.load(arguments.engine)
    name = ", ".join(filter(None, (engine.NAME, variant)))
    if not engine.available():
        reply({"name": name, "missing": "not installed"})
        return
    try:
        reply({"name": name, "version": engine.version()})
    except Exception:
        # Installed but broken, a fastnn that was never compiled for example: said in the report, with the reason.
        reply({"name": name, "missing": "cannot be imported", "error": traceback.format_exc()})
        return
    worker = Worker(engine, variant, arguments.threads)
    for line in sys.stdin:
        command, *parameters = line.split()
        try:
            reply(getattr(worker, command)(*parameters))
        except Exception:
            # Reported, and the worker lives on: one network that a peer fails on must not end the whole comparison.
            reply({"error": traceback.format_exc()})


if __name__ == "__main__":
    main()
