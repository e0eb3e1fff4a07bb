"""``fastnn freeze``: from a trained model to a file of a frozen network."""

import argparse
import os

from fastnn.cli import models
from fastnn.saving.files import check_target


def add_parser(commands):
    """Add ``freeze`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "freeze",
        help="fold and pack a trained model into a file for prediction",
        description="Fold what is constant in a trained model, pack its weights, and write the frozen network: what "
        "fastnn.load_frozen() and the C interface run. Prints what was done, and with --data what it costs.",
        epilog="Data are files of numpy.save(), with one row a sample. Of a model with several inputs or outputs they "
        "are archives of numpy.savez() with an array for each, by its name: numpy.savez('x.npz', a=a, b=b). "
        "`fastnn inspect MODEL` lists the names.",
    )
    parser.add_argument("model", metavar="MODEL", help=f"a file that ends in {', '.join(models.SUFFIXES)}")
    parser.add_argument(
        "-o", "--out", metavar=f"OUT{models.FROZEN}", help=f"default: MODEL, ending in {models.FROZEN} instead"
    )
    models.add_precision(parser, mixed=True)
    parser.add_argument(
        "--data",
        metavar="X.npy|X.npz",
        help="samples to run through the model and the frozen network, to print how far the outputs are from each "
        "other",
    )
    parser.add_argument(
        "--labels",
        metavar="Y.npy|Y.npz",
        help="with --data: their classes or targets, to compare accuracies or errors. An archive may leave outputs out",
    )
    parser.add_argument(
        "--calibration",
        metavar="X.npy|X.npz",
        help="with int8 or mixed: samples, some hundred, by which the ranges of the layers' inputs are chosen once; "
        "default: for each row anew, which is more exact and a little slower",
    )
    parser.add_argument(
        "--tolerance",
        type=fraction,
        metavar="LOSS",
        help="with --data: write nothing if more is lost, of accuracy with --labels (0.002: 0.2 points), else relative "
        "error of the outputs; default: no limit, with mixed 0.002 or 0.02",
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
    if args.calibration is not None and args.precision not in ("int8", "mixed"):
        raise ValueError("--calibration chooses the ranges of int8: it needs --precision int8 or mixed.")
    out = args.out or os.path.splitext(args.model)[0] + models.FROZEN
    if not out.endswith(models.FROZEN):
        raise ValueError(f"-o: a frozen network is a file that ends in {models.FROZEN}. Received: {out!r}")
    check_target(out, overwrite=True)  # before the work, not after it
    model = models.load(args.model)
    x = models.arrays(args.data, "--data", model.input_names)
    y = models.arrays(args.labels, "--labels", model._heads_names() or model.output_names, every=False)
    calibration = models.arrays(args.calibration, "--calibration", model.input_names)
    frozen = models.freeze(
        model,
        args.precision,
        calibration_data=calibration,
        validation_data=x if y is None else (x, y),
        tolerance=args.tolerance,
    )
    print(frozen.report)
    frozen.save(out)
    print(f"{out}: {os.path.getsize(out):,} bytes")
    return 0
