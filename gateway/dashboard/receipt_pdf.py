"""How a receipt looks on paper."""

from typing import Any

from django.conf import settings
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from billing.invoices import pdf_layout
from gateway.dashboard.receipt_words import RULES, SPANS, TURNS
from gateway.usage.models import UsageEvent
from gateway.vendors.own_keys.fees import REQUEST_LINE
from hontoni.money import nanos
from hontoni.templatetags.money import counted, decimal, in_words

BUCKET_NAMES = {
    "input": "Input",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "output": "Output",
    "reasoning": "Reasoning",
}


def draw(event: UsageEvent, receipt: dict[str, Any], url: str) -> bytes:
    """The PDF of a receipt; `url` is where it can be checked."""
    when = date_format(localtime(event.created_at), "DATETIME_FORMAT")
    story: list[Flowable] = [
        *pdf_layout.head(settings.SELLER_NAME, _("Receipt"), event.request_id),
        *pdf_layout.facts(
            [
                (_("When"), f"{when} {localtime(event.created_at):%Z}"),
                (_("Model"), event.model),
                (_("Price list of"), str(event.price_id)),
                (_("Duration"), f"{counted(event.duration_ms)} ms"),
                (_("Rule"), str(RULES.get(receipt["rule"], receipt["rule"]))),
                *_overflow(receipt["overflow"]),
            ]
        ),
        Spacer(0, 6 * mm),
        pdf_layout.sums(
            (_("Tokens"), _("Count"), _("Per million"), _("Cost")),
            [_line(line) for line in receipt["lines"] if line.get("tokens") or "calls" in line],
            [
                (_("Total, rounded once"), nanos(receipt["total"])),
                (_("Charged"), nanos(receipt["charged"])),
            ],
            (70, 30, 35, 35),
        ),
        Spacer(0, 6 * mm),
        pdf_layout.text(_("Check it without an account: %(url)s") % {"url": url}, size=8),
    ]
    return pdf_layout.bytes_of(event.request_id, settings.SELLER_NAME, story)


def _overflow(past: dict[str, str] | None) -> list[tuple[str, str]]:
    """Which window it went past, and for how much more."""
    if past is None:
        return []
    window = SPANS[past["window"]]
    return [(_("Overflow"), f"{window}, +{decimal(past['surcharge_percent'])}%")]


def _line(line: dict[str, Any]) -> tuple[str, str, str, str]:
    cost = in_words(line["cost"])
    if "calls" in line:
        name = _("Fee for the request") if line["name"] == REQUEST_LINE else line["name"]
        return name, counted(line["calls"]), in_words(line["price_per_call"]), cost
    name = _(BUCKET_NAMES[line["bucket"]])
    if line["kind"] in TURNS and line["kind"] != "message":
        name = f"{name} ({line['model']}, {TURNS[line['kind']]})"
    if line["factor"] != "1":
        name = f"{name} × {decimal(line['factor'])}"
    return name, counted(line["tokens"]), in_words(line["price_per_million_tokens"]), cost
