"""What was public stays: addresses, commands, tasks, settings, tables and headers.

contract.json lists what the first release had. Nothing is taken from it; a release adds its own.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.urls import get_resolver

from gateway.plane.v1 import V1
from hontoni import options
from hontoni.celery import app

ROOT = Path(__file__).parent.parent
pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
CONTRACT: dict[str, list[str]] = json.loads(Path(__file__).with_name("contract.json").read_text())


def missing(kind: str, found: set[str]) -> list[str]:
    assert len(CONTRACT[kind]) > 3
    return [name for name in CONTRACT[kind] if name not in found]


def addresses(resolver: Any, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        address = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern, address)
        else:
            yield address


def test_every_page_and_endpoint_is_where_it_was() -> None:
    assert missing("urls", set(addresses(get_resolver()))) == []
    assert missing("paths", {route.path for route in V1().router.routes}) == []  # type: ignore[attr-defined]


def test_every_command_and_task_is_there() -> None:
    app.loader.import_default_modules()
    assert missing("commands", set(get_commands())) == []
    assert missing("tasks", set(app.tasks)) == []


def test_every_table_and_setting_is_there() -> None:
    models = apps.get_models(include_auto_created=True)
    assert missing("tables", {model._meta.db_table for model in models}) == []
    assert missing("settings", {option.name for option in options.OPTIONS}) == []


def test_every_header_is_still_said_by_somebody() -> None:
    source = "".join(
        path.read_text().lower()
        for room in ("gateway", "ratelimits", "hontoni")
        for path in (ROOT / room).rglob("*.py")
    )
    said = {
        name for name in CONTRACT["headers"] if f'"{name}"' in source or f'"{name}: ' in source
    }
    assert missing("headers", said) == []


def named(resolver: Any) -> Iterator[str]:
    """Every name of an address, outside of namespaces."""
    for pattern in resolver.url_patterns:
        if not hasattr(pattern, "url_patterns"):
            yield pattern.name or ""
        elif not pattern.namespace:
            yield from named(pattern)


def test_no_two_addresses_have_one_name() -> None:
    names = Counter(name for name in named(get_resolver()) if name)
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("app", ["accounts", "billing"])
def test_no_two_modules_of_an_app_have_one_name(app: str) -> None:
    files = [path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]
    by_django = {"__init__.py", "apps.py", "models.py", "tasks.py", "urls.py"}
    names = Counter(path.name for path in files if path.name not in by_django)
    assert [name for name, count in names.items() if count > 1] == []
