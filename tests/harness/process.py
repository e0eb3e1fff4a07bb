"""Python in a process of its own, as a user would start it."""

import os
import subprocess
import sys
import tempfile

# What a shell runs in the background inherits that it ignores Ctrl-C, and then Python installs no handler for it.
_HEEDS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def run_python(code, *arguments, check=False, **environment):
    """Run a script; returns the finished process with its output as text.

    It starts in an empty folder: in the repository's own, the sources would be imported instead of the package.
    """
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-c", _HEEDS_CTRL_C + code, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=check,
        )
