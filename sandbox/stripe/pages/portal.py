"""`/portal/<session>`: the customer's cards, subscriptions and invoices."""

from collections.abc import Callable
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import subscribing
from sandbox.stripe.errors import Object, StripeError
from sandbox.stripe.pages.layout import choices, gone, money, page, submitted
from sandbox.stripe.periods import day
from sandbox.stripe.resources import payment_methods
from sandbox.stripe.resources.portal_sessions import expired
from sandbox.stripe.resources.subscription_objects import names, period
from sandbox.stripe.simulator import Simulator

NEW_CARDS = (
    ("pm_card_visa", "Visa •••• 4242", "Works"),
    ("pm_card_mastercard", "Mastercard •••• 4444", "Works"),
    ("pm_card_chargeCustomerFail", "Visa •••• 0341", "Is saved, then declines every charge"),
    ("pm_card_chargeDeclined", "Visa •••• 0002", "Cannot be saved"),
)


def routes(sim: Simulator) -> list[Route]:
    """The page and its forms."""

    async def endpoint(request: Request) -> Response:
        return await _serve(sim, request)

    return [Route("/portal/{id}", endpoint, methods=["GET", "POST"])]


async def _serve(sim: Simulator, request: Request) -> Response:
    session = sim.store.find(request.path_params["id"])
    if session is None or session["object"] != "billing_portal.session" or expired(sim, session):
        return gone("This page is no longer valid. Open it again from your account.")
    customer = sim.store.need("customer", session["customer"])
    if customer.get("deleted"):
        return gone("This customer no longer exists.")
    if request.method == "GET":
        return _show(sim, session, customer, None)
    form = await submitted(request)
    sim.base_url, sim.dirty = str(request.base_url), True
    try:
        ACTIONS[form.get("action", "")](sim, customer, form.get("id", ""))
    except KeyError:
        return gone("There is no such action.", 400)
    except StripeError as error:
        return _show(sim, session, customer, str(error))
    return RedirectResponse(session["id"], 303)


def _add(sim: Simulator, customer: Object, token: str) -> None:
    method = payment_methods.resolve(sim, token, "payment_method")
    payment_methods.attach_to(sim, method, customer)
    if customer["invoice_settings"]["default_payment_method"] is None:
        _make_default(sim, customer, method["id"])


def _own(sim: Simulator, customer: Object, kind: str, id: str) -> Object:
    found = sim.store.need(kind, id)
    if found["customer"] != customer["id"]:
        raise KeyError(id)
    return found


def _make_default(sim: Simulator, customer: Object, id: str) -> None:
    method = _own(sim, customer, "payment_method", id)
    with sim.changing(customer, "customer.updated"):
        settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
        customer["invoice_settings"] = settings
    for subscription in _subscriptions(sim, customer):
        with sim.changing(subscription, subscribing.UPDATED):
            subscription["default_payment_method"] = method["id"]


def _remove(sim: Simulator, customer: Object, id: str) -> None:
    payment_methods.detach_from(sim, _own(sim, customer, "payment_method", id))


def _cancel(sim: Simulator, customer: Object, id: str) -> None:
    _set_end(sim, _own(sim, customer, "subscription", id), True)


def _keep(sim: Simulator, customer: Object, id: str) -> None:
    _set_end(sim, _own(sim, customer, "subscription", id), False)


def _set_end(sim: Simulator, subscription: Object, ends: bool) -> None:
    with sim.changing(subscription, subscribing.UPDATED):
        subscription["cancel_at_period_end"] = ends
        subscription["cancel_at"] = period(subscription)[1] if ends else None
        subscription["canceled_at"] = sim.now() if ends else None
        reason = "cancellation_requested" if ends else None
        subscription["cancellation_details"]["reason"] = reason
    subscribing.plan_next(sim, subscription)


ACTIONS: dict[str, Callable[[Simulator, Object, str], None]] = {
    "add": _add,
    "default": _make_default,
    "remove": _remove,
    "cancel": _cancel,
    "keep": _keep,
}


def _subscriptions(sim: Simulator, customer: Object) -> list[Object]:
    found = sim.store.all("subscription")
    return [s for s in found if s["customer"] == customer["id"] and not s["ended_at"]]


def _show(sim: Simulator, session: Object, customer: Object, problem: str | None) -> Response:
    alert = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
    url = session["return_url"]
    back = f'<a class="back" href="{escape(url)}">← Back</a>' if url else ""
    who = f'<p class="soft">{escape(customer["email"] or customer["id"])}</p>'
    body = f"<h1>Billing</h1>{who}{alert}{_plans(sim, customer)}{_cards(sim, customer)}"
    body += f"{_invoices(sim, customer)}{back}"
    return page("Billing", body, 402 if problem else 200)


def _button(action: str, id: str, text: str) -> str:
    return (
        f'<form method="post"><input type="hidden" name="id" value="{escape(id)}">'
        f'<button class="quiet" name="action" value="{action}">{text}</button></form>'
    )


def _row(left: str, right: str) -> str:
    return f'<div class="row"><div>{left}</div><div class="acts">{right}</div></div>'


def _plans(sim: Simulator, customer: Object) -> str:
    found = [_plan(sim, subscription) for subscription in _subscriptions(sim, customer)]
    empty = '<p class="soft">No subscription.</p>'
    return f"<section><h2>Subscription</h2>{''.join(found) or empty}</section>"


def _plan(sim: Simulator, subscription: Object) -> str:
    items = subscription["items"]["data"]
    known = names(sim, items)
    title = escape(" + ".join(known[item["price"]["product"]] for item in items))
    ends = subscription["cancel_at_period_end"]
    when = f"{'ends' if ends else 'renews'} on {day(period(subscription)[1])}"
    state = f'<br><span class="soft">{escape(subscription["status"])}, {when}</span>'
    text = ("keep", "Keep it") if ends else ("cancel", "Cancel at the end of the period")
    return _row(title + state, _button(text[0], subscription["id"], text[1]))


def _cards(sim: Simulator, customer: Object) -> str:
    default = customer["invoice_settings"]["default_payment_method"]
    found = [m for m in payment_methods.of(sim, customer["id"]) if m["type"] == "card"]
    shown = "".join(_card(method, method["id"] == default) for method in found)
    empty = '<p class="soft">No card saved.</p>'
    form = (
        '<form method="post"><fieldset><legend>Add a test card</legend>'
        f"{choices('id', NEW_CARDS)}</fieldset>"
        '<button name="action" value="add">Add card</button></form>'
    )
    return f"<section><h2>Cards</h2>{shown or empty}</section><section>{form}</section>"


def _card(method: Object, default: bool) -> str:
    card = method["card"]
    text = f"{escape(card['brand'].title())} •••• {escape(card['last4'])}"
    text += f'<br><span class="soft">{card["exp_month"]:02}/{card["exp_year"]}</span>'
    first = '<span class="soft">Default</span>'
    first = first if default else _button("default", method["id"], "Make default")
    return _row(text, first + _button("remove", method["id"], "Remove"))


def _invoices(sim: Simulator, customer: Object) -> str:
    found = [
        _row(
            f'<a href="../invoices/{escape(i["id"])}">{escape(i["number"])}</a><br>'
            f'<span class="soft">{day(i["created"])}, {escape(i["status"])}</span>',
            escape(money(i["total"], i["currency"])),
        )
        for i in reversed(sim.store.all("invoice"))
        if i["customer"] == customer["id"] and i["number"]
    ]
    empty = '<p class="soft">No invoices yet.</p>'
    return f"<section><h2>Invoices</h2>{''.join(found[:24]) or empty}</section>"
