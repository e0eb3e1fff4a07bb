"""Python in a terminal of its own, and what a person would see there."""

import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios

# A terminal sends Ctrl-C to those whose controlling terminal it is.
_OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


def run_in_terminal(code, columns, typed, after):
    """Run a script in a terminal; type something as soon as a pattern is on it. Returns all that was written to it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL + code],
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        written = b""
        try:
            while part := _read(master):
                written += part
                if typed and re.search(after, written.decode(errors="replace")):
                    os.write(master, typed)
                    typed = None
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            os.close(master)
    return written.decode()


def _read(master):
    if not select.select([master], [], [], 120)[0]:
        raise TimeoutError("Nothing was written to the terminal for 120 seconds.")
    try:
        return os.read(master, 4096)
    except OSError as error:
        if error.errno == errno.EIO:  # how Linux says that nobody is on the other side any more
            return b""
        raise


def screen(text, columns):
    """The lines that a terminal of this width shows after `text`, in which there are no escape sequences."""
    lines, column = [[]], 0
    for character in text:
        if character == "\r":
            column = 0
        elif character == "\n":
            lines.append([])
        else:
            if column == columns:  # a full line wraps when the next character comes
                lines.append([])
                column = 0
            line = lines[-1]
            line += " " * (column + 1 - len(line))
            line[column] = character
            column += 1
    return ["".join(line).rstrip() for line in lines]
