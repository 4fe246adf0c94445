import pytest
import stripe

from tests.sandbox.stripe.conftest import World
from tests.sandbox.stripe.test_checkout import start, submit
from tests.sandbox.stripe.test_subscriptions import Shop


def test_a_topup_through_checkout_has_an_invoice_with_a_pdf(world: World) -> None:
    alice = world.stripe.customers.create({"email": "alice@example.com", "name": "Alice (1)"})
    data = {"description": "Top-up", "metadata": {"topup": "9"}}
    session = start(
        world, customer=alice.id, invoice_creation={"enabled": True, "invoice_data": data}
    )
    submit(world, session, "pm_card_visa")
    done = world.stripe.checkout.sessions.retrieve(
        session.id, {"expand": ["invoice.payments", "payment_intent"]}
    )
    invoice = done.invoice
    assert (invoice.status, invoice.total, invoice.amount_paid) == ("paid", 2500, 2500)
    assert (invoice.description, invoice.metadata.topup) == ("Top-up", "9")
    assert invoice.payments.data[0].payment.payment_intent == done.payment_intent.id
    pdf = world.browser.get(invoice.invoice_pdf)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-1.4") and pdf.content.endswith(b"%%EOF")
    assert invoice.number.encode() in pdf.content and rb"Alice \(1\)" in pdf.content
    page = world.browser.get(invoice.hosted_invoice_url).text
    assert invoice.number in page and "$25.00" in page
    types = world.event_types()
    assert types.index("invoice.paid") < types.index("checkout.session.completed")


def test_a_guest_with_an_invoice_becomes_a_customer(world: World) -> None:
    session = start(world, invoice_creation={"enabled": True})
    submit(world, session, "pm_card_visa")
    done = world.stripe.checkout.sessions.retrieve(session.id)
    assert world.stripe.customers.retrieve(done.customer).email == "a@example.com"
    assert [i.id for i in world.stripe.invoices.list({"customer": done.customer}).data] == [
        done.invoice
    ]


def test_pending_items_make_an_invoice(world: World) -> None:
    shop = Shop(world)
    fields = {"customer": shop.alice, "currency": "usd", "description": "Setup"}
    shop.stripe.invoice_items.create(fields | {"amount": 700})
    shop.stripe.invoice_items.create(fields | {"amount": -100, "description": "Discount"})
    behaviour = {"pending_invoice_items_behavior": "include"}
    invoice = shop.stripe.invoices.create({"customer": shop.alice} | behaviour)
    assert (invoice.status, invoice.total, invoice.number) == ("draft", 600, None)
    assert [line.amount for line in shop.stripe.invoices.line_items.list(invoice.id).data] == [
        700,
        -100,
    ]
    opened = shop.stripe.invoices.finalize_invoice(invoice.id)
    assert (opened.status, opened.number is None) == ("open", False)
    assert shop.stripe.invoices.pay(invoice.id).amount_paid == 600
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.invoices.pay(invoice.id)


def test_an_open_invoice_is_voided_with_its_intent(world: World) -> None:
    shop = Shop(world)
    subscription = shop.subscribe(payment_behavior="default_incomplete")
    invoice = subscription.latest_invoice
    intent = invoice.payments.data[0].payment.payment_intent
    assert shop.stripe.invoices.void_invoice(invoice.id).status == "void"
    assert shop.stripe.payment_intents.retrieve(intent).status == "canceled"
    assert shop.again(subscription).status == "incomplete_expired"
    [payment] = shop.stripe.invoice_payments.list({"invoice": invoice.id}).data
    assert payment.status == "canceled"


def test_an_invoice_is_found_by_the_intent_that_paid_it(world: World) -> None:
    shop = Shop(world)
    shop.subscribe()
    [intent] = shop.stripe.payment_intents.list({"customer": shop.alice}).data
    by_intent = {"payment": {"type": "payment_intent", "payment_intent": intent.id}}
    [payment] = shop.stripe.invoice_payments.list(by_intent).data
    assert shop.stripe.invoices.retrieve(payment.invoice).amount_paid == intent.amount


def test_a_draft_can_be_changed_and_deleted_a_paid_one_cannot(world: World) -> None:
    shop = Shop(world)
    draft = shop.stripe.invoices.create({"customer": shop.alice})
    assert shop.stripe.invoices.update(draft.id, {"description": "x"}).description == "x"
    assert shop.stripe.invoices.delete(draft.id).deleted
    paid = shop.subscribe().latest_invoice
    assert shop.stripe.invoices.update(paid.id, {"metadata": {"a": "b"}}).metadata.a == "b"
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.invoices.update(paid.id, {"description": "x"})
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.invoices.delete(paid.id)
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.invoices.void_invoice(paid.id)


def test_what_is_too_small_to_charge_is_carried_over(world: World) -> None:
    shop = Shop(world)
    fields = {"customer": shop.alice, "currency": "usd", "amount": 30, "description": "x"}
    shop.stripe.invoice_items.create(fields)
    behaviour = {"pending_invoice_items_behavior": "include"}
    invoice = shop.stripe.invoices.create({"customer": shop.alice} | behaviour)
    done = shop.stripe.invoices.finalize_invoice(invoice.id)
    assert (done.status, done.amount_due, done.ending_balance) == ("paid", 0, 30)
    assert shop.subscribe().latest_invoice.amount_paid == 2030


def test_tax_is_on_the_invoice(world: World) -> None:
    world.control("tax", basis_points=825)
    shop = Shop(world)
    subscription = shop.subscribe(automatic_tax={"enabled": True})
    invoice = subscription.latest_invoice
    assert (invoice.subtotal, invoice.total, invoice.total_excluding_tax) == (2000, 2165, 2000)
    assert invoice.total_taxes[0].amount == 165
    assert invoice.automatic_tax.status == "complete"
