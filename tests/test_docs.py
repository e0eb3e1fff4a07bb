"""The Python blocks of the pages that teach, run in their order, each page in a namespace of its own."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastnn

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["freeze.md", "own_mathematics.md", "training_deep_networks.md"])
def test_the_code_on_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    if page == "freeze.md":
        pytest.importorskip("h5py", reason="the extra `keras` is not installed")
        pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert blocks
    fastnn.utils.set_random_seed(0)
    namespace = {"__name__": page}
    for block in blocks:
        if "import torch\n" in block[1] and not find_spec("torch"):
            continue  # too large to be asked for by the tests
        above = "\n" * text[: block.start(1)].count("\n")  # so that errors have the page's line numbers
        exec(compile(above + block[1], str(DOCS / page), "exec"), namespace)
