"""Where downloads are kept, and what downloads them."""

import os
from pathlib import Path


def folder():
    """The user's cache: ``$XDG_CACHE_HOME/fastnn``, by default ``~/.cache/fastnn``."""
    # The XDG specification has relative paths ignored.
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "fastnn"


def candidates(name):
    """Folders that may hold the files of a data set, the user's wish first."""
    wish = os.environ.get("FASTNN_DATA")
    return [*([Path(wish) / name] if wish else []), folder() / name]


def pooch(what, advice=""):
    """The module pooch, which downloads and checks files.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; says that `what` needs it.
    """
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} needs pooch, which is not installed: pip install 'fastnn[datasets]'.{advice}"
        ) from error
    return pooch
