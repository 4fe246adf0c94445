"""What a batch costs: the ordinary price, unless staff have set one for batches."""

import json

import pytest

from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature, Kind, Pricing
from tests.gateway.batches.world import create, ended, line
from tests.gateway_server import CHAT, Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


def half() -> None:
    Feature.objects.create(
        dialect="openai_chat",
        kind=Kind.VALUE,
        name="processing=batch",
        pricing=Pricing.FACTOR,
        factor=5_000,
        meter="processing",
    )
    snapshot.forget()


@pytest.mark.outside_the_law
def test_a_price_of_batches_is_theirs_alone(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    half()
    body = json.loads(line("a"))["body"]
    with gateway.http(alice) as http:
        http.post(CHAT, json=body)
        http.post(CHAT, json=body | {"processing": "batch"})
    ended(gateway, alice, create(gateway, alice, line("a")).id)
    plain, cheat, batched = gateway.books()
    assert plain.cost == cheat.cost > 0
    assert batched.cost == -(-plain.cost // 2)
    assert batched.details["lines"][0]["factor"] == 5_000


def test_without_one_it_is_the_ordinary_price(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    ended(gateway, alice, create(gateway, alice, line("a")).id)
    plain, batched = gateway.books()
    assert batched.cost == plain.cost > 0
    assert batched.details["batch"].startswith("batch_")
