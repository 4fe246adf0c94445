from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import World

DAY = 86_400


class Shop:
    """Alice has a card; a plan costs $20 or $50 a month, an add-on $10."""

    def __init__(self, world: World, card: str = "pm_card_visa") -> None:
        self.world, self.stripe = world, world.stripe
        self.basic, self.premium = self.price("Basic", 2000), self.price("Premium", 5000)
        self.addon = self.price("Add-on 2x", 1000)
        self.alice = self.stripe.customers.create({"email": "alice@example.com"}).id
        self.card = self.give_card(card)

    def price(self, name: str, cents: int, interval: str = "month") -> str:
        product = self.stripe.products.create({"name": name})
        recurring = {"interval": interval}
        fields = {"currency": "usd", "unit_amount": cents, "recurring": recurring}
        id: str = self.stripe.prices.create({"product": product.id, **fields}).id
        return id

    def give_card(self, token: str) -> str:
        method = self.stripe.payment_methods.attach(token, {"customer": self.alice})
        settings = {"default_payment_method": method.id}
        self.stripe.customers.update(self.alice, {"invoice_settings": settings})
        id: str = method.id
        return id

    def subscribe(self, *prices: str, **fields: Any) -> Any:
        items = [{"price": price} for price in prices or (self.basic,)]
        expand = ["latest_invoice.confirmation_secret", "latest_invoice.payments"]
        given = {"customer": self.alice, "items": items, "expand": expand}
        return self.stripe.subscriptions.create(given | fields)

    def again(self, subscription: Any) -> Any:
        expand = {"expand": ["latest_invoice"]}
        return self.stripe.subscriptions.retrieve(subscription.id, expand)

    def upgrade(self, subscription: Any, price: str, **fields: Any) -> Any:
        item = {"id": subscription["items"].data[0].id, "price": price}
        fields = {"items": [item], "expand": ["latest_invoice"]} | fields
        return self.stripe.subscriptions.update(subscription.id, fields)

    def half_way(self, subscription: Any) -> int:
        """Go to the middle of the current period, which has an even number of seconds."""
        item = subscription["items"].data[0]
        middle: int = (item.current_period_start + item.current_period_end) // 2
        self.world.advance(seconds=middle - self.world.simulator.now())
        return middle


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def test_a_plan_and_an_addon_are_one_subscription(shop: Shop) -> None:
    subscription = shop.subscribe(shop.basic, shop.addon, metadata={"user": "1"})
    assert subscription.status == "active"
    first, second = subscription["items"].data
    assert first.current_period_end == second.current_period_end
    assert 28 * DAY <= first.current_period_end - first.current_period_start <= 31 * DAY
    invoice = subscription.latest_invoice
    assert (invoice.status, invoice.amount_paid) == ("paid", 3000)
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.parent.subscription_details.metadata.user == "1"
    assert [line.amount for line in invoice.lines.data] == [2000, 1000]
    assert invoice.payments.data[0].status == "paid"
    assert shop.world.event_types()[-10:] == [
        "customer.subscription.created",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ]


def test_default_incomplete_waits_for_the_customer(shop: Shop) -> None:
    settings = {"save_default_payment_method": "on_subscription"}
    subscription = shop.subscribe(payment_behavior="default_incomplete", payment_settings=settings)
    assert subscription.status == "incomplete"
    secret = subscription.latest_invoice.confirmation_secret.client_secret
    intent = secret.split("_secret_")[0]
    assert subscription.latest_invoice.payments.data[0].payment.payment_intent == intent
    fields = {"payment_method": "pm_card_mastercard", "return_url": "https://a.example"}
    assert shop.stripe.payment_intents.confirm(intent, fields).status == "succeeded"
    paid = shop.again(subscription)
    assert (paid.status, paid.latest_invoice.status) == ("active", "paid")
    method = shop.stripe.payment_methods.retrieve(paid.default_payment_method)
    assert (method.card.brand, method.customer) == ("mastercard", shop.alice)


def test_an_unpaid_first_invoice_expires_after_23_hours(shop: Shop) -> None:
    subscription = shop.subscribe(payment_behavior="default_incomplete")
    shop.world.advance(seconds=23 * 3600)
    expired = shop.again(subscription)
    assert (expired.status, expired.latest_invoice.status) == ("incomplete_expired", "void")


