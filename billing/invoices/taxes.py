"""The tax of what our own invoices are about. Stripe's say their own (STRIPE_TAX).

* Money is taxed when it is paid in. What the balance buys later was taxed with the top-up, as
  single-purpose vouchers are (Directive 2006/112/EC, Article 30b), and is not taxed again.
* SELLER_TAX_RATE is a percentage that prices contain: who tops up $25 pays $25, tax included.
* A business abroad, which is a buyer with a tax id in another country than SELLER_COUNTRY, owes
  the tax itself: no tax, and a sentence that says so.
* What is given back carries the tax it was paid with, whatever the rate is by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

from billing.invoices import countries
from hontoni.money import CENT

REVERSE_CHARGE = gettext_noop("Reverse charge: the recipient accounts for the tax.")
FROM_BALANCE = gettext_noop("Any tax on it was charged when the balance was topped up.")


@dataclass(frozen=True, slots=True)
class Tax:
    """Nano-dollars in whole cents, below 0 on a credit note; `on_top` of the lines, or in them."""

    amount: int = 0
    name: str = ""
    on_top: bool = False
    note: str = ""


NONE = Tax()


def rate() -> Decimal:
    """Percent. Raises decimal.InvalidOperation for what is no number (hontoni/checks.py)."""
    return Decimal(settings.SELLER_TAX_RATE)


def of_payment(total: int, buyer: Mapping[str, Any]) -> Tax:
    """The tax in a payment of that many nano-dollars."""
    if is_business_abroad(buyer):
        return Tax(note=REVERSE_CHARGE)
    percent = rate()
    if not percent:
        return NONE
    # Exactly: percent / (100 + percent) of it, as a ratio of whole numbers.
    scaled, whole = (int(part * 10**6) for part in (percent, 100 + percent))
    name = f"{settings.SELLER_TAX_NAME} {percent.normalize():f} %"
    return Tax(share(total, scaled, whole), name)


def is_business_abroad(buyer: Mapping[str, Any]) -> bool:
    """By what the buyer said of itself: a tax id, and a country that is not the seller's."""
    country = buyer.get("country")
    abroad = settings.SELLER_COUNTRY and country != settings.SELLER_COUNTRY
    return bool(abroad and countries.exists(country or "") and buyer.get("tax_id"))


def share(amount: int, part: int, whole: int) -> int:
    """`part` of `whole` of that many nano-dollars, to the cent, half up."""
    size = (2 * abs(amount) * part + whole * CENT) // (2 * whole * CENT) * CENT
    return size if amount >= 0 else -size
