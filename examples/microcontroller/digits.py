"""A network on a microcontroller: train on handwritten digits, freeze, write C.

Run: python examples/microcontroller/digits.py --out firmware
     make -f examples/microcontroller/Makefile OUT=firmware run

The first line trains 64-300-100-10 units and writes digits.c and digits.h, with weights of 8 bits, and the test images
as samples.h. The second compiles them for a Cortex-M3 with 64 KiB of flash and 8 KiB of RAM and runs that in an
emulator; it needs Debian's gcc-arm-none-eabi and qemu-system-arm.
"""

import argparse
from pathlib import Path

import numpy as np

import fastnn
from fastnn import layers


def trained(epochs):
    """The network and its test images."""
    fastnn.utils.set_random_seed(42)
    (x, y), test = fastnn.datasets.digits.load_data()
    model = fastnn.Sequential(
        [
            fastnn.Input((8, 8)),
            layers.Flatten(),
            layers.Rescaling(1 / 16),
            layers.Dropout(0.2),
            layers.Dense(300, activation="elu", kernel_initializer="he_normal"),
            layers.Dropout(0.1),
            layers.Dense(100, activation="elu", kernel_initializer="he_normal"),
            layers.Dropout(0.1),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model, test


def samples(images, labels):
    """The test images in C: pixels from 0 to 16, as they come from a scanner."""
    rows = ",\n".join("    {" + ", ".join(map(str, image.ravel())) + "}" for image in images)
    return (
        f"#include <stdint.h>\n\n#define SAMPLES {len(images)}\n\n"
        f"static const uint8_t images[SAMPLES][{images[0].size}] SAMPLES_SECTION = {{\n{rows}\n}};\n\n"
        f"static const uint8_t labels[SAMPLES] SAMPLES_SECTION = {{{', '.join(map(str, labels))}}};\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("firmware"), help="folder to write to; default: %(default)s")
    parser.add_argument("--epochs", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--precision", default="int8", help="float32, float16 or int8; default: %(default)s")
    args = parser.parse_args()
    model, (images, labels) = trained(args.epochs)
    frozen = model.freeze()
    args.out.mkdir(exist_ok=True)
    exported = frozen.export_c(args.out / "digits.c", precision=args.precision)
    (args.out / "samples.h").write_text(samples(images, labels))
    right = np.count_nonzero(frozen(images).argmax(axis=1) == labels)
    print(f"float32, on this machine: {right} of {len(labels)} right")
    print(f"{args.precision}: {exported.rom_bytes} bytes of weights, {exported.ram_bytes} bytes between the layers")


if __name__ == "__main__":
    main()
