"""Subscriptions (https://docs.stripe.com/api/subscriptions)."""

from sandbox.stripe import payments, subscribing, updating
from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object, invalid, malformed
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.resources import customers, tax_rates
from sandbox.stripe.resources.subscription_objects import (
    blank_subscription,
    changed_items,
    new_items,
    period,
)
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import paginate

FIELDS = (
    "automatic_tax cancel_at_period_end default_payment_method default_tax_rates description"
    " metadata payment_settings trial_settings collection_method"
)
BEHAVIOURS = "items off_session payment_behavior proration_behavior trial_end"
CREATES = f"{FIELDS} {BEHAVIOURS} customer currency trial_period_days billing_mode"
UPDATES = f"{FIELDS} {BEHAVIOURS} proration_date billing_cycle_anchor cancel_at"
UPDATES += " cancellation_details"
# https://docs.stripe.com/billing/subscriptions/pending-updates-reference#supported-attributes
PENDING = "items proration_behavior proration_date billing_cycle_anchor payment_behavior expand"
PENDING += " off_session trial_end"


def create(sim: Simulator, call: Call) -> Object:
    """One or more items, billed at once or after a trial."""
    params = call.params
    customer = customers.need(sim, params.need("customer"), "customer")
    items = new_items(sim, params.each("items"))
    behaviours = updating.PAYMENTS[:3]
    behaviour = params.choice("payment_behavior", behaviours, "allow_incomplete")
    params.choice("proration_behavior", updating.PRORATIONS, "create_prorations")
    trial_end = _trial_end(sim, params)
    fields = blank_subscription()
    _assign(sim, fields, params, customer["id"])
    off_session = params.boolean("off_session")
    method = _method(sim, fields, customer)
    if not trial_end and behaviour == "allow_incomplete" and method is None:
        raise invalid(
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method.",
            code="resource_missing",
        )
    if behaviour == "error_if_incomplete" and not trial_end:
        _check_card(method, off_session)
    return subscribing.start(
        sim,
        customer,
        items,
        fields,
        behaviour=behaviour,
        trial_end=trial_end,
        off_session=off_session,
    )


def _trial_end(sim: Simulator, params: Params) -> int | None:
    if days := params.integer("trial_period_days"):
        return sim.now() + days * DAY
    if params.text("trial_end") in (None, "now"):
        return None
    at = params.need_integer("trial_end")
    if at <= sim.now():
        raise malformed("Invalid timestamp: must be an integer Unix timestamp in the future.")
    return at


def _method(sim: Simulator, subscription: Object, customer: Object) -> Object | None:
    default = customer["invoice_settings"]["default_payment_method"]
    return sim.store.find(subscription["default_payment_method"] or default)


def _check_card(method: Object | None, off_session: bool) -> None:
    if method is None:
        raise invalid("This customer has no attached payment source or default payment method.")
    if error := payments.refusal(method, off_session=off_session):
        raise error


def _assign(sim: Simulator, subscription: Object, params: Params, customer: str) -> None:
    copy_texts(subscription, params, "description")
    if "metadata" in params:
        subscription["metadata"] = params.metadata(subscription["metadata"])
    params.choice("collection_method", ("charge_automatically",), "charge_automatically")
    if "default_payment_method" in params:
        id = params.text("default_payment_method")
        if id and sim.store.need("payment_method", id, "x")["customer"] != customer:
            message = f"The customer does not have a payment method with the ID {id}."
            raise invalid(message, "default_payment_method", "resource_missing")
        subscription["default_payment_method"] = id
    if "cancel_at_period_end" in params:
        subscription["cancel_at_period_end"] = params.boolean("cancel_at_period_end")
    if "default_tax_rates" in params:
        subscription["default_tax_rates"] = tax_rates.of(sim, params)
    _assign_settings(subscription, params)


def _assign_settings(subscription: Object, params: Params) -> None:
    if "automatic_tax" in params:
        on = params.hash("automatic_tax").boolean("enabled")
        liability = {"type": "self"} if on else None
        tax = {"disabled_reason": None, "enabled": on, "liability": liability}
        subscription["automatic_tax"] = tax
    if "payment_settings" in params:
        given = params.hash("payment_settings")
        keep = given.choice("save_default_payment_method", ("off", "on_subscription"), "off")
        subscription["payment_settings"] |= {"save_default_payment_method": keep}
        if types := given.texts("payment_method_types"):
            subscription["payment_settings"]["payment_method_types"] = types
    if "trial_settings" in params:
        given = params.hash("trial_settings").hash("end_behavior")
        options = ("cancel", "create_invoice", "pause")
        wish = given.choice("missing_payment_method", options, "create_invoice")
        subscription["trial_settings"] = {"end_behavior": {"missing_payment_method": wish}}


