"""The owner's day, in a browser, on the data of `make demo`: what comes up between the morning's
look and the end of the month."""

import re
from io import StringIO

import pytest
from django.core.management import call_command
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry, ClosedMonth, Transfer
from billing.payments.models import Dispute, TopUp
from gateway.catalogue.models import Model
from gateway.dashboard.roles import seed as seed_roles
from gateway.reconciliation.invariants import problems
from gateway.usage.models import UsageEvent
from operations.demo import people
from tests.gateway_server import Gateway
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.world import Person

pytestmark = [pytest.mark.any_database, pytest.mark.outside_the_law("nobody sent them")]
DESK = {"viewport": {"width": 1440, "height": 1000}}


@pytest.fixture
def owner(site: Gateway, stripe: World, settings: Settings) -> Person:
    """Of a business that is a few weeks old."""
    settings.STRIPE_MIRROR = False
    seed_roles()
    call_command("demo", customers=14, requests=300, days=33, stdout=StringIO())
    user = User.objects.get(email=people.OWNER)
    return Person(user, None, "")  # type: ignore[arg-type]


def send(page: Page, button: str) -> None:
    page.locator("form").get_by_role("button", name=button, exact=True).click()


def look(page: Page) -> None:
    expect(page.get_by_text("Books balanced")).to_be_visible()
    expect(page.get_by_role("heading", name="Biggest spenders")).to_be_visible()
    assert page.locator("text=Usage revenue").count()


def refund(page: Page) -> None:
    order = TopUp.objects.filter(state="paid", disputes=None).order_by("-paid_at")[0]
    page.goto(f"/admin/payments/topup/{order.pk}/change/")
    page.get_by_role("link", name="Refund", exact=True).click()
    page.fill("[name=amount]", "1")
    page.fill("[name=reason]", "Goodwill")
    send(page, "Refund")
    expect(page.get_by_text("Refunded $1.00")).to_be_visible()
    booked = Transfer.objects.filter(kind="refund").order_by("-pk")[0]
    assert booked.ref["topup"] == str(order.pk) and booked.reason == "Refund"


def change_a_price(page: Page) -> None:
    page.goto("/admin/gateway/price/add/?model=gpt-4o")
    page.fill("[name=output]", "9.50")
    page.locator("[name=_save]").click()
    expect(page).to_have_url(re.compile(r"/admin/gateway/price/$"))
    entry = AuditEntry.objects.order_by("-pk")[0]
    assert "9.50" in str(entry.after) and "10.00" in str(entry.before)


def sell_a_new_model(page: Page) -> None:
    page.goto("/admin/gateway/model/add/")
    given = {"id": "gpt-6", "name": "GPT-6", "upstream_id": "gpt-6"}
    for name, text in {**given, "context_window": "400000", "max_output": "128000"}.items():
        page.fill(f"[name={name}]", text)
    for can in ("chat", "tools"):
        page.check(f"[name=capabilities][value={can}]")
    page.select_option("[name=vendor]", "openai")
    page.select_option("[name=dialect]", "openai_responses")
    page.locator("[name=_save]").click()
    expect(page.locator("body")).to_contain_text("was added successfully")
    page.goto("/admin/gateway/price/add/?model=gpt-6")
    page.select_option("[name=model]", "gpt-6")
    for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h"):
        page.fill(f"[name={name}]", "4")
    for name in ("output", "reasoning"):
        page.fill(f"[name={name}]", "16")
    page.locator("[name=_save]").click()
    expect(page).to_have_url(re.compile(r"/admin/gateway/price/$"))
    assert Model.objects.get(pk="gpt-6").prices.count() == 1


def answer_a_dispute(page: Page) -> None:
    page.goto("/admin/")
    dispute = Dispute.objects.filter(status="needs_response")[0]
    page.get_by_role("link", name=dispute.pk).first.click()
    page.get_by_role("link", name="Answer with evidence").click()
    log = page.locator("[name=access_activity_log]").input_value()
    assert "SIGN-INS" in log and "203.0.113." in log
    assert page.locator("[name=customer_purchase_ip]").input_value().startswith("203.0.113.")
    send(page, "Answer")
    expect(page.get_by_text("Handed in: the bank decides.")).to_be_visible()
    dispute.refresh_from_db()
    assert dispute.status == "under_review"


def freeze_a_ring(page: Page) -> None:
    there = User.objects.filter(is_staff=False, frozen_at=None)
    ring = list(there.order_by("-pk")[:3])
    page.goto("/admin/billing/customer/")
    for user in ring:
        page.locator(f"input[name=_selected_action][value='{user.pk}']").check()
    page.select_option("[name=action]", "freeze_all")
    page.locator("#changelist-form button[name=index], button[name=index]").first.click()
    page.fill("[name=reason]", "One person with many accounts")
    send(page, "Freeze")
    expect(page.get_by_text("3 are frozen")).to_be_visible()
    assert User.objects.filter(frozen_reason="One person with many accounts").count() == 3


def say_why(page: Page) -> None:
    event = UsageEvent.objects.filter(status__gte=400)[0]
    page.goto(f"/admin/search/?s={event.request_id}&extended=1")
    link = page.locator(f"a[href*='{event.pk}']").first
    page.goto(str(link.get_attribute("href")))
    expect(page.locator("body")).to_contain_text(event.error)


def close_the_month(page: Page) -> None:
    page.goto("/admin/billing/closedmonth/desk/")
    page.get_by_role("link", name="is over and not closed yet").click()
    page.locator("[name=confirmed]").check()
    send(page, "Close it for good")
    expect(page.get_by_text("is closed and signed")).to_be_visible()
    assert ClosedMonth.objects.count() == 1


def test_the_owners_day(open_page: Open, owner: Person) -> None:
    page = open_page("/admin/?days=30", owner, **DESK)
    look(page)
    refund(page)
    change_a_price(page)
    sell_a_new_model(page)
    answer_a_dispute(page)
    freeze_a_ring(page)
    say_why(page)
    close_the_month(page)
    page.goto("/admin/?days=30")
    look(page)
    assert problems() == []
