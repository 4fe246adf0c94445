"""Overflow: past a full window for the plan's surcharge, under a cap of its own."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.keys import api_keys
from accounts.models import ApiKey
from billing.plans import terms
from billing.plans.models import Plan
from gateway.stores import rebuilding
from gateway.usage.models import OverflowMonth, UsageEvent
from hontoni import verify
from hontoni.money import DOLLAR, nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway.plane.test_limits import limit
from tests.gateway.plane.test_sockets import asked, heard, opened, send
from tests.gateway.usage.test_corrections import first_version, reprice, used, version
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.usefixtures("unhurried")

FEW = dict.fromkeys(Plan.LIMITS, 1_000) | {"five_hours": 2}


@pytest.fixture
def full(gateway: Gateway, alice: Person) -> Person:
    """Alice with money, and a window of two requests that is full."""
    limit(alice, **FEW)
    fund(alice, "100")
    assert [gateway.chat(alice).status_code for _ in range(3)] == [200, 200, 429]
    return alice


def overflow(person: Person, cap: int | None, surcharge: int | None = None) -> None:
    api_keys.change(person.key, overflow_cap=cap)
    if surcharge is not None:
        plan, _ = terms.plan_of(person.user.pk)
        plan.overflow_surcharge = Decimal(surcharge) / 100
        plan.save(update_fields=["overflow_surcharge"])
        terms.apply_plan(plan)


def browser(person: Person) -> Client:
    client = Client()
    client.force_login(person.user)
    return client


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


@pytest.mark.both_databases
def test_past_a_window_a_request_costs_the_surcharge_and_the_plan_nothing(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 10 * DOLLAR, 2_500)
    answer = gateway.chat(full)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-overflow"] == "5h; surcharge=25%"
    assert answer.headers["x-ratelimit-remaining-5h"] == "0"
    assert answer.headers["x-ratelimit-remaining-daily"] == "998", "it uses up no window"
    assert answer.headers["x-ratelimit-remaining-rpm"] == "997", "but the minute"
    plain, _, dearer = gateway.books()
    assert dearer.cost * 4 == plain.cost * 5
    assert dearer.details["overflow"] == {"window": "5h", "surcharge": 2_500}
    assert OverflowMonth.objects.get().cost == dearer.cost
    assert gateway.balance(full) == 100 * DOLLAR - 2 * plain.cost - dearer.cost


def test_its_receipt_names_window_and_surcharge_and_can_be_verified(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 10 * DOLLAR, 2_500)
    assert gateway.chat(full).status_code == 200
    event = gateway.books()[-1]
    page = browser(full).get(f"/usage/{event.request_id}").content.decode()
    assert "Overflow: its 5-hour window was full" in page and "25%" in page
    receipt = full.client().get(f"/api/usage/{event.request_id}/signed").json()
    assert receipt["receipt"]["overflow"] == {"window": "5h", "surcharge_percent": "25"}
    keys = Client().get("/.well-known/hontoni-receipts.json").json()
    assert all(found.good is not False for found in verify.check(receipt, keys))
    assert receipt["receipt"]["total"] == receipt["receipt"]["charged"]


def test_without_it_a_window_refuses_as_ever(gateway: Gateway, full: Person) -> None:
    refused = gateway.chat(full)
    assert (
        error(refused)["code"] == "plan_limit_5h" and "Overflow" not in error(refused)["message"]
    )
    overflow(full, 10 * DOLLAR)
    assert gateway.chat(full).status_code == 200
    overflow(full, None)
    assert error(gateway.chat(full))["code"] == "plan_limit_5h"


@pytest.mark.both_databases
def test_requests_at_once_do_not_pass_its_cap(gateway: Gateway, full: Person) -> None:
    cap = DOLLAR // 100  # some three holds
    overflow(full, cap)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: gateway.chat(full), range(48)))
    assert {answer.status_code for answer in answers} == {200, 429}
    past = [event for event in gateway.books() if "overflow" in event.details]
    assert 0 < sum(event.cost for event in past) <= cap
    assert sum(event.cost for event in past) == OverflowMonth.objects.get().cost
    refused = error(next(each for each in answers if each.status_code == 429))
    assert refused["code"] == "plan_limit_5h" and refused["details"]["overflow"]["cap"] == "0.01"


def test_a_cap_that_is_spent_leaves_the_windows_refusal_and_says_why(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 1_000)
    refused = gateway.chat(full)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 17_000
    assert "Overflow does not admit it" in error(refused)["message"]
    assert gateway.balance(full) == 100 * DOLLAR - sum(e.cost for e in gateway.books())


@pytest.mark.both_databases
def test_what_was_spent_past_windows_outlives_a_redis_that_forgot(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 100 * DOLLAR)
    assert gateway.chat(full).status_code == 200
    cost = gateway.books()[-1].cost
    rebuilding.reseed([full.user.pk])
    overflow(full, cost + 1_000)
    refused = error(gateway.chat(full))
    assert refused["code"] == "plan_limit_5h", "nor has its window opened"
    assert refused["details"]["overflow"]["spent"] == f"{cost / DOLLAR:.9f}".rstrip("0")


def test_an_account_made_anew_counts_what_went_past_in_no_window(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 10 * DOLLAR)
    assert gateway.chat(full).status_code == gateway.chat(full).status_code == 200
    rebuilding.reseed([full.user.pk])
    gateway.books()
    answer = gateway.chat(full)
    assert answer.headers["x-ratelimit-remaining-daily"] == "998"
    assert answer.headers["x-ratelimit-remaining-rpm"] == "995"


def test_what_reaches_no_vendor_leaves_the_minute_and_no_window(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 10 * DOLLAR)
    assert gateway.chat(full, "[[error: 400 no]]").status_code == 400
    answer = gateway.chat(full)
    assert answer.headers["x-ratelimit-remaining-rpm"] == "997"
    assert answer.headers["x-ratelimit-remaining-daily"] == "998"
    gateway.books()
    assert OverflowMonth.objects.get().cost == UsageEvent.objects.latest("id").cost


def test_the_key_tells_its_overflow(gateway: Gateway, full: Person) -> None:
    overflow(full, 10 * DOLLAR, 5_000)
    assert gateway.chat(full).status_code == 200
    cost = gateway.books()[-1].cost
    with gateway.http(full) as client:
        told = client.get("/v1/key").json()["overflow"]
    assert told["cap"] == "10.00" and told["surcharge_percent"] == "50"
    assert told["spent"] == f"{cost / DOLLAR:.9f}".rstrip("0")
    page = browser(full).get(f"/keys/{full.key.pk}").content.decode()
    assert "of $10.00 this month" in page


def test_an_owner_sets_it_on_the_page_and_by_the_api(gateway: Gateway, alice: Person) -> None:
    answer = alice.client().patch(
        f"/api/keys/{alice.key.pk}", {"overflow_cap": "12.50"}, format="json"
    )
    assert answer.json()["overflow_cap"] == "12.50"
    assert ApiKey.objects.get(pk=alice.key.pk).overflow_cap == 12_500_000_000
    page = browser(alice).get(f"/keys/{alice.key.pk}").content.decode()
    assert "12.50" in page


@pytest.mark.parametrize("points", [0, 2_500, 12_340])
def test_tools_and_what_is_no_conversation_carry_the_surcharge_too(
    gateway: Gateway, full: Person, points: int
) -> None:
    """Of what the vendors' own meters counted: the law of the money proof."""
    overflow(full, 100 * DOLLAR, points)
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    assert vendor.messages(gateway, full, "claude-haiku-4.5", tools=[tool]).status_code == 200
    with gateway.http(full) as client:
        body = {"model": "tts-1", "voice": "alloy", "input": "Chào Hà Nội!"}
        assert client.post("/v1/audio/speech", json=body).status_code == 200
    past = [event for event in gateway.books() if "overflow" in event.details]
    assert len(past) == 2 and all(0 < event.cost <= event.hold for event in past)
    for event in past:
        told = full.client().get(f"/api/usage/{event.request_id}").json()
        assert told["total"] == told["charged"] and told["price_version"]["own"] is None