def update(sim: Simulator, call: Call) -> Object:
    """Items, the card, the end: see `updating` for what a change of items costs and when."""
    subscription, params = sim.store.need("subscription", call.id), call.params
    if subscription["ended_at"]:
        allowed = {"metadata", "cancellation_details", "expand"}
        if set(params.data) - allowed:
            raise invalid(
                "A canceled subscription can only update its cancellation_details and metadata."
            )
    payment = params.choice("payment_behavior", updating.PAYMENTS, "allow_incomplete")
    proration = params.choice("proration_behavior", updating.PRORATIONS, "create_prorations")
    if payment == "pending_if_incomplete":
        params.only(PENDING.split())
    change = _planned(sim, subscription, params, proration)
    off_session = params.boolean("off_session")
    now = change is not None and change.billed_now(proration)
    if change is not None and now and payment == "pending_if_incomplete":
        updating.wait_for_payment(sim, subscription, change, off_session=off_session)
        return subscription
    customer = sim.store.need("customer", subscription["customer"])
    if now and payment == "error_if_incomplete":
        _check_card(_method(sim, subscription, customer), off_session)
    with sim.changing(subscription, subscribing.UPDATED):
        _assign(sim, subscription, params, subscription["customer"])
        _assign_end(sim, subscription, params)
        if change is not None:
            updating.apply(sim, subscription, change)
    if change is not None:
        updating.settle(
            sim,
            subscription,
            change,
            proration=proration,
            payment=payment,
            off_session=off_session,
        )
    return subscription


def _planned(
    sim: Simulator, subscription: Object, params: Params, proration: str
) -> updating.Change | None:
    """The change of items or of rhythm the call asks for, if any."""
    anchor = params.choice("billing_cycle_anchor", ("now", "unchanged"), "unchanged")
    reset = anchor == "now" or params.text("trial_end") == "now"
    trial_end = _trial_end(sim, params)
    if not reset and trial_end is None and "items" not in params:
        return None
    at = params.integer("proration_date") or sim.now()
    start, end = period(subscription)
    if not start <= at <= end:
        raise malformed("The proration date must be in the current period.", "proration_date")
    items = changed_items(sim, subscription, params.each("items"))
    return updating.plan(
        sim, subscription, items, proration=proration, at=at, reset=reset, trial_end=trial_end
    )


def _assign_end(sim: Simulator, subscription: Object, params: Params) -> None:
    """`cancel_at_period_end`, or `cancel_at` a time; either can be taken back."""
    end = period(subscription)[1]
    asked: int | None = subscription["cancel_at"]
    if "cancel_at_period_end" in params:
        asked = end if params.boolean("cancel_at_period_end") else None
    elif "cancel_at" in params:
        ends = ("min_period_end", "max_period_end")
        asked = end if params.text("cancel_at") in ends else params.integer("cancel_at")
    if asked != subscription["cancel_at"]:
        subscription["cancel_at"] = asked
        subscription["canceled_at"] = sim.now() if asked else None
        reason = "cancellation_requested" if asked else None
        subscription["cancellation_details"]["reason"] = reason
        subscribing.plan_next(sim, subscription)
    given = params.hash("cancellation_details")
    copy_texts(subscription["cancellation_details"], given, "comment feedback")


def cancel(sim: Simulator, call: Call) -> Object:
    """Now, for good."""
    subscription, params = sim.store.need("subscription", call.id), call.params
    if subscription["ended_at"]:
        raise invalid(f"No such subscription: '{call.id}'", "id", "resource_missing")
    given = params.hash("cancellation_details")
    copy_texts(subscription["cancellation_details"], given, "comment feedback")
    subscribing.cancel(
        sim,
        subscription,
        prorate=params.boolean("prorate"),
        invoice_now=params.boolean("invoice_now"),
    )
    return subscription


def resume(sim: Simulator, call: Call) -> Object:
    """Only one that is paused; to take back `cancel_at_period_end`, update it."""
    subscription = sim.store.need("subscription", call.id)
    if subscription["status"] != "paused":
        raise invalid("You can only resume subscriptions that are paused.")
    options = ("now", "unchanged")
    anchor = call.params.choice("billing_cycle_anchor", options, "now")
    subscribing.resume(sim, subscription, anchor_now=anchor == "now")
    return subscription


def retrieve(sim: Simulator, call: Call) -> Object:
    """One subscription."""
    return sim.store.need("subscription", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By customer, price and status; ended ones only with `status=all` or by their own status."""
    params = call.params
    customer, price, status = (params.text(n) for n in ("customer", "price", "status"))
    found = [
        subscription
        for subscription in sim.store.all("subscription")
        if customer in (None, subscription["customer"])
        and _has_status(subscription, status)
        and (not price or any(i["price"]["id"] == price for i in subscription["items"]["data"]))
    ]
    return paginate(params, found, call.url)


def _has_status(subscription: Object, status: str | None) -> bool:
    if status == "all":
        return True
    if status == "ended":
        return subscription["ended_at"] is not None
    if status is None:
        return bool(subscription["status"] != "canceled")
    return bool(subscription["status"] == status)


PATH = "/v1/subscriptions"
ROUTES = (
    Route("POST", PATH, create, CREATES),
    Route("GET", PATH, index, "customer price status collection_method"),
    Route("GET", f"{PATH}/{{id}}", retrieve),
    Route("POST", f"{PATH}/{{id}}", update, UPDATES),
    Route("DELETE", f"{PATH}/{{id}}", cancel, "cancellation_details invoice_now prorate"),
    Route("POST", f"{PATH}/{{id}}/resume", resume, "billing_cycle_anchor proration_behavior"),
)
