"""A rolling upgrade: nodes of the last release go on writing while the new schema is in place."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from billing.books.written_once import WrittenOnce

# The schema that the last release knows. To be moved on with each release.
RELEASED = [
    ("accounts", "0004_language"),
    ("billing", "0007_billing_details"),
    ("gateway", "0005_tools_and_refusals"),
    ("payments", "0004_dispute_of_a_plan"),
]


def schema(nodes: list[tuple[str, str]] | None = None) -> ProjectState:
    state: ProjectState = MigrationLoader(None).project_state(nodes)
    return state


def breaks(before: ProjectState, after: ProjectState) -> Iterator[str]:
    """What would make a write of the old code fail, or its reads miss something."""
    ours = {app for app, _ in RELEASED}
    for key, old in before.models.items():
        if key[0] not in ours:
            continue
        new = after.models.get(key)
        if new is None or new.options.get("db_table") != old.options.get("db_table"):
            yield f"{'.'.join(key)} is gone"
        else:
            yield from (f"{'.'.join(key)}.{why}" for why in broken_fields(old, new))


def broken_fields(old: ModelState, new: ModelState) -> Iterator[str]:
    for name, field in old.fields.items():
        now = new.fields.get(name)
        if now is None:
            yield f"{name} is gone"
        elif type(now) is not type(field) or (field.null and not now.null):
            yield f"{name} takes less than before"
        elif (now.max_length or 0) < (field.max_length or 0):
            yield f"{name} is shorter"
    for name in new.fields.keys() - old.fields.keys():
        if must_be_told(new.fields[name]):
            yield f"{name} is required, and has no db_default"


def must_be_told(field: Any) -> bool:
    """Whether an INSERT that does not name it fails."""
    return not (field.null or field.many_to_many or field.has_db_default())


@pytest.mark.django_db
def test_the_last_releases_code_can_write_on_the_new_schema() -> None:
    before = schema(RELEASED)
    assert len(before.models) > 30, "the last release's schema is not there"
    assert list(breaks(before, schema())) == []


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (migrations.AddField("apikey", "x", models.IntegerField(default=1)), "x is required"),
        (migrations.AlterField("apikey", "expires_at", models.DateTimeField()), "takes less"),
        (migrations.AlterField("apikey", "name", models.CharField(max_length=3)), "is shorter"),
        (migrations.RemoveField("apikey", "name"), "name is gone"),
        (migrations.RenameField("apikey", "name", "label"), "name is gone"),
        (migrations.DeleteModel("refreshtoken"), "refreshtoken is gone"),
    ],
)
def test_what_would_break_it_is_found(operation: Any, why: str) -> None:
    before, after = schema(RELEASED), schema(RELEASED)
    operation.state_forwards("accounts", after)
    found = list(breaks(before, after))
    assert found and all(why in each or "is required" in each for each in found)


@pytest.mark.parametrize(
    "field", [models.IntegerField(null=True), models.IntegerField(db_default=0)]
)
def test_a_column_that_need_not_be_told_breaks_nothing(field: Any) -> None:
    before, after = schema(RELEASED), schema(RELEASED)
    migrations.AddField("apikey", "x", field).state_forwards("accounts", after)
    assert list(breaks(before, after)) == []


@pytest.mark.django_db
def test_every_row_that_must_not_change_is_still_sealed() -> None:
    """SQLite rebuilds a table whose column changes, and drops its triggers with it."""
    if connection.vendor == "postgresql":
        found = "SELECT DISTINCT event_object_table FROM information_schema.triggers"
    else:
        found = "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(found)
        sealed = {table for (table,) in cursor.fetchall()}
    once = {row._meta.db_table for row in apps.get_models() if issubclass(row, WrittenOnce)}
    assert sealed >= once | {"billing_invoice", "billing_notice"}
