"""The rules of the house, where no linter has them: rooms say what they are for, a name is said
once, and functions and files stay small."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from django.urls import get_resolver

ROOT = Path(__file__).parent.parent
APPS = (
    *("accounts", "billing", "cli", "cockpit", "gateway", "hontoni", "operations", "ratelimits"),
    *(f"sandbox/{played}" for played in ("payos", "sepay", "stripe", "vendors")),
)
# What Django, a program and every room that needs one has under a name that says its kind.
KINDS = {
    *("__init__", "__main__", "admin", "api", "app", "apps", "forms", "formats", "models"),
    *("seed", "serializers", "tasks", "urls", "views"),
}
# Siblings: packages of one set, with the same names in each of them on purpose.
SETS = (
    "gateway/dialects/",  # a package a dialect, the same steps in each, and the hub between them
    "sandbox/vendors/",  # a vendor's player, its lint and its reports
)
# A second module of a name, where both are what the field calls so: one side is the hot path's.
TWICE = {
    "access",  # to a vendor: by our credential, and by a customer's own
    "events",
    "health",  # of this process, and of a vendor
    "overflow",  # on a request's way, and in the books
    "own_keys",
    "pages",
    "parts",
    "probing",
    "reading",
    "records",
    "reply",
    "snapshot",  # of the catalogue, and of the features in it
    "testing",
    "tokens",
    "tools",
    "wire",
}


@cache
def _modules(app: str) -> tuple[Path, ...]:
    found = (path.relative_to(ROOT) for path in (ROOT / app).rglob("*.py"))
    return tuple(p for p in found if not {"migrations", "mirror_tables"}.intersection(p.parts))


@pytest.mark.parametrize("app", APPS)
def test_a_room_says_what_it_is_for(app: str) -> None:
    rooms = {path.parent for path in _modules(app)} - {Path("cli")}
    quiet = re.compile(r"management|templatetags|formats|codecs/\w+$")  # their place says it
    for room in sorted(room for room in rooms if not quiet.search(str(room))):
        told = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))
        assert told and len(told) > 80, room


@pytest.mark.parametrize("app", APPS)
def test_no_two_modules_of_an_app_have_one_name(app: str) -> None:
    places, quiet = defaultdict(set), {"management", "templatetags"}
    for path in _modules(app):
        if path.stem not in KINDS and not quiet.intersection(path.parts):
            sets = [room for room in SETS if str(path).startswith(room)]
            places[path.stem].add(sets[0] if sets else str(path))
    apart = {name for name, found in places.items() if len(found) > 1}
    assert apart <= TWICE, {name: sorted(places[name]) for name in apart - TWICE}


def _names(resolver: Any, space: str = "") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from (
                (name, f"{pattern.pattern}{rest}") for name, rest in _names(pattern, inner)
            )
        elif pattern.name:
            yield f"{space}{pattern.name}", str(pattern.pattern)


def test_no_two_addresses_have_one_name() -> None:
    addresses = defaultdict(set)
    for name, address in _names(get_resolver()):
        addresses[name].add(address)
    assert len(addresses) > 500
    assert {name: found for name, found in addresses.items() if len(found) > 1} == {}


def test_functions_and_files_stay_small() -> None:
    long = []
    for path in chain.from_iterable(map(_modules, APPS)):
        source = (ROOT / path).read_text()
        if source.count("\n") > 400:
            long.append(str(path))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= 70:
                    long.append(f"{path}: {node.name}")
    assert long == []


def test_the_glossary_names_places_that_exist() -> None:
    words = (ROOT / "docs/glossary.md").read_text()
    places = re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", words)
    assert len(places) > 60
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("app", ["accounts", "billing", "gateway"])
def test_architecture_names_every_room(app: str) -> None:
    words = (ROOT / "docs/architecture.md").read_text()
    rooms = {path.parts[1] for path in _modules(app) if len(path.parts) > 2}
    rooms -= {"management", "templatetags"}
    assert len(rooms) > 5
    assert [room for room in sorted(rooms) if f"`{room}`" not in words] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "README.md"])
def test_what_a_page_points_at_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    places = set(re.findall(rf"`((?:{'|'.join(APPS)}|tests)/[\w/]+\.\w+)`", text))
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []
