"""Exported networks on other processors, emulated: the same bits as here, and the digits on a small microcontroller."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from export.compiled import STRICT, Library, need, run, same_bits, samples_of
from fastnn import layers
from fastnn.export import export_c

MICROCONTROLLER = Path(__file__).parents[2] / "examples" / "microcontroller"
if not MICROCONTROLLER.is_dir():
    pytest.skip("needs the folder of examples", allow_module_level=True)

THUMB = ["-mthumb", "-ffreestanding", "-ffunction-sections", "-nostdlib", "-Wl,--gc-sections", f"-I{MICROCONTROLLER}"]
BARE = [*THUMB, "-T", MICROCONTROLLER / "board.ld", MICROCONTROLLER / "board.c"]
HARD_FLOAT = ["-mfloat-abi=hard"]
# name -> compiler, its flags, what is linked, the emulator, are multiply-adds fused?
MACHINES = {
    "cortex-m3": ("arm-none-eabi-gcc", ["-mcpu=cortex-m3", *BARE], ["-lgcc"], "mps2-an385", 0),
    "cortex-m4": (
        "arm-none-eabi-gcc",
        ["-mcpu=cortex-m4", *HARD_FLOAT, "-mfpu=fpv4-sp-d16", *BARE],
        ["-lgcc"],
        "mps2-an386",
        1,
    ),
    "aarch64": ("aarch64-linux-gnu-gcc", ["-static"], [], "qemu-aarch64", 1),
    "riscv64": ("riscv64-linux-gnu-gcc", ["-static"], [], "qemu-riscv64", 1),
}
# Prints the bits of all outputs for samples that `samples.h` has.
PROGRAM = """\
#include <stdint.h>
#include "net.h"
#ifdef __arm__
#include "board.h"
#else
#include <stdio.h>
#define board_print(text) fputs(text, stdout)
#endif
#include "samples.h"

int main(void) {
    static float y[NET_OUTPUT_SIZE];
    for (int i = 0; i < SAMPLES; i++) {
        net_predict(samples[i], y);
        for (int j = 0; j < NET_OUTPUT_SIZE; j++) {
            char text[10] = "00000000 ";
            union {
                float value;
                uint32_t bits;
            } answer;
            answer.value = y[j];
            for (int digit = 7; digit >= 0; digit--, answer.bits >>= 4)
                text[digit] = "0123456789abcdef"[answer.bits & 15u];
            board_print(text);
        }
    }
    return 0;
}
"""


def emulated(emulator, binary):
    """What the program prints."""
    if not emulator.startswith("mps2"):
        return run(emulator, binary)
    need("qemu-system-arm")
    options = "-nographic -monitor none -serial none -semihosting-config enable=on,target=native"
    return run("qemu-system-arm", "-machine", emulator, *options.split(), "-kernel", binary)


@pytest.fixture(scope="module")
def networks():
    """(precision, frozen network, samples): what small networks are made of, in both arithmetics."""
    fastnn.utils.set_random_seed(0)
    x = fastnn.Input((6,))
    branches = [
        layers.Dense(5, activation=each)(x) for each in ("relu", "elu", "tanh", "sigmoid", "gelu", "softplus", "selu")
    ]
    joined = layers.Concatenate()(branches)
    normal = layers.LayerNormalization()(joined)
    y = layers.Dense(9, activation="softmax")(layers.Add()([normal, joined * 0.5]))
    frozen = fastnn.Model(x, y).freeze()
    (samples,) = samples_of(frozen.graph, 6)
    return [(precision, frozen, samples) for precision in ("float32", "int8")]


@pytest.mark.parametrize("machine", MACHINES)
def test_same_bits(machine, networks, tmp_path):
    compiler, flags, libraries, emulator, fused = MACHINES[machine]
    need(compiler, "gcc", *([] if emulator.startswith("mps2") else [emulator]))
    (tmp_path / "main.c").write_text(PROGRAM)
    for precision, frozen, samples in networks:
        exported = export_c(frozen, tmp_path / "net.c", precision=precision)
        rows = ",\n".join("{" + ", ".join(f"{float(each).hex()}f" for each in row) + "}" for row in samples)
        array = f"static const float samples[][{samples.shape[1]}] = {{{rows}}};"
        text = f"#define SAMPLES {len(samples)}\n{array}\n"
        (tmp_path / "samples.h").write_text(text)
        binary = tmp_path / "program"
        optimised = "-O2" if precision == "float32" else "-Os"
        run(compiler, *STRICT, optimised, *flags, exported.files[0], tmp_path / "main.c", *libraries, "-o", binary)
        printed = emulated(emulator, binary).split()
        answers = np.array([int(each, 16) for each in printed], np.uint32).view(np.float32).reshape(len(samples), -1)
        here = Library(exported, frozen.graph, "gcc", ["-UNET_FMA", f"-DNET_FMA={fused}"])(samples)
        assert same_bits(answers, here), (precision, np.abs(answers - here).max())
        assert np.abs(answers - frozen(samples)).max() < {"float32": 1e-6, "int8": 0.02}[precision]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_compilers_see_no_overflow_where_pointers_have_32_bits(precision, tmp_path):
    need("arm-none-eabi-gcc")
    hidden = [layers.Dense(16, "relu"), layers.Dense(16, "relu")]
    frozen = fastnn.Sequential([fastnn.Input((8,)), *hidden, layers.Dense(1)]).freeze()
    source = export_c(frozen, tmp_path / "net.c", precision).files[0]
    run("arm-none-eabi-gcc", *STRICT, "-O3", "-mcpu=cortex-m3", "-c", source, "-o", tmp_path / "net.o")


def test_the_digits_on_a_small_microcontroller(tmp_path):
    """The example as it stands: 64 KiB of flash and 8 KiB of RAM, or it would not link."""
    need("arm-none-eabi-gcc", "qemu-system-arm", "make")
    folder = tmp_path / "firmware"
    said = run(sys.executable, MICROCONTROLLER / "digits.py", "--out", folder, "--epochs", "12")
    right = int(re.search(r"float32, on this machine: (\d+) of 355 right", said)[1])
    assert right > 330
    printed = run("make", "-f", MICROCONTROLLER / "Makefile", f"OUT={folder}", "run")
    used = {name: int(size) for name, size in re.findall(r"(FLASH|RAM):\s+(\d+) B", printed)}
    assert re.search(r"RAM:.*8 KB", printed)
    assert re.search(r"FLASH:.*64 KB", printed)
    stack = int(re.search(r"(\d+) bytes of stack", printed)[1])
    assert 50_000 < used["FLASH"] <= 64 * 1024
    assert used["RAM"] + stack <= 8 * 1024
    there = int(re.search(r"(\d+) of 355 right", printed)[1])
    assert there >= right - 1, (there, right)  # of 355: an image on the border may fall to either side
    digits = np.array(list(re.search(r"^(\d{355})$", printed, re.MULTILINE)[1]), int)
    (_, _), (images, labels) = fastnn.datasets.digits.load_data()
    assert np.count_nonzero(digits == labels) == there
