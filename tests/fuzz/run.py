"""Runs millions of damaged and hostile images under the address and undefined behaviour sanitizers.

    python tests/fuzz/run.py --inputs 10_000_000 --jobs 2     changes of our own; the same seed gives the same images
    python tests/fuzz/run.py --libfuzzer 600                  clang's libFuzzer, guided by coverage, for so many seconds

With the package installed. It fails if an image crashes, leaves its memory, or runs for half a minute; that image is
kept. `--flags=-mavx2 ...` takes the kernels of another instruction set than that of this processor.
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


def compiled(folder, compiler, *flags):
    """The fuzzer."""
    command = [compiler, *SANITIZED, *flags, HERE / "fuzz_image.c", "-o", Path(folder) / "fuzz_image", "-lm"]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Path(folder) / "fuzz_image"


def written(folder):
    """The files of the images that all others are made of."""
    from fuzz import corpus

    folder = Path(folder) / "corpus"
    folder.mkdir()
    for name, image in corpus.images().items():
        (folder / f"{name}.fnn").write_bytes(image)
    return sorted(folder.iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--compiler", default="clang")
    parser.add_argument("--flags", default="-march=native")
    parser.add_argument("--libfuzzer", type=int, metavar="SECONDS")
    parser.add_argument("--folder", default=tempfile.mkdtemp(prefix="fuzz-"), help="for all that is made")
    given = parser.parse_args()
    images = written(given.folder)
    flags = ["-O1", *given.flags.split()]
    if given.libfuzzer:
        program = compiled(given.folder, given.compiler, *flags, "-DLIBFUZZER", "-fsanitize=fuzzer")
        options = ["-max_len=8192", "-timeout=30", f"-max_total_time={given.libfuzzer}", images[0].parent]
        return subprocess.call([program, *options], cwd=given.folder, env=ENVIRONMENT)
    program = compiled(given.folder, given.compiler, *flags)
    running = []
    for job in range(given.jobs):
        folder = Path(given.folder) / f"job-{job}"
        folder.mkdir()
        command = [program, str(given.inputs // given.jobs + 1), str(given.seed * 1000 + job), *images]
        running.append(subprocess.Popen(command, cwd=folder, env=ENVIRONMENT))
    codes = [each.wait() for each in running]
    print(f"in {given.folder}")
    return max(map(abs, codes))


if __name__ == "__main__":
    # The folder of tests, and neither this one nor the repository's root, where another fastnn lies.
    sys.path[0] = str(HERE.parent)
    sys.exit(main())
