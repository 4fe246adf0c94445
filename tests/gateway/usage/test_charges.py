"""A charge on the balance, and the requests it is the sum of."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.keys import api_keys
from billing.books.models import Transfer
from billing.plans.models import Plan
from gateway.usage.models import UsageEvent
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.world import Person


@pytest.fixture
def rich(gateway: Gateway, alice: Person) -> Person:
    """Alice, whom neither her balance nor her plan stops."""
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000))
    return fund(alice, "100")


def charges(person: Person) -> list[dict[str, Any]]:
    """Her usage charges, oldest first."""
    rows = person.client().get("/api/billing/transactions", {"kind": "usage"}).json()["results"]
    found: list[dict[str, Any]] = rows[::-1]
    return found


def listed(person: Person, charge: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.client().get(charge["usage"]["url"]).json()["results"]
    return found


def total(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["cost"]) for row in rows), Decimal(0))


def test_a_charge_is_the_sum_of_the_requests_it_links_to(gateway: Gateway, rich: Person) -> None:
    other = Person(rich.user, *api_keys.mint(rich.user, "other"))
    with gateway.begun(rich, "[[slow: 0.3]] [[say: a b c d e f]]") as arriving:
        assert gateway.chat(other).status_code == 200
        assert gateway.chat(rich, model="claude-sonnet-4").status_code == 200
        gateway.books()  # these two are charged while the first one runs
        list(arriving)
    assert gateway.chat(other, model="gpt-4o-mini").status_code == 200
    gateway.books()
    first, second = charges(rich)
    assert [each["usage"]["requests"] for each in (first, second)] == [2, 2]
    for charge in (first, second):
        rows = listed(rich, charge)
        assert len(rows) == 2
        assert total(rows) == -Decimal(charge["amount"]) > 0
        ends = charge["usage"]["last"], charge["usage"]["first"]
        assert (rows[0]["request_id"], rows[-1]["request_id"]) == ends
    # The long one was admitted before all others, and is charged after two of them.
    ids = [row["request_id"] for row in (*listed(rich, second), *listed(rich, first))]
    assert len(set(ids)) == 4 and min(ids) == second["usage"]["first"]


def test_a_charge_from_before_batches_were_kept_is_found_by_its_ends(
    gateway: Gateway, rich: Person
) -> None:
    for _ in range(2):
        assert gateway.chat(rich).status_code == 200
    gateway.books()
    UsageEvent.objects.update(batch=None)
    (charge,) = charges(rich)
    assert total(listed(rich, charge)) == -Decimal(charge["amount"]) > 0


def test_what_is_no_charge_links_to_nothing(gateway: Gateway, rich: Person, bob: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    gateway.books()
    client = rich.client()
    kinds = {row["kind"]: row for row in client.get("/api/billing/transactions").json()["results"]}
    paid = next(row for kind, row in kinds.items() if kind != "usage")
    assert paid["usage"] is None
    theirs = Transfer.objects.get(kind="usage")
    for who, id in ((rich, paid["id"]), (rich, "txn_x"), (bob, f"txn_{theirs.pk}")):
        answer = who.client().get("/api/usage", {"transaction": id})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "transaction")


def test_the_billing_page_links_to_them_too(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    (event,) = gateway.books()
    browser = Client()
    browser.force_login(rich.user, "allauth.account.auth_backends.AuthenticationBackend")
    link = f"/usage?transaction=txn_{Transfer.objects.get(kind='usage').pk}"
    assert link in browser.get("/billing?kind=usage").content.decode()
    page = browser.get(link).content.decode()
    assert "is the sum of" in page and event.request_id in page
    assert browser.get("/usage?transaction=txn_999999").status_code == 404
