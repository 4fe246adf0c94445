"""Numbers of invoices, and the ids of Stripe, found for staff: what of ours they are about.

Every one is found by an index. Letters count in Stripe's ids: where somebody has lost them, the
tables that are small enough are searched without.
"""

import re
from collections.abc import Iterator

from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments.models import Dispute, Payout, PayoutLine, TopUp
from billing.plans.models import Subscription
from billing.staff.models import Customer
from billing.stripe import mirror
from billing.stripe.models import Quarantine, StripeCustomer, StripeEvent
from billing.subscriptions import card_bills
from billing.subscriptions.models import PlanOrder
from cockpit.found import MOST, Found, patience
from hontoni.money import dollars

SECONDS = 2
_STRIPE = re.compile(r"[a-z]{2,8}_[0-9a-zA-Z_]+\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9A-Z]{2,16}-[0-9A-Z-]{2,20}\Z", re.IGNORECASE)
_FACTS = (*(("topup", ""), ("refund", ""), ("dispute", ":withdrawn"), ("dispute", ":reinstated")),)


def documents(text: str) -> Iterator[Found]:
    """Ours by their numbers; by Stripe's, who has a plan that was billed so."""
    if not _NUMBER.match(text) or text.lower().startswith(("sk-", "pat-")):
        return
    ours = Invoice.objects.filter(number=text.upper()).select_related("user")
    for invoice in ours:
        yield _document(invoice)
    if ours:
        return
    billed = Notice.objects.filter(kind__in=card_bills.KINDS, facts__invoice=text.upper())
    try:
        with transaction.atomic(), patience(SECONDS):
            customers = {each.user_id for each in billed[:MOST]}
    except OperationalError:
        return
    for customer in Customer.objects.filter(pk__in=customers):
        about = _("Invoice %(number)s") % {"number": text.upper()}
        yield Found(customer, customer.email, f"{about}, Stripe", "group")


def _document(invoice: Invoice) -> Found:
    title = _("Invoice %(number)s") % {"number": invoice.number}
    return Found(invoice, title, invoice.user.email, "receipt_long")


def at_stripe(text: str) -> Iterator[Found]:
    """What of ours has that id; what the books moved because of it; what Stripe said of it."""
    if not _STRIPE.match(text):
        return
    id = text if _is_known(text) else _as_it_is_written(text)
    for find in (_paid, _subscribed, _paid_out, _booked, _told):
        yield from find(id)


def _is_known(text: str) -> bool:
    return any(next(find(text), None) for find in (_paid, _subscribed, _paid_out, _booked, _told))


# Where an id may be in other letters, and in which column.
_SPELT = (
    *((TopUp, "intent_id"), (TopUp, "session_id"), (TopUp, "invoice_id"), (Dispute, "pk")),
    *((Subscription, "stripe_id"), (StripeCustomer, "stripe_id"), (PlanOrder, "invoice_id")),
    *((PlanOrder, "session_id"), (Payout, "pk"), (StripeEvent, "object_id"), (StripeEvent, "pk")),
)


def _as_it_is_written(text: str) -> str:
    """The id whose letters were made small, or large; else as it came."""
    for model, column in _SPELT:
        same = model._default_manager.filter(**{f"{column}__iexact": text})
        try:
            with transaction.atomic(), patience(1):
                found = same.order_by().values_list(column, flat=True)[:1]
                if spelt := next(iter(found), None):
                    return str(spelt)
        except OperationalError:
            continue
    return text


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


def _paid_out(text: str) -> Iterator[Found]:
    lines = PayoutLine.objects.filter(Q(pk=text) | Q(source=text)).values("payout")
    for payout in Payout.objects.filter(Q(pk=text) | Q(pk__in=lines))[:MOST]:
        about = f"{payout.status}, {payout.arrives_on}"
        yield Found(payout, _("Payout %(id)s") % {"id": payout.pk}, about, "account_balance")
    for odd in Quarantine.objects.filter(subject=text)[:MOST]:
        yield Found(odd, _("Odd payment %(id)s") % {"id": odd.subject}, odd.problem, "report")


def _booked(text: str) -> Iterator[Found]:
    """Money is posted, and documents issued, under the business fact (settlements.py)."""
    facts = [f"{of}:{text}{what}" for of, what in _FACTS]
    for transfer in Transfer.objects.filter(key__in=facts).exclude(kind=Transfer.Kind.USAGE):
        about = f"{transfer.get_kind_display()}, ${dollars(transfer.amount)}"
        yield Found(transfer, _("Transfer %(key)s") % {"key": transfer.key}, about, "swap_horiz")
    issued = Invoice.objects.filter(Q(cause__in=facts) | Q(cause__gt="", cause=text))
    yield from map(_document, issued.select_related("user"))


def _told(text: str) -> Iterator[Found]:
    """Stripe's objects as it told us, whatever they are: its events, and its mirror."""
    for event in StripeEvent.objects.filter(Q(pk=text) | Q(object_id=text))[:MOST]:
        yield Found(event, f"Stripe: {event.type}", event.object_id, "webhook")
    for kind, model in mirror.models().items():
        for row in model.objects.filter(id=text)[:1]:
            yield Found(row, f"Stripe: {kind}", text, "webhook", needs="payments.stripeevent")
