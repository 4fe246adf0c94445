"""Who an account is at Stripe, and the cards it keeps there."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from accounts.people import mailboxes
from accounts.sign_in.deletion import DELETED
from billing.invoices import issuing, taxes
from billing.stripe import stripe_api
from billing.stripe.models import StripeCustomer
from hontoni import errors


def of(user: User) -> str:
    """The account's customer id at Stripe; the first call makes one, under a key of its own."""
    known = find(user.pk)
    if known is not None:
        return known
    email = mailboxes.recipients(user)[0]
    made = stripe_api.create_customer(
        email=email,
        name=user.name,
        user_id=user.pk,
        # With what it is made of: an account that was renamed between two tries is no conflict.
        key=f"customer:{user.pk}:{user.created_at.timestamp():.0f}:{email}:{user.name}"[:255],
    )
    kept, _ = StripeCustomer.objects.get_or_create(user=user, defaults={"stripe_id": made["id"]})
    return kept.stripe_id


def tell(user: User) -> None:
    """Who the account's invoices are made out to, for those that Stripe makes; and whether it owes
    our tax itself. Stripe's address is one of fields: ours are its lines, and the country."""
    buyer = issuing.buyer(user)
    first, _, more = str(buyer.get("address", "")).partition("; ")
    tax_id, abroad = buyer.get("tax_id"), taxes.is_business_abroad(buyer)
    address = {"line1": first, "line2": more, "country": buyer.get("country", "")}
    said = {
        "name": buyer["name"],
        "address": address if any(address.values()) else "",
        "tax_exempt": "reverse" if abroad else "none",
        "invoice_settings": {
            "custom_fields": [{"name": "Tax ID", "value": tax_id}] if tax_id else ""
        },
    }
    stripe_api.describe(of(user), said)


def find(user_id: int) -> str | None:
    """The account's customer id at Stripe, if it has one."""
    known = StripeCustomer.objects.filter(pk=user_id).first()
    return None if known is None else known.stripe_id


def cards(user_id: int) -> list[dict[str, Any]]:
    """The saved cards: id, brand, last four digits, expiry, and which is the default."""
    customer = find(user_id)
    if customer is None:
        return []
    default = _default(customer)
    return [
        {
            "id": method["id"],
            **{name: method["card"][name] for name in ("brand", "last4", "exp_month", "exp_year")},
            "is_default": method["id"] == default,
        }
        for method in stripe_api.payment_methods(customer)
    ]


def own_card(user_id: int, id: str) -> dict[str, Any]:
    """A saved card of this account's. Raises NotFound for anybody else's."""
    customer = find(user_id)
    missing = errors.NotFound("There is no such payment method.", param="payment_method")
    if customer is None:
        raise missing
    try:
        method = stripe_api.payment_method(id)
    except errors.NotFound:
        raise missing from None
    if method["customer"] != customer:
        raise missing
    return method


def chosen_card(user_id: int, id: str = "") -> str | None:
    """What to charge: that card, or the default one, or the newest; None without any."""
    if id:
        return str(own_card(user_id, id)["id"])
    saved = cards(user_id)
    defaults = [card["id"] for card in saved if card["is_default"]]
    return next(iter([*defaults, *(card["id"] for card in saved)]), None)


def remove_card(user_id: int, id: str) -> None:
    """Forget a card for good. Raises NotFound for anybody else's."""
    stripe_api.detach(own_card(user_id, id)["id"])


def forget_cards(user_id: int, now: datetime) -> None:
    """Take every card off the account at Stripe. What it paid stays there: the law asks for it."""
    for card in cards(user_id):
        stripe_api.detach(card["id"])
    StripeCustomer.objects.filter(pk=user_id).update(cards_removed_at=now)


def cards_of_the_deleted() -> QuerySet[StripeCustomer]:
    """Deleted accounts that may have cards still."""
    gone = StripeCustomer.objects.filter(user__is_active=False, user__email__endswith=DELETED)
    return gone.filter(cards_removed_at=None)


def make_default(user_id: int, id: str) -> None:
    """Charge this card where none is named. Raises NotFound for anybody else's."""
    method = own_card(user_id, id)
    stripe_api.set_default(method["customer"], method["id"])


def _default(customer: str) -> str | None:
    settings = stripe_api.customer(customer).get("invoice_settings") or {}
    return settings.get("default_payment_method")
