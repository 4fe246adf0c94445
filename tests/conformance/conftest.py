"""`--board FILE`: write what the tests of this folder found as a table, no cell by hand."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

_TITLES = {
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini": "Gemini",
}
_found: defaultdict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--board", type=Path, help="write the conformance table to this file")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any) -> Any:
    report = (yield).get_result()
    told = getattr(item, "callspec", None)
    if told is None or "dialect" not in told.params or "upstream" not in told.params:
        return
    if report.when == "call" or report.outcome != "passed":
        name = item.originalname.removeprefix("test_").replace("_", " ")
        reason = report.longrepr[2] if report.skipped else ""
        key = (name, told.params["dialect"], told.params["upstream"])
        _found[key].append((report.outcome, reason.removeprefix("Skipped: ")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--board", None)
    if path is not None:
        path.write_text(_table())


def _table() -> str:
    features = list(dict.fromkeys(name for name, _, _ in _found))
    upstreams = list(dict.fromkeys(upstream for _, _, upstream in _found))
    clients = list(dict.fromkeys(client for _, client, _ in _found))
    columns = [(client, upstream) for client in clients for upstream in upstreams]
    heads = [f"{_TITLES[client]} → {_TITLES[upstream]}" for client, upstream in columns]
    rows = [
        [name, *(_cell(_found[name, client, upstream]) for client, upstream in columns)]
        for name in features
    ]
    lines = [["", *heads], ["---"] * (len(heads) + 1), *rows]
    reasons = sorted({why for found in _found.values() for _, why in found if why})
    return "\n".join(
        [
            "# Conformance",
            "",
            "Written by `make conformance` from a run of the official Python SDKs through the",
            "product against vendors that refuse what the real ones refuse, streamed and unary.",
            "✓ passed, ✗ failed, – does not exist there.",
            "",
            *("| " + " | ".join(cells) + " |" for cells in lines),
            "",
            f"–: {'; '.join(reasons)}.",
            "",
        ]
    )


def _cell(found: list[tuple[str, str]]) -> str:
    outcomes = {outcome for outcome, _ in found}
    if "failed" in outcomes:
        return "✗"
    return "✓" if "passed" in outcomes else "–"
