"""What Stripe takes back, as /v1 sees it: over real HTTP, with the very next request."""

from typing import Any

import pytest

from accounts.models import User
from hontoni.money import nanos
from tests.billing.shop import Shop
from tests.billing.shop import shop as shop
from tests.billing.shop import worker as worker
from tests.gateway_server import Gateway
from tests.sandbox.stripe.conftest import loop as loop
from tests.world import Person

pytestmark = pytest.mark.both_databases


def answered(gateway: Gateway, person: Person, **body: Any) -> tuple[int, str]:
    """Status, and the code of a refusal."""
    answer = gateway.chat(person, **body)
    refused = answer.json().get("error") or {}
    return answer.status_code, refused.get("code", "")


def test_a_refund_of_spent_money_is_402_until_it_is_paid(
    gateway: Gateway, shop: Shop, alice: Person
) -> None:
    order = shop.top_up(alice.user, "25")
    assert answered(gateway, alice) == (200, "")
    shop.refund(order)
    shop.deliver()
    assert gateway.balance(alice) < 0
    assert answered(gateway, alice, max_tokens=1) == (402, "insufficient_balance")
    shop.top_up(alice.user, "5")
    assert answered(gateway, alice) == (200, "")
    assert len(gateway.books()) == 2


def test_a_dispute_freezes_the_keys_and_its_end_in_our_favour_thaws_them(
    gateway: Gateway, shop: Shop, alice: Person, bob: Person
) -> None:
    order = shop.top_up(alice.user, "25")
    assert answered(gateway, alice) == (200, "")
    dispute = shop.dispute(order)
    shop.deliver()
    assert answered(gateway, alice) == (403, "account_frozen")
    assert gateway.balance(alice) < 0
    shop.close_dispute(dispute, "won")
    shop.deliver()
    assert answered(gateway, alice) == (200, "")
    assert nanos("24.9") < gateway.balance(alice) < nanos("25")
    assert answered(gateway, bob) == (402, "insufficient_balance")


def test_a_lost_dispute_stays_frozen_whatever_is_paid(
    gateway: Gateway, shop: Shop, alice: Person
) -> None:
    dispute = shop.dispute(shop.top_up(alice.user, "25"))
    shop.deliver()
    shop.close_dispute(dispute, "lost")
    shop.deliver()
    order = {"amount": "50"}
    answer = shop.api(alice.user).post("/api/billing/topup/checkout", order, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "account_frozen")
    assert answered(gateway, alice) == (403, "account_frozen")
    assert User.objects.get(pk=alice.user.pk).frozen_reason


def test_a_plan_paid_by_stripe_binds_with_the_next_request(
    gateway: Gateway, shop: Shop, alice: Person
) -> None:
    shop.top_up(alice.user, "25")
    assert gateway.chat(alice).headers["x-ratelimit-limit-rpm"] == "8"
    answer = shop.api(alice.user).post(
        "/api/subscription", {"plan": "premium", "payment_method": "stripe"}
    )
    page = answer.json()["payment_url"]
    shop.stripe.browser.post(page, data={"card": "pm_card_visa"})
    shop.deliver()
    used = gateway.chat(alice)
    names = ("limit-rpm", "remaining-rpm")
    assert [used.headers[f"x-ratelimit-{name}"] for name in names] == ["20", "18"]
