"""Moments in templates, in the visitor's time zone and as short as they can be."""

from datetime import date, datetime

from django import template
from django.utils import formats, timezone
from django.utils.translation import get_language

register = template.Library()
_DAYS = {"vi": ("d/m", "d/m/Y")}  # else by the month's name


@register.filter(expects_localtime=True)
def short(moment: datetime) -> str:
    """Today only the time, else the day too: "16:40", "24 Nov, 16:40"."""
    today = timezone.localdate()
    day, year = _DAYS.get(get_language() or "", ("j M", "j M Y"))
    shape = "H:i" if moment.date() == today else f"{day}, H:i"
    if moment.year != today.year:
        shape = f"{year}, H:i"
    return formats.date_format(moment, shape, use_l10n=False)


def short_local(moment: datetime) -> str:
    """The same outside of templates."""
    return str(short(timezone.localtime(moment)))


@register.filter
def day(moment: date) -> str:
    """The day without its year, as `short` writes it: "24 Nov"."""
    return formats.date_format(moment, _DAYS.get(get_language() or "", ("j M", ""))[0], False)


@register.filter
def month(name: str) -> str:
    """ "2026-11" is "November 2026" in English, "11/2026" in Vietnamese."""
    shape = "m/Y" if get_language() == "vi" else "F Y"
    return formats.date_format(date.fromisoformat(f"{name}-01"), shape, use_l10n=False)
