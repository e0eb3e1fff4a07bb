"""The table of docs/keras.md: what of Keras's names works, as real Keras says."""

import importlib.util
import os
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parent.parent / "docs" / "keras_names.py"


@pytest.fixture(scope="module")
def script():
    if not _SCRIPT.exists():
        pytest.skip("the survey lies in docs/ of the sources")
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("keras", reason="the survey looks at real Keras", exc_type=ImportError)
    spec = importlib.util.spec_from_file_location("keras_names", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def survey(script):
    return script.survey()


def test_most_of_the_names_for_dense_networks_work(survey):
    entries, _, _ = survey
    working = sum(each.status == "works" for each in entries)
    assert working >= 0.95 * len(entries), [each.path for each in entries if each.status != "works"]


def test_no_reason_is_stale(script, survey):
    """Every pattern leaves something out; every exception is there, and every missing name is missing."""
    import keras

    entries, left_out, _ = survey
    paths = [each.path for each in entries] + left_out
    for patterns in script.ELSEWHERE.values():
        for pattern in patterns:
            assert any(script.matches(path, pattern) for path in paths), pattern
    status = {each.path: each.status for each in entries}
    assert {path: status.get(path) for path in script.DIFFERS} == dict.fromkeys(script.DIFFERS, "differs")
    assert {path: status.get(path) for path in script.MISSING} == dict.fromkeys(script.MISSING, "not here")
    for path in (*script.DIFFERS, *script.MISSING):
        script.lookup(keras, path)


def test_nothing_that_fastnn_has_is_left_out(script, survey):
    """A pattern that leaves out what is here hides what works, or that it differs."""
    import fastnn

    _, left_out, _ = survey
    here = [path for path in left_out if script.exists(fastnn, path)]
    assert here == sorted(script.HERE_THOUGH_LEFT_OUT)


def test_arguments_and_defaults_are_compared(script):
    def theirs(a, b=1, *, c=None, lora_rank=None):
        pass

    def ours(a, b=2):
        pass

    def taking_all(a, b=1, **kwargs):
        pass

    assert script.differences(theirs, ours) == ["does not take `c`", "`b` is 2 by default"]
    assert script.differences(theirs, taking_all) == []
    assert script.differences(theirs, lambda a, b, c=None: None) == ["`b` must be given"]


def test_the_page_is_up_to_date(script, survey):
    entries, left_out, versions = survey
    page = (_SCRIPT.parent / "keras.md").read_text()
    assert page.count("Keras " + versions[0]) == 0 or page == script.page(entries, left_out, versions), (
        "docs/keras.md is out of date: python docs/keras_names.py --out docs"
    )
