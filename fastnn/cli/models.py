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


def add_precision(parser, mixed=False, default="float32"):
    """Add ``--precision`` to a command; `mixed` says that it measures, too."""
    text = f"what the weights of dense layers are stored in; default: {default}"
    parser.add_argument(
        "--precision",
        choices=(*PRECISIONS, "mixed") if mixed else PRECISIONS,
        help=f"{text}. mixed: for each layer by the error that it makes on --data" if mixed else text,
    )
