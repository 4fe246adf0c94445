"""The last line of `make test`: how many tests ran, and what did not run and why."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.__main__ import Run, told
from tests.tally import Tally
from tests.web import chromium


def report(**fields: Any) -> Any:
    return SimpleNamespace(nodeid="tests/test_it.py::test_it", **fields)


def test_all_that_ran_is_counted_by_database() -> None:
    line, well = told(
        [Run("SQLite", 0, Tally(5317, 0, {})), Run("PostgreSQL", 0, Tally(9, 0, {}))]
    )
    assert well
    assert line == (
        "Tests run: 5,317 on SQLite and 9 on PostgreSQL; none failed. Nothing was left out."
    )


def test_what_did_not_run_is_told_with_its_reason() -> None:
    skipped = [report(longrepr=("f.py", 1, f"Skipped: {chromium.MISSING}"))]
    tally = Tally.of({"skipped": skipped * 2, "passed": [report()]})
    line, well = told([Run("SQLite", 0, tally), Run("PostgreSQL", 0, tally)])
    assert well
    assert line.endswith(f"NOT RUN: 4 ({chromium.MISSING})")


def test_a_failure_and_what_breaks_after_it_are_one() -> None:
    tally = Tally.of({"failed": [report()], "error": [report()], "passed": [report()]})
    line, well = told([Run("SQLite", 1, tally), Run("PostgreSQL", 0, Tally(1, 0, {}))])
    assert not well
    assert line == "Tests run: 2 on SQLite and 1 on PostgreSQL; 1 FAILED. Nothing was left out."


def test_what_failed_at_first_is_named() -> None:
    tally = Tally.of({"rerun": [report()], "passed": [report()]})
    line, well = told([Run("SQLite", 0, tally), Run("PostgreSQL", 0, Tally(1, 0, {}))])
    assert well and "none failed" in line
    assert line.endswith("FAILED AT FIRST, passed again: tests/test_it.py::test_it.")
    failed = Tally.of({"rerun": [report()], "failed": [report()]})
    assert (failed.failed, failed.unsteady) == (1, [])


def test_a_run_that_never_began_is_not_well() -> None:
    line, well = told([Run("SQLite", 0, Tally(3, 0, {})), Run("PostgreSQL", 4, None)])
    assert not well and "none on PostgreSQL (pytest exited with 4)" in line
    line, well = told([Run("SQLite", 2, Tally(3, 0, {}))])
    assert not well and "3 on SQLite (cut short) and none on PostgreSQL (not started)" in line


def test_nothing_for_one_database_is_well_and_nothing_at_all_is_not() -> None:
    some, nothing = Tally(3, 0, {}), Tally(0, 0, {})
    assert told([Run("SQLite", 0, some), Run("PostgreSQL", 5, nothing)])[1]
    assert not told([Run("SQLite", 5, nothing), Run("PostgreSQL", 5, nothing)])[1]


def test_a_machine_without_chromium_takes_the_one_that_was_brought(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "_BROUGHT", tmp_path)
    assert chromium.found() is None
    (tmp_path / "chromium").touch()
    launch = chromium.found()
    assert launch is not None
    assert launch["executable_path"] == str(tmp_path / "chromium")
    (tmp_path / "chromium-browser").touch(mode=0o755)
    installed = chromium.found()
    assert installed is not None
    assert installed["executable_path"] == str(tmp_path / "chromium-browser")
    assert "LD_LIBRARY_PATH" not in installed["env"]
