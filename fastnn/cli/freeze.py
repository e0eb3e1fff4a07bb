"""``fastnn freeze``: from a trained model to a file of a frozen network."""

import argparse
import os

import numpy as np

from fastnn.cli import models
from fastnn.saving.files import check_target


def add_parser(commands):
    """Add ``freeze`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "freeze",
        help="fold and pack a trained model into a file for prediction",
        description="Fold what is constant in a trained model, pack its weights, and write the frozen network: what "
        "fastnn.load_frozen() and the C interface run.",
    )
    parser.add_argument("model", metavar="MODEL", help=f"a file that ends in {', '.join(models.SUFFIXES)}")
    parser.add_argument(
        "-o", "--out", metavar=f"OUT{models.FROZEN}", help=f"default: MODEL, ending in {models.FROZEN} instead"
    )
    models.add_precision(parser, mixed=True)
    parser.add_argument(
        "--data",
        metavar="X.npy",
        help="samples to run through the model and the frozen network: how far are the outputs from each other?",
    )
    parser.add_argument(
        "--labels", metavar="Y.npy", help="with --data: their classes or targets, to compare accuracies or errors"
    )
    parser.add_argument(
        "--calibration",
        metavar="X.npy",
        help="samples from which the ranges of int8's inputs are taken; default: each row's own",
    )
    parser.add_argument(
        "--tolerance",
        type=fraction,
        help="with --data: write nothing if more is lost, of accuracy with --labels (0.002: 0.2 points), else relative "
        "error of the outputs",
    )
    parser.set_defaults(run=run)


def fraction(text):
    """A number that is not negative, for argparse."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number that is not negative, received {text}")
    return value


def run(args):
    """Freeze as `args` (see `add_parser`) says; returns the exit status."""
    for name in ("labels", "tolerance"):
        if getattr(args, name) is not None and args.data is None:
            raise ValueError(f"--{name} needs --data: samples whose outputs are compared.")
    if args.precision == "mixed" and args.data is None:
        raise ValueError("--precision mixed needs --data: samples on which the error of each layer is measured.")
    out = args.out or os.path.splitext(args.model)[0] + models.FROZEN
    if not out.endswith(models.FROZEN):
        raise ValueError(f"-o: a frozen network is a file that ends in {models.FROZEN}. Received: {out!r}")
    check_target(out, overwrite=True)  # before the work, not after it
    x, y, calibration = (_array(args, name) for name in ("data", "labels", "calibration"))
    frozen = models.freeze(
        models.load(args.model),
        args.precision,
        calibration_data=calibration,
        validation_data=x if y is None else (x, y),
        tolerance=args.tolerance,
    )
    print(frozen.report)
    frozen.save(out)
    print(f"{out}: {os.path.getsize(out):,} bytes")
    return 0


def _array(args, name):
    """What is in the file of an argument, or None."""
    path = getattr(args, name)
    array = None if path is None else np.load(path, allow_pickle=False)
    if array is not None and not isinstance(array, np.ndarray):
        raise ValueError(f"--{name}: expected one array, as numpy.save() writes it. Received: {path!r}, an archive")
    return array
