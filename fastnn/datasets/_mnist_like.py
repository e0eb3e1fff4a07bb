"""Finds, fetches and checks the four IDX files of a set laid out like MNIST."""

from pathlib import Path

from fastnn.datasets import _cache, idx

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def load(name, mirrors, sha256, system_folder=None):
    """Load ``name`` from the first folder that has all of its files, or download it.

    Parameters
    ----------
    name : str
        Folder name under ``$FASTNN_DATA`` and under the user's cache.
    mirrors : sequence of str
        Where to download from, tried in order; each ends in a slash.
    sha256 : sequence of str
        Checksums of the files as the mirrors have them, in the order of `FILES`.
    system_folder : str, optional
        Where a package of the operating system puts the files.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of uint8 arrays
        Images (n, 28, 28) and labels (n,).
    """
    folders = _cache.candidates(name)
    cache = folders[-1]
    if system_folder:
        folders.insert(-1, Path(system_folder))
    for folder in folders:
        paths = [_existing(folder / file) for file in FILES]
        if all(paths):
            break
    else:
        paths = _download(name, mirrors, sha256, cache, folders)
    x_train, y_train, x_test, y_test = map(idx.read, paths)
    _check(paths[0], x_train, paths[1], y_train)
    _check(paths[2], x_test, paths[3], y_test)
    return (x_train, y_train), (x_test, y_test)


def _existing(path):
    """`path`, or the same file unpacked, or None."""
    return next((p for p in (path, path.with_suffix("")) if p.is_file()), None)


def _download(name, mirrors, sha256, cache, folders):
    advice = (
        f"Put {', '.join(FILES)} (or the same unpacked) into one of:\n  "
        + "\n  ".join(str(folder) for folder in folders)
        + (f"\nor set FASTNN_DATA to the folder that holds {name}/." if len(folders) < 3 else "")
    )
    pooch = _cache.pooch(f"{name} is not on this machine, and downloading it", f" Or do without a download. {advice}")
    failures = []
    for mirror in mirrors:
        try:
            return [
                pooch.retrieve(mirror + file, f"sha256:{checksum}", file, cache, progressbar=True)
                for file, checksum in zip(FILES, sha256, strict=True)
            ]
        except (OSError, ValueError) as error:  # no network, no such file; another checksum
            failures.append(f"{mirror}: {error}")
    raise OSError(
        f"{name} is not on this machine and could not be downloaded:\n  "
        + "\n  ".join(failures)
        + f"\nTry again with a network. Or do without a download. {advice}"
    )


def _check(x_path, x, y_path, y):
    if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != "uint8":
        raise ValueError(
            f"{x_path}: expected uint8 images of shape (n, 28, 28), received {x.dtype} values of shape {x.shape}"
        )
    if y.shape != x.shape[:1] or y.dtype != "uint8":
        raise ValueError(
            f"{y_path}: expected {len(x)} uint8 labels, one for each image of {x_path.name}, "
            f"received {y.dtype} values of shape {y.shape}"
        )
    if y.size and y.max() > 9:
        raise ValueError(f"{y_path}: expected labels from 0 to 9, received {y.max()}")
