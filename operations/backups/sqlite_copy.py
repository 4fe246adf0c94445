"""SQLite, by its own backup: a consistent file while others read and write."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from django.db import connection, connections


def copy(folder: Path, at_that_moment: Callable[[], None]) -> dict[str, Any]:
    """The database into `folder`. Nobody writes while `at_that_moment` runs."""
    connection.ensure_connection()
    name = str(connection.settings_dict["NAME"])
    with (
        closing(_open(name)) as writer,
        closing(_open(name)) as reader,
        closing(sqlite3.connect(folder / "database.sqlite3")) as target,
    ):
        writer.execute("BEGIN IMMEDIATE")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the snapshot
        at_that_moment()
        writer.rollback()
        reader.backup(target)
    return {}


def _open(name: str) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=20, isolation_level=None, uri=name.startswith("file:"))


def check(folder: Path) -> str:
    """What is wrong with a copy; empty if nothing is."""
    with closing(sqlite3.connect(folder / "database.sqlite3")) as copied:
        (said,) = copied.execute("PRAGMA quick_check").fetchone()
    return "" if said == "ok" else str(said)


def put_back(folder: Path) -> None:
    """In place of what is there."""
    connections.close_all()
    name = str(connection.settings_dict["NAME"])
    with (
        closing(sqlite3.connect(folder / "database.sqlite3")) as source,
        closing(_open(name)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode=WAL")
