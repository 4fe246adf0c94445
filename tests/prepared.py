"""What takes as long as all migrations take is made once, by whichever process of the tests needs
it first while the others wait for it, and copied: an installation for a run, the empty tables of
the tests' own database for a day, as long as no code has changed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
SHARED = "TESTS_SHARED"  # the environment's name for a folder that all processes of a run see
DATABASE = "hontoni.sqlite3"
KEPT = ROOT / "var" / "tests"
DAY = 24 * 60 * 60.0  # seconds
APPS = ("accounts", "billing", "cockpit", "gateway", "hontoni", "operations", "ratelimits")


def install(home: Path) -> None:
    """A data folder as `manage.py prepare` leaves an empty one: a database of its own, in which
    nothing is secret."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(made(Path(os.environ[SHARED]) / DATABASE, _prepare), home / DATABASE)


def _prepare(path: Path) -> None:
    with TemporaryDirectory(dir=path.parent) as home:
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": home}
        command = [sys.executable, "manage.py", "prepare"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        (Path(home) / DATABASE).rename(path)


def tables(home: Path, migrate: Callable[[Path], None]) -> Path:
    """A SQLite file with all tables and the rows that migrations write, made by `migrate`."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = made(KEPT / f"{_release()}.sqlite3", migrate)
    for other in KEPT.iterdir():
        with suppress(OSError):  # another run may take it away, too
            if other.stat().st_mtime < time.time() - DAY:
                other.unlink()
    return Path(shutil.copy(kept, home / "test.sqlite3"))


def _release() -> str:
    """What the tables depend on: the code, what it stands on, and the day, for rows have dates."""
    found = hashlib.sha256(datetime.now(UTC).date().isoformat().encode())
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            found.update(path.read_bytes())
    found.update((ROOT / "requirements.txt").read_bytes())
    return found.hexdigest()[:16]


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """This file; made if it is not there yet, and there when it is whole."""
    with alone(path):
        if not path.exists():
            begun = path.with_suffix(".begun")
            begun.unlink(missing_ok=True)
            make(begun)
            begun.rename(path)
    return path


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other process of the tests is at this file meanwhile."""
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
