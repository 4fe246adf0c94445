"""A customer's own key at a vendor: who is asked, what is paid, and what is told when it fails."""

from datetime import timedelta

import orjson
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.people import terms
from billing.plans.models import Plan
from gateway.catalogue import snapshot
from gateway.catalogue.models import Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.reconciliation.vendors.comparison import booked
from gateway.reconciliation.vendors.earnings import margins
from gateway.usage import rollups, series, vendor_days
from gateway.usage.models import UsageEvent
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from hontoni.money import nanos
from sandbox.vendors.recorder import hashed
from tests.gateway.plane.test_limits import limit
from tests.gateway.plane.test_translation import PATHS, ask
from tests.gateway.vendors.own_keys import BOBS, SECRET, charge, offer
from tests.gateway.vendors.test_failover import LONG, error
from tests.gateway.vendors.world import tried, unlimited
from tests.gateway_server import Gateway, fund, settled
from tests.vendors import Vendors
from tests.waiting import until
from tests.world import Person


def asked_with(at: Vendors, secret: str) -> bool:
    return at.last.headers["authorization"] == hashed(f"Bearer {secret}")


def listed(gateway: Gateway, person: Person) -> set[str]:
    with gateway.http(person) as client:
        return {model["id"] for model in client.get("/v1/models").json()["data"]}


def last(gateway: Gateway) -> UsageEvent:
    return gateway.books()[-1]


def test_her_own_key_is_used_at_the_fee(
    gateway: Gateway, alice: Person, bob: Person, offered: Vendors, hers: OwnKey
) -> None:
    fund(alice, "1")
    fund(bob, "1")
    answer = gateway.chat(alice)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-own-key"] == "openai"
    assert asked_with(offered, SECRET)
    event = last(gateway)
    assert tried(event.details) == [("own key/openai", 200, "")]
    assert event.cost == (sum(event.usage) * nanos("0.10") + 500_000) // 1_000_000 > 0
    assert answer.headers["x-hontoni-cost"] == f"{event.cost / 1e9:.9f}".rstrip("0")
    assert gateway.chat(bob).status_code == 200  # who has none there
    assert (len(offered.requests), len(gateway.vendors.requests)) == (1, 1)
    assert "own_key" not in last(gateway).details


@pytest.mark.parametrize("stream", [False, True])
def test_every_dialect_is_answered_by_it(
    gateway: Gateway,
    alice: Person,
    first: Vendors,
    stream: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the client speaks, and whichever vendor answers."""
    fund(alice, "1")
    unlimited()
    monkeypatch.setattr(first.sandbox, "keys", {SECRET})
    charge("1", "0.001")
    for vendor in ("openai", "anthropic", "google"):
        offer(first, vendor)
        keeping.add(alice.user, vendor, SECRET)
    for model in ("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-2.5-pro"):
        for dialect in PATHS:
            assert ask(gateway, alice, dialect, model, "hi", stream=stream).status_code == 200
    assert gateway.vendors.requests == []
    for event in gateway.books():
        tokens = sum(event.usage)
        assert event.cost == (tokens * nanos("1") + 500_000) // 1_000_000 + nanos("0.001")
        assert event.cost <= event.hold


FAILING = {
    "refused": (error(401, "authentication_error", "Bad key."), 403, "own_key_refused"),
    "forbidden": (error(403, "permission_error", "Not you."), 403, "own_key_refused"),
    "out of credit": (error(402, "billing_error", "Pay."), 402, "own_key_out_of_credit"),
    "out of quota": (error(429, "insufficient_quota", "Quota."), 402, "own_key_out_of_credit"),
    "limited": (error(429, "rate_limit_error", "Slow."), 429, "own_key_rate_limited"),
    "without the model": (error(404, "not_found_error", "model: x"), 404, "own_key_model_missing"),
}


@pytest.mark.parametrize("name", FAILING)
def test_its_failure_is_told_its_owner_and_nobody_else_is_asked(
    gateway: Gateway, alice: Person, bob: Person, hers: OwnKey, offered: Vendors, name: str
) -> None:
    fault, status, code = FAILING[name]
    fund(alice, "1")
    fund(bob, "1")
    offered.faults.append(fault)
    answer = gateway.chat(alice)
    told = answer.json()["error"]
    assert (answer.status_code, told["code"]) == (status, code)
    assert "openai" in told["message"] and "/own-keys" in told["message"]
    if status != 404:
        assert orjson.loads(fault.body or b"")["error"]["message"] in told["message"]
    assert SECRET not in answer.text
    assert gateway.vendors.requests == []
    assert (last(gateway).cost, gateway.balance(alice)) == (0, nanos("1"))
    keeping.add(bob.user, "openai", BOBS)
    assert gateway.chat(bob).status_code == 200  # whatever hers has opened
    assert asked_with(offered, BOBS)


def test_a_refused_key_is_left_alone_until_it_is_replaced(
    gateway: Gateway,
    alice: Person,
    hers: OwnKey,
    offered: Vendors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fund(alice, "1")
    monkeypatch.setattr(offered.sandbox, "keys", {BOBS})
    for _ in range(3):
        answer = gateway.chat(alice)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_key_refused")
    assert len(offered.requests) == 1
    marked = until(lambda: OwnKey.objects.filter(refused_at__isnull=False).first(), "unmarked")
    assert "Incorrect API key" in marked.refusal
    keeping.change(marked, secret=BOBS)
    assert gateway.chat(alice).status_code == 200


def test_ours_come_behind_it_if_its_owner_chose_so(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    fund(alice, "1")
    keeping.change(hers, falls_back=True)
    offered.faults.append(error(429, "rate_limit_error"))
    answer = gateway.chat(alice)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-own-key"] == "openai; fell-back=own_key_rate_limited"
    event = last(gateway)
    assert [each[0] for each in tried(event.details)] == ["own key/openai", "openai/environment"]
    assert event.cost == event.price.input * event.input // 10**6 + (
        event.price.output * event.output // 10**6
    )
    assert event.cost < event.hold
    assert gateway.chat(alice).headers["x-hontoni-own-key"] == "openai"


def test_past_a_window_ours_are_held_for_from_the_beginning(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    """The fee and our price carry the surcharge; what is held below overflow's cap never grows."""
    fund(alice, "10")
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000) | {"five_hours": 1})
    keeping.change(hers, falls_back=True)
    assert gateway.chat(alice).status_code == 200
    api_keys.change(alice.key, overflow_cap=nanos("5"))
    assert gateway.chat(alice).status_code == 200
    fee, past = gateway.books()
    assert past.cost * 4 == fee.cost * 5
    offered.faults.append(error(429, "rate_limit_error"))
    answer = gateway.chat(alice)
    assert answer.headers["x-hontoni-own-key"] == "openai; fell-back=own_key_rate_limited"
    ours = last(gateway)
    assert ours.hold == past.hold and ours.details["lines"][0]["own"]["surcharge"] == 2_500


