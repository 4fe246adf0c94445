"""Prices in dong beside those in dollars, for who wants to see both: `{% in_dong amount %}`."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.payments.vietqr import bank_orders
from billing.payments.vietqr.dong import about
from hontoni.pages import currency
from hontoni.templatetags.money import dong

register = template.Library()


@register.simple_tag(takes_context=True)
def in_dong(context: Any, amount: int | None) -> SafeString | str:
    """About so many dong, at today's rate; nothing for who wants dollars alone, and where no
    transfers are taken. The rate is read once a page."""
    request = context.get("request")
    if request is None or amount is None or currency(request) != "both":
        return ""
    if not hasattr(request, "dong_rate"):
        request.dong_rate = bank_orders.offered()
    if request.dong_rate is None:
        return ""
    return format_html(' <span class="dong">≈ {}</span>', dong(about(amount, request.dong_rate)))
