"""What was built, what was chosen on this machine, and the session's settings under the names of `keras.config`."""

import os
import platform
import sys

from fastnn.backend import backend, epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format

__all__ = [
    "backend",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "get_include",
    "image_data_format",
    "is_interactive_logging_enabled",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "show_config",
]

_interactive_logging = True


def enable_interactive_logging():
    """Let `fit`, `evaluate` and `predict` print to standard output, as they do from the start."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging():
    """Let `fit`, `evaluate` and `predict` hand their lines to the logger "fastnn" (level INFO) instead of printing."""
    global _interactive_logging
    _interactive_logging = False


def is_interactive_logging_enabled():
    """Return whether progress is printed to standard output."""
    return _interactive_logging


def enable_unsafe_deserialization():
    """Accepted for compatibility, and changes nothing: no file is ever let run code, whatever `safe_mode` says."""


def get_include():
    """Return the folder of the C header that Cython code needs when it cimports from `fastnn._engine`.

    It goes to ``include_dirs`` of the extension, as `numpy.get_include()` does. What is declared there belongs to this
    version of fastnn and may change with the next: build against the version that will run.

    Returns
    -------
    str
    """
    package = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(package, "_engine", "include")
    # Built in place, as an editable installation is, there is only the header in the sources.
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "csrc")


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
