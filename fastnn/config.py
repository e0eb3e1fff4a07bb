"""What was built, and what was chosen on this machine."""

import platform
import sys


def show_config(mode="print"):
    """Say which instruction set, how many threads, which compiler and which versions are in use.

    Parameters
    ----------
    mode : {"print", "dict"}
        Print a short table, or return the same as a dictionary.

    Returns
    -------
    dict or None
    """
    import numpy

    import fastnn
    from fastnn._engine import runtime

    if mode not in ("print", "dict"):
        raise ValueError(f"`mode` must be 'print' or 'dict'. Received: mode={mode!r}")
    config = {
        "fastnn": fastnn.__version__,
        "instruction set": runtime.active_isa_name(),
        "instruction sets available": ", ".join(runtime.isas()),
        "floats per vector": runtime.vector_floats(),
        "threads": runtime.get_threads(),
        "processors usable": runtime.cpu_count(),
        "compiler": runtime.COMPILER,
        "NumPy": numpy.__version__,
        "Python": sys.version.split()[0],
        "machine": f"{platform.system()} {platform.machine()}",
    }
    if mode == "dict":
        return config
    width = max(map(len, config))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in config.items()))
    return None
