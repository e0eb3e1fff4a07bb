"""Paired measurements: engines take turns within every round, so that what drifts on the machine cancels in ratios."""

import itertools
import math
import statistics

# How far outputs may be from float64, relative to the largest: summing in another order is far below the first.
TOLERANCE = 1e-4
TOLERANCES = {"float16": 5e-3, "int8": 5e-2}


def say_nothing(line):
    """The default for `progress`."""


def training(clients, workloads, rounds, seconds, progress=say_nothing):
    """Samples/s of every client on every workload.

    All of them are compiled and warm before the first round; one runs at any moment. Every second round goes through
    them backwards, so that a steady drift favours nobody.

    Parameters
    ----------
    clients : list of Client
    workloads : list of str
    rounds : int
    seconds : float
        About how long one engine runs in a round.
    progress : callable
        Is given a line of text now and then.

    Returns
    -------
    dict
        ``{(workload, engine, threads): rates or reason}``: a list with one rate for each round, or a string that says
        why there is none.
    """
    results = {}
    for workload in workloads:
        ready = []
        for client in clients:
            key = workload, client.engine, client.threads
            if client.missing:
                results[key] = client.missing
                continue
            progress(f"{workload}: preparing {client.name}, threads: {client.threads}")
            answer = client.ask("prepare", workload, seconds)
            if reason := _reason(answer):
                progress(f"{workload}: {client.name}: {answer.get('error', reason)}")
                results[key] = reason
                continue
            results[key] = []
            ready.append((client, key))
        for i in range(rounds):
            progress(f"{workload}: round {i + 1} of {rounds}")
            for client, key in ready[:: -1 if i % 2 else 1]:
                if isinstance(results[key], str):
                    continue
                answer = client.ask("run", workload)
                reason = _reason(answer)
                if not reason and not math.isfinite(answer["loss"]):
                    reason = f"failed: the loss is {answer['loss']}"
                if reason:
                    progress(f"{workload}: {client.name}: {answer.get('error', reason)}")
                    results[key] = reason
                else:
                    results[key].append(answer["samples_per_second"])
        for client, _ in ready:
            client.ask("drop", workload)
    return results


# Not an engine: what additions take that need nothing but the processor, for as long as a call of the first client.
WAITING = "waiting"


def latencies(clients, networks, batches, rounds, seconds, progress=say_nothing):
    """Times of single calls of every client's predictor, for every network and batch.

    The round that is thrown away builds, compiles and warms up.

    Returns
    -------
    dict
        ``{(network, batch, engine): answers or reason}``: what the worker's ``latency`` answered in each round. The
        engine `WAITING` has the answers to ``waiting``: the tail of the machine itself.
    """
    results = {}
    for network, batch in itertools.product(networks, batches):
        progress(f"{network}, batch {batch}")
        for client in clients:
            results[network, batch, client.engine] = client.missing or []
        for i in range(rounds + 1):
            for client in clients[:: -1 if i % 2 else 1]:
                found = results[network, batch, client.engine]
                if isinstance(found, str):
                    continue
                answer = client.ask("latency", network, batch, seconds)
                if reason := _reason(answer) or _wrong(client.engine, answer):
                    progress(f"{network}, batch {batch}: {client.name}: {answer.get('error', reason)}")
                    results[network, batch, client.engine] = reason
                elif i:
                    found.append(answer)
            if i and isinstance(first := results[network, batch, clients[0].engine], list):
                answer = clients[0].ask("waiting", first[-1]["median_us"], seconds)
                if not _reason(answer):  # there may be no C compiler
                    results.setdefault((network, batch, WAITING), []).append(answer)
        for client in clients:
            if not client.missing:
                client.ask("drop", network)
    return results


def _wrong(engine, answer):
    """Why the outputs cannot be those of the network, or None."""
    tolerance = TOLERANCES.get(engine.partition(":")[2], TOLERANCE)
    if answer["difference"] <= tolerance:
        return None
    return f"wrong: off by {answer['difference']:.1e}"


def readings(client, sizes, rounds, seconds):
    """Bytes a second of reading memory of each size in bytes: ``{size: rates or reason}``."""
    results = {}
    for nbytes in sizes:
        answers = [client.ask("reading", nbytes, seconds) for _ in range(0 if client.missing else rounds)]
        reason = client.missing or next(filter(None, map(_reason, answers)), None)
        results[nbytes] = reason or [each["bytes_per_second"] for each in answers]
    return results


def ratio(rates, others):
    """(median, smallest, largest) of rates/others, taken round by round."""
    pairs = [a / b for a, b in zip(rates, others, strict=True)]
    return statistics.median(pairs), min(pairs), max(pairs)


def _reason(answer):
    if "error" in answer:
        return "failed: " + answer["error"].strip().splitlines()[-1]
    return answer.get("unsupported")
