"""What the commands about frozen networks share: models from files of any kind, and what freezes them."""

import os

import numpy as np

PRECISIONS = ("float32", "float16", "int8")
SUFFIXES = (".fastnn", ".keras", ".h5", ".hdf5", ".onnx")
FROZEN = ".fnn"


def load(path):
    """The model in a file, of the format that its suffix says.

    Raises
    ------
    ValueError
        For another suffix, and for a file that is damaged or not what its name says.
    FileNotFoundError
    """
    import fastnn

    suffix = os.path.splitext(path)[1]
    if suffix == ".onnx":
        return fastnn.from_onnx(path)
    if suffix in SUFFIXES:
        try:
            return fastnn.models.load_model(path, compile=False)
        except TypeError as error:  # a class that only the program knows which has trained it
            raise ValueError(str(error)) from error
    if suffix == FROZEN:
        raise ValueError(f"{path!r} is frozen already: give the model that it was made from.")
    raise ValueError(f"A model is a file that ends in {', '.join(SUFFIXES)}. Received: {path!r}")


def frozen_from(path, precision=None):
    """The predictor in a file of `FROZEN`, or that of the model in another; `precision` is float32 by default."""
    import fastnn

    suffix = os.path.splitext(path)[1]
    if suffix not in (*SUFFIXES, FROZEN):
        raise ValueError(
            f"A model is a file that ends in {', '.join(SUFFIXES)}, a frozen network one that ends in {FROZEN}. "
            f"Received: {path!r}"
        )
    if suffix != FROZEN:
        return freeze(load(path), precision)
    if precision is not None:
        raise ValueError(f"--precision: {path!r} is frozen already; give the model that it was made from.")
    return fastnn.load_frozen(path)


def freeze(model, precision=None, **options):
    """``model.freeze`` in a precision, float32 by default."""
    return model.freeze(precision or "float32", **options)


def arrays(path, option, names, every=True):
    """What is in the file of an option: one array, or those of an archive by name.

    Parameters
    ----------
    path : str or None
        Of a file that numpy.save() or numpy.savez() has written.
    option : str
        For messages: "--data".
    names : list of str
        Of the model's inputs, or outputs, that the arrays are for.
    every : bool, default True
        Must there be one for each of them?

    Returns
    -------
    ndarray, dict of str to ndarray, or None where there is no path
    """
    if path is None:
        return None
    loaded = np.load(path, allow_pickle=False)
    several = ", ".join(f"{name}={name}" for name in names)
    if isinstance(loaded, np.ndarray):
        if len(names) > 1:
            raise ValueError(
                f"{option}: this model has {len(names)}, {names}: pass an archive with an array of each name, as "
                f"numpy.savez({os.path.splitext(path)[0] + '.npz'!r}, {several}) writes it. Received: {path!r}, one "
                "array"
            )
        return loaded
    with loaded:
        found = dict(loaded)
    if len(names) == 1 and len(found) == 1:  # whatever it is called
        return found.popitem()[1]
    if not found or not set(found) <= set(names) or every and len(found) < len(names):
        raise ValueError(
            f"{option}: expected an array for each of {names}, as numpy.savez({path!r}, {several}) writes them. "
            f"Received: {path!r} with {sorted(found)}"
        )
    return found


def add_precision(parser, mixed=False, default="float32"):
    """Add ``--precision`` to a command; `mixed` says that it measures, too."""
    text = (
        "what the weights of dense layers are stored in: float32 gives the model's answers, float16 takes half of the "
        f"bytes, int8 a quarter; {'mixed chooses for each layer by the error that it makes on --data; ' * mixed}"
        f"default: {default}"
    )
    parser.add_argument("--precision", choices=(*PRECISIONS, "mixed") if mixed else PRECISIONS, help=text)
