"""`make test`: everything on SQLite, then on Postgres what can differ there.

Arguments go to both runs. The last line says how many tests ran, and what did not run and why.

A test that fails is run once more, and named in the last line if it passes then. Ten thousand
tests with real servers and browsers on a busy machine would else refuse a change for what it did
not do. The rooms of money and faults have no second try: a race that loses money once has lost it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tally import FILE, Tally, left_out, unsteady

DATABASES = {"SQLite": "sqlite", "PostgreSQL": "postgres"}
NEVER_AGAIN = ("tests/money", "tests/faults")
AGAIN = (
    "--reruns=1",
    "--rerun-show-tracebacks",
    *(f"--rerun-exclude-path={room}" for room in NEVER_AGAIN),
)
FINE = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(frozen=True)
class Run:
    """One run of pytest: how it exited, and its tally if it came so far."""

    database: str
    exited: int
    tally: Tally | None

    def __str__(self) -> str:
        if self.tally is None:
            return f"none on {self.database} (pytest exited with {self.exited})"
        counts = f"{self.tally.passed + self.tally.failed:,} on {self.database}"
        return f"{counts} (cut short)" if self.exited == pytest.ExitCode.INTERRUPTED else counts


def run(database: str, arguments: Sequence[str], folder: Path) -> Run:
    path = folder / database
    environment = os.environ | {"TEST_DATABASE": DATABASES[database], FILE: str(path)}
    command = [sys.executable, "-m", "pytest", "-n", "auto", *AGAIN, *arguments]
    with subprocess.Popen(command, env=environment) as process:
        return Run(database, process.wait(), Tally.read(path))


def told(runs: Sequence[Run]) -> tuple[str, bool]:
    """The last line, and whether all is well. Where both found nothing to run, it is not."""
    total = sum((one.tally for one in runs if one.tally), Tally(0, 0, {}))
    never = [f"none on {name} (not started)" for name in list(DATABASES)[len(runs) :]]
    ran = " and ".join([*map(str, runs), *never])
    outcome = f"{total.failed:,} FAILED" if total.failed else "none failed"
    well = not never and total.passed > 0 and all(one.exited in FINE for one in runs)
    again = f" {unsteady(total.unsteady)}" if total.unsteady else ""
    return f"Tests run: {ran}; {outcome}. {left_out(total.left_out)}{again}", well


def main() -> int:
    signal.signal(signal.SIGINT, lambda *_: None)  # pytest has it too, and ends in good order
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        for database in DATABASES:
            runs.append(run(database, sys.argv[1:], Path(folder)))
            if runs[-1].exited == pytest.ExitCode.INTERRUPTED:
                break
    line, well = told(runs)
    sys.stdout.write(line + "\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
