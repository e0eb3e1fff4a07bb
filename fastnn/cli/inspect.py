"""``fastnn inspect``: what is in a file of a model or of a frozen network?"""

import json
import os
import struct
import zipfile

from fastnn.cli import models


def add_parser(commands):
    """Add ``inspect`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "inspect",
        help="say what is in a file of a model or of a frozen network",
        description="Print the format, the inputs and outputs by name, and the layers of a model, and what freezing "
        "makes of it; or those of a frozen network, with the precision of each layer.",
    )
    parser.add_argument(
        "file", metavar="FILE", help=f"a file that ends in {', '.join((*models.SUFFIXES, models.FROZEN))}"
    )
    parser.set_defaults(run=run)


def run(args):
    """Print as `args` (see `add_parser`) says; returns the exit status."""
    path = args.file
    is_frozen = path.endswith(models.FROZEN)
    if is_frozen:
        frozen = models.frozen_from(path)
    else:
        model = models.load(path)
        frozen = models.freeze(model)
    print(f"{path}: {os.path.getsize(path):,} bytes, {_format(path)}")
    print(f"inputs: {_ports(frozen.input_names, frozen.sample_shapes)}")
    print(f"outputs: {_ports(frozen.output_names, frozen.output_sample_shapes)}\n")
    if not is_frozen:
        model.summary()
        print()
    frozen.summary()
    return 0


def _ports(names, shapes):
    """Inputs or outputs with the shapes of one sample."""
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in zip(names, shapes, strict=True))


def _format(path):
    """What kind of file it is, and of which version."""
    suffix = os.path.splitext(path)[1]
    if suffix == models.FROZEN:
        with open(path, "rb") as file:
            return f"frozen network of fastnn, version {struct.unpack('<8xI', file.read(12))[0]} of the format"
    if suffix == ".fastnn":
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            metadata = json.loads(file.read(length))["__metadata__"]
        return (
            f"model of fastnn, version {metadata['format_version']} of the format, "
            f"written by fastnn {metadata['fastnn_version']}"
        )
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json"))
        return f"model of Keras 3, version {metadata['keras_version']}"
    if suffix == ".onnx":
        import onnx

        model = onnx.load(path, load_external_data=False)
        opsets = ", ".join(f"{each.domain or 'ai.onnx'} {each.version}" for each in model.opset_import)
        return f"ONNX, version {model.ir_version} of the format, operators {opsets}"
    return "model of Keras 2 (HDF5)"
