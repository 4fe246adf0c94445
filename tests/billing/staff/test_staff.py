import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.books import audit, credit_requests, ledger
from billing.books.models import AuditEntry, Entry, LedgerAccount, Transfer, Wallet
from billing.channels.models import Channel, Delivery
from billing.invoices.models import Invoice, InvoiceSeries, TaxRate
from billing.mails import sending
from billing.mails.models import Announcement, Notice, Preferences
from billing.payments import closing
from billing.plans import prices
from billing.plans.models import AddOn, Plan, Subscription
from billing.rewards import promos, referrals
from billing.staff.dollars import DollarsField
from billing.staff.models import CustomerNote
from billing.staff.price_changes import is_money
from billing.subscriptions import balance_changes, resets
from hontoni import months
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.plans.test_terms import announced, subscribe
from tests.billing.rewards.test_promos import promo
from tests.confirmed import confirm

BOOKS = [Wallet, LedgerAccount, Transfer, Entry, AuditEntry, Invoice, InvoiceSeries, Notice]


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


def subscribed(user: User) -> Subscription:
    basic = Plan.objects.get(slug="basic")
    return balance_changes.subscribe(user.pk, basic, now=timezone.now()).subscription


WHY = "They asked for it."


def act(staff: Client, action: str, *chosen: Subscription) -> list[str]:
    """Apply an action to these, as its page does; what staff are told."""
    response = staff.post(
        reverse("admin:billing_subscription_changelist"),
        {"action": action, "_selected_action": [one.pk for one in chosen], "reason": WHY},
        follow=True,
    )
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def test_every_page_opens(staff: Client, alice: User) -> None:
    subscribed(alice)
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    promo()
    promos.redeem(alice.pk, "WELCOME", timezone.now())
    sending.collect()
    dave = confirm(User.objects.create_user("dave@elsewhere.org"))
    referrals.accept(dave, referrals.code_of(alice.pk), address="", now=timezone.now())
    Preferences.objects.create(user=alice)
    Plan.objects.update(reset_price=nanos("0.01"))
    resets.buy(alice.pk, now=timezone.now())
    Plan.objects.update(price=nanos("100"))
    prices.announce(timezone.now())
    CustomerNote.objects.create(user=alice, text="Likes invoices", author="a@example.com")
    credit_requests.credit(key="k", user_id=alice.pk, amount=-1, reason="x", staff=dave)
    now = timezone.now()
    Announcement.objects.create(
        title="x",
        title_vi="x",
        body="x",
        body_vi="x",
        starts_at=now,
        ends_at=now + timedelta(days=1),
    )
    hook = Channel.objects.create(account=alice, person=alice, kind="webhook", name="x")
    Delivery.objects.create(channel=hook)
    TaxRate.objects.create(since=now, percent=10)
    month = months.begin(timezone.now())
    later = months.shifted(month, 1) + timedelta(hours=2)
    closing.close(month, actor="a@example.com", now=later)
    models = [model for model in admin.site._registry if model._meta.app_label == "billing"]
    assert len(models) == 27
    for model in models:
        name = f"admin:billing_{model._meta.model_name}"
        row = model._default_manager.first()
        assert row is not None, model
        assert staff.get(reverse(f"{name}_changelist") + "?q=e").status_code == 200
        assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


def test_staff_who_edit_a_price_see_whom_it_binds_and_when(staff: Client, alice: User) -> None:
    subscribed(alice)
    url = change_url(Plan.objects.get(slug="basic"))
    answer = staff.post(url, form(staff, url, price="7"), follow=True)
    (told,) = [str(one) for one in answer.context["messages"] if "binds" in str(one)]
    assert "$7.00 binds: Who buys it now; 1 who paid less" in told
    assert "1 who paid less" in staff.get(url).content.decode()


def test_prices_are_shown_and_taken_in_dollars(staff: Client) -> None:
    url = change_url(AddOn.objects.get(slug="rate-limit-2x"))
    assert form(staff, url)["price"] == "4.99"
    response = staff.post(url, form(staff, url, price="5.49"))
    assert response.status_code == 302
    assert AddOn.objects.get(slug="rate-limit-2x").price == nanos("5.49")


