"""``fastnn export-c``: a frozen network as one C file."""

import os

from fastnn.cli import models


def add_parser(commands):
    """Add ``export-c`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "export-c",
        help="write a trained model or a frozen network as C source that needs nothing else",
        description="Freeze a trained model, unless it is frozen, and write it as C99 source, weights included, for "
        "any compiler and processor, microcontrollers among them: no heap, no library of fastnn's. Prints the bytes of "
        "flash memory and RAM that it takes.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help=f"a file that ends in {', '.join((*models.SUFFIXES, models.FROZEN))}"
    )
    parser.add_argument("-o", "--out", metavar="NET.c", required=True, help="where to write; the header lies beside it")
    models.add_precision(parser, default="as it was frozen, else float32")
    parser.add_argument("--name", help="what the functions' names start with; default: that of the file")
    parser.set_defaults(run=run)


def run(args):
    """Export as `args` (see `add_parser`) says; returns the exit status."""
    from fastnn.export import export_c

    frozen = models.frozen_from(args.model)
    if args.precision is not None and frozen.precision not in ("float32", args.precision):
        raise ValueError(f"--precision: {args.model!r} is {frozen.precision} already. Give the model it was made from.")
    exported = export_c(frozen, args.out, args.precision, args.name)
    for path in exported.files:
        print(f"{path}: {os.path.getsize(path):,} bytes")
    print(
        f"{exported.rom_bytes:,} bytes of weights and tables, {exported.ram_bytes:,} bytes of memory between the layers"
    )
    return 0
