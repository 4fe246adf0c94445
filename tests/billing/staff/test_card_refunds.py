"""A plan that a card paid goes back to the card: whole or in part, once at Stripe and here."""

from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.books.models import AuditEntry
from billing.invoices.models import Invoice
from billing.payments import refunds, settlements
from billing.payments.exports import EXPORTS
from billing.stripe import stripe_api
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = [committed, pytest.mark.any_database]


@pytest.fixture
def staff(finance: User) -> Client:
    names = ["refund_topup", "view_customer", "view_topup"]
    finance.user_permissions.add(*Permission.objects.filter(codename__in=names))
    browser = Client()
    browser.force_login(finance)
    return browser


def page(user: User) -> str:
    return f"/admin/billing/customer/{user.pk}/refund/"


def filled(staff: Client, user: User, **given: str) -> dict[str, str]:
    """The form as it was rendered, of the newest payment."""
    form = staff.get(page(user)).context["form"]
    found = {name: str(form[name].value() or "") for name in form.fields}
    return found | {"of": form.fields["of"].choices[0][0], "reason": "Not as expected"} | given


def send(staff: Client, user: User, **given: str) -> str:
    return staff.post(page(user), filled(staff, user, **given), follow=True).content.decode()


def notes() -> list[int]:
    return [each.total for each in Invoice.objects.filter(kind="credit_note").order_by("pk")]


def test_a_plan_goes_back_in_parts_up_to_the_whole_and_no_more(
    shop: Shop, bob: User, paid: str, staff: Client
) -> None:
    assert filled(staff, bob)["amount"] == "6.00"
    assert "does not see it" in staff.get(page(bob)).content.decode(), "the reason is ours"
    assert "Refunded $2.50" in send(staff, bob, amount="2.50")
    assert notes() == [-nanos("2.50")], "booked before Stripe says so"
    shop.knobs(duplicate=1, reorder=True)
    shop.deliver()
    assert filled(staff, bob)["amount"] == "3.50"
    assert "Up to $3.50 can go back" in send(staff, bob, amount="3.51")
    for nothing in ("0", "-1"):
        assert "can go back" in send(staff, bob, amount=nothing)
    send(staff, bob)
    shop.deliver()
    assert notes() == [-nanos("2.50"), -nanos("3.50")]
    assert "Nothing is left" in staff.get(page(bob), follow=True).content.decode()
    assert [each["amount"] for each in stripe_api.refunds(paid)] == [350, 250]
    assert balance(bob) == 0, "it was bought from no balance"
    entry = AuditEntry.objects.filter(action="refund").order_by("pk")[0]
    assert (entry.actor, entry.before) == ("finance@example.com", {"left": "6.00"})
    assert entry.after["reason"] == "Not as expected" and entry.after["user"] == bob.pk


def test_a_form_sent_twice_refunds_once(shop: Shop, bob: User, paid: str, staff: Client) -> None:
    given = filled(staff, bob)
    for _ in range(2):
        said = staff.post(page(bob), given, follow=True).content.decode()
        assert "Refunded $6.00" in said
    shop.deliver()
    assert notes() == [-nanos("6")] and len(stripe_api.refunds(paid)) == 1


def test_the_webhook_may_come_first(shop: Shop, bob: User, paid: str, staff: Client) -> None:
    """Stripe's answer is lost; its webhook is not. The form again finds what was done."""
    given = filled(staff, bob)
    with mock.patch.object(settlements, "settle_refund", side_effect=stripe_api.Unanswered):
        assert "does not answer" in staff.post(page(bob), given).content.decode()
    assert notes() == []
    shop.deliver()
    assert notes() == [-nanos("6")]
    staff.post(page(bob), given)
    assert notes() == [-nanos("6")] and len(stripe_api.refunds(paid)) == 1


def test_what_stripe_does_not_do_books_nothing(
    shop: Shop, bob: User, paid: str, staff: Client
) -> None:
    given = filled(staff, bob, amount="1")
    with mock.patch.object(stripe_api, "create_refund", side_effect=stripe_api.Unanswered):
        assert "does not answer" in staff.post(page(bob), given).content.decode()
    assert notes() == []
    staff.post(page(bob), given)
    assert notes() == [-nanos("1")]


@pytest.mark.parametrize("heard", [True, False])
def test_what_is_disputed_does_not_go_back_as_well(
    shop: Shop, bob: User, paid: str, staff: Client, heard: bool
) -> None:
    given = filled(staff, bob)
    shop.stripe.control("disputes", payment_intent=paid)
    if heard:
        shop.deliver()
    said = staff.post(page(bob), given).content.decode()
    assert "its bank has taken the money" in said
    assert stripe_api.refunds(paid) == []


def test_a_refund_that_fails_can_be_made_again(shop: Shop, bob: User, staff: Client) -> None:
    card = shop.saved_card(bob, "pm_card_refundFail")
    wanted = {"plan": "basic", "payment_method": "stripe", "card": card}
    shop.api(bob).post("/api/subscription", wanted)
    shop.deliver()
    send(staff, bob)
    shop.stripe.advance(days=1)
    shop.deliver()
    assert [each.total for each in Invoice.objects.order_by("pk")] == [-nanos("6"), nanos("6")]
    assert filled(staff, bob)["amount"] == "6.00"


def test_nobody_elses_payment_and_nobody_without_the_right(
    shop: Shop, bob: User, alice: User, paid: str, staff: Client, finance: User
) -> None:
    shop.top_up(alice, "25")
    [of] = [each.subject for each in refunds.choices(bob.pk)]
    [top_up] = [each.subject for each in refunds.choices(alice.pk)]
    assert "no such invoice" in send(staff, alice, of=of)
    for wrong in (top_up, "topup:x", "invoice:../x", ""):
        staff.post(page(bob), filled(staff, bob, of=wrong))
    finance.user_permissions.remove(Permission.objects.get(codename="refund_topup"))
    browser = Client()
    browser.force_login(User.objects.get(pk=finance.pk))
    assert browser.post(page(bob), {"of": of, "amount": "1"}).status_code == 403
    assert stripe_api.refunds(paid) == [] and balance(alice) == nanos("35")


def test_a_top_up_goes_back_from_the_same_form(shop: Shop, bob: User, staff: Client) -> None:
    for amount in ("20", "25"):
        shop.top_up(bob, amount)
    send(staff, bob, amount="5")
    assert balance(bob) == nanos("40")


def test_accountants_and_staff_read_it_in_their_language(
    shop: Shop, bob: User, paid: str, staff: Client
) -> None:
    send(staff, bob, amount="2")
    note = Invoice.objects.get(kind="credit_note")
    rows = list(EXPORTS["refunds"].rows(note.issued_at, timezone.now()))
    assert [(row[1], row[2], row[3], row[4], row[8]) for row in rows] == [
        ("refund", str(bob.pk), "0.00", "2.00", note.number)
    ]
    User.objects.filter(email="finance@example.com").update(language="vi")
    staff.cookies["django_language"] = "vi"
    said = send(staff, bob, amount="9")
    assert "Có thể hoàn tối đa $4.00." in said and "Gói, hoá đơn" in said
