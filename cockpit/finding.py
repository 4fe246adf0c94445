"""One search for "why?": what staff paste is recognised by its form, and its page opens.

Request ids, our vendors' ids of them, batches and their files, e-mail addresses, names, keys and
tokens, codes, invoice numbers, and the ids of Stripe (payment_ids.py); in any case, and with any
spaces in it. Only what the member of staff may see is found.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db import OperationalError, transaction
from django.db.models import Model, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from accounts.keys import api_keys, personal_tokens
from accounts.models import ApiKey, PersonalToken, User
from billing.payments.models import BankOrder, BankTransfer, TopUp
from billing.rewards.models import PromoCode, ReferralCode
from billing.staff.models import Customer
from billing.subscriptions.models import PlanOrder
from cockpit import payment_ids
from cockpit.found import MOST, Found, patience
from cockpit.sidebar import may_see
from gateway.archive import archived_receipts as archived
from gateway.batches.models import Batch
from gateway.usage.models import Refusal, UsageEvent
from gateway.usage.request_ids import first_id
from hontoni.errors import Unavailable

VENDORS_DAYS = (1, 7, 31, 366)
SECONDS = 2  # for each of these
ARCHIVE_SECONDS = 5  # for all of it
SHOWN = 10  # characters of a key that are kept in clear (accounts/keys/api_keys.py)
_REQUEST = re.compile(r"(?:\breq_|\A)([0-9a-f]{32})\b", re.IGNORECASE)  # also within an address
_DASHED = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b")
_KEY = re.compile(r"(?:sk|pat)-gw-[0-9a-z]{2,}", re.IGNORECASE)
_BATCH = re.compile(r"(?:(?:msg)?batch_|file-)[0-9a-z]+\Z", re.IGNORECASE)
_SPACE = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]+")
_ID = re.compile(r"[\w.:-]+\Z")


def search(request: HttpRequest, text: str) -> list[SearchResult]:
    """For `UNFOLD["COMMAND"]`: what that text names, as far as this member of staff may see it."""
    user = request.user
    assert isinstance(user, User)
    # The box makes all letters small, and letters count in Stripe's ids and in vendors'.
    text = request.GET.get("s", text).replace("\0", "").strip().strip("\"'`<>()[],.;")
    squeezed = _SPACE.sub("", text)
    found = [each for find in _FINDERS for each in find(squeezed)] or list(_names(text))
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
    if match := _REQUEST.search(_DASHED.sub(r"\1\2\3\4\5", text.lower())):
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
    """A whole key is that key; else all that begin so, as far as they are kept in clear. Access
    tokens likewise."""
    found = _KEY.search(text)
    if not found:
        return
    said = found[0]
    if said.lower().startswith(personal_tokens.PREFIX):
        tokens = PersonalToken.objects.select_related("user")
        whole: Any = tokens.filter(digest=api_keys.digest(said))
        begin: Any = tokens.filter(prefix__istartswith=said[: SHOWN + 1])
        title = _("Access token %(key)s")
    else:
        keys = ApiKey.objects.select_related("user")
        whole = keys.filter(digest=api_keys.digest(said))
        begin = keys.filter(prefix__istartswith=said[:SHOWN])
        title = _("Key %(key)s")
    for key in whole or begin.order_by("-pk")[:MOST]:
        about = f"{key.name}, {key.user.email}"
        yield Found(key, title % {"key": f"{key.prefix}…{key.last4}"}, about, "key")


def _names(text: str) -> Iterator[Found]:
    """Of people and teams, where nothing else is called that."""
    if len(text) < 2 or "@" in text:
        return
    found = Customer.objects.filter(name__icontains=text).order_by("-pk")
    for customer in found[:MOST]:
        yield Found(customer, str(customer), customer.name, "group")


def _codes(text: str) -> Iterator[Found]:
    """Promo codes, and whose a referral code is."""
    for code in PromoCode.objects.filter(code=text.upper()):
        yield Found(code, _("Promo code %(code)s") % {"code": code.code}, code.note, "sell")
    for mine in ReferralCode.objects.filter(code=text.upper()):
        customer = Customer.objects.get(pk=mine.pk)
        about = _("Referral code %(code)s") % {"code": mine.code}
        yield Found(customer, customer.email, about, "group")


def _batches(text: str) -> Iterator[Found]:
    """By their own ids, of either dialect, or of a file of theirs."""
    if _BATCH.match(text):
        id = text.lower()
        named = Q(pk=id) | Q(input_file_id=id) | Q(files__pk=id)
        for batch in Batch.objects.filter(named).select_related("user").distinct()[:MOST]:
            about = f"{batch.get_status_display()}, {batch.user.email}"
            yield Found(batch, _("Batch %(id)s") % {"id": batch.pk}, about, "stacks")


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
        yield Found(
            event,
            _("Request %(id)s") % {"id": event.request_id},
            _("the vendor's %(id)s, in the archive") % {"id": text},
            "bolt",
        )


Finder = Callable[[str], Iterator[Any]]
_FINDERS: tuple[Finder, ...] = (
    *(_requests, _batches, _orders, _banks, _people, _keys, _codes),
    *(payment_ids.documents, payment_ids.at_stripe, _vendor_requests),
)
