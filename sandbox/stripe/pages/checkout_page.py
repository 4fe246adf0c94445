"""`/checkout/<session>`: what is bought, a choice of test cards, one button."""

from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import checkout
from sandbox.stripe.errors import Object, StripeError
from sandbox.stripe.pages.layout import choices, gone, money, page, rows, submitted
from sandbox.stripe.resources import payment_methods
from sandbox.stripe.resources.checkout_sessions import items_of
from sandbox.stripe.simulator import Simulator

CARDS = (
    ("pm_card_visa", "Visa •••• 4242", "Succeeds"),
    ("pm_card_mastercard", "Mastercard •••• 4444", "Succeeds"),
    ("pm_card_chargeDeclined", "Visa •••• 0002", "Is declined"),
    ("pm_card_chargeDeclinedInsufficientFunds", "Visa •••• 9995", "Has insufficient funds"),
    ("pm_card_authenticationRequired", "Visa •••• 3184", "Asks for authentication"),
)
DEBITS = (
    ("pm_usBankAccount_success", "Bank account •••• 6789", "Pays two minutes later"),
    ("pm_usBankAccount_insufficientFunds", "Bank account •••• 2227", "Fails two minutes later"),
)
VERBS = {"payment": "Pay", "subscription": "Subscribe", "setup": "Save card"}


def routes(sim: Simulator) -> list[Route]:
    """The page and its form."""

    async def endpoint(request: Request) -> Response:
        return await _serve(sim, request)

    return [Route("/checkout/{id}", endpoint, methods=["GET", "POST"])]


async def _serve(sim: Simulator, request: Request) -> Response:
    session = sim.store.find(request.path_params["id"])
    if session is None or session["object"] != "checkout.session":
        return gone("This checkout page does not exist.")
    if session["status"] == "complete":
        return _to_success(session)
    if session["status"] == "expired":
        return gone("This checkout page has expired. Go back and start again.", 410)
    if request.method == "GET":
        return _show(sim, session, None)
    form = await submitted(request)
    sim.base_url, sim.dirty = str(request.base_url), True
    return _submit(sim, session, *(form.get(name, "") for name in ("card", "email", "name")))


def _submit(sim: Simulator, session: Object, card: str, email: str, name: str) -> Response:
    if not _email(session) and "@" not in email:
        return _show(sim, session, "Please give your e-mail address.")
    try:
        problem = checkout.submit(sim, session, card, email, name)
    except StripeError as error:
        problem = str(error)
    if problem:
        return _show(sim, session, problem)
    if session["status"] == "complete":
        return _to_success(session)
    return RedirectResponse(f"../3ds/{checkout.waiting_for(session)}", 303)


def _to_success(session: Object) -> Response:
    url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    return RedirectResponse(url, 303)


def _show(sim: Simulator, session: Object, problem: str | None) -> Response:
    waiting = sim.store.find(session["payment_intent"] or session["setup_intent"])
    error = waiting and (waiting.get("last_payment_error") or waiting.get("last_setup_error"))
    if not problem:
        problem = error["message"] if error else session.get("_problem")
    title = VERBS[session["mode"]]
    body = (
        f"<h1>{title}</h1>{_summary(sim, session)}{_form(sim, session, problem)}{_back(session)}"
    )
    return page(f"{title} · checkout", body, 402 if problem else 200)


def _summary(sim: Simulator, session: Object) -> str:
    items = items_of(sim.store, session)
    if not items:
        return ""
    lines = [(_label(item), money(item["amount_subtotal"], item["currency"])) for item in items]
    if tax := session["total_details"]["amount_tax"]:
        lines.append(("Tax", money(tax, session["currency"])))
    if days := session["_data"].get("trial_period_days"):
        lines.append((f"Free for {days} days, then", money(session["amount_total"])))
    total = money(session["amount_total"], session["currency"])
    if len(lines) > 1:
        lines.append(("Total", total))
    return f'<section><p class="total">{escape(total)}</p>{rows(lines)}</section>'


def _label(item: Object) -> str:
    recurring = item["price"]["recurring"]
    every = f", every {recurring['interval']}" if recurring else ""
    times = f" × {item['quantity']}" if item["quantity"] != 1 else ""
    return f"{item['description']}{times}{every}"


def _form(sim: Simulator, session: Object, problem: str | None) -> str:
    alert = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
    options = [*_saved(sim, session), *CARDS]
    if session["mode"] == "payment":
        options += DEBITS
    amount = f" {money(session['amount_total'])}" if session["mode"] == "payment" else ""
    return (
        f'<section><form method="post">{alert}{_contact(session)}'
        f"<fieldset><legend>Test card</legend>{choices('card', options)}</fieldset>"
        f"<button>{VERBS[session['mode']]}{escape(amount)}</button></form></section>"
    )


def _email(session: Object) -> str | None:
    """The address given by the shop, or on an earlier attempt."""
    details = session["customer_details"] or {}
    known: str | None = details.get("email") or session["customer_email"]
    return known


def _contact(session: Object) -> str:
    if known := _email(session):
        return f'<p class="soft">{escape(known)}</p>'
    return (
        '<label class="field">E-mail<input type="email" name="email" required '
        'autocomplete="email"></label>'
        '<label class="field">Name (optional)<input name="name" autocomplete="name"></label>'
    )


def _saved(sim: Simulator, session: Object) -> list[tuple[str, str, str]]:
    if not session["customer"]:
        return []
    found = [m for m in payment_methods.of(sim, session["customer"]) if m["type"] == "card"]
    return [
        (m["id"], f"{m['card']['brand'].title()} •••• {m['card']['last4']}", "Saved card")
        for m in reversed(found)
    ]


def _back(session: Object) -> str:
    if not session["cancel_url"]:
        return ""
    url = session["cancel_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    return f'<a class="back" href="{escape(url)}">← Cancel and go back</a>'
