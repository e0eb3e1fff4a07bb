"""Files from the net, kept in a cache."""

import os


def get_file(
    fname=None,
    origin=None,
    untar=False,
    md5_hash=None,
    file_hash=None,
    cache_subdir="datasets",
    hash_algorithm="auto",
    extract=False,
    archive_format="auto",
    cache_dir=None,
    force_download=False,
):
    """Download a file, unless it is in the cache; by pooch (``pip install 'fastnn[datasets]'``).

    Parameters
    ----------
    fname : str, optional
        Name in the cache; default: that of the URL.
    origin : str
        URL.
    untar, extract : bool, default False
        Unpack the archive beside it.
    md5_hash : str, optional
        Old spelling of `file_hash` for MD5.
    file_hash : str, optional
        Checksum, SHA-256 or MD5; another one is an error.
    cache_subdir : str, default "datasets"
    hash_algorithm : {"auto", "sha256", "md5"}
        "auto" goes by the length of `file_hash`.
    archive_format : {"auto", "tar", "zip"}
        "auto" goes by the file's name.
    cache_dir : str, optional
        Default: ``$XDG_CACHE_HOME/fastnn``, or ``~/.cache/fastnn``.
    force_download : bool, default False
        Download even what is in the cache.

    Returns
    -------
    str
        Path of the file; of the folder with its contents, if it was unpacked.

    Raises
    ------
    ModuleNotFoundError
        If pooch is not installed.
    OSError, ValueError
        If the download fails or has another checksum.
    """
    from fastnn.datasets import _cache

    if not origin:
        raise ValueError("get_file needs `origin`, the URL of the file.")
    pooch = _cache.pooch(f"get_file({origin!r})")
    fname = str(fname or os.path.basename(origin))
    folder = os.path.join(os.path.expanduser(cache_dir or _cache.folder()), cache_subdir)
    checksum = file_hash or md5_hash
    if checksum is not None and ":" not in checksum:
        md5 = hash_algorithm == "md5" or (hash_algorithm == "auto" and len(checksum) == 32)
        checksum = f"{'md5' if md5 else 'sha256'}:{checksum}"
    path = os.path.join(folder, fname)
    if force_download and os.path.exists(path):
        os.remove(path)
    if not (extract or untar):
        return pooch.retrieve(origin, checksum, fname, folder)
    zipped = archive_format == "zip" or (archive_format == "auto" and fname.endswith(".zip") and not untar)
    target = fname.split(".")[0] + "_extracted"
    unpack = pooch.Unzip(extract_dir=target) if zipped else pooch.Untar(extract_dir=target)
    pooch.retrieve(origin, checksum, fname, folder, processor=unpack)
    return os.path.join(folder, target)