@pytest.mark.parametrize("price", ["", "free", "0.0000000001", "5.495", "-1"])
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
    subscribed(alice)
    url = reverse(
        f"admin:billing_{model._meta.model_name}_delete", args=[model.objects.first().pk]
    )
    assert staff.post(url, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", BOOKS)
def test_the_books_can_only_be_read(staff: Client, alice: User, model: Any) -> None:
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    subscribed(alice)
    name = f"admin:billing_{model._meta.model_name}"
    assert staff.post(reverse(f"{name}_add"), {}).status_code == 403
    row = reverse(f"{name}_change", args=[model.objects.first().pk])
    assert staff.post(row, {"reason": "other"}).status_code == 403
    assert ledger.balance(alice.pk) == nanos("4")


# -- Subscriptions -------------------------------------------------------------------------------


def test_staff_cancel_and_resume(staff: Client, alice: User) -> None:
    mine = subscribed(alice)
    for action, canceled in (("cancel", True), ("resume", False)):
        assert act(staff, action, mine) == ["alice@example.com on Basic: done."]
        mine.refresh_from_db()
        assert mine.cancel_at_period_end is canceled
    entries = AuditEntry.objects.order_by("pk")
    assert [entry.action for entry in entries] == ["cancel subscription", "resume subscription"]
    assert {entry.actor for entry in entries} == {"root@example.com"}
    assert {entry.subject for entry in entries} == {f"user:{alice.pk}"}
    assert all(entry.request_id.startswith("req_") for entry in entries)


def test_staff_end_a_subscription_and_the_rest_is_credited(staff: Client, alice: User) -> None:
    mine = subscribed(alice)
    act(staff, "end_now", mine)
    mine.refresh_from_db()
    assert mine.status == "ended"
    assert nanos("9.99") < ledger.balance(alice.pk) <= nanos("10")
    assert Invoice.objects.filter(kind="credit_note").count() == 1
    assert AuditEntry.objects.get(action="end subscription").after["reason"] == WHY
    assert act(staff, "end_now", mine) == ["None of these is live."]


def test_nobody_ends_a_plan_for_good_without_a_reason(staff: Client, alice: User) -> None:
    mine = subscribed(alice)
    page = staff.post(
        reverse("admin:billing_subscription_changelist"),
        {"action": "end_now", "_selected_action": [mine.pk]},
    )
    assert "End 1 plans now" in page.content.decode() and 'name="reason"' in page.content.decode()
    mine.refresh_from_db()
    assert mine.status == "active" and not AuditEntry.objects.exists()


def test_stripes_are_ended_at_stripe_or_not_at_all(staff: Client, alice: User) -> None:
    mine = subscribed(alice)
    Subscription.objects.update(payment_method="stripe", stripe_id="sub_1")
    (told,) = act(staff, "end_now", mine)
    assert "Payments are not set up here" in told
    mine.refresh_from_db()
    assert mine.status == "active"


def test_only_who_may_manage_subscriptions(client: Client, alice: User) -> None:
    mine = subscribed(alice)
    support = User.objects.create_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.force_login(support)
    act(client, "end_now", mine)
    mine.refresh_from_db()
    assert mine.status == "active"


def test_staff_open_the_pdf(staff: Client, alice: User) -> None:
    subscribed(alice)
    invoice = Invoice.objects.get()
    page = staff.get(reverse("admin:billing_invoice_change", args=[invoice.pk])).content.decode()
    (path,) = re.findall(r'href="(/invoices/[^"]+)"', page)
    assert staff.get(path).content == bytes(invoice.pdf)


def test_staff_are_warned_of_dominated_plans(staff: Client) -> None:
    response = staff.get(reverse("admin:billing_plan_changelist"))
    told = [str(message) for message in response.context["messages"]]
    assert any("Standard + Rate Limit 5x" in warning for warning in told)


def test_a_price_that_more_than_doubles_is_looked_at_twice(staff: Client) -> None:
    url = change_url(Plan.objects.get(slug="basic"))
    dearer = form(staff, url, price="60")
    page = staff.post(url, dearer)
    assert page.status_code == 200 and "$6.00 → $60.00 (+900 %)" in page.content.decode()
    assert Plan.objects.get(slug="basic").price == nanos("6")
    seal = page.context["adminform"].form.fields["confirmed"].widget.attrs["value"]
    other = staff.post(url, dearer | {"price": "600", "confirmed": seal})
    assert other.status_code == 200, "what was confirmed is not what is typed now"
    assert staff.post(url, dearer | {"confirmed": seal}).status_code == 302
    entry = AuditEntry.objects.get()
    assert entry.before == {"price": "6.00"}
    assert entry.after == {"price": "60.00", "changed": {"price": "+900 %"}}


def test_a_price_that_rises_by_half_is_not(staff: Client) -> None:
    url = change_url(Plan.objects.get(slug="basic"))
    assert staff.post(url, form(staff, url, price="9")).status_code == 302
    assert AuditEntry.objects.get().after["changed"] == {"price": "+50 %"}


def test_whatever_money_staff_type_is_dollars(staff: Client) -> None:
    """On every page of the admin there is, and will be."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="root@example.com")
    typed = 0
    for model, page in admin.site._registry.items():
        if not (page.has_add_permission(request) or page.has_change_permission(request)):
            continue
        for name, field in page.get_form(request).base_fields.items():
            if name in {f.name for f in model._meta.get_fields()} and is_money(model, name):
                assert isinstance(field, DollarsField), f"{model.__name__}.{name}"
                assert "nano" not in f"{field.label} {field.help_text}".lower()
                assert "dollar" in field.help_text.lower(), f"{model.__name__}.{name}"
                typed += 1
    assert typed > 15
