import pytest
import stripe

from tests.sandbox.stripe.conftest import World


def test_the_same_card_has_the_same_fingerprint(world: World) -> None:
    create = world.stripe.payment_methods.create
    by_token = create({"type": "card", "card": {"token": "tok_visa"}})
    by_number = create(
        {
            "type": "card",
            "card": {"number": "4242 4242 4242 4242", "exp_month": 12, "exp_year": 2034},
        }
    )
    other = create({"type": "card", "card": {"token": "tok_mastercard"}})
    assert by_token.card.fingerprint == by_number.card.fingerprint != other.card.fingerprint
    assert (by_token.card.brand, by_token.card.last4) == ("visa", "4242")


def test_a_card_is_attached_listed_and_detached_for_good(world: World) -> None:
    alice = world.stripe.customers.create({})
    method = world.stripe.payment_methods.attach("pm_card_visa", {"customer": alice.id})
    settings = {"default_payment_method": method.id}
    world.stripe.customers.update(alice.id, {"invoice_settings": settings})
    listed = world.stripe.payment_methods.list({"customer": alice.id, "type": "card"})
    assert [m.id for m in listed.data] == [method.id]
    assert world.stripe.customers.payment_methods.retrieve(alice.id, method.id).id == method.id
    assert world.stripe.payment_methods.detach(method.id).customer is None
    assert (
        world.stripe.customers.retrieve(alice.id).invoice_settings.default_payment_method is None
    )
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.payment_methods.attach(method.id, {"customer": alice.id})


def test_a_card_that_declines_everything_cannot_be_attached(world: World) -> None:
    alice = world.stripe.customers.create({})
    with pytest.raises(stripe.CardError) as refused:
        world.stripe.payment_methods.attach("pm_card_chargeDeclined", {"customer": alice.id})
    assert refused.value.code == "card_declined"
    assert world.stripe.customers.payment_methods.list(alice.id).data == []


def test_a_card_belongs_to_one_customer(world: World) -> None:
    alice, bob = (world.stripe.customers.create({}).id for _ in range(2))
    method = world.stripe.payment_methods.attach("pm_card_visa", {"customer": alice})
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.payment_methods.attach(method.id, {"customer": bob})
    assert world.stripe.payment_methods.retrieve(method.id).customer == alice


def test_billing_details_can_be_changed(world: World) -> None:
    alice = world.stripe.customers.create({})
    method = world.stripe.payment_methods.attach("pm_card_visa", {"customer": alice.id})
    fields = {"billing_details": {"name": "Alice"}, "metadata": {"a": "1"}}
    assert world.stripe.payment_methods.update(method.id, fields).billing_details.name == "Alice"


@pytest.mark.parametrize("card", [{"token": "tok_none"}, {"number": "4111111111111112"}])
def test_an_unknown_card_is_refused(world: World, card: dict[str, str]) -> None:
    with pytest.raises((stripe.InvalidRequestError, stripe.CardError)):
        world.stripe.payment_methods.create({"type": "card", "card": card})
