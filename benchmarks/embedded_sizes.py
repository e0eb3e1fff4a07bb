"""Flash and RAM of small networks on Cortex-M, as the linker sees them."""

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks import embedded_ways

COMPILER, SIZE = "arm-none-eabi-gcc", "arm-none-eabi-size"
# -Os and sections that nobody uses thrown away, with the small C library: how firmware is built.
FLAGS = (
    *("-std=gnu11", "-Os", "-w", "-mthumb", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
    *("--specs=nano.specs", "--specs=nosys.specs"),
)
PROCESSORS = {
    "Cortex-M4F": ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "Cortex-M0+": ("-mcpu=cortex-m0plus",),  # no floating point, no division
}


def _exported(network, precision):
    return embedded_ways.exported_source(network, precision), "net_predict(x, y); return 0;", ()


WAYS = {
    "export_c": functools.partial(_exported, precision="float32"),
    "export_c, int8": functools.partial(_exported, precision="int8"),
    "emlearn": embedded_ways.emlearn_source,
}


def measured(networks):
    """Bytes of each network, beyond those of the same program without one.

    Parameters
    ----------
    networks : dict of str to Network

    Returns
    -------
    dict or str
        ``{(network, processor): {way: (flash, RAM) or why there is none}}``; or why there is none at all. The stack is
        not counted.
    """
    if missing := [each for each in (COMPILER, SIZE) if shutil.which(each) is None]:
        return f"no {' and no '.join(missing)}"
    try:
        empty = {each: _program("", "return 0;", (), flags) for each, flags in PROCESSORS.items()}
    except OSError as error:
        return str(error)
    found = {}
    for name, network in networks.items():
        for processor, flags in PROCESSORS.items():
            results = found[name, processor] = {}
            for way, source in WAYS.items():
                try:
                    used = _program(*source(network), flags)
                except (ImportError, OSError) as error:
                    results[way] = f"missing: {str(error).splitlines()[0]}"
                    continue
                results[way] = tuple(a - b for a, b in zip(used, empty[processor], strict=True))
    return found


def version():
    """The cross compiler's, or an empty string."""
    if shutil.which(COMPILER) is None:
        return ""
    done = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True)
    return f"{COMPILER} {re.search(r'[0-9]+([.][0-9]+)+', done.stdout)[0]}"


def _program(source, call, include, flags):
    """Flash and RAM of a linked program with the network; its inputs and outputs are somebody else's memory."""
    text = (
        f"#include <stdint.h>\n{source}\nstatic int run(const float *x, float *y) {{ {call} }}\n"
        "int main(void) { return run(*(const float *volatile *)0x20000000, *(float *volatile *)0x20000004); }\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path, binary = Path(folder, "main.c"), Path(folder, "main")
        path.write_text(text, encoding="utf-8")
        command = [COMPILER, *FLAGS, *flags, *(f"-I{each}" for each in include), path, "-o", binary, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"it does not compile: {done.stderr[:1000]}")
        printed = subprocess.run([SIZE, binary], capture_output=True, text=True, check=True).stdout
    code, data, bss = map(int, printed.splitlines()[1].split()[:3])
    return code + data, data + bss
