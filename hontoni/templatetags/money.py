"""Money in templates. Every amount is nano-dollars."""

from django import template
from django.utils.formats import get_format

from hontoni import money
from hontoni.money import DOLLAR, dollars

register = template.Library()


@register.filter
def usd(amount: int) -> str:
    """Exactly: 10_500_000 -> "$0.0105"; -1 dollar -> "−$1.00"."""
    sign = "−" if amount < 0 else ""
    return f"{sign}${_grouped(dollars(abs(amount)))}"


@register.filter
def about(amount: int) -> str:
    """For a glance: whole cents from a dollar on, four decimals below, never a false zero."""
    sign, amount = ("−" if amount < 0 else ""), abs(amount)
    if amount == 0:
        return f"${_grouped('0.00')}"
    if amount < DOLLAR // 10_000:
        return f"{sign}<${_grouped('0.0001')}"
    step = DOLLAR // 100 if amount >= DOLLAR else DOLLAR // 10_000
    return f"{sign}${_grouped(dollars((amount + step // 2) // step * step))}"


@register.filter
def per_cent(points: int) -> str:
    """Basis points, as the reader's language writes numbers: 2_550 -> "25.5"."""
    return _grouped(money.per_cent(points))


@register.filter
def in_words(text: str) -> str:
    """What a receipt says in dollars ("0.0105"), as the reader's language writes numbers."""
    sign = "−" if text.startswith("-") else ""
    return f"{sign}${_grouped(text.removeprefix('-'))}"


def _grouped(text: str) -> str:
    """ "1234.50" is 1,234.50 in English, 1.234,50 in Vietnamese."""
    whole, _, fraction = text.partition(".")
    thousands, point = (get_format(f"{n}_SEPARATOR") for n in ("THOUSAND", "DECIMAL"))
    grouped = f"{int(whole):,}".replace(",", thousands)
    return f"{grouped}{point}{fraction}" if fraction else grouped


@register.filter
def counted(number: int) -> str:
    """1234 is 1,234 in English, 1.234 in Vietnamese."""
    return _grouped(str(number))


@register.filter
def dong(amount: int) -> str:
    """658750 is 658,750 ₫ in English, 658.750 ₫ in Vietnamese."""
    sign = "−" if amount < 0 else ""
    return f"{sign}{counted(abs(amount))} ₫"


@register.filter
def decimal(text: str) -> str:
    """ "92.5" is 92.5 in English, 92,5 in Vietnamese."""
    return _grouped(text)


@register.filter
def localized(text: str) -> str:
    """ "+12.5 %" is that in English, +12,5 % in Vietnamese: a figure among other signs."""
    return text.replace(".", get_format("DECIMAL_SEPARATOR"))
