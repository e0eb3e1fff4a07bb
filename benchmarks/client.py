"""The other end of `benchmarks.worker`: start one for each engine, ask, get dictionaries back."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

from benchmarks import ROOT


class Client:
    """A worker process of one engine and thread count.

    Parameters
    ----------
    engine : str
        A name of `benchmarks.engines.ENGINES`.
    threads : int
        The processors that it is pinned to.
    environment : dict, optional
        Variables that its process has beside those of this one.

    Attributes
    ----------
    name : str
        What tables call the engine.
    version : str or None
    missing : str or None
        Why the engine cannot run here.
    """

    def __init__(self, engine, threads=1, environment=None):
        self.engine = engine
        self.threads = threads
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (lives as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", engine, "--threads", str(threads)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        hello = self._receive()
        self.name = hello.get("name", engine)
        self.version = hello.get("version")
        self.missing = hello.get("missing") or hello.get("error")
        self.missing_details = hello.get("error")

    def ask(self, command, *arguments):
        """Send one command and wait for its answer; ``{"error": ...}`` if the process has died."""
        try:
            self._process.stdin.write(" ".join(map(str, (command, *arguments))) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: _receive says how
        return self._receive()

    def close(self):
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # it has ended already, with something still unsent
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _receive(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._log.seek(0)
        log = self._log.read()[-2000:]
        return {"error": f"the worker of {self.engine} ended with status {self._process.wait()}:\n{log}"}
