"""Icons, inlined: one request less, in the colour of the text, and nothing that shifts.

hontoni/icons/lucide/ is as Lucide (lucide.dev, ISC) publishes it, vendors/ as lobehub's icons
(MIT) do; the marks belong to those whose they are. What is here is what is used.
"""

import re
from functools import cache
from pathlib import Path

from django import template
from django.template import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
FOLDER = Path(__file__).parents[1] / "icons"
_INNER = re.compile(r"<svg[^>]*>(?:\s*<title>.*?</title>)?(.*)</svg>", re.DOTALL)


@cache
def _drawn(folder: str, name: str) -> SafeString:
    """What is in the file's <svg>. Raises FileNotFoundError for an icon there is none of."""
    found = _INNER.search((FOLDER / folder / f"{name}.svg").read_text())
    assert found is not None
    return mark_safe(" ".join(found[1].split()))  # ours, from a file of the product


@register.simple_tag
def icon(name: str) -> SafeString:
    """Beside words that say the same, so nobody hears of it."""
    drawn = _drawn("lucide", name)
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>', drawn)


VENDORS = {path.stem for path in (FOLDER / "vendors").glob("*.svg")}
_MARK = '<svg class="mark" viewBox="0 0 24 24" aria-hidden="true">{}</svg>'


@register.simple_tag(takes_context=True)
def mark(context: Context, vendor: str) -> SafeString:
    """A vendor's, beside its name; nothing for one whose we do not have. On a page it points at
    the shape that `marks` draws once: tables have one in every row."""
    if vendor not in VENDORS:
        return mark_safe("")
    request = context.get("request")
    if request is None:  # a part of a page, which may be the first to have this one
        return format_html(_MARK, _drawn("vendors", vendor))
    vars(request).setdefault("marks", set()).add(vendor)
    return format_html(_MARK, format_html('<use href="#mark-{}"/>', vendor))


@register.simple_tag(takes_context=True)
def marks(context: Context) -> SafeString:
    """The shapes of those that were used, at the end of the page."""
    used = sorted(vars(context["request"]).get("marks", ())) if "request" in context else []
    symbols = format_html_join(
        "",
        '<symbol id="mark-{}" viewBox="0 0 24 24">{}</symbol>',
        ((vendor, _drawn("vendors", vendor)) for vendor in used),
    )
    return format_html('<svg class="shapes" aria-hidden="true">{}</svg>', symbols)
