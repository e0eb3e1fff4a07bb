"""Small images that between them have every operation, in every way, that an image can hold."""

import struct

import fastnn
from fastnn import layers
from fastnn.freeze import image
from fastnn.lowering.builder import Slot
from freeze import networks


def deep():
    stack = [layers.Dense(9, "gelu"), layers.Dense(17, "leaky_relu"), layers.Dense(5, "softplus"), layers.Softmax()]
    return fastnn.Sequential([fastnn.Input((19,)), *stack])


def unfolded():
    """Normalisation as training has it, which folding always does away with."""
    x = fastnn.Input((3, 4))
    y = layers.GroupNormalization(groups=2)(layers.BatchNormalization()(x))
    return fastnn.Model(x, layers.LeakyReLU()(y))


def added():
    """Sums are formulas in networks; gradients are what `add` is for."""
    in_port, out_port = (image._Port(section, 0, "values", (20,)) for section in (image._INPUT, image._OUTPUT))
    slots = [Slot(1, 20, 32, 128), Slot(1, 20, 32, 128)]
    keywords = dict(rows_per_sample=1, work_per_row=3.0, work=0.0, commits=False, fence=True, label="sum")
    emitted = [
        image._Emitted("copy_rows", dict(x=in_port, y=slots[0], n=20, ldx=20, ldy=32), keywords),
        image._Emitted("add", dict(a=slots[0], b=slots[0], y=slots[1], n=20, lda=32, ldb=32, ldy=32), keywords),
        image._Emitted("copy_rows", dict(x=slots[1], y=out_port, n=20, ldx=32, ldy=20), keywords),
    ]
    constants = image._Constants()
    code, names, memory = image._code(emitted, constants)
    return image._assemble(names, [in_port], [out_port], code, len(emitted), memory, constants, b"")


def images():
    """{name: bytes}, without the descriptions, which C does not read."""
    made = {}
    for precision in ("float32", "float16", "int8"):
        made[f"deep {precision}"] = deep().freeze(precision=precision)
    for make in (*networks.ALL, networks.several):
        made[make.__name__] = make().freeze()
    made["several int8"] = networks.several().freeze(precision="int8")
    made = {name: bytes(frozen.image) for name, frozen in made.items()}
    made["unfolded"] = image.to_image(unfolded().graph.in_mode(False), {})
    made["added"] = added()
    return {name: without_description(each) for name, each in made.items()}


def without_description(whole):
    """The image with an empty text at its end."""
    whole = bytearray(whole)
    (start,) = struct.unpack_from("<Q", whole, 112)
    struct.pack_into("<Q", whole, 120, 0)
    struct.pack_into("<Q", whole, 16, start)
    return image.with_checksum(whole[:start])
