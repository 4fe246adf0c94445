"""`/3ds/<intent>`: the customer's bank asks whether it is really them."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import checkout, payments
from sandbox.stripe.errors import Object
from sandbox.stripe.pages.layout import gone, money, page, submitted
from sandbox.stripe.resources import setup_intents
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.wire import render

ANSWER = {
    "payment_intent": payments.authenticate,
    "setup_intent": setup_intents.authenticate,
    "checkout.session": checkout.authenticate,
}


def routes(sim: Simulator) -> list[Route]:
    """The page and its two buttons."""

    async def endpoint(request: Request) -> Response:
        return await _serve(sim, request)

    return [Route("/3ds/{id}", endpoint, methods=["GET", "POST"])]


async def _serve(sim: Simulator, request: Request) -> Response:
    intent = sim.store.find(request.path_params["id"])
    if intent is None or intent["object"] not in ANSWER:
        return gone("There is nothing to authenticate here.")
    if request.method == "POST" and _waits(intent):
        sim.base_url, sim.dirty = str(request.base_url), True
        answer = (await submitted(request)).get("answer")
        ANSWER[intent["object"]](sim, intent, answer == "complete")
    if not _waits(intent):
        return _leave(intent, sim.public_url or str(request.base_url))
    return _ask(intent)


def _waits(intent: Object) -> bool:
    return bool(intent["status"] == "requires_action" or intent.get("_method"))


def _ask(intent: Object) -> Response:
    amount = intent.get("amount") or intent.get("amount_total")
    what = f" of {money(amount, intent['currency'])}" if amount else ""
    return page(
        "Is it you?",
        f"<h1>Is it you?</h1><section><p>Your bank asks you to confirm the payment{what}.</p>"
        '<form method="post" class="stack"><button name="answer" value="complete">Complete '
        'authentication</button> <button class="quiet" name="answer" value="fail">Fail '
        "authentication</button></form></section>",
    )


def _leave(intent: Object, base_url: str) -> Response:
    """Back to where the payment was started, with the ids Stripe adds."""
    url = intent.get("_return_url")
    if not url:
        done = intent["status"] in ("succeeded", "processing", "complete")
        text = "Thank you, that worked." if done else "That did not work."
        return page("Done", f"<h1>{text}</h1><section><p>You may close this page.</p></section>")
    if not url.startswith("sim:/"):
        kind, status = intent["object"], "succeeded"
        status = status if intent["status"] in ("succeeded", "processing") else "failed"
        url += "&" if "?" in url else "?"
        url += f"{kind}={intent['id']}&{kind}_client_secret={intent['client_secret']}"
        url += f"&redirect_status={status}"
    return RedirectResponse(render(url, base_url), 303)
