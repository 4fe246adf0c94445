"""A customer's own key at a vendor: who is asked, what is paid, and what is told when it fails."""

from typing import Any

import pytest
from django.utils import timezone

from gateway.catalogue import snapshot
from gateway.usage.models import UsageEvent
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from hontoni.money import nanos
from sandbox.vendors.recorder import hashed
from tests.gateway.plane.test_translation import PATHS, ask
from tests.gateway.vendors.test_failover import error
from tests.gateway.vendors.world import credential, tried
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

LATER = "a-key-of-alice-that-is-wrong"


def offer(at: Vendors, name: str = "openai", vendor: str = "", **fields: Any) -> Provider:
    """Customers may bring a key for the vendor that is at that address."""
    made: Provider = Provider.objects.create(
        name=name, vendor=vendor or name, base_url=at.url, own_keys=True, **fields
    )
    snapshot.forget()
    return made


def charge(per_million: str = "0.10", per_request: str = "0", **fields: Any) -> OwnKeyFee:
    made: OwnKeyFee = OwnKeyFee.objects.create(
        per_million=nanos(per_million),
        per_request=nanos(per_request),
        effective_at=timezone.now(),
        **fields,
    )
    snapshot.forget()
    return made


@pytest.fixture
def offered(gateway: Gateway, first: Vendors) -> Vendors:
    """Bring a key of `first` for OpenAI's models, at ten cents per million tokens."""
    first.sandbox.keys = {"sk-alice-at-openai-0123456789", "sk-bob-at-openai-0123456789"}
    offer(first)
    charge()
    return first


@pytest.fixture
def hers(offered: Vendors, alice: Person) -> OwnKey:
    return keeping.add(alice.user, "openai", "sk-alice-at-openai-0123456789")


def asked_with(at: Vendors, secret: str) -> bool:
    return at.last.headers["authorization"] == hashed(f"Bearer {secret}")


def last(gateway: Gateway) -> UsageEvent:
    return gateway.books()[-1]


def test_her_own_key_is_used_at_the_fee(
    gateway: Gateway, alice: Person, bob: Person, offered: Vendors, hers: OwnKey
) -> None:
    fund(alice, "1"), fund(bob, "1")
    answer = gateway.chat(alice)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-own-key"] == "openai"
    assert asked_with(offered, "sk-alice-at-openai-0123456789")
    event = last(gateway)
    assert tried(event.details) == [("own key/openai", 200, "")]
    assert event.cost == (sum(event.usage) * nanos("0.10") + 500_000) // 1_000_000 > 0
    assert answer.headers["x-hontoni-cost"] == f"{event.cost / 1e9:.9f}".rstrip("0")
    assert gateway.chat(bob).status_code == 200  # who has none there
    assert (len(offered.requests), len(gateway.vendors.requests)) == (1, 1)
    assert "own_key" not in last(gateway).details
