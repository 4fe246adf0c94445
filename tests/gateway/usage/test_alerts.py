"""Who is about to run out hears of it, from the usage that passes anyway."""

import pytest

from accounts.keys import api_keys
from billing.mails import letters
from billing.mails.models import Notice
from billing.plans.models import Plan
from gateway.usage import refusals
from gateway.usage.models import UsageEvent
from hontoni.money import DOLLAR, dollars
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person


def told(kind: str) -> list[dict[str, object]]:
    return list(Notice.objects.filter(kind=kind).order_by("pk").values_list("facts", flat=True))


def test_windows_are_told_at_80_and_at_100_percent_once(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(five_hours=5, rpm=100, daily=100, weekly=100, monthly=100)
    fund(alice, "10")
    counts = []
    for _ in range(6):
        gateway.chat(alice)
        gateway.books()
        counts.append((len(told("window_80")), len(told("window_100"))))
    assert counts == [(0, 0), (0, 0), (0, 0), (1, 0), (1, 1), (1, 1)]
    (facts,) = told("window_100")
    assert (facts["window"], facts["limit"]) == ("in 5 hours", 5)
    assert facts["resets_at"] == told("window_80")[0]["resets_at"]


def test_one_batch_tells_each_level_once(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(daily=5, rpm=100, five_hours=100, weekly=100, monthly=100)
    fund(alice, "10")
    for _ in range(5):
        gateway.chat(alice)
    gateway.books()
    assert [len(told("window_80")), len(told("window_100"))] == [1, 1]


def test_the_minute_is_nobodys_mail(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(rpm=2)
    fund(alice, "10")
    for _ in range(2):
        gateway.chat(alice)
    gateway.books()
    assert not Notice.objects.filter(kind__startswith="window").exists()


def test_a_low_balance_is_told_with_the_request_that_made_it_low(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "2.00001")
    gateway.chat(alice)
    gateway.chat(alice)
    gateway.books()
    (facts,) = told("low_balance")
    assert facts["threshold"] == "2.00"


def test_a_key_s_cap_is_told_at_80_and_at_100_percent_once(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    gateway.books()
    cost = UsageEvent.objects.get().cost

    def spent_of(cap: int) -> list[int]:
        """Another request, under a cap that is lowered before it is booked."""
        api_keys.change(alice.key, daily_cap=100 * cost, lifetime_cap=1000 * cost)
        assert gateway.chat(alice).status_code == 200
        api_keys.change(alice.key, daily_cap=cap)
        gateway.books()
        return [len(told("cap_80")), len(told("cap_100"))]

    assert spent_of(3 * cost) == [0, 0]
    assert spent_of(3 * cost + cost // 2) == [1, 0]
    assert spent_of(4 * cost) == [1, 1]
    (facts,) = told("cap_100")
    assert (facts["of"], facts["whose"], facts["period"]) == ("key", "laptop", "day")
    assert facts["cap"] == facts["spent"] == dollars(4 * cost)
    assert spent_of(4 * cost) == [1, 1], "it was told"


def test_a_refusal_by_a_nearly_spent_cap_is_told(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    gateway.books()
    api_keys.change(alice.key, monthly_cap=UsageEvent.objects.get().cost + 1)
    assert gateway.chat(alice).status_code == 402
    until(refusals.drain)
    assert [facts["period"] for facts in told("cap_100")] == ["month"]


def test_keys_without_caps_are_not_looked_at(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    gateway.books()
    assert "caps" not in UsageEvent.objects.get().details


@pytest.mark.usefixtures("unhurried")
def test_the_cap_of_an_overflow_is_told_as_any_other(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(**dict.fromkeys(Plan.LIMITS, 100) | {"five_hours": 1})
    fund(alice, "10")
    gateway.chat(alice)
    api_keys.change(alice.key, overflow_cap=DOLLAR)
    assert gateway.chat(alice).headers["x-hontoni-overflow"]
    gateway.books()
    assert told("cap_80") == []
    dearer = UsageEvent.objects.get(details__has_key="overflow").cost
    assert gateway.chat(alice).status_code == 200
    api_keys.change(alice.key, overflow_cap=dearer * 5 // 2)
    gateway.books()
    (facts,) = told("cap_80")
    assert (facts["of"], facts["whose"], facts["period"]) == ("overflow", "laptop", "month")
    assert facts["spent"] == dollars(2 * dearer) and facts["cap"] == dollars(dearer * 5 // 2)
    refused = gateway.chat(alice)
    assert refused.json()["error"]["details"]["overflow"]["refused_by"] == "cap"
    until(refusals.drain)
    assert [facts["of"] for facts in told("cap_100")] == ["overflow"]


@pytest.mark.usefixtures("unhurried")
def test_a_refusal_past_a_window_for_another_reason_is_no_cap_s(
    gateway: Gateway, alice: Person
) -> None:
    Plan.objects.update(**dict.fromkeys(Plan.LIMITS, 100) | {"weekly": 1})  # longer than a day
    fund(alice, "10")
    gateway.chat(alice)
    gateway.books()
    api_keys.change(alice.key, overflow_cap=DOLLAR, daily_cap=UsageEvent.objects.get().cost + 1)
    refused = gateway.chat(alice).json()["error"]
    assert refused["details"]["overflow"]["refused_by"] == "key_cap_daily"
    until(refusals.drain)
    assert "overflow" not in [facts["of"] for facts in told("cap_100")]


def test_the_mail_of_an_overflow_says_which_limits_hold_again() -> None:
    facts = {"of": "overflow", "whose": "ci", "period": "month", "cap": "5", "spent": "4"}
    for level, words in (("80", "429 again"), ("100", "past the limits of your plan")):
        for language in ("en", "vi"):
            resets = {"resets_at": "2026-12-01T00:00:00Z"}
            _, body = letters.words(f"cap_{level}", facts | resets, language=language, name="A")
            assert "429" in body and "402" not in body and (language == "vi" or words in body)
