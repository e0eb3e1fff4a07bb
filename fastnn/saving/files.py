"""Files that are there as a whole or not at all."""

import contextlib
import os


def check_target(path, overwrite):
    """Return a path to write to as a string.

    Raises
    ------
    FileExistsError
        If something is there and may not be overwritten.
    FileNotFoundError, IsADirectoryError
        If its folder does not exist, or it is a folder itself.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"Cannot save to {path!r}: there is a folder of this name.")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"Cannot save to {path!r}: the file exists. Pass overwrite=True to replace it.")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot save to {path!r}: there is no folder {folder!r}. Make it first.")
    return path


@contextlib.contextmanager
def replacing(path):
    """A binary file to write, which takes the place of `path` when all of it has reached the disk.

    Whatever happens before, an exception or the machine's end, what was at `path` stays there.
    """
    path = os.path.realpath(path)  # a link keeps pointing where it did
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:200]}.{os.urandom(6).hex()}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be synchronised
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
