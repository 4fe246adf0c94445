"""Staff at the inbox and the quarantine."""

from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.books.models import AuditEntry
from billing.payments.models import TopUp
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine, StripeEvent
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed


@pytest.fixture
def staff(finance: User) -> Client:
    names = ["replay_stripeevent", "resolve_quarantine", "view_stripeevent", "view_quarantine"]
    finance.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(finance)
    return client


def act(staff: Client, model: str, action: str, *ids: object) -> int:
    url = reverse(f"admin:payments_{model}_changelist")
    asked = {"action": action, "_selected_action": [str(id) for id in ids]}
    return staff.post(url, asked, follow=True).status_code


def test_an_event_that_failed_is_replayed_and_audited(
    shop: Shop, bob: User, staff: Client
) -> None:
    shop.pay(shop.order(bob))
    with mock.patch.object(stripe_api, "_call", side_effect=stripe_api.Unanswered):
        shop.deliver()
    assert balance(bob) == 0
    event = StripeEvent.objects.get(type="checkout.session.completed")
    assert event.error
    for _ in range(2):
        assert act(staff, "stripeevent", "replay", event.pk) == 200
    assert balance(bob) == nanos("25")
    assert AuditEntry.objects.filter(subject=f"stripe_event:{event.pk}").count() == 2


def test_who_may_only_look_cannot_replay(shop: Shop, bob: User, finance: User) -> None:
    finance.user_permissions.add(Permission.objects.get(codename="view_stripeevent"))
    client = Client()
    client.force_login(finance)
    shop.knobs(drop=True)
    event = StripeEvent.objects.create(
        id="evt_x", type="x", payload={}, source="poll", retry_at="2026-01-01T00:00Z"
    )
    act(client, "stripeevent", "replay", event.pk)
    assert not AuditEntry.objects.exists()


def test_the_quarantine_is_worked_off(shop: Shop, bob: User, staff: Client) -> None:
    order = shop.order(bob)
    shop.pay(order)
    TopUp.objects.update(amount=nanos("24"))
    shop.deliver()
    found = Quarantine.objects.get()
    assert act(staff, "quarantine", "resolve", found.pk) == 200
    found.refresh_from_db()
    assert found.resolved_by == "finance@example.com"
    assert AuditEntry.objects.get().action == "resolve"


@pytest.mark.parametrize(
    "model", ["topup", "stripeevent", "quarantine", "dispute", "autotopup", "stripecustomer"]
)
def test_every_list_and_page_opens(shop: Shop, bob: User, client: Client, model: str) -> None:
    boss = User.objects.create_superuser("boss@example.com", "x")
    client.force_login(boss)
    shop.dispute(shop.top_up(bob))
    shop.deliver()
    page = client.get(reverse(f"admin:payments_{model}_changelist"), {"q": "bob"})
    assert page.status_code == 200
    order = TopUp.objects.get()
    assert client.get(reverse("admin:payments_topup_change", args=[order.pk])).status_code == 200
