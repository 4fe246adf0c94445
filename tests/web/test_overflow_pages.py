"""A key's overflow and the reset pass in a browser: on the smallest phone, in Vietnamese too."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.keys import api_keys
from billing.plans.models import Plan, ResetPass
from billing.subscriptions import balance_changes
from gateway.usage.models import OverflowMonth
from gateway.usage.overflow import month_of
from hontoni.money import DOLLAR
from tests.gateway_server import Gateway, fund
from tests.web.conftest import Open
from tests.web.test_every_page import _look_at
from tests.world import Person

pytestmark = pytest.mark.any_database


@pytest.fixture
def owner(site: Gateway, alice: Person) -> Person:
    Plan.objects.filter(slug="standard").update(reset_price=4 * DOLLAR)
    fund(alice, "50")
    plan = Plan.objects.get(slug="standard")
    balance_changes.subscribe(alice.user.pk, plan, now=timezone.now())
    api_keys.change(alice.key, overflow_cap=25 * DOLLAR)
    month = month_of(timezone.now())
    OverflowMonth.objects.create(api_key=alice.key, month=month, cost=DOLLAR + 1)
    return alice


def test_the_pages_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, owner: Person
) -> None:
    _look_at(open_page, owner, [f"/keys/{owner.key.pk}", "/keys", "/billing/plans"])


def test_a_reset_pass_is_bought_with_two_clicks(open_page: Open, owner: Person) -> None:
    page = open_page("/billing/plans", owner)
    page.get_by_text("Reset my limits for $4.00").click()
    page.get_by_role("button", name="Reset now for $4.00").click()
    expect(page.get_by_text("All windows are empty again")).to_be_visible()
    expect(page.get_by_text("The next reset pass is sold from")).to_be_visible()
    assert ResetPass.objects.get().price == 4 * DOLLAR
