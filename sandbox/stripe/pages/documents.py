"""Receipts and invoices: what there is to look at afterwards, and an invoice's PDF."""

from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.stripe import pdf
from sandbox.stripe.errors import Object
from sandbox.stripe.pages.layout import gone, money, page, rows
from sandbox.stripe.periods import day
from sandbox.stripe.simulator import Simulator


def routes(sim: Simulator) -> list[Route]:
    """Pages to read and a file to keep."""

    async def receipt(request: Request) -> Response:
        return _receipt(sim, request.path_params["id"])

    async def invoice(request: Request) -> Response:
        found = _finalized(sim, request.path_params["id"])
        return gone("There is no such invoice.") if found is None else _invoice(found)

    async def invoice_pdf(request: Request) -> Response:
        found = _finalized(sim, request.path_params["id"])
        return gone("There is no such invoice.") if found is None else _pdf(found)

    return [
        Route("/receipts/{id}", receipt),
        Route("/invoices/{id}", invoice),
        Route("/invoices/{id}/pdf", invoice_pdf),
    ]


def _receipt(sim: Simulator, id: str) -> Response:
    charge = sim.store.find(id)
    if charge is None or not charge.get("receipt_url"):
        return gone("There is no such receipt.")
    currency = charge["currency"]
    lines = [(charge["description"] or "Payment", money(charge["amount"], currency))]
    if charge["amount_refunded"]:
        lines.append(("Refunded", money(-charge["amount_refunded"], currency)))
    lines.append(("Paid", money(charge["amount"] - charge["amount_refunded"], currency)))
    note = f'<p class="soft">{day(charge["created"])} · {escape(charge["id"])}</p>'
    return page("Receipt", f"<h1>Receipt</h1><section>{rows(lines)}</section>{note}")


def _finalized(sim: Simulator, id: str) -> Object | None:
    invoice = sim.store.find(id)
    return invoice if invoice and invoice.get("invoice_pdf") else None


def _amounts(invoice: Object) -> list[tuple[str, str]]:
    currency = invoice["currency"]
    lines = [(i["description"], money(i["amount"], currency)) for i in invoice["lines"]["data"]]
    taxes = sum(tax["amount"] for tax in invoice["total_taxes"] or [])
    if taxes:
        lines.append(("Tax", money(taxes, currency)))
    lines.append(("Total", money(invoice["total"], currency)))
    if invoice["amount_due"] != invoice["total"]:
        lines.append(("After credit", money(invoice["amount_due"], currency)))
    return lines


def _invoice(invoice: Object) -> Response:
    title = f"Invoice {invoice['number']}"
    buyer = escape(invoice["customer_name"] or invoice["customer_email"] or invoice["customer"])
    link = f'<a href="{escape(invoice["id"])}/pdf">Download PDF</a>'
    about = f'<p class="soft">{day(invoice["created"])} · {buyer} · {invoice["status"]}</p>'
    body = f"<h1>{escape(title)}</h1>{about}<section>{rows(_amounts(invoice))}</section>{link}"
    return page(title, body)


def _pdf(invoice: Object) -> Response:
    lines = [
        "TEST MODE - simulator. No money moved.",
        "",
        f"Invoice {invoice['number']}",
        f"Date: {day(invoice['created'])}",
        f"Bill to: {invoice['customer_name'] or invoice['customer_email'] or invoice['customer']}",
        f"Status: {invoice['status']}",
        "",
        *(f"{name}: {amount}" for name, amount in _amounts(invoice)),
    ]
    headers = {"Content-Disposition": f'attachment; filename="Invoice-{invoice["number"]}.pdf"'}
    return Response(pdf.document(lines), headers=headers, media_type="application/pdf")
