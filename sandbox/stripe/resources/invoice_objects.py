"""The shape of an invoice and of its line items (https://docs.stripe.com/api/invoices/object)."""

from collections.abc import Sequence

from sandbox.stripe.errors import Object
from sandbox.stripe.lines import Line
from sandbox.stripe.resources.invoice_items import pricing
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.store import Store
from sandbox.stripe.tax import Taxed
from sandbox.stripe.wire import INCLUDABLE, blank, listing

EMPTY = (
    "account_tax_ids application automatically_finalizes_at custom_fields customer_account"
    " customer_shipping default_payment_method default_source description due_date effective_at"
    " ending_balance footer from_invoice hosted_invoice_url invoice_pdf last_finalization_error"
    " latest_revision next_payment_attempt number on_behalf_of parent receipt_number rendering"
    " shipping_cost shipping_details statement_descriptor test_clock webhooks_delivered_at"
)


def blank_invoice(customer: Object, reason: str, now: int) -> Object:
    """A draft with nothing on it yet."""
    zero = "amount_overpaid amount_paid amount_shipping attempt_count starting_balance"
    zero += " post_payment_credit_notes_amount pre_payment_credit_notes_amount"
    moments = blank("finalized_at marked_uncollectible_at paid_at voided_at")
    return (
        blank(EMPTY)
        | dict.fromkeys(zero.split(), 0)
        | _buyer(customer)
        | {
            "account_country": "US",
            "account_name": "Hontoni sandbox",
            "attempted": False,
            "auto_advance": False,
            "automatic_tax": automatic_tax(False),
            "billing_reason": reason,
            "collection_method": "charge_automatically",
            "currency": "usd",
            "default_tax_rates": [],
            "discounts": [],
            "issuer": {"type": "self"},
            "lines": listing([], ""),
            "metadata": {},
            "payment_settings": blank(
                "default_mandate payment_method_options payment_method_types"
            ),
            "period_end": now,
            "period_start": now,
            "status": "draft",
            "status_transitions": moments,
        }
    )


def _buyer(customer: Object) -> Object:
    names = ("address", "email", "name", "phone", "tax_exempt")
    buyer = {f"customer_{name}": customer.get(name) for name in names}
    fields = (customer["invoice_settings"] or {}).get("custom_fields")
    return buyer | {
        "customer": customer["id"],
        "customer_tax_ids": [],
        "custom_fields": fields,
    }


def automatic_tax(enabled: bool) -> Object:
    """Stripe Tax on an invoice."""
    on = {"enabled": True, "liability": {"type": "self"}, "provider": "stripe"}
    off = {"enabled": False, "liability": None, "provider": None}
    return {"disabled_reason": None, "status": "complete" if enabled else None} | (
        on if enabled else off
    )


def subscription_parent(subscription: Object) -> Object:
    """How an invoice names its subscription since 2025-03-31."""
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": details,
    }


def line_items(
    sim: Simulator, invoice: Object, lines: Sequence[Line], basis_points: int
) -> list[Object]:
    """The line items of an invoice."""
    return [_line_item(sim, invoice, line, basis_points) for line in lines]


def _line_item(sim: Simulator, invoice: Object, line: Line, basis_points: int) -> Object:
    split = line.split(basis_points)
    subscription = invoice.get("_subscription")
    return {
        "id": sim.store.new_id("line_item"),
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice["currency"],
        "description": line.description,
        "discount_amounts": [],
        "discountable": not line.proration,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": {},
        "parent": _parent(line, subscription),
        "period": {"start": line.start, "end": line.end},
        "pretax_credit_amounts": [],
        "pricing": pricing(line),
        "quantity": line.quantity,
        "quantity_decimal": str(line.quantity),
        "subscription": subscription,
        "subtotal": line.amount,
        "taxes": _taxes([(line, split)]) if basis_points else [],
    }


def _parent(line: Line, subscription: str | None) -> Object | None:
    details: Object = {"proration": line.proration, "subscription": subscription}
    details["proration_details"] = {"credited_items": None}
    details["invoice_item"] = line.invoice_item
    if line.item:
        details["subscription_item"] = line.item
        type, other = "subscription_item_details", "invoice_item_details"
    elif line.invoice_item:
        type, other = "invoice_item_details", "subscription_item_details"
    else:
        return None
    return {"type": type, type: details, other: None}


def _taxes(parts: list[tuple[Line, Taxed]]) -> list[Object]:
    """One entry a behaviour, as there is one rate."""
    found: list[Object] = []
    for behaviour in ("exclusive", "inclusive"):
        inclusive = behaviour == "inclusive"
        mine = [s for line, s in parts if (line.price["tax_behavior"] == "inclusive") == inclusive]
        if mine:
            tax: Object = {"amount": sum(s.tax for s in mine), "tax_behavior": behaviour}
            tax |= {"taxable_amount": sum(s.net for s in mine), "type": "tax_rate_details"}
            tax |= {"tax_rate_details": None, "taxability_reason": "standard_rated"}
            found.append(tax)
    return found


def totals(lines: Sequence[Line], basis_points: int) -> Object:
    """The sums of an invoice, in cents."""
    parts = [(line, line.split(basis_points)) for line in lines]
    net = sum(split.net for _, split in parts)
    return {
        "subtotal": sum(line.amount for line in lines),
        "subtotal_excluding_tax": net,
        "total": sum(split.total for _, split in parts),
        "total_excluding_tax": net,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": _taxes(parts) if basis_points else [],
    }


def _confirmation_secret(store: Store, invoice: Object) -> Object | None:
    intent = store.find(store.need("invoice", invoice["id"]).get("_intent"))
    return intent and {"client_secret": intent["client_secret"], "type": "payment_intent"}


INCLUDABLE["invoice", "confirmation_secret"] = _confirmation_secret
