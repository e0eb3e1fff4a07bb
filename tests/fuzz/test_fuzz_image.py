"""Hostile images for some seconds; ``tests/fuzz/run.py`` runs millions."""

import shutil
import subprocess

import pytest
from fastnn._engine.runtime import OPS

from fuzz import corpus, run

INPUTS = 20_000


@pytest.fixture(scope="module")
def images():
    return corpus.images()


def test_every_operation_of_images_is_there(images):
    everything = b"".join(images.values())
    assert [name for name, op in OPS.items() if op.in_images and op.signature.encode() not in everything] == []


@pytest.mark.skipif(not (run.HERE.parents[1] / "csrc").is_dir(), reason="needs the C sources")
def test_hostile_images_are_refused_or_harmless(images, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run(["gcc", *run.SANITIZED, "empty.c"], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs gcc's sanitizers")
    program = run.compiled(tmp_path, "gcc", "-O0")
    done = subprocess.run(
        [program, str(INPUTS), "1", *run.written(tmp_path)], cwd=tmp_path, env=run.ENVIRONMENT, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ran = int(done.stdout.split(": ")[1].split()[0])
    assert ran > INPUTS / 10, "the changes are too rough to get past the checks"