def test_a_failing_card_leaves_it_incomplete_or_makes_nothing(world: World) -> None:
    shop = Shop(world, "pm_card_chargeCustomerFail")
    assert shop.subscribe().status == "incomplete"
    with pytest.raises(stripe.CardError):
        shop.subscribe(shop.premium, payment_behavior="error_if_incomplete")
    assert len(shop.stripe.subscriptions.list({"status": "all"}).data) == 1


def test_without_a_card_it_needs_default_incomplete(shop: Shop) -> None:
    shop.stripe.payment_methods.detach(shop.card)
    with pytest.raises(stripe.InvalidRequestError):
        shop.subscribe()
    assert shop.subscribe(payment_behavior="default_incomplete").status == "incomplete"


def test_it_renews_month_by_month(shop: Shop) -> None:
    subscription = shop.subscribe()
    ends = [subscription["items"].data[0].current_period_end]
    for _ in range(3):
        shop.world.advance(seconds=ends[-1] - shop.world.simulator.now() + 2 * 3600)
        renewed = shop.again(subscription)
        item = renewed["items"].data[0]
        assert item.current_period_start == ends[-1]
        assert (renewed.status, renewed.latest_invoice.status) == ("active", "paid")
        assert renewed.latest_invoice.billing_reason == "subscription_cycle"
        ends.append(item.current_period_end)
    invoices = shop.stripe.invoices.list({"subscription": subscription.id}).data
    assert [invoice.amount_paid for invoice in invoices] == [2000] * 4
    assert len({invoice.number for invoice in invoices}) == 4
    assert shop.world.event_types().count("invoice.upcoming") >= 1


def test_a_renewal_is_a_draft_for_an_hour(shop: Shop) -> None:
    subscription = shop.subscribe()
    end = subscription["items"].data[0].current_period_end
    shop.world.advance(seconds=end - shop.world.simulator.now() + 60)
    assert shop.again(subscription).latest_invoice.status == "draft"
    assert shop.again(subscription).status == "active"
    shop.world.advance(seconds=3600)
    assert shop.again(subscription).latest_invoice.status == "paid"


