from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe.conftest import World

SUCCESS = "https://shop.example/done?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://shop.example/back"


def item(amount: int = 2500, quantity: int = 1, **price: Any) -> dict[str, Any]:
    data = {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Credits"}}
    return {"price_data": data | price, "quantity": quantity}


def start(world: World, **fields: Any) -> Any:
    head = {"mode": "payment", "success_url": SUCCESS, "cancel_url": CANCEL}
    return world.stripe.checkout.sessions.create(head | {"line_items": [item()]} | fields)


def submit(world: World, session: Any, card: str, email: str = "a@example.com") -> httpx.Response:
    return world.browser.post(session.url, data={"card": card, "email": email})


def ask_bank(world: World, session: Any) -> httpx.URL:
    """Pay with a card that wants authentication; returns the bank's page."""
    answer = submit(world, session, "pm_card_authenticationRequired")
    return answer.request.url.join(answer.headers["location"])


def again(world: World, session: Any) -> Any:
    return world.stripe.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})


def test_a_customer_pays_on_the_hosted_page(world: World) -> None:
    alice = world.stripe.customers.create({"email": "alice@example.com"})
    data = {"metadata": {"topup": "9"}, "setup_future_usage": "off_session"}
    session = start(world, customer=alice.id, payment_intent_data=data, metadata={"order": "9"})
    shown = world.browser.get(session.url).text
    assert "TEST MODE" in shown and "$25.00" in shown and "alice@example.com" in shown
    answer = submit(world, session, "pm_card_visa")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/done?session={session.id}"
    done = again(world, session)
    assert (done.status, done.payment_status, done.amount_total) == ("complete", "paid", 2500)
    assert done.payment_intent.metadata.topup == "9" and done.url is None
    assert world.event_types()[-1] == "checkout.session.completed"
    assert len(world.stripe.customers.payment_methods.list(alice.id).data) == 1


def test_a_decline_is_told_and_another_card_pays(world: World) -> None:
    session = start(world)
    refused = submit(world, session, "pm_card_chargeDeclinedInsufficientFunds")
    assert refused.status_code == 402 and "insufficient funds" in refused.text
    assert again(world, session).status == "open"
    assert 'name="email"' not in refused.text  # it was given, and is not asked for again
    assert submit(world, session, "pm_card_visa", email="").status_code == 303
    assert again(world, session).payment_status == "paid"
    assert len(world.stripe.payment_intents.list().data) == 1


def test_authentication_leads_through_the_bank_and_back(world: World) -> None:
    session = start(world)
    bank = ask_bank(world, session)
    assert again(world, session).status == "open"
    back = world.browser.post(bank, data={"answer": "complete"}).headers["location"]
    home = world.browser.get(back).headers["location"]
    assert home == f"https://shop.example/done?session={session.id}"
    assert again(world, session).payment_status == "paid"


def test_a_failed_authentication_leads_back_to_the_page(world: World) -> None:
    session = start(world)
    bank = ask_bank(world, session)
    back = world.browser.post(bank, data={"answer": "fail"}).headers["location"]
    assert "unable to authenticate" in world.browser.get(back).text
    assert again(world, session).status == "open"


@pytest.mark.parametrize(
    ("account", "event", "status"),
    [
        ("pm_usBankAccount_success", "checkout.session.async_payment_succeeded", "paid"),
        ("pm_usBankAccount_insufficientFunds", "checkout.session.async_payment_failed", "unpaid"),
    ],
)
def test_a_bank_debit_completes_unpaid_and_reports_later(
    world: World, account: str, event: str, status: str
) -> None:
    session = start(world)
    assert submit(world, session, account).status_code == 303
    done = again(world, session)
    assert (done.status, done.payment_status) == ("complete", "unpaid")
    assert world.event_types()[-1] == "checkout.session.completed"
    world.advance(seconds=121)
    assert again(world, session).payment_status == status
    assert world.event_types()[-1] == event


def test_a_session_expires_after_a_day_or_when_told(world: World) -> None:
    waiting, closed = start(world), start(world)
    assert world.stripe.checkout.sessions.expire(closed.id).status == "expired"
    assert world.browser.get(closed.url.replace(closed.id, closed.id)).status_code == 410
    world.advance(days=1)
    assert again(world, waiting).status == "expired"
    assert world.event_types().count("checkout.session.expired") == 2
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.checkout.sessions.expire(closed.id)


def test_a_guest_becomes_a_customer_where_asked(world: World) -> None:
    guest, kept = start(world), start(world, customer_creation="always")
    submit(world, guest, "pm_card_visa")
    submit(world, kept, "pm_card_visa", "bob@example.com")
    assert again(world, guest).customer is None
    assert again(world, guest).customer_details.email == "a@example.com"
    customer = world.stripe.customers.retrieve(again(world, kept).customer)
    assert customer.email == "bob@example.com"


def test_a_card_is_saved_without_a_payment(world: World) -> None:
    alice = world.stripe.customers.create({"email": "alice@example.com"})
    session = start(world, mode="setup", line_items=[], customer=alice.id, currency="usd")
    submit(world, session, "pm_card_visa")
    done = again(world, session)
    assert (done.status, done.payment_status) == ("complete", "no_payment_required")
    assert world.stripe.setup_intents.retrieve(done.setup_intent).status == "succeeded"
    assert len(world.stripe.customers.payment_methods.list(alice.id).data) == 1


def test_items_by_price_are_listed(world: World) -> None:
    product = world.stripe.products.create({"name": "Credits"})
    price = world.stripe.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1000}
    )
    shown = ["line_items.data.discounts", "total_details.breakdown"]
    items = [{"price": price.id, "quantity": 3}]
    session = start(world, line_items=items, expand=shown)
    assert session.total_details.breakdown.taxes == session.line_items.data[0].discounts == []
    assert session.amount_total == 3000
    [line] = session.line_items.data
    assert (line.description, line.price.id, line.quantity) == ("Credits", price.id, 3)
    listed = world.stripe.checkout.sessions.line_items.list(session.id)
    assert listed.data[0].id == line.id


def test_tax_is_added_or_contained(world: World) -> None:
    world.control("tax", basis_points=1000)
    on = {"automatic_tax": {"enabled": True}}
    added = start(world, line_items=[item(1000)], **on)
    contained = start(world, line_items=[item(1100, tax_behavior="inclusive")], **on)
    off = start(world, line_items=[item(1000)])
    assert [s.amount_total for s in (added, contained, off)] == [1100, 1100, 1000]
    assert [s.total_details.amount_tax for s in (added, contained, off)] == [100, 100, 0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"success_url": ""}, "success_url"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"line_items": []}, "line_items"),
        ({"line_items": [item(10)]}, "line_items"),
        ({"line_items": [item(recurring={"interval": "month"})]}, "line_items[0]"),
        ({"customer": "cus_nobody"}, "customer"),
        ({"mode": "gift"}, "mode"),
        ({"expires_at": 1}, "expires_at"),
        ({"subscription_data": {"metadata": {"a": "b"}}}, "subscription_data"),
    ],
)
def test_a_session_that_makes_no_sense_is_refused(
    world: World, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        start(world, **fields)
    assert refused.value.param == param


def test_text_from_outside_is_escaped(world: World) -> None:
    name = "<script>alert(1)</script>"
    data = {"currency": "usd", "unit_amount": 500, "product_data": {"name": name}}
    session = start(world, line_items=[{"price_data": data, "quantity": 1}])
    shown = world.browser.get(session.url).text
    assert "<script>" not in shown and "&lt;script&gt;" in shown
