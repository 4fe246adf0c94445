from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing import audit, ledger
from billing.models import AddOn, AuditEntry, Entry, LedgerAccount, Plan, Transfer, Wallet
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.test_terms import announced, subscribe

BOOKS = [Wallet, LedgerAccount, Transfer, Entry, AuditEntry]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


def change_url(sold: Plan | AddOn) -> str:
    return reverse(f"admin:billing_{sold._meta.model_name}_change", args=[sold.pk])


def form(staff: Client, url: str, **edits: Any) -> dict[str, Any]:
    """What a browser would send back from this page, with these edits."""
    shown = staff.get(url).context["adminform"].form
    values = {name: shown[name].value() for name in shown.fields}
    sent = {name: value for name, value in values.items() if value is not None}
    return {name: value for name, value in sent.items() if value is not False} | edits


def test_every_page_opens(staff: Client, alice: User) -> None:
    subscribe(alice, "standard", "rate-limit-2x")
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    models = [model for model in admin.site._registry if model._meta.app_label == "billing"]
    assert len(models) == 8
    for model in models:
        name = f"admin:billing_{model._meta.model_name}"
        row = model._default_manager.first()
        assert row is not None
        assert staff.get(reverse(f"{name}_changelist") + "?q=e").status_code == 200
        assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


def test_prices_are_shown_and_taken_in_dollars(staff: Client) -> None:
    url = change_url(AddOn.objects.get(slug="rate-limit-2x"))
    assert form(staff, url)["price"] == "4.99"
    response = staff.post(url, form(staff, url, price="5.495"))
    assert response.status_code == 302
    assert AddOn.objects.get(slug="rate-limit-2x").price == nanos("5.495")


@pytest.mark.parametrize("price", ["", "free", "0.0000000001", "-1"])
def test_a_price_is_an_amount_of_dollars(staff: Client, price: str) -> None:
    url = change_url(Plan.objects.get(slug="basic"))
    response = staff.post(url, form(staff, url, price=price))
    assert response.status_code == 200
    assert response.context["adminform"].form.errors
    assert Plan.objects.get(slug="basic").price == nanos("6")


@committed
def test_an_edited_plan_is_audited_and_takes_effect(staff: Client, alice: User, bob: User) -> None:
    subscribe(alice, "standard")
    url = change_url(Plan.objects.get(slug="standard"))
    response = staff.post(url, form(staff, url, rpm=13, key_cap=4))
    assert response.status_code == 302
    assert (announced(alice), announced(bob)) == (2, 0)
    alice.refresh_from_db()
    assert alice.key_cap == 4
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("root@example.com", "change")
    assert entry.subject == "plan:standard"
    assert (entry.before, entry.after) == (
        {"rpm": 12, "key_cap": 10},
        {"rpm": 13, "key_cap": 4},
    )
    assert entry.request_id.startswith("req_")


def test_saving_nothing_changes_nothing(staff: Client) -> None:
    url = change_url(Plan.objects.get(slug="standard"))
    staff.post(url, form(staff, url))
    assert not AuditEntry.objects.exists()


@committed
def test_an_edited_add_on_takes_effect(staff: Client, alice: User) -> None:
    subscribe(alice, "standard", "rate-limit-2x")
    url = change_url(AddOn.objects.get(slug="rate-limit-2x"))
    staff.post(url, form(staff, url, multiplier=3))
    assert announced(alice) == 2
    assert AuditEntry.objects.get().after == {"multiplier": 3}


def test_a_new_plan_is_audited(staff: Client) -> None:
    url = reverse("admin:billing_plan_add")
    numbers = dict.fromkeys(Plan.LIMITS, 5)
    new = form(staff, url, slug="tiny", name="Tiny", price="1", thinking_budget=0, key_cap=1)
    assert staff.post(url, new | numbers).status_code == 302
    assert Plan.objects.get(slug="tiny").price == nanos("1")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.before) == ("add", "plan:tiny", {})


@committed
def test_another_plan_can_be_made_the_default(staff: Client, alice: User) -> None:
    standard = Plan.objects.get(slug="standard")
    staff.post(
        reverse("admin:billing_plan_changelist"),
        {"action": "make_default", "_selected_action": [standard.pk]},
    )
    assert Plan.objects.get(is_default=True) == standard
    alice.refresh_from_db()
    assert (alice.key_cap, announced(alice)) == (10, 2)
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"plan": "pay-as-you-go"}, {"plan": "standard"})


def test_two_plans_cannot(staff: Client) -> None:
    staff.post(
        reverse("admin:billing_plan_changelist"),
        {
            "action": "make_default",
            "_selected_action": list(Plan.objects.values_list("pk", flat=True)),
        },
    )
    assert Plan.objects.get(is_default=True).slug == "pay-as-you-go"


def test_the_default_stays_on_sale(staff: Client) -> None:
    url = change_url(Plan.objects.get(is_default=True))
    sent = form(staff, url)
    sent.pop("active", None)
    assert staff.post(url, sent).status_code == 302
    assert Plan.objects.get(is_default=True).active


@pytest.mark.parametrize("model", [Plan, AddOn, *BOOKS])
def test_nothing_is_deleted(staff: Client, alice: User, model: Any) -> None:
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    url = reverse(
        f"admin:billing_{model._meta.model_name}_delete", args=[model.objects.first().pk]
    )
    assert staff.post(url, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", BOOKS)
def test_the_books_can_only_be_read(staff: Client, alice: User, model: Any) -> None:
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    name = f"admin:billing_{model._meta.model_name}"
    assert staff.post(reverse(f"{name}_add"), {}).status_code == 403
    row = reverse(f"{name}_change", args=[model.objects.first().pk])
    assert staff.post(row, {"reason": "other"}).status_code == 403
    assert ledger.balance(alice.pk) == nanos("10")
