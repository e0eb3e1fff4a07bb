"""Benchmarks run in pinned worker processes; pytest-benchmark reads the workers' own clock."""

import time

import pytest

from benchmarks.client import Client


class Clock:
    """`perf_counter`, less what is not to be counted: pipes, and all but one of a worker's repetitions."""

    def __init__(self):
        self.skipped = 0.0

    def __call__(self):
        return time.perf_counter() - self.skipped

    def ask(self, counted, client, *command):
        """Ask a worker; only `counted(answer)` seconds seem to pass."""
        started = time.perf_counter()
        answer = client.ask(*command)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        seconds = counted(answer)
        self.skipped += time.perf_counter() - started - seconds
        return answer


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, default=1, help="processors that each engine is pinned to (1)")


@pytest.fixture(scope="session")
def clients(pytestconfig):
    """clients(engine) -> its worker, started at the first call; skips where the library is not installed."""
    threads, started = pytestconfig.getoption("--threads", 1), {}

    def client(engine):
        if engine not in started:
            started[engine] = Client(engine, threads)
        if started[engine].missing:
            pytest.skip(f"{started[engine].name}: {started[engine].missing}")
        return started[engine]

    yield client
    for each in started.values():
        each.close()


@pytest.fixture
def timed(benchmark):
    """timed(group, counted, client, *command): benchmark one command to a worker; returns its last answer."""
    clock = Clock()
    benchmark._timer = clock

    def run(group, counted, client, *command, rounds=5):
        benchmark.group = group
        return benchmark.pedantic(clock.ask, (counted, client, *command), rounds=rounds, warmup_rounds=1)

    return run
