"""What is asked in a query and nobody reads is refused by name, at every door of /api."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLResolver, get_resolver

from tests.world import Person

pytestmark = pytest.mark.any_database

_OTHERS = ("api/docs", "api/schema")
_PARTS = {"month": "2026-11", "uuid": "0190f0f0-0000-7000-8000-000000000000"}


def doors(resolver: Any = None, before: str = "") -> Iterator[str]:
    """The paths of /api, their parts filled in; but for the documentation of it."""
    for each in (resolver or get_resolver()).url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from doors(each, path)
        elif path.startswith("api/") and path not in _OTHERS and hasattr(each.callback, "cls"):
            yield "/" + re.sub(r"<(?:(\w+):)?(\w+)>", _part, path)


def _part(found: re.Match[str]) -> str:
    return _PARTS.get(found[1] or found[2], "1")


DOORS = sorted(set(doors()))


def test_there_are_doors() -> None:
    assert {"/api/models", "/api/billing/invoices", "/api/billing/statements"} < set(DOORS)


@pytest.mark.parametrize("path", DOORS)
def test_no_door_ignores_what_it_is_asked(alice: Person, path: str) -> None:
    for method in ("get", "post", "patch", "delete"):
        answer = getattr(alice.client(), method)(f"{path}?spend_kap=1")
        told = answer.json()["error"]
        assert (answer.status_code, told["param"]) == (400, "spend_kap"), (method, path)


@pytest.mark.parametrize(
    "path", ["/api/models", "/api/billing/invoices", "/api/billing/statements"]
)
@pytest.mark.parametrize("name", ["limit", "cursor"])
def test_a_list_without_pages_does_not_pretend_to_have_some(
    alice: Person, path: str, name: str
) -> None:
    answer = alice.client().get(f"{path}?{name}=1")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert alice.client().get(path).status_code == 200
