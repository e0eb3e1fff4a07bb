"""Benchmarks run in pinned worker processes; pytest-benchmark is shown the workers' own clock."""

import pytest

from benchmarks.client import Client

_elapsed = 0.0


def worker_clock():
    """Seconds that workers have counted: pipes, and the repetitions of which one is reported, take no time."""
    return _elapsed


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, default=1, help="processors that each engine is pinned to (1)")


def pytest_collection_modifyitems(items):
    for item in items:
        if "timed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=worker_clock))


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
def ask():
    """ask(client, *command): the worker's answer. What it cannot express skips, what fails fails."""

    def ask(client, *command):
        answer = client.ask(*command)
        if "error" in answer:
            pytest.fail(f"{client.name}, {' '.join(map(str, command))}: {answer['error']}", pytrace=False)
        if "unsupported" in answer:
            pytest.skip(f"{client.name}: {answer['unsupported']}")
        return answer

    return ask


@pytest.fixture
def timed(benchmark, ask):
    """timed(group, counted, client, *command): benchmark a command, which takes counted(answer) seconds."""

    def timed(group, counted, client, *command, rounds=5):
        def once():
            global _elapsed
            answer = ask(client, *command)
            _elapsed += counted(answer)
            return answer

        benchmark.group = group
        answer = benchmark.pedantic(once, rounds=rounds, warmup_rounds=1)
        benchmark.extra_info.update(answer, version=client.version)
        return answer

    return timed
