"""Hold a whole process to a number of processors, whichever library will run in it."""

import os


def limit_threads(threads):
    """Pin this process to `threads` processors and tell every numerical library so.

    To be called before NumPy or any engine is imported: most of them read their limits then.

    Raises
    ------
    ValueError
        If the process may not use that many processors.
    """
    usable = sorted(os.sched_getaffinity(0))
    if not 1 <= threads <= len(usable):
        raise ValueError(
            f"threads must lie between 1 and the {len(usable)} processors that this process may use. "
            f"Received: threads={threads}"
        )
    # The last ones: the first processor is the one that serves most interrupts.
    os.sched_setaffinity(0, usable[-threads:])
    for variable in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ[variable] = str(threads)
    if threads == 1:
        # XLA (JAX, Keras): no hand-over to a pool of one thread, which costs up to half of a tiny network's speed.
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