def test_a_failing_renewal_is_past_due_then_recovers(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.give_card("pm_card_chargeCustomerFail")
    end = subscription["items"].data[0].current_period_end
    shop.world.advance(seconds=end - shop.world.simulator.now() + 2 * 3600)
    late = shop.again(subscription)
    assert (late.status, late.latest_invoice.status) == ("past_due", "open")
    assert late.latest_invoice.attempt_count == 1
    assert shop.stripe.customers.retrieve(shop.alice).delinquent is True
    shop.give_card("pm_card_visa")
    shop.world.advance(days=3)
    paid = shop.again(subscription)
    assert (paid.status, paid.latest_invoice.status) == ("active", "paid")
    assert paid.latest_invoice.attempt_count == 2
    assert shop.stripe.customers.retrieve(shop.alice).delinquent is False


def test_a_renewal_that_keeps_failing_ends_it(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.give_card("pm_card_chargeCustomerFail")
    end = subscription["items"].data[0].current_period_end
    shop.world.advance(seconds=end - shop.world.simulator.now() + 16 * DAY)
    ended = shop.again(subscription)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    assert ended.latest_invoice.attempt_count == 4
    types = shop.world.event_types()
    assert types.count("invoice.payment_failed") == 4
    assert types[-1] == "customer.subscription.deleted"


def test_an_open_invoice_can_be_paid_by_hand(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.give_card("pm_card_chargeCustomerFail")
    end = subscription["items"].data[0].current_period_end
    shop.world.advance(seconds=end - shop.world.simulator.now() + 2 * 3600)
    invoice = shop.again(subscription).latest_invoice
    with pytest.raises(stripe.CardError):
        shop.stripe.invoices.pay(invoice.id)
    fields = {"payment_method": shop.card, "expand": ["payments"]}
    paid = shop.stripe.invoices.pay(invoice.id, fields)
    assert paid.status == "paid" and paid.payments.data[0].amount_paid == 2000
    assert shop.again(subscription).status == "active"


def test_an_upgrade_is_prorated_to_the_second_and_billed_now(shop: Shop) -> None:
    subscription = shop.subscribe()
    at = shop.half_way(subscription)
    fields = {"proration_behavior": "always_invoice", "proration_date": at}
    upgraded = shop.upgrade(subscription, shop.premium, **fields)
    assert upgraded["items"].data[0].price.id == shop.premium
    assert upgraded["items"].data[0].current_period_end == (
        subscription["items"].data[0].current_period_end
    )
    invoice = upgraded.latest_invoice
    assert [line.amount for line in invoice.lines.data] == [-1000, 2500]
    assert (invoice.status, invoice.amount_paid) == ("paid", 1500)
    assert invoice.billing_reason == "subscription_update"
    parents = [line.parent.subscription_item_details for line in invoice.lines.data]
    assert all(parent.proration for parent in parents)


def test_a_preview_shows_what_the_upgrade_then_costs(shop: Shop) -> None:
    subscription = shop.subscribe()
    at = shop.half_way(subscription) + 12_345
    item = {"id": subscription["items"].data[0].id, "price": shop.premium}
    details = {"items": [item, {"price": shop.addon}], "proration_date": at}
    details |= {"proration_behavior": "always_invoice"}
    preview = shop.stripe.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": details}
    )
    changed = shop.stripe.subscriptions.update(
        subscription.id, details | {"expand": ["latest_invoice"]}
    )
    assert preview.total == changed.latest_invoice.total > 0
    assert [line.amount for line in preview.lines.data] == [
        line.amount for line in changed.latest_invoice.lines.data
    ]
    assert len(shop.stripe.invoices.list().data) == 2


def test_a_preview_of_a_new_subscription_and_of_the_next_renewal(shop: Shop) -> None:
    details = {"items": [{"price": shop.basic}, {"price": shop.addon, "quantity": 2}]}
    new = shop.stripe.invoices.create_preview(
        {"customer": shop.alice, "subscription_details": details}
    )
    assert (new.total, new.amount_due, len(new.lines.data)) == (4000, 4000, 2)
    subscription = shop.subscribe()
    following = shop.stripe.invoices.create_preview({"subscription": subscription.id})
    assert following.total == 2000
    assert following.period_end == subscription["items"].data[0].current_period_end


def test_prorations_wait_for_the_next_invoice_by_default(shop: Shop) -> None:
    subscription = shop.subscribe()
    at = shop.half_way(subscription)
    upgraded = shop.upgrade(subscription, shop.premium, proration_date=at)
    assert upgraded.latest_invoice.id == subscription.latest_invoice.id
    pending = shop.stripe.invoice_items.list({"pending": True}).data
    assert sorted(item.amount for item in pending) == [-1000, 2500]
    end = upgraded["items"].data[0].current_period_end
    shop.world.advance(seconds=end - at + 2 * 3600)
    assert shop.again(subscription).latest_invoice.amount_paid == 5000 + 1500
    assert shop.stripe.invoice_items.list({"pending": True}).data == []


def test_without_proration_only_the_price_changes(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.half_way(subscription)
    changed = shop.upgrade(subscription, shop.premium, proration_behavior="none")
    assert changed.latest_invoice.id == subscription.latest_invoice.id
    assert shop.stripe.invoice_items.list().data == []


def test_a_downgrade_now_becomes_credit_that_the_next_invoice_uses(shop: Shop) -> None:
    subscription = shop.subscribe(shop.premium)
    at = shop.half_way(subscription)
    fields = {"proration_behavior": "always_invoice", "proration_date": at}
    changed = shop.upgrade(subscription, shop.basic, **fields)
    invoice = changed.latest_invoice
    assert (invoice.total, invoice.amount_due, invoice.status) == (-1500, 0, "paid")
    assert shop.stripe.customers.retrieve(shop.alice).balance == -1500
    end = changed["items"].data[0].current_period_end
    shop.world.advance(seconds=end - at + 2 * 3600)
    renewal = shop.again(subscription).latest_invoice
    assert (renewal.total, renewal.starting_balance, renewal.amount_paid) == (2000, -1500, 500)
    assert shop.stripe.customers.retrieve(shop.alice).balance == 0


def test_a_refused_upgrade_waits_and_then_happens(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.half_way(subscription)
    shop.give_card("pm_card_chargeCustomerFail")
    fields = {
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
    }
    waiting = shop.upgrade(subscription, shop.premium, **fields)
    assert waiting["items"].data[0].price.id == shop.basic
    assert waiting.pending_update.subscription_items[0].price.id == shop.premium
    assert (waiting.status, waiting.latest_invoice.status) == ("active", "open")
    shop.stripe.invoices.pay(waiting.latest_invoice.id, {"payment_method": shop.card})
    done = shop.again(subscription)
    assert done["items"].data[0].price.id == shop.premium
    assert done.pending_update is None
    assert "customer.subscription.pending_update_applied" in shop.world.event_types()


def test_a_waiting_upgrade_lapses_after_23_hours(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.half_way(subscription)
    shop.give_card("pm_card_chargeCustomerFail")
    fields = {
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
    }
    shop.upgrade(subscription, shop.premium, **fields)
    shop.world.advance(seconds=23 * 3600)
    lapsed = shop.again(subscription)
    assert lapsed["items"].data[0].price.id == shop.basic
    assert (lapsed.pending_update, lapsed.latest_invoice.status) == (None, "void")
    assert "customer.subscription.pending_update_expired" in shop.world.event_types()


def test_an_upgrade_paid_at_once_never_waits(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.half_way(subscription)
    fields = {
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
    }
    done = shop.upgrade(subscription, shop.premium, **fields)
    assert done["items"].data[0].price.id == shop.premium
    assert done.pending_update is None and done.latest_invoice.status == "paid"


def test_pending_if_incomplete_takes_no_metadata(shop: Shop) -> None:
    subscription = shop.subscribe()
    fields = {"payment_behavior": "pending_if_incomplete", "metadata": {"a": "b"}}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.upgrade(subscription, shop.premium, **fields)
    assert refused.value.param == "metadata"


def test_a_yearly_price_begins_a_new_period(shop: Shop) -> None:
    yearly = shop.price("Yearly", 20_000, "year")
    subscription = shop.subscribe()
    shop.half_way(subscription)
    changed = shop.upgrade(subscription, yearly)
    item = changed["items"].data[0]
    assert item.current_period_end - item.current_period_start >= 365 * DAY
    assert [line.amount > 0 for line in changed.latest_invoice.lines.data] == [False, True]


def test_it_ends_with_the_period_or_goes_on(shop: Shop) -> None:
    subscription = shop.subscribe()
    update = shop.stripe.subscriptions.update
    ending = update(subscription.id, {"cancel_at_period_end": True})
    end = ending["items"].data[0].current_period_end
    assert (ending.status, ending.cancel_at) == ("active", end)
    assert ending.cancellation_details.reason == "cancellation_requested"
    assert update(subscription.id, {"cancel_at_period_end": False}).cancel_at is None
    update(subscription.id, {"cancel_at_period_end": True})
    shop.world.advance(seconds=end - shop.world.simulator.now() + 60)
    ended = shop.again(subscription)
    assert (ended.status, ended.ended_at) == ("canceled", end)
    assert len(shop.stripe.invoices.list().data) == 1


def test_it_can_end_at_a_time(shop: Shop) -> None:
    subscription = shop.subscribe()
    at = shop.world.simulator.now() + 5 * DAY
    shop.stripe.subscriptions.update(subscription.id, {"cancel_at": at})
    shop.world.advance(days=6)
    assert shop.again(subscription).ended_at == at


def test_ending_it_now_can_pay_back_the_rest(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.half_way(subscription)
    fields = {"prorate": True, "invoice_now": True}
    ended = shop.stripe.subscriptions.cancel(subscription.id, fields)
    assert ended.status == "canceled"
    balance = shop.stripe.customers.retrieve(shop.alice).balance
    assert -1001 <= balance <= -999
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.subscriptions.cancel(subscription.id)
    with pytest.raises(stripe.InvalidRequestError):
        shop.upgrade(subscription, shop.premium)


def test_a_trial_costs_nothing_until_it_ends(shop: Shop) -> None:
    subscription = shop.subscribe(trial_period_days=14)
    assert (subscription.status, subscription.latest_invoice.amount_due) == ("trialing", 0)
    shop.world.advance(days=11, seconds=60)
    assert shop.world.event_types()[-1] == "customer.subscription.trial_will_end"
    shop.world.advance(days=3, seconds=2 * 3600)
    paid = shop.again(subscription)
    assert (paid.status, paid.latest_invoice.amount_paid) == ("active", 2000)


def test_a_trial_without_a_card_can_pause_and_be_resumed(shop: Shop) -> None:
    shop.stripe.payment_methods.detach(shop.card)
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = shop.subscribe(trial_period_days=7, trial_settings=settings)
    shop.world.advance(days=8)
    assert shop.again(subscription).status == "paused"
    shop.give_card("pm_card_visa")
    resumed = shop.stripe.subscriptions.resume(subscription.id, {"billing_cycle_anchor": "now"})
    assert resumed.status == "active"
    assert shop.again(subscription).latest_invoice.amount_paid == 2000


def test_a_trial_can_end_now(shop: Shop) -> None:
    subscription = shop.subscribe(trial_period_days=7)
    ended = shop.stripe.subscriptions.update(subscription.id, {"trial_end": "now"})
    assert ended.status == "active"
    assert shop.again(subscription).latest_invoice.amount_paid == 2000


def test_items_can_be_changed_one_at_a_time(shop: Shop) -> None:
    subscription = shop.subscribe()
    items = shop.stripe.subscription_items
    added = items.create({"subscription": subscription.id, "price": shop.addon})
    assert items.update(added.id, {"quantity": 3}).quantity == 3
    assert items.retrieve(added.id).price.id == shop.addon
    assert len(items.list({"subscription": subscription.id}).data) == 2
    assert items.delete(added.id).deleted
    assert len(shop.again(subscription)["items"].data) == 1
    with pytest.raises(stripe.InvalidRequestError):
        items.delete(subscription["items"].data[0].id)


@pytest.mark.parametrize(
    "items",
    [
        lambda shop: [],
        lambda shop: [{"price": shop.basic}, {"price": shop.basic}],
        lambda shop: [{"price": shop.basic}, {"price": shop.price("Yearly", 1, "year")}],
        lambda shop: [{"price": "price_none"}],
    ],
)
def test_items_that_do_not_fit_are_refused(
    shop: Shop, items: Callable[[Shop], list[dict[str, str]]]
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.stripe.subscriptions.create({"customer": shop.alice, "items": items(shop)})


def test_subscriptions_are_listed_by_status(shop: Shop) -> None:
    one, two = shop.subscribe(), shop.subscribe(shop.premium)
    shop.stripe.subscriptions.cancel(two.id)
    listing = shop.stripe.subscriptions.list
    assert [s.id for s in listing({"customer": shop.alice}).data] == [one.id]
    assert [s.id for s in listing({"status": "canceled"}).data] == [two.id]
    assert [s.id for s in listing({"status": "all"}).data] == [two.id, one.id]
    assert [s.id for s in listing({"price": shop.premium, "status": "all"}).data] == [two.id]


def test_a_deleted_customer_has_no_subscriptions(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.stripe.customers.delete(shop.alice)
    assert shop.again(subscription).status == "canceled"
    shop.world.advance(days=40)
    assert len(shop.stripe.invoices.list().data) == 1


def test_a_year_of_renewals_adds_up(shop: Shop) -> None:
    subscription = shop.subscribe(shop.basic, shop.addon)
    shop.world.advance(days=366)
    invoices = list(shop.stripe.invoices.list({"limit": 100}).auto_paging_iter())
    assert len(invoices) == 13
    assert sum(invoice.amount_paid for invoice in invoices) == 13 * 3000
    spans = sorted((i.lines.data[0].period.start, i.lines.data[0].period.end) for i in invoices)
    assert all(one[1] == two[0] for one, two in zip(spans, spans[1:], strict=False))
    assert shop.again(subscription).status == "active"
