"""One search for "why?": what staff paste is recognised by its form, and its page opens.

Request ids, our vendors' ids of them, e-mail addresses, key prefixes, invoice numbers, and the ids
of Stripe. Only what the member of staff may see is found.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db import OperationalError, connection, transaction
from django.db.models import Model, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.payments.models import BankOrder, BankTransfer, Dispute, TopUp
from billing.plans.models import Subscription
from billing.staff.models import Customer
from billing.stripe import mirror
from billing.stripe.models import StripeCustomer, StripeEvent
from billing.subscriptions.models import PlanOrder
from cockpit.sidebar import may_see
from gateway.archive import receipts as archived
from gateway.usage.models import Refusal, UsageEvent
from gateway.usage.request_ids import first_id
from hontoni.errors import Unavailable
from hontoni.money import dollars

MOST = 5  # of one kind
VENDORS_DAYS = (1, 7, 31, 366)
SECONDS = 2  # for each of these
ARCHIVE_SECONDS = 5  # for all of it
SHOWN = 10  # characters of a key that are kept in clear (accounts/keys/api_keys.py)
_REQUEST = re.compile(r"(?:\breq_|\A)([0-9a-f]{32})\b", re.IGNORECASE)  # also within an address
_KEY = re.compile(r"sk-gw-[0-9a-z]{2,}", re.IGNORECASE)
_STRIPE = re.compile(r"[a-z]{2,8}_[0-9a-zA-Z_]+\Z")
_ID = re.compile(r"[\w.:-]+\Z")
_FACTS = (*(("topup", ""), ("refund", ""), ("dispute", ":withdrawn"), ("dispute", ":reinstated")),)


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and how it is shown."""

    row: Model
    title: str
    about: str
    icon: str
    needs: str = ""  # the table that one must see for it, if not the row's own


def search(request: HttpRequest, text: str) -> list[SearchResult]:
    """For `UNFOLD["COMMAND"]`: what that text names, as far as this member of staff may see it."""
    user = request.user
    assert isinstance(user, User)
    # The box makes all letters small, and letters count in Stripe's ids and in vendors'.
    text = request.GET.get("s", text).replace("\0", "").strip().strip("\"'<>,;")
    found = (each for find in _FINDERS for each in find(text))
    return [
        SearchResult(title=each.title, description=each.about, link=page(each.row), icon=each.icon)
        for each in found
        if may_see(user, each.needs or each.row._meta.label_lower)
    ]


def page(row: Model) -> str:
    """The admin's page of a row."""
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[quote(row.pk)])


# -- By the form of what was pasted --------------------------------------------------------------


def _requests(text: str) -> Iterator[Found]:
    if match := _REQUEST.search(text):
        pk = UUID(match[1])
        refusals = Refusal.objects.filter(request_id=f"req_{pk.hex}", hour__range=_about(pk))
        for refusal in refusals.select_related("user"):
            about = f"{refusal.code}, {refusal.user.email}: {refusal.message}"
            yield Found(refusal, _("Refused: %(id)s") % {"id": refusal.request_id}, about, "block")
        for event in UsageEvent.objects.filter(pk=pk).select_related("user"):
            about = f"{event.model}, {event.status}, {event.user.email}"
            yield Found(event, _("Request %(id)s") % {"id": event.request_id}, about, "bolt")
            return
        if gone := _archived(pk):
            facts = {"model": gone.model, "status": gone.status, "email": gone.user.email}
            about = _("%(model)s, %(status)s, %(email)s, in the archive") % facts
            yield Found(gone, _("Request %(id)s") % {"id": gone.request_id}, about, "bolt")


def _archived(pk: UUID) -> UsageEvent | None:
    """A request in the archive; none where that is away: what else is found is shown."""
    try:
        return archived.find(None, pk)
    except Unavailable:
        return None


def _about(request: UUID) -> tuple[datetime, datetime]:
    """The hours around a request's time, with which its id begins: what is refused is found by
    its hour."""
    seconds = min(
        (request.int >> 80) / 1000, datetime.max.replace(tzinfo=UTC).timestamp() - 86_400
    )
    at = datetime.fromtimestamp(max(seconds, 86_400), UTC)
    return at - timedelta(hours=2), at + timedelta(hours=1)


def _people(text: str) -> Iterator[Found]:
    if "@" in text:
        theirs = Q(email__istartswith=text) | Q(memberships__person__email__istartswith=text)
        found = Customer.objects.filter(theirs).distinct()
        for customer in found.order_by("is_team", "email")[:MOST]:
            state = (
                _("frozen") if customer.frozen_at else "" if customer.is_active else _("deleted")
            )
            name = str(customer) if customer.is_team else customer.email
            yield Found(customer, name, state or customer.name, "group")


def _keys(text: str) -> Iterator[Found]:
    """A whole key is that key; else all that begin so, as far as they are kept in clear."""
    found = _KEY.search(text)
    if not found:
        return
    keys = ApiKey.objects.select_related("user")
    whole = keys.filter(digest=api_keys.digest(found[0]))
    begin = keys.filter(prefix__istartswith=found[0][:SHOWN]).order_by("-pk")
    for key in whole or begin[:MOST]:
        about = f"{key.name}, {key.user.email}"
        yield Found(key, _("Key %(key)s") % {"key": f"{key.prefix}…{key.last4}"}, about, "key")


def _invoices(text: str) -> Iterator[Found]:
    if "-" in text and not text.startswith("sk-"):
        rows = Invoice.objects.filter(number__iexact=text).select_related("user")
        for invoice in rows:
            yield Found(
                invoice,
                _("Invoice %(number)s") % {"number": invoice.number},
                invoice.user.email,
                "receipt_long",
            )


