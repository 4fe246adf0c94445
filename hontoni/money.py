"""Nano-dollars: the one unit of money, a signed 64-bit int (1 USD = 1,000,000,000).

Nothing is ever a float. Prices are nano-dollars per million tokens, so $0.15 per million is
150_000_000 and even $0.0375 stays whole. Parsing and printing happen here and nowhere else.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

DOLLAR = 1_000_000_000
CENT = 10_000_000
MILLION = 1_000_000
MAX = 2**53 - 1  # Redis's Lua compares in doubles; beyond this it would compare wrongly.


def nanos(dollars: str | int | Decimal) -> int:
    """Parse dollars ("10.50") exactly. ValueError for over nine decimals or a non-number."""
    try:
        scaled = Decimal(dollars) * DOLLAR
    except InvalidOperation:
        raise ValueError(f"not an amount of dollars: {dollars!r}") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"not a whole number of nano-dollars: {dollars!r}")
    return int(scaled)


def nearest(dollars: Decimal) -> int:
    """Nano-dollars of what others count more finely, half up: a vendor's 0.0345678912 cents."""
    return int((dollars * DOLLAR).to_integral_value(rounding=ROUND_HALF_UP))


def dollars(amount: int) -> str:
    """Print nano-dollars exactly, with at least two decimals: 10_500_000 -> "0.0105"."""
    whole, fraction = divmod(abs(amount), DOLLAR)
    digits = f"{fraction:09d}"
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def cents(amount: int) -> int:
    """Nano-dollars to whole cents, half up: what a card is charged."""
    return int((Decimal(amount) / CENT).to_integral_value(rounding=ROUND_HALF_UP))


def whole_cents(amount: int | Fraction) -> int:
    """Nano-dollars rounded to whole cents, half up (away from zero): what a purchase may cost."""
    half_up = (abs(Fraction(amount)) + Fraction(CENT, 2)) // CENT
    rounded = int(half_up) * CENT
    return rounded if amount >= 0 else -rounded


def per_million(weighted: int) -> int:
    """Round a sum of tokens x (nano-dollars per million tokens), half up, once per charge."""
    return (weighted + MILLION // 2) // MILLION


def change(before: int, after: int) -> str:
    """How much an amount has changed: "+30 %", "−67.5 %", "±0 %"; from nothing, "new"."""
    if before == after:
        return "±0 %"
    if before <= 0:
        return "new"
    tenths = (Decimal(after - before) * 1000 / before).to_integral_value(rounding=ROUND_HALF_UP)
    whole, rest = divmod(abs(int(tenths)), 10)
    sign = "+" if after > before else "−"
    return f"{sign}{whole}.{rest} %" if rest else f"{sign}{whole} %"


def per_cent(points: int) -> str:
    """Basis points as per cent: 2_550 -> "25.5"."""
    return f"{points / 100:.2f}".rstrip("0").rstrip(".")
