"""A surcharge that rises is announced first, and one that falls binds at once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys
from billing.channels import events
from billing.mails import letters
from billing.mails.models import Notice
from billing.plans import terms
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from gateway.plane import callers
from hontoni.money import DOLLAR
from tests.gateway.plane.test_limits import limit
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database

NOTICE = timedelta(days=settings.PRICE_NOTICE_DAYS)


@pytest.fixture
def finance(gateway: Gateway) -> Client:
    return staff("catalogue")


def write(client: Client, plan: Plan, percent: str) -> None:
    """As staff do, in the admin."""
    page = client.get(f"/admin/billing/plan/{plan.pk}/change/")
    form = page.context["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    data |= {"overflow_surcharge": percent}
    answer = client.post(f"/admin/billing/plan/{plan.pk}/change/", data)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    plan.refresh_from_db()


def told() -> list[tuple[int, str, str]]:
    found = Notice.objects.filter(kind="surcharge_rises").order_by("pk")
    return [(each.user_id, each.facts["old"], each.facts["new"]) for each in found]


def pays(gateway: Gateway, person: Person) -> str:
    return str(gateway.chat(person).headers["x-hontoni-overflow"]).partition("=")[2]


def test_a_rise_is_told_and_binds_when_the_notice_is_over(
    gateway: Gateway, finance: Client, alice: Person, bob: Person, carol: Person
) -> None:
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000) | {"five_hours": 1})
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    for who in (alice, carol):
        api_keys.change(who.key, overflow_cap=10 * DOLLAR)
    plan, _ = terms.plan_of(alice.user.pk)
    fund(carol, "100")
    other = Plan.objects.exclude(pk=plan.pk).filter(active=True, price__gt=0).first()
    assert other is not None
    balance_changes.subscribe(carol.user.pk, other, now=timezone.now())
    write(finance, plan, "40")
    assert told() == [(alice.user.pk, "25", "40")], "who has no overflow, or another plan, is not"
    assert pays(gateway, alice) == "25%"
    rises = plan.surcharge_rises_at
    assert rises is not None and abs(rises - timezone.now() - NOTICE) < timedelta(minutes=5)
    with gateway.http(alice) as http:
        standing = http.get("/v1/key").json()["overflow"]
    assert standing["surcharge_percent"] == "25" and standing["surcharge_rises"]["percent"] == "40"
    sold = {
        each["id"]: each for each in alice.client().get("/api/subscription/plans").json()["plans"]
    }
    assert sold[plan.slug]["overflow_surcharge_percent"] == "25"
    assert sold[plan.slug]["overflow_surcharge_rises"] == standing["surcharge_rises"]
    page = Client()
    page.force_login(alice.user)
    assert "+40%" in page.get("/billing/plans").content.decode()
    write(finance, plan, "30")
    assert plan.surcharge_rises_at == rises and len(told()) == 1, "less of it, at the same moment"
    write(finance, plan, "50")
    assert plan.surcharge_rises_at > rises and told()[-1][1:] == ("25", "50"), "more waits anew"
    Plan.objects.filter(pk=plan.pk).update(surcharge_rises_at=timezone.now())
    callers.forget()
    assert pays(gateway, alice) == "50%"
    write(finance, plan, "20")
    assert pays(gateway, alice) == "20%" and len(told()) == 2, "a fall binds at once"


def test_a_rise_that_is_taken_back_binds_nobody(finance: Client, alice: Person) -> None:
    plan, _ = terms.plan_of(alice.user.pk)
    write(finance, plan, "40")
    write(finance, plan, "25")
    assert plan.surcharge_coming(timezone.now()) is None
    assert plan.surcharge_now(timezone.now() + NOTICE) == 25


def test_another_default_plan_with_a_higher_surcharge_is_a_rise(
    gateway: Gateway, alice: Person
) -> None:
    api_keys.change(alice.key, overflow_cap=DOLLAR)
    other = Plan.objects.exclude(is_default=True).filter(active=True).first()
    assert other is not None
    other.overflow_surcharge = Decimal(60)
    other.save()
    terms.make_default(other)
    assert terms.terms(alice.user.pk).overflow_surcharge == 2_500
    assert told() == [(alice.user.pk, "25", "60")]
    third = Plan.objects.exclude(pk=other.pk).filter(active=True, price__gt=0).first()
    assert third is not None
    third.surcharge_before, third.overflow_surcharge = Decimal(10), Decimal(20)
    third.surcharge_rises_at = timezone.now() + timedelta(days=3)
    third.save()
    terms.make_default(third)
    third.refresh_from_db()
    assert third.surcharge == 1_000 and third.rise is not None, "its own rise waits as it did"
    assert len(told()) == 1


def test_its_mail_and_its_event_say_how_much_and_when() -> None:
    facts = {"plan": "Standard", "old": "25", "new": "40.5", "from_at": "2026-12-30T00:00:00Z"}
    _, body = letters.words("surcharge_rises", facts, language="en", name="A")
    assert "40.5% more than others, instead of 25%, from 30 December 2026" in body
    _, body = letters.words("surcharge_rises", facts, language="vi", name="A")
    assert "40,5% thay vì 25%" in body
    assert events.type_of(Notice(kind="surcharge_rises")) == "price.rising"
