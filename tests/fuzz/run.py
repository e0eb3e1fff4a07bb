"""Runs millions of damaged and hostile images under the address and undefined behaviour sanitizers.

    python tests/fuzz/run.py --inputs 10_000_000 --jobs 2     changes of our own; the same seed gives the same images
    python tests/fuzz/run.py --isa baseline avx2              the kernels of these instruction sets, one after the other
    python tests/fuzz/run.py --libfuzzer 600                  clang's libFuzzer, guided by coverage, for so many seconds

With the package installed. It fails if an image crashes, leaves its memory, or runs for half a minute; that image is
kept.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SANITIZED = ["-g1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
AVX2 = ("-mavx2", "-mfma", "-mf16c")
FLAGS = {
    "native": ("-march=native",), "baseline": (), "avx2": AVX2,
    "avx512": (*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
}  # fmt: skip


def compiled(folder, compiler, *flags):
    """The fuzzer."""
    program = Path(folder) / "fuzz_image"
    command = [compiler, *SANITIZED, *flags, HERE / "fuzz_image.c", "-o", program, "-lm"]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return program


def written(folder):
    """The files of the images that all others are made of."""
    from fuzz import corpus

    folder = Path(folder) / "corpus"
    folder.mkdir(parents=True)
    for name, image in corpus.images().items():
        (folder / f"{name}.fnn").write_bytes(image)
    return sorted(folder.iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--compiler", default="clang")
    parser.add_argument("--isa", nargs="+", choices=FLAGS, default=["native"], help="default: this processor's")
    parser.add_argument("--libfuzzer", type=int, metavar="SECONDS")
    parser.add_argument("--folder", default=tempfile.mkdtemp(prefix="fuzz-"), help="for all that is made")
    given = parser.parse_args()
    images = written(given.folder)
    print(f"in {given.folder}")
    return max(fuzz(given, isa, images) for isa in given.isa)


def fuzz(given, isa, images):
    """Run the kernels of an instruction set as the arguments say; returns 0, or what a fuzzer ended with."""
    folder = Path(given.folder) / isa
    folder.mkdir()
    print(f"{isa}:", flush=True)
    flags = ["-O1", *FLAGS[isa]]
    if given.libfuzzer:
        program = compiled(folder, given.compiler, *flags, "-DLIBFUZZER", "-fsanitize=fuzzer")
        options = ["-max_len=8192", "-timeout=30", f"-max_total_time={given.libfuzzer}", images[0].parent]
        return abs(subprocess.call([program, *options], cwd=folder, env=ENVIRONMENT))
    program = compiled(folder, given.compiler, *flags)
    running = []
    for job in range(given.jobs):
        (folder / f"job-{job}").mkdir()
        command = [program, str(given.inputs // given.jobs + 1), str(given.seed * 1000 + job), *images]
        running.append(subprocess.Popen(command, cwd=folder / f"job-{job}", env=ENVIRONMENT))
    return max(abs(each.wait()) for each in running)


if __name__ == "__main__":
    # The folder of tests, and neither this one nor the repository's root, where another fastnn lies.
    sys.path[0] = str(HERE.parent)
    sys.exit(main())
