"""What a run of the tests ran, and what it left out: one run, or the two of `python -m tests`."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pytest

FILE = "TESTS_TALLY"  # the environment's name for where a run leaves its tally


@dataclass(frozen=True)
class Tally:
    """How many tests passed and failed (or broke down), how many did not run, by reason, and which
    passed only when they were run again."""

    passed: int
    failed: int
    left_out: Mapping[str, int]
    unsteady: Sequence[str] = ()

    @classmethod
    def of(cls, stats: Mapping[str, Sequence[Any]]) -> Self:
        """From the reports that pytest has gathered."""
        reasons = (str(report.longrepr[2]) for report in stats.get("skipped", ()))
        broken = {r.nodeid for outcome in ("failed", "error") for r in stats.get(outcome, ())}
        left_out = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
        unsteady = {r.nodeid for r in stats.get("rerun", ())} - broken
        return cls(len(stats.get("passed", ())), len(broken), dict(left_out), sorted(unsteady))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What a run left there; nothing if it ended before it could."""
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def __add__(self, other: "Tally") -> "Tally":
        left_out = Counter(self.left_out) + Counter(other.left_out)
        unsteady = [*self.unsteady, *other.unsteady]
        return Tally(
            self.passed + other.passed, self.failed + other.failed, dict(left_out), unsteady
        )


def left_out(reasons: Mapping[str, int]) -> str:
    """In words: how many tests did not run, and why."""
    if not reasons:
        return "Nothing was left out."
    return "NOT RUN: " + ", ".join(
        f"{count:,} ({reason})" for reason, count in sorted(reasons.items())
    )


def unsteady(names: Sequence[str]) -> str:
    """In words: what failed first. It is a fault, of the test or of the product."""
    return f"FAILED AT FIRST, passed again: {', '.join(names)}."


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run is said last, and the tally left for who adds the runs up."""
    tally = Tally.of(terminalreporter.stats)
    if tally.left_out:
        terminalreporter.write_line(left_out(tally.left_out), red=True, bold=True)
    if tally.unsteady:
        terminalreporter.write_line(unsteady(tally.unsteady), red=True, bold=True)
    if path := os.environ.get(FILE):
        Path(path).write_text(json.dumps(asdict(tally)))