def _orders(text: str) -> Iterator[Found]:
    """Our own ids of payments, as Stripe's objects carry them in their metadata."""
    try:
        pk = UUID(text)
    except ValueError:
        return
    for order in TopUp.objects.filter(pk=pk).select_related("user"):
        yield Found(
            order, _("Top-up %(what)s") % {"what": order}, order.get_state_display(), "add_card"
        )
    for plan in PlanOrder.objects.filter(pk=pk):
        yield Found(plan, _("Order of a plan"), plan.get_state_display(), "layers")


def _banks(text: str) -> Iterator[Found]:
    """An order by its code, or a transfer by the bank's reference."""
    for order in BankOrder.objects.filter(code=text.upper()).select_related("user"):
        about = f"{order.get_state_display()}, {order.user}"
        yield Found(order, _("Bank order %(code)s") % {"code": order.code}, about, "qr_code")
    for came in BankTransfer.objects.filter(reference=text)[:MOST]:
        title = _("Bank transfer %(what)s") % {"what": came}
        yield Found(came, title, came.get_state_display(), "qr_code_2")


# -- Stripe's ids: letters count in them, and every one is found by an index ---------------------


def _payments(text: str) -> Iterator[Found]:
    """What of ours has that id; what the books moved because of it; what Stripe said of it."""
    if _STRIPE.match(text):
        for find in (_paid, _subscribed, _booked, _told):
            yield from find(text)


def _paid(text: str) -> Iterator[Found]:
    named = Q(session_id=text) | Q(intent_id=text) | Q(invoice_id=text)
    for order in TopUp.objects.filter(named).select_related("user")[:MOST]:
        yield Found(
            order, _("Top-up %(what)s") % {"what": order}, order.get_state_display(), "add_card"
        )
    for dispute in Dispute.objects.filter(pk=text):
        yield Found(dispute, _("Dispute %(id)s") % {"id": dispute.pk}, dispute.status, "gavel")


def _subscribed(text: str) -> Iterator[Found]:
    for mine in Subscription.objects.filter(stripe_id=text).select_related("user", "plan"):
        yield Found(
            mine, _("Subscription %(id)s") % {"id": mine.stripe_id}, str(mine), "autorenew"
        )
    for order in PlanOrder.objects.filter(Q(session_id=text) | Q(invoice_id=text))[:MOST]:
        yield Found(order, _("Order of a plan"), order.get_state_display(), "layers")
    for payer in StripeCustomer.objects.filter(stripe_id=text).select_related("user"):
        customer = Customer.objects.get(pk=payer.user_id)
        yield Found(customer, customer.email, payer.stripe_id, "group")


def _booked(text: str) -> Iterator[Found]:
    """Money is posted, and documents issued, under the business fact (settlements.py)."""
    facts = [f"{of}:{text}{what}" for of, what in _FACTS]
    for transfer in Transfer.objects.filter(key__in=facts).exclude(kind=Transfer.Kind.USAGE):
        about = f"{transfer.get_kind_display()}, ${dollars(transfer.amount)}"
        yield Found(transfer, _("Transfer %(key)s") % {"key": transfer.key}, about, "swap_horiz")
    documents = Invoice.objects.filter(Q(cause__in=facts) | Q(cause__gt="", cause=text))
    for invoice in documents.select_related("user"):
        yield Found(
            invoice,
            _("Invoice %(number)s") % {"number": invoice.number},
            invoice.user.email,
            "receipt_long",
        )


def _told(text: str) -> Iterator[Found]:
    """Stripe's objects as it told us, whatever they are: its events, and its mirror."""
    for event in StripeEvent.objects.filter(Q(pk=text) | Q(object_id=text))[:MOST]:
        yield Found(event, f"Stripe: {event.type}", event.object_id, "webhook")
    for kind, model in mirror.models().items():
        for row in model.objects.filter(id=text)[:1]:
            yield Found(row, f"Stripe: {kind}", text, "webhook", needs="payments.stripeevent")


# -- Vendors' ids --------------------------------------------------------------------------------


def _vendor_requests(text: str) -> Iterator[Found]:
    """What a vendor calls a request of ours. No index has those ids, and ours begin with their
    time: the last days first, then as far back as patience goes."""
    if not 8 <= len(text) <= 200 or _REQUEST.search(text) or not _ID.match(text):
        return
    end = time.time() + 60
    for days in VENDORS_DAYS:
        begin = time.time() - days * 86_400
        within = {"pk__gte": first_id(begin), "pk__lt": first_id(end)}
        named = UsageEvent.objects.filter(**within, upstream_request_id=text)
        try:
            with transaction.atomic(), patience(SECONDS):
                events = list(named.order_by()[:MOST])
        except OperationalError:
            return
        for event in events:
            yield Found(
                event,
                _("Request %(id)s") % {"id": event.request_id},
                _("the vendor's %(id)s") % {"id": text},
                "bolt",
            )
        if events:
            return
        end = begin
    try:
        gone = archived.by_vendors_id(text, ARCHIVE_SECONDS, MOST)
    except Unavailable:
        return
    for event in gone:
        about = f"the vendor's {text}, in the archive"
        yield Found(event, f"Request {event.request_id}", about, "bolt")


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """On Postgres a statement in this transaction may take so long, and then fails."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {seconds * 1000}")
    yield


Finder = Callable[[str], Iterator[Any]]
_FINDERS: tuple[Finder, ...] = (
    *(_requests, _orders, _banks, _people, _keys, _invoices, _payments, _vendor_requests),
)
