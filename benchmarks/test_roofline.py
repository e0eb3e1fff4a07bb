"""The roofline's command from end to end, on the smallest network."""

import os

import pytest

import fastnn
from benchmarks import roofline


@pytest.fixture(autouse=True)
def _any_processors():
    """The command pins its process."""
    threads, processors, environment = fastnn.get_threads(), os.sched_getaffinity(0), dict(os.environ)
    yield
    fastnn.set_threads(threads)
    os.sched_setaffinity(0, processors)
    os.environ.clear()
    os.environ.update(environment)


def test_it_writes_its_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(roofline, "LOOKS", 2)
    roofline.main(["--workloads", "tiny", "tabular", "--rounds", "2", "--seconds", "0.01", "--out", str(tmp_path)])
    text = (tmp_path / "roofline.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "| tiny | 70.1k |" in text
    assert all(kind in text for kind in roofline.KINDS)
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments", [["--threads", "0"], ["--rounds", "0"], ["--workloads", "huge"]])
def test_it_refuses_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit):
        roofline.main(arguments)
    assert arguments[0] in capsys.readouterr().err