def test_ours_are_not_asked_for_more_than_the_balance_covers(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    """A few cents hold for a fee, not for our price."""
    fund(alice, "0.0001")
    keeping.change(hers, falls_back=True)
    assert gateway.chat(alice).status_code == 200
    offered.faults.append(error(429, "rate_limit_error"))
    answer = gateway.chat(alice)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_balance")
    assert "own_key_rate_limited" in answer.json()["error"]["message"]
    assert gateway.vendors.requests == []
    assert last(gateway).cost == 0


def test_what_its_owner_changes_binds_with_the_next_request(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    fund(alice, "1")
    assert gateway.chat(alice).headers["x-hontoni-own-key"] == "openai"
    keeping.change(hers, active=False)
    assert "x-hontoni-own-key" not in gateway.chat(alice).headers
    keeping.change(hers, active=True)
    assert gateway.chat(alice).headers["x-hontoni-own-key"] == "openai"
    keeping.remove(hers)
    assert "x-hontoni-own-key" not in gateway.chat(alice).headers
    assert (len(offered.requests), len(gateway.vendors.requests)) == (2, 2)


def test_it_is_sent_nowhere_but_where_it_was_entered_for(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors, second: Vendors
) -> None:
    """Whoever may move a provider gets no customer's key, and nobody is asked in its place."""
    fund(alice, "1")
    assert gateway.chat(alice).status_code == 200
    Provider.objects.filter(pk=hers.provider_id).update(base_url=second.url)  # past every page
    terms.changed(alice.user.pk)
    answer = gateway.chat(alice)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_key_unavailable")
    hers.refresh_from_db()
    assert keeping.moved(hers.provider) == 1
    assert second.requests == []


def test_where_own_keys_are_no_longer_offered_its_owner_is_asked(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    fund(alice, "1")
    Provider.objects.update(own_keys=False)
    snapshot.forget()
    answer = gateway.chat(alice)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_key_unavailable")
    keeping.change(hers, falls_back=True)
    assert gateway.chat(alice).status_code == 200
    event = last(gateway)
    assert event.details["own_key"] == {"provider": "openai", "fell_back": "own_key_unavailable"}
    assert "lines" not in event.details  # at our price
    assert offered.requests == []


def test_a_model_that_we_have_no_credential_for_is_there_with_an_own_key(
    gateway: Gateway, alice: Person, bob: Person, hers: OwnKey, offered: Vendors
) -> None:
    from hontoni.asgi import v1

    assert v1.upstream is not None
    fund(alice, "1")
    fund(bob, "1")
    ours = v1.upstream.own.pop("openai")
    v1.upstream.forget()
    try:
        assert gateway.chat(alice).status_code == 200
        assert gateway.chat(bob).json()["error"]["code"] == "model_not_supported"
        assert "gpt-4o" in listed(gateway, alice)
        assert "gpt-4o" not in listed(gateway, bob)
    finally:
        v1.upstream.own["openai"] = ours
        v1.upstream.forget()


def test_counts_and_estimates_are_by_the_own_key(
    gateway: Gateway, alice: Person, first: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt that shall go to her own account goes nowhere else to be counted."""
    fund(alice, "1")
    monkeypatch.setattr(first.sandbox, "keys", {SECRET})
    offer(first, "anthropic")
    charge("2", "0.001")
    keeping.add(alice.user, "anthropic", SECRET)
    body = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "hi"}]}
    with gateway.http(alice) as client:
        assert client.post("/v1/messages/count_tokens", json=body).status_code == 200
        told = client.post("/v1/estimate", json={**body, "max_tokens": 10}).json()
    assert (len(first.requests), gateway.vendors.requests) == (1, [])
    most = (told["max_input_tokens"] + 10) * nanos("2") // 10**6 + nanos("0.001")
    assert abs(nanos(told["most_cost"]) - most) <= 1


def test_a_large_request_costs_the_fee_too(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors, settings: Settings
) -> None:
    fund(alice, "1")
    messages = [{"role": "user", "content": f"word {each}"} for each in range(1_600)]
    answer = gateway.chat(alice, messages=messages)
    assert answer.status_code == 200, answer.text
    event = last(gateway)
    assert event.cost == (sum(event.usage) * nanos("0.10") + 500_000) // 1_000_000
    assert len(offered.requests) == 1


def test_leaving_in_mid_answer_is_not_free(
    gateway: Gateway, alice: Person, hers: OwnKey, offered: Vendors
) -> None:
    OwnKeyFee.objects.all().delete()
    charge("10", "0.01")
    fund(alice, "1")
    with gateway.begun(alice, LONG):
        pass
    settled(offered)
    assert last(gateway).cost > nanos("0.01")


def test_a_fee_binds_at_its_moment_and_receipts_keep_it(
    gateway: Gateway, alice: Person, hers: OwnKey
) -> None:
    fund(alice, "1")
    gateway.chat(alice)
    charge("3", vendor="openai")
    gateway.chat(alice)
    charge("5", vendor="anthropic")
    gateway.chat(alice)
    fees = [event.details["lines"][0]["own"] for event in gateway.books()]
    assert [own["rates"][0] for own in fees] == [nanos("0.10"), nanos("3"), nanos("3")]
    assert all(own["own_key"] for own in fees)


@pytest.mark.both_databases
def test_no_vendors_bill_has_it_and_the_fee_is_earned(
    gateway: Gateway, alice: Person, bob: Person, hers: OwnKey
) -> None:
    fund(alice, "1")
    fund(bob, "1")
    gateway.chat(alice)
    gateway.chat(bob)
    mine, ours = gateway.books()
    today = mine.created_at.date()
    assert {place.credential for place in booked(today, today)} == {"openai/environment"}
    earned = {each.name: each for each in margins("customer", today, today)}
    alices = earned[str(alice.user.pk)]
    assert (alices.revenue, alices.cost) == (mine.cost, 0)
    assert earned[str(bob.user.pk)].revenue == ours.cost
    assert vendor_days.rebuild(today, today) == 2
    assert [*vendor_days.problems(today, today)] == []


@pytest.mark.both_databases
def test_the_cache_of_her_own_account_saves_nothing_here(
    gateway: Gateway, alice: Person, hers: OwnKey
) -> None:
    """What it saves is on the vendor's bill; what goes through ours is at what she pays."""
    fund(alice, "1")
    text = "[[usage: 100 5 60]]"
    assert gateway.chat(alice, text).status_code == 200
    now = timezone.now()

    def sums() -> rollups.Totals:
        gateway.books()
        along = series.moments(1, now)
        chosen = series.with_own_keys(alice.user.pk, series.span(along), {})
        return rollups.totals(chosen, snapshot.load())

    mine = sums()
    assert (mine.tokens["cache_read"], mine.saved, mine.costs["cache_read"]) == (60, 0, 0)
    assert mine.fees == mine.cost > 0
    keeping.change(hers, active=False)
    half = CustomerPrice.objects.create(user=alice.user, multiplier=5_000)
    CustomerPrice.objects.filter(pk=half.pk).update(from_at=now - timedelta(days=1))
    snapshot.forget()
    assert gateway.chat(alice, text).status_code == 200
    price = Price.objects.filter(model="gpt-4o", effective_at__lte=now).latest("effective_at")
    saved = 60 * (price.input - price.cache_read) // 2 // 10**6
    both = sums()
    assert (both.tokens["cache_read"], both.saved) == (120, saved)
    assert both.fees == mine.fees
