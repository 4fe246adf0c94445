"""The tax of what our own invoices are about. Stripe's say their own (STRIPE_TAX).

* Money is taxed when it is paid in. What the balance buys later was taxed with the top-up, as
  single-purpose vouchers are (Directive 2006/112/EC, Article 30b), and is not taxed again.
* SELLER_TAX_RATE is a percentage that prices contain: who tops up $25 pays $25, tax included.
  Staff may set another from a day on (TaxRate), such as a reduced one and when it ends.
* A business abroad, which is a buyer with a tax id of another country than SELLER_COUNTRY, owes
  the tax itself: no tax, and a sentence that says so. The id must be one: anything else that is
  written there would be a way round the tax.
* What is given back carries the tax it was paid with, whatever the rate is by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop
from stdnum import get_cc_module

from billing.invoices import countries
from billing.invoices.models import TaxRate
from hontoni.money import CENT

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")

REVERSE_CHARGE = gettext_noop("Reverse charge: the recipient accounts for the tax.")
FROM_BALANCE = gettext_noop("Any tax on it was charged when the balance was topped up.")
STAYS_PAID = gettext_noop("Any tax on it stays paid: it is that of the balance.")


@dataclass(frozen=True, slots=True)
class Tax:
    """Nano-dollars in whole cents, below 0 on a credit note; `on_top` of the lines, or in them."""

    amount: int = 0
    name: str = ""
    on_top: bool = False
    note: str = ""


NONE = Tax()


def rate(at: datetime | None = None) -> Decimal:
    """Percent at that moment, or now. Raises decimal.InvalidOperation where SELLER_TAX_RATE is no
    number (hontoni/checks.py)."""
    day = (at or timezone.now()).astimezone(zone()).date()
    found = TaxRate.objects.filter(since__lte=day).order_by("-since").first()
    return found.percent if found else Decimal(settings.SELLER_TAX_RATE)


def zone() -> tzinfo:
    """Whose days are those of the seller's tax office, as far as we know it."""
    return VIETNAM if settings.SELLER_COUNTRY == "VN" else UTC


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
    """A business in another country than the seller's: by a tax id which that could have given."""
    country = str(buyer.get("country") or "")
    abroad = settings.SELLER_COUNTRY and country != settings.SELLER_COUNTRY
    return bool(abroad and countries.exists(country)) and is_tax_id(
        country, str(buyer.get("tax_id") or "")
    )


def is_tax_id(country: str, number: str) -> bool:
    """Whether a country's tax office could have given that id: its form, and its check digits.

    Whether it was given, and to whom, only the office knows: no register is asked (the European
    one, VIES, has no service level to lean on at a checkout). Of a country whose ids nobody
    described to us none is believed: who asks for it is charged the tax.
    """
    described = get_cc_module(country.lower(), "vat")
    return bool(number and described is not None and described.is_valid(number))


def share(amount: int, part: int, whole: int) -> int:
    """`part` of `whole` of that many nano-dollars, to the cent, half up."""
    size = (2 * abs(amount) * part + whole * CENT) // (2 * whole * CENT) * CENT
    return size if amount >= 0 else -size
