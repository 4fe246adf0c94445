"""`--board FILE`: write what the tests of this folder found as tables, no cell by hand; and the
same in Vietnamese beside it.

Only then are real agents and frameworks run: they are some 3 GB, installed into `--agents FOLDER`.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance import vietnamese
from tests.conformance.board import Board

_board = Board()
_INSTALLED = ("agents", "frameworks")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--board", type=Path, help="run the agents too and write all to this file")
    parser.addoption("--agents", type=Path, default=Path("var/agents"), help="installed here")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Agents and frameworks are run for the board only."""
    wanted = config.getoption("--board", None) is not None
    return True if collection_path.name in _INSTALLED and not wanted else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What does not exist for a test's parameters is noted on the board, and not run."""
    absent = {item for item in items if _is_absent(item)}
    items[:] = [item for item in items if item not in absent]
    config.hook.pytest_deselected(items=list(absent))


def _is_absent(item: Any) -> bool:
    for marker in item.iter_markers("absent"):
        if all(item.callspec.params[k] == v for k, v in marker.kwargs.items()):
            _board.note(item.originalname, item.callspec.params, "skipped", *marker.args)
            return True
    return False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any) -> Any:
    report = (yield).get_result()
    told = getattr(item, "callspec", None)
    if told is not None and (report.when == "call" or report.outcome != "passed"):
        reason = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
        _board.note(item.originalname, told.params, report.outcome, reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--board", None)
    if path is not None:
        path.write_text(_board.text())
        (path.parent / "vi" / path.name).write_text(vietnamese.twin(_board.text()))
