"""One search for "why?": what staff paste is recognised by its form, and its page opens.

Request ids, our vendors' ids of them, e-mail addresses, key prefixes, invoice numbers, and the ids
of Stripe. Only what the member of staff may see is found.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db.models import Model, Q
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from accounts.models import ApiKey, User
from billing.invoices.models import Invoice
from billing.payments.models import Dispute, TopUp
from billing.plans.models import Subscription
from billing.staff.models import Customer
from billing.stripe.models import StripeCustomer, StripeEvent
from cockpit.sidebar import may_see
from gateway.usage import request_ids
from gateway.usage.models import Refusal, UsageEvent

MOST = 5  # of one kind
VENDORS_DAYS = 3
SHOWN = 10  # characters of a key that are kept in clear (accounts/keys/api_keys.py)
_REQUEST = re.compile(r"(?:req_)?([0-9a-f]{32})\Z")
_KEY = re.compile(r"sk-gw-([0-9a-z]{2,})", re.IGNORECASE)
_STRIPE = re.compile(r"[a-z]{2,4}_(?:test_|live_)?[0-9a-z]+\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and how it is shown."""

    row: Model
    title: str
    about: str
    icon: str


def search(request: HttpRequest, text: str) -> list[SearchResult]:
    """For `UNFOLD["COMMAND"]`: what that text names, as far as this member of staff may see it."""
    user = request.user
    assert isinstance(user, User)
    text = text.strip()
    found = (each for find in _FINDERS for each in find(text))
    return [
        SearchResult(title=each.title, description=each.about, link=page(each.row), icon=each.icon)
        for each in found
        if may_see(user, each.row._meta.label_lower)
    ]


def page(row: Model) -> str:
    """The admin's page of a row."""
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[quote(row.pk)])


# -- By the form of what was pasted --------------------------------------------------------------


def _requests(text: str) -> Iterator[Found]:
    if match := _REQUEST.match(text.lower()):
        named = Q(pk=UUID(match[1]))
        for refusal in Refusal.objects.filter(request_id=f"req_{match[1]}").select_related("user"):
            about = f"{refusal.code}, {refusal.user.email}: {refusal.message}"
            yield Found(refusal, f"Refused: {refusal.request_id}", about, "block")
        for event in UsageEvent.objects.filter(named).select_related("user"):
            about = f"{event.model}, {event.status}, {event.user.email}"
            yield Found(event, f"Request {event.request_id}", about, "bolt")


def _people(text: str) -> Iterator[Found]:
    if "@" in text:
        for customer in Customer.objects.filter(email__istartswith=text).order_by("email")[:MOST]:
            state = "frozen" if customer.frozen_at else "deleted" if not customer.is_active else ""
            yield Found(customer, customer.email, state or customer.name, "group")


def _keys(text: str) -> Iterator[Found]:
    if _KEY.match(text):
        prefix = text[:SHOWN]
        keys = ApiKey.objects.filter(prefix__istartswith=prefix).select_related("user")
        for key in keys.order_by("-pk")[:MOST]:
            about = f"{key.name}, {key.user.email}"
            yield Found(key, f"Key {key.prefix}…{key.last4}", about, "key")


def _invoices(text: str) -> Iterator[Found]:
    if "-" in text and not text.startswith("sk-"):
        rows = Invoice.objects.filter(number__iexact=text).select_related("user")
        for invoice in rows:
            yield Found(invoice, f"Invoice {invoice.number}", invoice.user.email, "receipt_long")


def _payments(text: str) -> Iterator[Found]:
    """Stripe's ids. Letters count in them, and the search box may have lost their case."""
    if not _STRIPE.match(text):
        return
    named = Q(session_id__iexact=text) | Q(intent_id__iexact=text) | Q(invoice_id__iexact=text)
    for order in TopUp.objects.filter(named).select_related("user")[:MOST]:
        yield Found(order, f"Top-up {order}", order.get_state_display(), "add_card")
    for dispute in Dispute.objects.filter(pk__iexact=text):
        yield Found(dispute, f"Dispute {dispute.pk}", dispute.status, "gavel")
    for subscription in Subscription.objects.filter(stripe_id__iexact=text):
        yield Found(
            subscription, f"Subscription {subscription.stripe_id}", str(subscription), "autorenew"
        )
    for payer in StripeCustomer.objects.filter(stripe_id__iexact=text).select_related("user"):
        customer = Customer.objects.get(pk=payer.user_id)
        yield Found(customer, customer.email, payer.stripe_id, "group")
    for event in StripeEvent.objects.filter(Q(pk__iexact=text) | Q(object_id__iexact=text))[:MOST]:
        yield Found(event, f"Stripe: {event.type}", event.object_id, "webhook")


def _vendor_requests(text: str) -> Iterator[Found]:
    """What a vendor calls a request of ours, of the last days: no index has those ids, and ours
    begin with their time."""
    if len(text) < 12 or _REQUEST.match(text.lower()) or "@" in text:
        return
    lately = request_ids.first_id(time.time() - VENDORS_DAYS * 86_400)
    named = UsageEvent.objects.filter(pk__gte=lately, upstream_request_id__iexact=text)
    for event in named[:MOST]:
        yield Found(event, f"Request {event.request_id}", f"the vendor's {text}", "bolt")


Finder = Callable[[str], Iterator[Any]]
_FINDERS: tuple[Finder, ...] = (_requests, _people, _keys, _invoices, _payments, _vendor_requests)
