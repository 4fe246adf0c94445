"""Among the vendors of one model: whom staff have asked first, and what all know of each."""

import asyncio
import time
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from pytest_django import Settings

from accounts.models import User
from gateway.catalogue import snapshot
from gateway.dashboard import roles
from gateway.vendors.models import Credential, Provider
from gateway.vendors.routing import health
from gateway.vendors.routing.health import Told
from gateway.vendors.routing.models import Choice, RouteTerms, Routing
from gateway.vendors.routing.tally import Sums
from hontoni import redis
from hontoni.money import nanos
from tests.gateway.vendors.test_failover import error
from tests.gateway.vendors.world import credential, unlimited
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

MODEL = "gpt-4o"


@pytest.fixture
def two(gateway: Gateway, alice: Person, first: Vendors, second: Vendors) -> tuple[Any, Any]:
    """`first` is dear, `second` is cheap, and each would do."""
    fund(alice, "10")
    unlimited()
    credential(first, "dear")
    credential(second, "cheap")
    for name, price in (("dear", "3"), ("cheap", "1")):
        RouteTerms.objects.create(
            provider=Provider.objects.get(name=name), model_id=MODEL,
            input=nanos(price), output=nanos(price),
        )  # fmt: skip
    redis.sync().delete(health.KEY)
    return first, second


def choose(how: Choice, model: str | None = MODEL) -> None:
    Routing.objects.update_or_create(model_id=model, defaults={"choose": how})
    snapshot.forget()


def sessions(gateway: Gateway, alice: Person, count: int = 12) -> None:
    for each in range(count):
        assert gateway.chat(alice, f"Session {each}").status_code == 200


def share() -> None:
    """What the gateway does every few seconds."""
    from hontoni.asgi import v1

    assert v1.health is not None and v1.upstream is not None
    loop = next(iter(v1._working)).get_loop()
    asyncio.run_coroutine_threadsafe(v1.health.share(), loop).result(10)


def tell(label: str, **fields: Any) -> None:
    """Another gateway's word."""
    told = Told(**{"at": time.time(), "sums": Sums(), **fields})
    way = health.field("elsewhere", (label, MODEL))
    redis.sync().hset(health.KEY, way, health.value(told))


def test_by_cost_the_cheapest_is_asked_and_by_share_both(
    gateway: Gateway, alice: Person, two: tuple[Vendors, Vendors]
) -> None:
    dear, cheap = two
    sessions(gateway, alice)
    assert dear.requests and cheap.requests
    before = len(dear.requests)
    choose(Choice.COST)
    sessions(gateway, alice)
    assert len(dear.requests) == before
    cheap.faults.append(error(500, "api_error"))
    assert gateway.chat(alice).status_code == 200  # the dear one stands by
    assert len(dear.requests) == before + 1
    assert {event.cost for event in gateway.books() if event.output == 35} != set()


def test_what_holds_for_every_model_gives_way_to_its_own(
    gateway: Gateway, alice: Person, two: tuple[Vendors, Vendors]
) -> None:
    dear, cheap = two
    choose(Choice.COST, model=None)
    sessions(gateway, alice, 6)
    assert (len(dear.requests), len(cheap.requests)) == (0, 6)
    choose(Choice.SHARE)
    sessions(gateway, alice)
    assert dear.requests


def test_by_latency_the_fastest_is_asked(
    gateway: Gateway, alice: Person, two: tuple[Vendors, Vendors]
) -> None:
    dear, cheap = two
    choose(Choice.LATENCY)
    sessions(gateway, alice)
    tell("dear/main", sums=Sums(ok=9, first_ms=9 * 200, firsts=9))
    tell("cheap/main", sums=Sums(ok=9, first_ms=9 * 900, firsts=9))
    share()
    before = len(cheap.requests)
    sessions(gateway, alice)
    assert len(cheap.requests) == before


@pytest.mark.parametrize("said", ["open_until", "limited_until"])
def test_whom_another_gateway_found_ill_is_asked_last(
    gateway: Gateway, alice: Person, two: tuple[Vendors, Vendors], said: str
) -> None:
    dear, cheap = two
    choose(Choice.COST)
    sessions(gateway, alice, 2)
    tell("cheap/main", **{said: time.time() + 60})
    share()
    before = len(cheap.requests)
    sessions(gateway, alice, 4)
    assert (len(cheap.requests), len(dear.requests)) == (before, 4)
    redis.sync().delete(health.KEY)
    share()
    sessions(gateway, alice, 1)
    assert len(cheap.requests) == before + 1


def test_staff_see_how_each_is_on_a_page_and_by_api(
    gateway: Gateway,
    alice: Person,
    bob: Person,
    two: tuple[Vendors, Vendors],
    client: Browser,
    settings: Settings,
) -> None:
    _, cheap = two
    choose(Choice.COST)
    with gateway.begun(alice, "Hello"):
        pass
    cheap.faults.append(error(429, "rate_limit_error", **{"retry-after": "40"}))
    gateway.chat(alice)
    tell("cheap/main", sums=Sums(ok=8), state=2, open_until=time.time() + 30, refused=True)
    tell("gone/main", at=time.time() - 120)
    share()
    assert b"gone/main" not in b"".join(redis.sync().hkeys(health.KEY))
    assert bob.client().get("/api/staff/vendor-health").status_code == 403
    settings.SANDBOX = True  # where a second factor is not asked for
    roles.seed()
    User.objects.filter(pk=bob.user.pk).update(is_staff=True)
    bob.user.groups.add(Group.objects.get(name="catalogue"))
    rows = {row["credential"]: row for row in bob.client().get("/api/staff/vendor-health").json()}
    assert set(rows) == {"cheap/main", "dear/main"}
    row = rows["cheap/main"]
    assert (row["requests"], row["failed"], row["rate_limited"]) == (10, 1, 1)
    assert (row["success_percent"], row["breaker"], row["gateways"]) == (90.0, "open", 2)
    assert row["refused"] and row["first_byte_ms"] is not None
    assert 0 < row["rate_limited_seconds"] <= 40
    assert row["last_error"] == "rate_limit_error"
    client.force_login(bob.user)
    page = client.get("/admin/gateway/routing/health/").content.decode()
    assert "cheap/main" in page and "90.0" in page and "refused" in page


def test_nobody_tells_anything_while_nobody_asks(gateway: Gateway) -> None:
    """A gateway that is idle costs nothing; what is known of a vendor is not for ever."""
    snapshot.load()  # there are no credentials of other tests
    redis.sync().delete(health.KEY)
    share()
    assert redis.sync().hgetall(health.KEY) == {}


def test_its_own_key_tells_nobody_of_a_customer(
    gateway: Gateway, alice: Person, hers: Any
) -> None:
    fund(alice, "1")
    gateway.chat(alice)
    share()
    assert not any(b"own key" in name for name in redis.sync().hkeys(health.KEY))


def test_credentials_share_a_providers_part(two: tuple[Vendors, Vendors]) -> None:
    RouteTerms.objects.filter(provider__name="dear").update(share=3)
    routes = snapshot.load().models[MODEL].pool.routes
    assert {route.access.label: route.weight for route in routes} == {
        "dear/main": 3,
        "cheap/main": 1,
    }
    assert Credential.objects.filter(weight=1).count() == 2


def test_a_word_of_another_release_is_passed_over() -> None:
    found, gone = health.read({b'["n","c","m"]': b"{}", b'["n","d","m"]': b"[1]"})
    assert (found, len(gone)) == ({}, 2)
