"""Receipts, for now: a page for each charge that went through."""

from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing.stripe_simulator.pages.layout import gone, money, page, rows
from billing.stripe_simulator.simulator import Simulator


def routes(sim: Simulator) -> list[Route]:
    """Everything that can be looked at afterwards."""

    async def receipt(request: Request) -> Response:
        return _receipt(sim, request.path_params["id"])

    return [Route("/receipts/{id}", receipt)]


def _receipt(sim: Simulator, id: str) -> Response:
    charge = sim.store.find(id)
    if charge is None or not charge.get("receipt_url"):
        return gone("There is no such receipt.")
    lines = [(charge["description"] or "Payment", money(charge["amount"], charge["currency"]))]
    if charge["amount_refunded"]:
        lines.append(("Refunded", money(-charge["amount_refunded"], charge["currency"])))
    paid = charge["amount"] - charge["amount_refunded"]
    lines.append(("Paid", money(paid, charge["currency"])))
    return page(
        "Receipt",
        f"<h1>Receipt</h1><section>{rows(lines)}</section>"
        f'<p class="soft">{escape(charge["id"])}</p>',
    )
