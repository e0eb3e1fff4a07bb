"""What the commands about frozen networks share: models from files of any kind, and what freezes them."""

import os

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
        return function("from_onnx")(path)
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
    if os.path.splitext(path)[1] != FROZEN:
        return freeze(load(path), precision)
    frozen = function("load_frozen")(path)
    if precision is not None:
        raise ValueError(f"--precision: {path!r} is frozen already; give the model that it was made from.")
    return frozen


def freeze(model, precision=None):
    """``model.freeze``, in a precision or as it does by default."""
    return model.freeze() if precision in (None, "float32") else model.freeze(precision=precision)


def add_precision(parser):
    """Add ``--precision`` to a command."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="what the weights of dense layers are stored in; default: float32",
    )


def function(name):
    """A function of this version of fastnn."""
    import fastnn

    found = getattr(fastnn, name, None)
    if found is None:
        raise ValueError(f"This version of fastnn has no fastnn.{name}.")
    return found
