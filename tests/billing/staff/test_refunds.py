"""Staff give a payment back: Stripe is told once, and the books once."""

from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from billing.books.models import AuditEntry, Transfer
from billing.payments.models import TopUp
from billing.stripe import stripe_api
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed


@pytest.fixture
def staff(finance: User) -> Client:
    names = ["refund_topup", "view_topup"]
    finance.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(finance)
    return client


def page(order: TopUp) -> str:
    return f"/admin/payments/topup/{order.pk}/refund/"


def fields(staff: Client, order: TopUp) -> dict[str, str]:
    """The form as it was rendered."""
    form = staff.get(page(order), follow=True).context["form"]
    found = {name: str(form[name].value() or "") for name in form.fields}
    return found


def send(staff: Client, order: TopUp, **filled: str) -> str:
    answer = staff.post(page(order), fields(staff, order) | filled, follow=True)
    return answer.content.decode()


def test_all_of_it_goes_back_and_is_booked_before_stripe_says_so(
    shop: Shop, bob: User, staff: Client
) -> None:
    order = shop.top_up(bob, "25")
    assert fields(staff, order)["amount"] == "25.00"
    assert "Refunded $25.00" in send(staff, order, reason="Not as expected")
    assert balance(bob) == 0
    shop.deliver()
    assert balance(bob) == 0 and Transfer.objects.filter(kind="refund").count() == 1
    entry = AuditEntry.objects.get(action="refund")
    assert (entry.actor, entry.before) == ("finance@example.com", {"left": "25.00"})
    assert entry.after["reason"] == "Not as expected"


def test_a_form_sent_twice_refunds_once(shop: Shop, bob: User, staff: Client) -> None:
    order = shop.top_up(bob, "25")
    filled = fields(staff, order) | {"amount": "10", "reason": "Half"}
    for _ in range(2):
        staff.post(page(order), filled)
    assert balance(bob) == nanos("15")
    assert len(stripe_api.refunds(order.intent_id)) == 1


def test_parts_go_back_up_to_the_whole(shop: Shop, bob: User, staff: Client) -> None:
    order = shop.top_up(bob, "25")
    send(staff, order, amount="10", reason="A part")
    assert fields(staff, order)["amount"] == "15.00"
    assert "Up to $15.00 can go back" in send(staff, order, amount="15.01", reason="Too much")
    for nothing in ("0", "-1"):
        assert "can go back" in send(staff, order, amount=nothing, reason="Nothing")
    assert balance(bob) == nanos("15")


def test_what_stripe_refuses_or_does_not_answer_books_nothing(
    shop: Shop, bob: User, staff: Client
) -> None:
    order = shop.top_up(bob, "25")
    filled = fields(staff, order) | {"amount": "10", "reason": "Sorry"}
    with mock.patch.object(stripe_api, "create_refund", side_effect=stripe_api.Unanswered):
        assert "does not answer" in staff.post(page(order), filled).content.decode()
    assert balance(bob) == nanos("25")
    staff.post(page(order), filled)
    assert balance(bob) == nanos("15")


def test_who_may_not_or_what_was_not_paid_is_refused(
    shop: Shop, bob: User, finance: User, staff: Client
) -> None:
    order = shop.order(bob)
    assert staff.get(page(order)).status_code == 403
    shop.pay(order)
    shop.deliver()
    finance.user_permissions.remove(Permission.objects.get(codename="refund_topup"))
    client = Client()
    client.force_login(User.objects.get(pk=finance.pk))
    assert client.post(page(order), {"amount": "1", "reason": "x"}).status_code == 403
    assert balance(bob) == nanos("25")
