"""Moments in templates, in the visitor's time zone and as short as they can be."""

from datetime import datetime

from django import template
from django.utils import formats, timezone

register = template.Library()


@register.filter(expects_localtime=True)
def short(moment: datetime) -> str:
    """Today only the time, else the day too: "16:40", "24 Nov, 16:40"."""
    today = timezone.localdate()
    shape = "H:i" if moment.date() == today else "j M, H:i"
    if moment.year != today.year:
        shape = "j M Y, H:i"
    return formats.date_format(moment, shape, use_l10n=False)
