"""``fastnn freeze``: from a trained model to a file of a frozen network."""

import os

import numpy as np

from . import models
from .bench import duration


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
    models.add_precision(parser)
    parser.add_argument(
        "--data",
        metavar="X.npy",
        help="samples to run through the model and the frozen network: how far are the outputs from each other?",
    )
    parser.add_argument(
        "--tolerance",
        type=duration,
        help="with --data: write nothing if an output differs by more than this",
    )
    parser.set_defaults(run=run)


def run(args):
    """Freeze as `args` (see `add_parser`) says; returns the exit status."""
    if args.tolerance is not None and args.data is None:
        raise ValueError("--tolerance needs --data: samples whose outputs are compared.")
    out = args.out or os.path.splitext(args.model)[0] + models.FROZEN
    if not out.endswith(models.FROZEN):
        raise ValueError(f"-o: a frozen network is a file that ends in {models.FROZEN}. Received: {out!r}")
    x = None if args.data is None else np.load(args.data, allow_pickle=False)
    if x is not None and not isinstance(x, np.ndarray):
        raise ValueError(f"--data: expected one array, as numpy.save() writes it. Received: {args.data!r}, an archive")
    model = models.load(args.model)
    frozen = models.freeze(model, args.precision)
    for note in frozen.notes:
        print(note)
    if x is not None:
        difference = _difference(model, frozen, x)
        print(f"Outputs for the {len(x)} samples in {args.data} differ by at most {difference:.3g}.")
        if args.tolerance is not None and not difference <= args.tolerance:  # also where one is not a number
            raise ValueError(f"That is more than the tolerance of {args.tolerance:g}: nothing was written.")
    frozen.save(out)
    print(f"{out}: {os.path.getsize(out):,} bytes")
    return 0


def _difference(model, frozen, x):
    """The largest absolute difference of any output."""
    before, after = model.predict(x, verbose=0), frozen.predict(x)
    if isinstance(before, dict):
        before, after = list(before.values()), [after[key] for key in before]
    if not isinstance(before, (list, tuple)):
        before, after = [before], [after]
    return max(float(np.max(np.abs(a - b))) for a, b in zip(after, before, strict=True))
