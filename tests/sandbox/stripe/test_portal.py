from typing import Any

import httpx

from tests.sandbox.stripe.conftest import World
from tests.sandbox.stripe.test_checkout import ask_bank, start, submit
from tests.sandbox.stripe.test_subscriptions import Shop

RETURN = "https://shop.example/billing"


def open_portal(shop: Shop) -> str:
    session = shop.stripe.billing_portal.sessions.create(
        {"customer": shop.alice, "return_url": RETURN}
    )
    url: str = session.url
    return url


def act(world: World, url: str, action: str, id: str) -> httpx.Response:
    return world.browser.post(url, data={"action": action, "id": id}, follow_redirects=True)


def test_cards_are_added_made_default_and_removed(world: World) -> None:
    shop = Shop(world)
    url = open_portal(shop)
    assert "•••• 4444</b>" in act(world, url, "add", "pm_card_mastercard").text
    new, old = shop.stripe.customers.payment_methods.list(shop.alice).data
    act(world, url, "default", new.id)
    settings = shop.stripe.customers.retrieve(shop.alice).invoice_settings
    assert settings.default_payment_method == new.id
    act(world, url, "remove", old.id)
    assert [m.id for m in shop.stripe.customers.payment_methods.list(shop.alice).data] == [new.id]
    refused = act(world, url, "add", "pm_card_chargeDeclined")
    assert refused.status_code == 402 and "declined" in refused.text


def test_a_subscription_is_ended_and_kept(world: World) -> None:
    shop = Shop(world)
    subscription = shop.subscribe(shop.basic, shop.addon)
    url = open_portal(shop)
    shown = world.browser.get(url).text
    assert "Basic + Add-on 2x" in shown and "renews on" in shown and RETURN in shown
    assert "ends on" in act(world, url, "cancel", subscription.id).text
    assert shop.again(subscription).cancel_at_period_end
    act(world, url, "keep", subscription.id)
    assert not shop.again(subscription).cancel_at_period_end
    changes = shop.world.events("customer.subscription.updated")
    assert changes[-1].data.previous_attributes.cancel_at_period_end is True


def test_invoices_are_listed(world: World) -> None:
    shop = Shop(world)
    invoice = shop.subscribe().latest_invoice
    shown = world.browser.get(open_portal(shop)).text
    assert invoice.number in shown and "$20.00" in shown


def test_nobody_touches_what_is_not_theirs(world: World) -> None:
    shop, other = Shop(world), Shop(world)
    url = open_portal(shop)
    assert act(world, url, "remove", other.card).status_code == 400
    assert shop.stripe.payment_methods.retrieve(other.card).customer == other.alice


def test_the_page_closes_after_an_hour(world: World) -> None:
    url = open_portal(Shop(world))
    assert world.browser.get(url).status_code == 200
    world.advance(seconds=3700)
    assert world.browser.get(url).status_code == 404
    assert world.browser.get("/portal/bps_nothing").status_code == 404


def subscribe(world: World, shop: Shop, **fields: Any) -> Any:
    items = [{"price": shop.basic, "quantity": 1}, {"price": shop.addon, "quantity": 1}]
    return start(world, mode="subscription", line_items=items, customer=shop.alice, **fields)


def test_a_plan_is_bought_through_checkout(world: World) -> None:
    shop = Shop(world)
    session = subscribe(world, shop, subscription_data={"metadata": {"user": "1"}})
    assert "every month" in world.browser.get(session.url).text
    assert submit(world, session, "pm_card_mastercard").status_code == 303
    done = world.stripe.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert (done.payment_status, done.subscription.status) == ("paid", "active")
    assert len(done.subscription["items"].data) == 2
    assert done.subscription.metadata.user == "1"
    assert world.stripe.invoices.retrieve(done.invoice).amount_paid == 3000
    assert done.subscription.default_payment_method not in (None, shop.card)
    world.advance(days=32)
    assert (
        world.stripe.invoices.retrieve(shop.again(done.subscription).latest_invoice.id).amount_paid
        == 3000
    )


def test_a_declined_card_buys_no_plan(world: World) -> None:
    shop = Shop(world)
    session = subscribe(world, shop)
    refused = submit(world, session, "pm_card_chargeDeclined")
    assert refused.status_code == 402 and "declined" in refused.text
    assert world.stripe.subscriptions.list({"status": "all"}).data == []


def test_a_plan_with_authentication_and_a_one_time_fee(world: World) -> None:
    shop = Shop(world)
    fee = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Setup"}}
    items = [{"price": shop.basic, "quantity": 1}, {"price_data": fee, "quantity": 1}]
    session = start(world, mode="subscription", line_items=items, customer=shop.alice)
    bank = ask_bank(world, session)
    back = world.browser.post(bank, data={"answer": "fail"}).headers["location"]
    assert "unable to authenticate" in world.browser.get(back).text
    bank = ask_bank(world, session)
    world.browser.post(bank, data={"answer": "complete"})
    done = world.stripe.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert (done.status, done.invoice.amount_paid) == ("complete", 2500)


def test_a_trial_through_checkout_costs_nothing_yet(world: World) -> None:
    shop = Shop(world)
    session = subscribe(world, shop, subscription_data={"trial_period_days": 7})
    submit(world, session, "pm_card_visa")
    done = world.stripe.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert (done.payment_status, done.subscription.status) == ("no_payment_required", "trialing")
