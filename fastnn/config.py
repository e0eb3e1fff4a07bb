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
    "get_library",
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
    """Return the folder of the C headers: `fastnn.h`, and what Cython code needs that cimports from `fastnn._engine`.

    It goes to ``include_dirs`` of an extension, as `numpy.get_include()` does, or to ``cc -I``. What is not declared in
    `fastnn.h` belongs to this version of fastnn and may change with the next: build against the version that will run.

    Returns
    -------
    str

    See Also
    --------
    get_library : The library that belongs to `fastnn.h`.
    """
    installed = os.path.join(_engine_folder(), "include")
    # Built in place, as an editable installation is, there is only the header in the sources.
    return installed if os.path.isdir(installed) else _sources()


def get_library():
    """Return the path of `libfastnn.a`, the C library that runs frozen networks, as `fastnn.h` declares it.

    It needs libm alone, neither Python nor the rest of the package, has the kernels of all instruction sets of this
    architecture, and takes at run time what the processor has. C and C++ programs link it, and then depend on nothing
    that is installed here; languages that load shared libraries get one from it by one command (its code is
    position-independent):

        cc prog.c -I"$(python -c 'import fastnn; print(fastnn.get_include())')" \\
                  "$(python -c 'import fastnn; print(fastnn.get_library())')" -lm
        cc -shared -Wl,--whole-archive libfastnn.a -Wl,--no-whole-archive -lm -o libfastnn.so

    Only the static library is in the package, as each has a fifth of a megabyte in the wheel and a shared one would be
    found at run time by nobody. For other machines or with other flags build it from the folder `csrc/` of the sources:
    by one compiler command, or by CMake, which installs it for `find_package` and pkg-config.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the package was built in place, as an editable installation is: it has no library then.
    """
    path = os.path.join(_engine_folder(), "lib", "libfastnn.a")
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"There is no {path}: this fastnn was built in place, which leaves the C library out. Build it with\n"
            f"    cc -O3 -march=native -c {os.path.join(_sources(), 'fastnn.c')} && ar rcs libfastnn.a fastnn.o\n"
            "or install fastnn with `pip install .`, without -e."
        )
    return path


def _engine_folder():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "_engine")


def _sources():
    """The folder csrc beside a package that was built in place."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "csrc")


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
