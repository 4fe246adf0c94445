"""The overview advises: how long the money lasts, and the one click that ends a refusal."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.people import freezing
from billing.plans.models import AddOn, Plan
from billing.plans.seed import seed as seed_billing
from billing.subscriptions import balance_changes
from gateway.catalogue.models import Model, Price
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard import advice
from gateway.usage.models import Refusal, UsageEvent, UsageHour
from gateway.usage.request_ids import first_id
from hontoni.money import DOLLAR, nanos
from hontoni.templatetags.moments import short_local
from tests.confirmed import confirm
from tests.gateway_server import fund
from tests.world import Person, used

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def _seeded(db: None) -> None:
    seed_billing()
    seed_catalogue()


def overview(person: Person) -> str:
    client = Client()
    client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    return re.sub(r"\s+", " ", client.get("/overview").content.decode())


def spent(person: Person, dollars: str, days_ago: int = 0, **changes: Any) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    row = {"model": "claude-sonnet-4", "requests": 1, "cost": nanos(dollars), **changes}
    UsageHour.objects.create(hour=hour, user=person.user, api_key=person.key, **row)


def refused(person: Person, code: str) -> Refusal:
    now = timezone.now()
    return Refusal.objects.create(
        user=person.user,
        hour=now.replace(minute=0, second=0, microsecond=0),
        api_key=person.key,
        code=code,
        status=429,
        message="No.",
        request_id="req_x",
        count=3,
        first_at=now,
        last_at=now,
    )


def links(person: Person, code: str) -> list[str]:
    refusal = refused(person, code)
    return [each.url for each in advice.remedies(person.user.pk, [refusal])[refusal.pk]]


def test_a_refusal_leads_to_the_add_on_and_the_plan_with_more_room(alice: Person) -> None:
    refused(alice, "rate_limit_exceeded")
    page = overview(alice)
    assert "3 requests were refused this week" in page
    assert 'href="/billing/plans/change?add_on=rate-limit-2x">Rate Limit 2x: 16 for $4.99' in page
    assert 'href="/billing/plans/change?plan=standard">Standard: 12 for $13.00' in page
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    for path in re.findall(r'href="(/billing/plans/change[^"]+)"', page):
        assert client.get(path).status_code == 200


def test_a_plan_is_offered_only_where_it_has_more_of_what_was_too_little(alice: Person) -> None:
    assert links(alice, "plan_limit_daily") == [
        "/billing/plans/change?add_on=rate-limit-2x",
        "/billing/plans/change?plan=basic",
    ]
    assert links(alice, "concurrency_limit")[1] == "/billing/plans/change?plan=standard"


@pytest.mark.django_db(transaction=True)
def test_who_has_the_largest_is_offered_nothing(transactional_db: None, alice: Person) -> None:
    seed_billing()
    fund(alice, "200")
    now = timezone.now()
    balance_changes.subscribe(alice.user.pk, Plan.objects.get(slug="ultimate"), now=now)
    balance_changes.add(alice.user.pk, AddOn.objects.get(slug="rate-limit-10x"), now=now)
    assert links(alice, "plan_limit_weekly") == []


def test_other_refusals_lead_to_what_ends_them(alice: Person) -> None:
    assert links(alice, "insufficient_balance") == ["/billing/topup"]
    assert links(alice, "key_cap_daily") == [f"/keys/{alice.key.pk}"]
    assert links(alice, "model_not_found") == ["/models"]
    assert links(alice, "invalid_json") == []


def test_the_balance_lasts_as_long_as_the_pace_says() -> None:
    now = timezone.now()
    assert advice.runway(10 * DOLLAR, 7 * DOLLAR, now - timedelta(days=90), now) == 10
    assert advice.runway(10 * DOLLAR, 5 * DOLLAR, now, now) == 2  # an account of today
    assert advice.runway(10 * DOLLAR, 0, now, now) is None
    assert advice.runway(-DOLLAR, DOLLAR, now, now) == 0


def test_a_short_balance_is_a_warning_and_a_long_one_a_fact(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(created_at=timezone.now() - timedelta(days=60))
    fund(alice, "2")
    spent(alice, "7")
    page = overview(alice)
    assert "your balance lasts 2 more days" in page and "balance for about 2 days" in page
    fund(alice, "26")
    page = overview(alice)
    assert "your balance lasts" not in page and "balance for about 28 days" in page


def test_the_week_is_compared_with_the_one_before(alice: Person) -> None:
    spent(alice, "4", days_ago=9)
    spent(alice, "5")
    page = overview(alice)
    assert "$5.00 in 7 days, $4.00 in the 7 before <strong>+25 %</strong>" in page


def test_a_frozen_account_says_so_why_and_whom_to_write_to(alice: Person) -> None:
    freezing.freeze(alice.user.pk, reason="The bank asks.")
    page = overview(alice)
    assert "Your account is frozen: The bank asks." in page and 'href="/contact"' in page


def test_a_model_that_is_not_sold_any_more_is_named(alice: Person) -> None:
    spent(alice, "1", model="gpt-3")
    assert "gpt-3 is not offered any more" in overview(alice)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"input": 300_000}, "hardly any came from a cache"),
        (
            {"input": 10_000, "cache_write_5m": 290_000, "cache_read": 9_000},
            "written to the cache",
        ),
        ({"input": 30_000, "cache_read": 270_000}, ""),
        ({"input": 3_000}, ""),
    ],
)
def test_cold_prompts_are_coached(alice: Person, tokens: dict[str, int], words: str) -> None:
    spent(alice, "1", **tokens)
    page = overview(alice)
    assert ("prompt tokens of laptop" in page) == bool(words)
    assert words in page


def test_nobody_is_coached_to_cache_what_is_no_cheaper(alice: Person) -> None:
    spent(alice, "1", model="gpt-4o", input=300_000)
    Price.objects.filter(model_id="gpt-4o").update(cache_read=F("input"))
    assert "prompt tokens of" not in overview(alice)


def asked(person: Person, *, read: int, new: int, minutes_ago: int) -> UsageEvent:
    """A request with a prompt that came from the cache, or did not."""
    at = timezone.now() - timedelta(minutes=minutes_ago)
    pk = uuid.UUID(int=first_id(at.timestamp()).int | minutes_ago)
    event = used(person, id=pk, created_at=at, input=new, cache_read=read)
    hour = at.replace(minute=0, second=0, microsecond=0)
    named: dict[str, Any] = {
        "user": person.user,
        "api_key": person.key,
        "model": event.model,
        "hour": hour,
    }
    row, _ = UsageHour.objects.get_or_create(**named)
    more = {"requests": F("requests") + 1, "input": F("input") + new}
    UsageHour.objects.filter(pk=row.pk).update(**more, cache_read=F("cache_read") + read)
    return event


@pytest.mark.parametrize(
    ("pause", "words"), [(2, "the beginning of its prompts changed"), (30, "had expired")]
)
def test_a_key_is_told_since_when_its_prompts_are_new(
    alice: Person, pause: int, words: str
) -> None:
    asked(alice, read=190_000, new=10_000, minutes_ago=50 + pause)
    turn = asked(alice, read=0, new=200_000, minutes_ago=50)
    asked(alice, read=0, new=100_000, minutes_ago=49)
    page = overview(alice)
    assert "62.0 % of the prompt tokens of laptop" in page and words in page
    assert f'href="/usage/{turn.request_id}">That request' in page
    assert short_local(turn.created_at) in page


def test_an_address_that_is_not_confirmed_is_said(alice: Person, settings: Settings) -> None:
    settings.SIGNUP_CREDIT = "5"
    page = overview(alice)
    assert "alice@example.com is not confirmed yet" in page and "$5.00 of credit waits" in page
    confirm(alice.user)
    assert "is not confirmed yet" not in overview(alice)


def test_a_model_in_use_that_will_end_is_named(alice: Person) -> None:
    spent(alice, "1", model="gpt-4o")
    ends = timezone.now() + timedelta(days=40)
    Model.objects.filter(pk="gpt-4o").update(ends_at=ends, deprecated_at=timezone.now())
    page = overview(alice)
    assert "gpt-4o, which you use, ends on" in page and 'href="/models/gpt-4o"' in page
