"""What counts of instructions are compared with, and what fails. (No valgrind is needed.)"""

from benchmarks import instructions


def record(compiler, **counts):
    return {"commit": compiler, "date": "2026-01-01", "compiler": compiler, "instructions_per_step": counts}


def test_only_records_of_the_same_major_version_are_compared_with():
    history = [record("gcc 12.1"), record("gcc 12.2"), record("clang 12.2"), record("gcc 13.2")]
    assert instructions.comparable(history, "gcc 12.9") is history[1]
    assert instructions.comparable(history, "clang 12.0") is history[2]
    assert instructions.comparable(history, "gcc 1.2") is None
    assert instructions.comparable([], "gcc 12.2") is None


def test_what_grows_too_much_is_named():
    table, grown = instructions.compare(dict(a=1000, b=1030, c=1031, d=5), record("gcc 12.2", a=2000, b=1000, c=1000))
    assert grown == ["c"]
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "c", "d"]
    assert "-50.00%" in lines[1]
    assert lines[3].endswith("+3.10%  <--")


def test_without_a_record_nothing_grows():
    table, grown = instructions.compare(dict(a=1000), None)
    assert not grown
    assert "1,000" in table
