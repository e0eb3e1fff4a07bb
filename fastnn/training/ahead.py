"""A thread that fetches the next batches while the engine, which needs no Python, computes."""

import itertools
import queue
import threading
from collections import deque

_WAIT = 1.0  # seconds for the thread to end what it is at, when nobody wants it any more


def ahead(iterator, depth=2):
    """Yield what an iterator yields, fetched by a thread.

    Parameters
    ----------
    iterator : iterator
        Used by that thread alone, until the end.
    depth : int, default 2
        Items that may be ready and not yet asked for.

    Raises
    ------
    BaseException
        What the iterator raises, where its item would have come.

    Notes
    -----
    Close it (`contextlib.closing`), and the thread ends: at once if it waits, else when the iterator has made the item
    that it is at. One that takes longer than a second is not waited for.
    """
    ready = queue.SimpleQueue()  # of (item, None), or (None, what ended the iteration)
    room = threading.Semaphore(depth)
    closed = False

    def fetch():
        try:
            while room.acquire() and not closed:
                ready.put((next(iterator), None))
        except BaseException as error:  # whatever it is, it is raised to the one who asks for the item
            ready.put((None, error))

    thread = threading.Thread(target=fetch, name="fastnn-batches", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            room.release()
            yield item
    finally:
        closed = True
        room.release()
        thread.join(_WAIT)


def by_workers(function, arguments, workers, depth):
    """Yield ``function(argument)`` for each argument, in order, computed by several threads.

    Parameters
    ----------
    function : callable
    arguments : iterable
    workers : int
    depth : int
        Results that may be ready or in work.
    """
    from concurrent.futures import ThreadPoolExecutor

    arguments = iter(arguments)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fastnn-worker")
    try:
        waiting = deque(pool.submit(function, each) for each in itertools.islice(arguments, depth))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, each) for each in itertools.islice(arguments, 1))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
