from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import World

RETURN = "https://example.com/back"


def pay(world: World, card: str = "pm_card_visa", **fields: Any) -> Any:
    given = {"amount": 2500, "currency": "usd", "payment_method": card, "confirm": True}
    return world.stripe.payment_intents.create(given | {"return_url": RETURN} | fields)


def error_of(refused: Any) -> Any:
    return refused.value.json_body["error"]


def saved_card(world: World, card: str = "pm_card_visa") -> tuple[str, str]:
    customer = world.stripe.customers.create({"email": "alice@example.com"})
    method = world.stripe.payment_methods.attach(card, {"customer": customer.id})
    return customer.id, method.id


def test_a_good_card_pays_and_the_fee_is_booked(world: World) -> None:
    intent = pay(world, metadata={"topup": "7"}, expand=["latest_charge.balance_transaction"])
    assert (intent.status, intent.amount_received) == ("succeeded", 2500)
    charge = intent.latest_charge
    assert charge.paid and charge.metadata.topup == "7" and charge.payment_intent == intent.id
    booked = charge.balance_transaction
    assert (booked.amount, booked.fee, booked.net) == (2500, 103, 2397)
    assert world.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ],
)
def test_a_bad_card_is_refused_and_says_why(
    world: World, card: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as refused:
        pay(world, card)
    error = refused.value
    assert (error.http_status, error.code) == (402, code)
    assert error_of(refused).get("decline_code") == decline_code
    intent = world.stripe.payment_intents.retrieve(error_of(refused)["payment_intent"]["id"])
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error.code == code
    assert world.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_refused_intent_can_be_paid_with_another_card(world: World) -> None:
    with pytest.raises(stripe.CardError) as refused:
        pay(world, "pm_card_chargeDeclined")
    id = error_of(refused)["payment_intent"]["id"]
    fields = {"payment_method": "pm_card_visa", "return_url": RETURN}
    assert world.stripe.payment_intents.confirm(id, fields).status == "succeeded"


def test_create_then_update_then_confirm(world: World) -> None:
    intent = world.stripe.payment_intents.create({"amount": 500, "currency": "usd"})
    assert intent.automatic_payment_methods.enabled and intent.client_secret.startswith(intent.id)
    world.stripe.payment_intents.update(intent.id, {"amount": 900, "metadata": {"a": "b"}})
    fields = {"payment_method": "pm_card_visa", "return_url": RETURN}
    paid = world.stripe.payment_intents.confirm(intent.id, fields)
    assert (paid.status, paid.amount_received) == ("succeeded", 900)
    with pytest.raises(stripe.InvalidRequestError) as again:
        world.stripe.payment_intents.confirm(intent.id, fields)
    assert again.value.code == "payment_intent_unexpected_state"


def test_automatic_payment_methods_want_a_return_url_unless_redirects_are_off(
    world: World,
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay(world, return_url="")
    assert refused.value.param == "return_url"
    never = {"enabled": True, "allow_redirects": "never"}
    assert pay(world, return_url="", automatic_payment_methods=never).status == "succeeded"


def test_authentication_is_asked_on_the_hosted_page(world: World) -> None:
    intent = pay(world, "pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    url = intent.next_action.redirect_to_url.url
    assert "Is it you?" in world.browser.get(url).text
    answer = world.browser.post(url, data={"answer": "complete"})
    assert answer.headers["location"].startswith(f"{RETURN}?payment_intent={intent.id}&")
    assert answer.headers["location"].endswith("redirect_status=succeeded")
    assert world.stripe.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_failed_authentication_asks_for_another_card(world: World) -> None:
    intent = pay(world, "pm_card_authenticationRequired")
    world.browser.post(intent.next_action.redirect_to_url.url, data={"answer": "fail"})
    intent = world.stripe.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "payment_intent_authentication_failure"


def test_off_session_needs_a_card_that_wants_no_authentication(world: World) -> None:
    customer, method = saved_card(world)
    assert pay(world, method, customer=customer, off_session=True).status == "succeeded"
    customer, method = saved_card(world, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as refused:
        pay(world, method, customer=customer, off_session=True)
    assert refused.value.code == "authentication_required"
    assert error_of(refused)["payment_intent"]["status"] == "requires_payment_method"


def test_a_card_set_up_for_later_use_pays_off_session(world: World) -> None:
    customer = world.stripe.customers.create({})
    fields = {"customer": customer.id, "setup_future_usage": "off_session"}
    intent = pay(world, "pm_card_authenticationRequiredOnSetup", **fields)
    world.browser.post(intent.next_action.redirect_to_url.url, data={"answer": "complete"})
    [method] = world.stripe.customers.payment_methods.list(customer.id).data
    later = pay(world, method.id, customer=customer.id, off_session=True)
    assert later.status == "succeeded"


def test_a_card_used_without_a_customer_is_spent(world: World) -> None:
    method = world.stripe.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    pay(world, method.id)
    with pytest.raises(stripe.InvalidRequestError):
        pay(world, method.id)


def test_a_card_of_somebody_else_is_refused(world: World) -> None:
    _, method = saved_card(world)
    bob = world.stripe.customers.create({})
    with pytest.raises(stripe.InvalidRequestError):
        pay(world, method, customer=bob.id)
    assert world.stripe.charges.list().data == []


def test_a_bank_debit_settles_later(world: World) -> None:
    intent = pay(world, "pm_usBankAccount_success")
    assert (intent.status, intent.amount_received) == ("processing", 0)
    assert world.stripe.charges.retrieve(intent.latest_charge).status == "pending"
    world.advance(seconds=121)
    assert world.stripe.payment_intents.retrieve(intent.id).status == "succeeded"
    failing = pay(world, "pm_usBankAccount_insufficientFunds")
    world.advance(seconds=121)
    failed = world.stripe.payment_intents.retrieve(failing.id)
    assert failed.status == "requires_payment_method"
    assert world.stripe.charges.retrieve(failing.latest_charge).status == "failed"


def test_an_intent_is_canceled_once(world: World) -> None:
    intent = world.stripe.payment_intents.create({"amount": 500, "currency": "usd"})
    canceled = world.stripe.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.payment_intents.cancel(intent.id)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"amount": 49}, "amount", "amount_too_small"),
        ({"amount": 100_000_000}, "amount", "amount_too_large"),
        ({"amount": "ten"}, "amount", "parameter_invalid_integer"),
        ({"amount": ""}, "amount", "parameter_missing"),
        ({"currency": "dollars"}, "currency", None),
        ({"customer": "cus_nobody"}, "customer", "resource_missing"),
        ({"payment_method": "pm_nothing"}, "payment_method", "resource_missing"),
    ],
)
def test_what_cannot_be_charged_is_refused_by_name(
    world: World, fields: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay(world, **fields)
    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert refused.value.code == code
    assert world.stripe.payment_intents.list().data == []