@pytest.mark.both_databases
def test_a_corrected_price_keeps_its_surcharge_and_frees_the_cap(
    gateway: Gateway, alice: Person
) -> None:
    limit(alice, **FEW)
    fund(alice, "100")
    version(10)
    overflow(alice, 100 * DOLLAR, 2_500)
    used(gateway, *[alice] * 3)
    before = OverflowMonth.objects.get().cost
    assert before == nanos("0.09375")
    reprice(first_version(), "--apply", "--reason", "A zero too many.")
    assert OverflowMonth.objects.get().cost == nanos("0.009375")
    with gateway.http(alice) as client:
        assert client.get("/v1/key").json()["overflow"]["spent"] == "0.009375"
    overflow(alice, nanos("0.009375") + 1)
    assert error(gateway.chat(alice))["details"]["overflow"]["spent"] == "0.009375"


def test_staff_set_the_surcharge_as_per_cent(gateway: Gateway, full: Person) -> None:
    plan = Plan.objects.get(is_default=True)
    page = f"/admin/billing/plan/{plan.pk}/change/"
    client = staff("catalogue")
    form = client.get(page).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    sent = {name: value for name, value in sent.items() if value is not False}
    answer = client.post(page, {**sent, "overflow_surcharge": "12.5"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    overflow(full, 10 * DOLLAR)
    assert gateway.chat(full).headers["x-hontoni-overflow"] == "5h; surcharge=12.5%"


def test_a_large_body_is_read_past_a_window_too(gateway: Gateway, full: Person) -> None:
    long = "word " * 300_000
    assert gateway.chat(full, long).status_code == 429
    overflow(full, 100 * DOLLAR)
    answer = gateway.chat(full, long, model="gpt-4.1")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-hontoni-overflow"] == "5h; surcharge=25%"
    overflow(full, 1_000_000)
    refused = gateway.chat(full, long, model="gpt-4.1")
    assert error(refused)["code"] == "plan_limit_5h"


def test_an_estimate_says_whether_and_for_how_much_it_goes_past(
    gateway: Gateway, full: Person
) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    with gateway.http(full) as client:
        before = client.post("/v1/estimate", json=body).json()
        overflow(full, 10 * DOLLAR)
        told = client.post("/v1/estimate", json=body).json()
        overflow(full, 1_000)
        capped = client.post("/v1/estimate", json=body).json()
    assert not before["admitted"] and "overflow" not in before
    assert told["admitted"] and told["refusal"] is None
    assert told["overflow"]["surcharge_percent"] == "25"
    assert Decimal(told["overflow"]["most_cost"]) == Decimal(before["most_cost"]) * 5 / 4
    assert {each["uses"] for each in told["windows"].values()} == {0}
    assert not capped["admitted"] and capped["refusal"]["code"] == "plan_limit_5h"


def test_on_a_socket_the_first_event_says_so_and_a_refusal_why(
    gateway: Gateway, full: Person
) -> None:
    overflow(full, 10 * DOLLAR, 2_500)
    with opened(gateway, full) as socket:
        send(socket)
        events = heard(socket)
        assert events[0]["headers"]["x-hontoni-overflow"] == "5h; surcharge=25%"
        assert "x-hontoni-overflow" not in events[-1].get("headers", {})
        overflow(full, 1_000)
        refused = asked(socket)
    assert refused["status"] == 429 and refused["error"]["code"] == "plan_limit_5h"
    assert refused["error"]["details"]["overflow"]["refused_by"] == "cap"
    assert "overflow" in gateway.books()[-1].details
