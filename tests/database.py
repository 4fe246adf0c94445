"""The tests' database: nothing of it is worth keeping, so nothing waits for the disk.

Between two tests it is emptied. Django's own way costs a tenth of a second: it empties every table
and then makes all permissions anew. Here only what has rows is emptied, and what belongs to the
code (permissions and types of content) stays. So do the tables of dj-stripe: the tests that fill
them empty them. And what is sold, a thousand rows that most tests begin with, is copied from the
first time that it was seeded.

After a test that sends requests its books are proven: some seventy queries, most of them of
tables that the test never filled. To put a query into SQL costs more than to ask it, so what is
read from an empty table is nothing, unasked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.db.models.fields import AutoFieldMixin
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


def prove_quickly() -> None:
    """The books, from now on."""
    from gateway.reconciliation import invariants

    proof: Any = invariants
    queries: Any = QuerySet
    every, fetch, iterate = proof.snapshot, queries._fetch_all, queries._iterator

    @contextmanager
    def snapshot() -> Iterator[None]:
        within = connection.in_atomic_block
        with every():
            token = _EMPTY.set(frozenset() if within else _without_rows())
            try:
                yield
            finally:
                _EMPTY.reset(token)

    def fetch_all(rows: Any) -> None:
        if rows._result_cache is None and _is_empty(rows.query):
            rows._result_cache = []
        fetch(rows)

    def iterator(rows: Any, *how: Any) -> Any:
        return iter(()) if _is_empty(rows.query) else iterate(rows, *how)

    proof.snapshot = snapshot
    queries._fetch_all, queries._iterator = fetch_all, iterator


_EMPTY: ContextVar[frozenset[str]] = ContextVar("empty", default=frozenset())


def _without_rows() -> frozenset[str]:
    """Of the moment that is being proven."""
    tables = _tables(connections[connection.alias])
    with connection.cursor() as cursor:
        cursor.execute(_which_have_rows(tables))
        return frozenset(tables) - {name for (name,) in cursor.fetchall()}


def _is_empty(query: Any) -> bool:
    return not query.combinator and query.model._meta.db_table in _EMPTY.get()


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
    """What is sold, from now on: before a test's module takes the seeds by their names."""
    from billing.plans import seed as plans
    from billing.plans.models import AddOn, Plan
    from gateway.catalogue import seed as catalogue
    from gateway.catalogue.features.models import Feature
    from gateway.catalogue.models import Alias, Model, Price
    from hontoni.announced import announce

    plans.seed = _copied(plans.seed, (Plan, AddOn), lambda: None)
    catalogue.seed = _copied(catalogue.seed, (Model, Price, Alias, Feature), announce)


def _copied(
    seed: Callable[[], None], models: Sequence[type[Any]], announce: Callable[[], None]
) -> Callable[[], None]:
    """A seed that does as this one on Postgres, and where something of it is there already;
    elsewhere it copies what came of it the first time, under new numbers."""
    columns = {
        model._meta.db_table: [
            f'"{field.column}"'
            for field in model._meta.fields
            if not isinstance(field, AutoFieldMixin)
        ]
        for model in models
    }
    kept: dict[str, list[tuple[Any, ...]]] = {}

    def copy() -> None:
        with connection.cursor() as cursor:
            cursor.execute(_which_have_rows([*columns]))
            begun = cursor.fetchall() != []
            if connection.vendor != "sqlite" or begun or not kept:
                seed()
            if connection.vendor == "sqlite" and not begun and not kept:
                for table, names in columns.items():
                    cursor.execute(f'SELECT {", ".join(names)} FROM "{table}" ORDER BY rowid')
                    kept[table] = cursor.fetchall()
            elif not begun and kept:
                announce()
                with transaction.atomic():
                    for table, names in columns.items():
                        connection.connection.executemany(_insert(table, names), kept[table])

    return copy


def _insert(table: str, names: Sequence[str]) -> str:
    return f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({", ".join("?" * len(names))})'
