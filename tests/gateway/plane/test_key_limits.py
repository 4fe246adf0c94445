"""What an owner forbids a key, as its user meets it on /v1."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts.keys import api_keys
from accounts.models import ApiKey
from billing.plans.models import Plan
from gateway.plane import callers
from gateway.usage import spending
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.vendor_day import UsageVendorDay
from hontoni import redis
from hontoni.money import nanos
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("unhurried")]


@pytest.fixture
def rich(gateway: Gateway, alice: Person) -> Person:
    """Alice, whom neither her balance nor her plan stops."""
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000))
    return fund(alice, "100")


def restrict(person: Person, **restrictions: Any) -> None:
    api_keys.change(person.key, **restrictions)


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


# -- Models --------------------------------------------------------------------------------------


def test_another_model_is_refused_by_name_and_not_listed(gateway: Gateway, rich: Person) -> None:
    restrict(rich, allowed_models=["gpt-4o", "claude-sonnet-4"])
    assert gateway.chat(rich).status_code == 200
    refused = gateway.chat(rich, model="gpt-4o-mini")
    assert refused.status_code == 403
    assert (error(refused)["code"], error(refused)["param"]) == ("model_not_allowed", "model")
    assert "gpt-4o, claude-sonnet-4" in error(refused)["message"]
    with gateway.http(rich) as client:
        listed = client.get("/v1/models").json()["data"]
        assert sorted(model["id"] for model in listed) == ["claude-sonnet-4", "gpt-4o"]
        assert client.get("/v1/models/gpt-4o").status_code == 200
        assert client.get("/v1/models/gpt-4o-mini").status_code == 403
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/estimate", json=body).status_code == 403


def test_an_alias_and_a_variant_are_the_model_they_mean(gateway: Gateway, rich: Person) -> None:
    restrict(rich, allowed_models=["claude-sonnet-4"])
    assert gateway.chat(rich, model="claude-sonnet-4-20250514").status_code == 200
    assert gateway.chat(rich, model="claude-sonnet-4:high").status_code == 200


def test_a_new_restriction_holds_for_the_next_request(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    restrict(rich, allowed_models=["claude-sonnet-4"])
    assert gateway.chat(rich).status_code == 403  # though the gateway had a snapshot
    restrict(rich, allowed_models=[])
    assert gateway.chat(rich).status_code == 200


# -- Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "address", "status"),
    [
        (["203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.0/24"], "203.0.114.9", 403),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["2001:db8::/32"], "2001:db8:1::5", 200),
        (["2001:db8::/32", "10.1.2.3/32"], "10.1.2.3", 200),
        (["2001:db8::/32"], "2001:db9::5", 403),
        (["2001:db8::/32"], "unknown", 403),
    ],
)
def test_only_its_own_addresses_may_use_a_key(
    gateway: Gateway,
    rich: Person,
    monkeypatch: pytest.MonkeyPatch,
    ranges: list[str],
    address: str,
    status: int,
) -> None:
    from gateway.plane.exchange import Exchange

    restrict(rich, allowed_ips=ranges)
    monkeypatch.setattr(Exchange, "client_ip", lambda self: address)
    answer = gateway.chat(rich)
    assert answer.status_code == status
    if status == 403:
        assert error(answer)["code"] == "ip_not_allowed"
        assert address in error(answer)["message"]
        assert ranges[0] not in error(answer)["message"]  # a thief is not told


def test_a_snapshot_outdated_by_an_address_is_noticed(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    restrict(rich, allowed_ips=["203.0.113.0/24"])
    assert gateway.chat(rich).status_code == 403
    with gateway.http(rich) as client:
        assert client.get("/v1/models").status_code == 403


# -- Caps ----------------------------------------------------------------------------------------


def cost(gateway: Gateway) -> int:
    return gateway.books()[-1].cost


def test_a_daily_cap_refuses_with_the_number_and_midnight(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("0.002"))
    answers = [gateway.chat(rich) for _ in range(30)]
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert refused.status_code == 402
    assert error(refused)["type"] == "billing_error"
    assert error(refused)["code"] == "key_cap_daily"
    assert "may spend $0.002 a day, and has spent $0.00" in error(refused)["message"]
    assert "00:00 UTC" in error(refused)["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert error(refused)["details"]["limit"] == "key_cap_daily"
    assert error(refused)["details"]["frees_at"].endswith("T00:00:00Z")
    spent = sum(event.cost for event in gateway.books())
    assert 0 < spent <= nanos("0.002")


def test_the_monthly_cap_frees_with_the_month(gateway: Gateway, rich: Person) -> None:
    restrict(rich, monthly_cap=1)
    refused = gateway.chat(rich)
    assert error(refused)["code"] == "key_cap_monthly"
    assert re.search(r"at \d{4}-\d\d-01 00:00 UTC", error(refused)["message"])


def test_a_lifetime_cap_says_that_waiting_does_not_help(gateway: Gateway, rich: Person) -> None:
    restrict(rich, lifetime_cap=nanos("0.002"))
    while (refused := gateway.chat(rich)).status_code == 200:
        pass
    assert (refused.status_code, error(refused)["code"]) == (402, "key_cap_lifetime")
    assert "may spend $0.002 in all, and has spent $0.00" in error(refused)["message"]
    assert "does not free by itself" in error(refused)["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert error(refused)["details"] == {
        "limit": "key_cap_lifetime",
        "allowed": "0.002",
        "frees_at": None,
    }
    assert 0 < sum(event.cost for event in gateway.books()) <= nanos("0.002")
    restrict(rich, lifetime_cap=nanos("1"))
    assert gateway.chat(rich).status_code == 200  # raised, it works at once


@pytest.mark.outside_the_law("a Redis that is wiped forgets what was on its way to the books")
def test_a_lifetime_cap_counts_what_was_spent_ages_ago(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    spent = cost(gateway)
    _move_back(days=700)
    restrict(rich, lifetime_cap=spent)
    assert error(gateway.chat(rich))["code"] == "key_cap_lifetime"
    restrict(rich, lifetime_cap=spent + nanos("0.01"))
    assert gateway.chat(rich).status_code == 200
    assert gateway.chat(rich).status_code == 200  # one in the books, one on its way there
    redis.sync().flushall()
    callers.forget()
    restrict(rich, lifetime_cap=spent + 1)
    assert error(gateway.chat(rich))["code"] == "key_cap_lifetime"


def test_rotating_does_not_begin_a_new_life(gateway: Gateway, rich: Person) -> None:
    restrict(rich, lifetime_cap=nanos("0.0025"))
    assert gateway.chat(rich).status_code == 200
    successor, raw = api_keys.rotate(ApiKey.objects.get(pk=rich.key.pk), timedelta(days=1))
    assert successor.lifetime_cap == nanos("0.0025")
    while gateway.chat(Person(rich.user, successor, raw)).status_code == 200:
        pass
    assert error(gateway.chat(rich))["code"] == "key_cap_lifetime"
    assert sum(event.cost for event in gateway.books()) <= nanos("0.0025")


def test_racing_requests_do_not_overshoot_a_lifetime_cap(gateway: Gateway, rich: Person) -> None:
    cap = nanos("0.01")
    restrict(rich, lifetime_cap=cap)
    gate = threading.Barrier(12)

    def go(_: int) -> int:
        gate.wait()
        return gateway.chat(rich, "[[delay: 0.05]] Hello").status_code

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(go, range(12))) == {200, 402}
    assert sum(event.cost for event in gateway.books()) <= cap


def test_racing_requests_do_not_overshoot_a_cap(gateway: Gateway, rich: Person) -> None:
    cap = nanos("0.01")
    restrict(rich, daily_cap=cap)
    gate = threading.Barrier(12)

    def go(_: int) -> int:
        gate.wait()
        return gateway.chat(rich, "[[delay: 0.05]] Hello").status_code

    with ThreadPoolExecutor(12) as threads:
        statuses = set(threads.map(go, range(12)))
    assert statuses == {200, 402}
    assert sum(event.cost for event in gateway.books()) <= cap


def test_what_running_requests_hold_frees_in_a_moment(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("0.0021"))
    with gateway.begun(rich, "[[slow: 0.3]] [[say: a b c]]") as arriving:
        refused = gateway.chat(rich)
        list(arriving)
    assert (refused.status_code, error(refused)["code"]) == (402, "key_cap_on_hold")
    assert refused.headers["retry-after"] == "2"
    assert gateway.chat(rich).status_code == 200


def test_what_a_cap_leaves_bounds_the_output(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("0.03"))
    answer = gateway.chat(rich, max_tokens=16_000)
    assert answer.status_code == 200
    assert "clamped-by=spend-cap" in answer.headers["x-hontoni-max-tokens"]


def test_a_stream_that_reaches_the_cap_says_so(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("0.10"))
    text = "word " * 8_000
    answer = gateway.chat(rich, f"[[say: {text}]]", stream=True, max_tokens=16_000)
    assert answer.status_code == 200
    assert "key_cap_reached" in answer.text and "[DONE]" not in answer.text
    (event,) = gateway.books()
    assert event.error == "key_cap_reached"
    assert nanos("0.05") < event.cost <= nanos("0.10")


def test_a_cap_survives_the_loss_of_redis(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("1"))
    assert gateway.chat(rich).status_code == 200
    spent = cost(gateway)
    assert gateway.chat(rich).status_code == 200
    waiting = 2 * spent  # one in the books, one on its way there
    stored = redis.sync().hget(
        f"{{s:{rich.user.pk % 64:02d}}}:spend:{rich.key.purse}", "day.spent"
    )
    assert int(stored) == waiting
    redis.sync().delete(f"{{s:{rich.user.pk % 64:02d}}}:spend:{rich.key.purse}")
    assert spending.seed(rich.key.pk)
    stored = redis.sync().hget(
        f"{{s:{rich.user.pk % 64:02d}}}:spend:{rich.key.purse}", "day.spent"
    )
    assert int(stored) == waiting
    gateway.books()
    redis.sync().flushall()
    callers.forget()
    restrict(rich, daily_cap=waiting)
    assert error(gateway.chat(rich))["code"] == "key_cap_daily"


def test_what_was_spent_before_the_cap_counts(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    restrict(rich, daily_cap=cost(gateway))
    assert error(gateway.chat(rich))["code"] == "key_cap_daily"


def test_what_was_spent_yesterday_does_not(gateway: Gateway, rich: Person) -> None:
    assert gateway.chat(rich).status_code == 200
    spent = cost(gateway)
    _move_back(days=1)
    restrict(rich, daily_cap=spent + nanos("0.01"))
    assert gateway.chat(rich).status_code == 200


def _move_back(days: int) -> None:
    UsageHour.objects.update(hour=timezone.now().replace(minute=0, second=0, microsecond=0)
                             - timedelta(days=days))  # fmt: skip
    then = timezone.now() - timedelta(days=days)
    UsageEvent.objects.update(created_at=then)
    UsageVendorDay.objects.update(day=then.date())


def test_rotating_neither_lifts_a_cap_nor_spends_it_twice(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=nanos("0.0025"))
    assert gateway.chat(rich).status_code == 200
    successor, raw = api_keys.rotate(ApiKey.objects.get(pk=rich.key.pk), timedelta(days=1))
    assert (successor.daily_cap, successor.purse) == (nanos("0.0025"), rich.key.purse)
    heir = Person(rich.user, successor, raw)
    while gateway.chat(heir).status_code == 200:
        pass
    assert error(gateway.chat(rich))["code"] == "key_cap_daily"
    assert sum(event.cost for event in gateway.books()) <= nanos("0.0025")
    restrict(heir, daily_cap=nanos("1"))
    assert gateway.chat(rich).status_code == 200  # its predecessor is freed with it


def test_another_key_is_not_held_to_it(gateway: Gateway, rich: Person) -> None:
    restrict(rich, daily_cap=1)
    assert gateway.chat(rich).status_code == 402
    other, raw = api_keys.mint(rich.user, "other")
    assert gateway.chat(Person(rich.user, other, raw)).status_code == 200


def test_the_day_begins_at_midnight_in_utc() -> None:
    day = spending._today()
    assert (day.tzinfo, day.hour) == (UTC, 0)
    assert spending._number(datetime(1970, 1, 2, tzinfo=UTC)) == 1
