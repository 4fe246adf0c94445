"""The tests' database: nothing of it is worth keeping, so nothing waits for the disk.

Between two tests it is emptied. Django's own way costs a tenth of a second: it empties every table
and then makes all permissions anew. Here only what has rows is emptied, and what belongs to the
code (permissions and types of content) stays. So do the tables of dj-stripe: the tests that fill
them empty them. And what a request may cost besides tokens, seven hundred rows that most tests
begin with, is copied from the first time that it was seeded.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

from tests import prepared

KEPT = ("auth_permission", "django_content_type", "djstripe_")


def modify(database: dict[str, Any]) -> None:
    """Its settings."""
    if database["ENGINE"].endswith("sqlite3"):
        options = database["OPTIONS"]
        options["init_command"] = options["init_command"].replace("=FULL", "=OFF")
    database.get("OPTIONS", {}).pop("pool", None)


def copy_tables(home: Path) -> None:
    """SQLite's: a file, for the threads of the server must see what a test wrote."""
    if connection.vendor == "sqlite":
        settings = connection.settings_dict
        settings.setdefault("TEST", {})["NAME"] = str(prepared.tables(home, _migrate))


def _migrate(path: Path) -> None:
    settings = connection.settings_dict
    connection.close()
    before, settings["NAME"] = settings["NAME"], str(path)
    call_command("migrate", interactive=False, verbosity=0, run_syncdb=True)
    connection.close()
    settings["NAME"] = before


def empty_quickly() -> None:
    """Between tests that commit, from now on."""
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


def _empty(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        connection = connections[alias]
        with connection.cursor() as cursor, transaction.atomic(alias):
            cursor.execute(_which_have_rows(_tables(connection)))
            if filled := [name for (name,) in cursor.fetchall()]:
                _delete(cursor, connection, filled)


@cache
def _tables(connection: BaseDatabaseWrapper) -> Sequence[str]:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return [name for name in names if not name.startswith(KEPT)]


def _which_have_rows(tables: Sequence[str]) -> str:
    return " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in tables
    )


def _delete(cursor: Any, connection: BaseDatabaseWrapper, filled: Sequence[str]) -> None:
    """Past the triggers that keep the ledger as it is."""
    deletes = [f'DELETE FROM "{name}"' for name in filled]
    if connection.vendor == "postgresql":
        cursor.execute("; ".join(["SET LOCAL session_replication_role = replica", *deletes]))
        return
    triggers = _triggers(connection)
    sealed = [trigger for name in filled for trigger in triggers.get(name, {}).items()]
    drops = [f"DROP TRIGGER {name}" for name, _ in sealed]
    for statement in [*drops, *deletes, *(sql for _, sql in sealed)]:
        cursor.execute(statement)


@cache
def _triggers(connection: BaseDatabaseWrapper) -> Mapping[str, Mapping[str, str]]:
    """By table: their names, and how they are made."""
    found: dict[str, dict[str, str]] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
        for table, name, sql in cursor.fetchall():
            found.setdefault(table, {})[name] = sql
    return found


def seed_quickly() -> None:
    """The features, from now on: on SQLite, and where there are none yet."""
    from gateway.catalogue.features import seed
    from gateway.catalogue.features.models import Feature
    from hontoni.announced import announce

    table, made = Feature._meta.db_table, seed.seed
    columns = [field.column for field in Feature._meta.fields if not field.primary_key]
    listed = ", ".join(f'"{column}"' for column in columns)
    insert = f'INSERT INTO "{table}" ({listed}) VALUES ({", ".join("?" * len(columns))})'
    kept: list[tuple[Any, ...]] = []

    def copy() -> None:
        if connection.vendor != "sqlite" or Feature.objects.exists():
            made()
        elif not kept:
            made()
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT {listed} FROM "{table}" ORDER BY id')
                kept.extend(cursor.fetchall())
        else:
            announce()
            connection.connection.executemany(insert, kept)

    seed.seed = copy
