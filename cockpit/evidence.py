"""What we can tell a bank of a payment that is disputed, put together from our own records.

Who bought it and from where, when they signed in, what their keys were used for since, and what
they had agreed to. Staff read it, change it if they must, and hand it in (cockpit/disputes.py).
English: banks read it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from allauth.usersessions.models import UserSession
from django.db.models import Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from accounts.legal import texts
from accounts.models import ApiKey, Consent, LegalText, User
from accounts.people import mailboxes
from billing.invoices.models import BillingDetails, Invoice
from billing.payments.models import Dispute, TopUp
from gateway.archive.archived_log import Log, Narrowing
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.request_ids import first_id
from hontoni.errors import Unavailable
from hontoni.money import CENT, dollars

PRODUCT = (
    "Prepaid balance for requests to large language models over an API. It is credited within "
    "seconds of the payment, and used by the customer's own programs with secret keys that the "
    "customer makes on our site. Nothing is shipped."
)
RECEIPTS = 25
_END = datetime.max.replace(tzinfo=UTC)
_SLACK = 120  # seconds that an id's clock may differ
SIGN_INS = 50


def gather(dispute: Dispute) -> dict[str, str]:
    """By the names of Stripe's fields (billing/payments/disputes.py); empty where whose payment it
    was is not known."""
    user, order = dispute.whose, dispute.topup
    if user is None:
        return {}
    paid = (order and order.paid_at) or dispute.opened_at or timezone.now()
    return {
        "product_description": PRODUCT,
        "customer_name": user.name,
        "customer_email_address": mailboxes.address(user),
        "customer_purchase_ip": _address(user, paid),
        "billing_address": _billing_address(user),
        "service_date": f"{paid:%Y-%m-%d}",
        "access_activity_log": "\n".join(_activity(user, paid)),
        "refund_policy_disclosure": "\n".join(_policy(user, paid)),
        "uncategorized_text": "\n".join(_payment(dispute, order, user, paid)),
    }


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _address(user: User, paid: datetime) -> str:
    """Where the customer was signed in from when it was paid, as far as that is known."""
    sessions = UserSession.objects.filter(user=user, created_at__lte=paid).order_by("-created_at")
    made = ApiKey.objects.filter(user=user, made_from__isnull=False).order_by("created_at")
    return str(
        sessions.values_list("ip", flat=True).first()
        or made.values_list("made_from", flat=True).first()
        or ""
    )


def _billing_address(user: User) -> str:
    details = BillingDetails.of(user)
    parts = [details.name, *details.address.split("; "), details.country]
    return ", ".join(part for part in parts if part)


# -- What they did ------------------------------------------------------------------------------


def _activity(user: User, paid: datetime) -> Iterator[str]:
    yield from _sign_ins(user)
    yield from _keys(user)
    yield from _days(user, paid)
    yield from _receipts(user, paid)


def _sign_ins(user: User) -> Iterator[str]:
    yield "SIGN-INS"
    found = UserSession.objects.filter(user=user).order_by("-created_at")[:SIGN_INS]
    for each in found:
        yield f"{_at(each.created_at)} from {each.ip}, last seen {_at(each.last_seen_at)}"
        yield f"  {each.user_agent[:120]}"


def _keys(user: User) -> Iterator[str]:
    yield "\nAPI KEYS MADE BY THE CUSTOMER"
    for key in ApiKey.objects.filter(user=user).order_by("created_at"):
        made = f" from {key.made_from}" if key.made_from else ""
        used = f", last used {_at(key.last_used_at)}" if key.last_used_at else ", never used"
        where = f" from {key.last_used_ip}" if key.last_used_ip else ""
        yield f"{key.prefix}...{key.last4} made {_at(key.created_at)}{made}{used}{where}"


def _days(user: User, paid: datetime) -> Iterator[str]:
    yield f"\nWHAT WAS USED SINCE THE PAYMENT ({_at(paid)})"
    hour = paid.replace(minute=0, second=0, microsecond=0)
    days = (
        UsageHour.objects.filter(user=user, hour__gte=hour)
        .annotate(day=TruncDay("hour", tzinfo=UTC))
        .values("day")
        .annotate(requests_=Sum("requests"), spent=Sum("cost"), out=Sum("output"))
        .order_by("day")
    )
    for row in days:
        yield (
            f"{row['day']:%Y-%m-%d}: {row['requests_']:,} requests, {row['out']:,} tokens of "
            f"output, ${dollars(row['spent'])}"
        )


def _receipts(user: User, paid: datetime) -> Iterator[str]:
    yield "\nRECEIPTS OF THE FIRST REQUESTS AFTER IT"
    events = UsageEvent.objects.filter(user=user, created_at__gte=paid, status__lt=400)
    of = Narrowing(user.pk, failed=False, began=(paid, _END))
    log = Log(events, of.between(first_id(paid.timestamp() - _SLACK), None)).order_by("pk")
    try:
        found = log[:RECEIPTS]
    except Unavailable:
        yield "(What is older than a year could not be read from the archive: gather again.)"
        found = list(log.events[:RECEIPTS])
    for event in found:
        yield (
            f"{_at(event.created_at)} {event.request_id} {event.model}, "
            f"{event.prompt_tokens + event.output_tokens:,} tokens, ${dollars(event.charged)}"
        )


# -- What they agreed to, and what they paid -----------------------------------------------------


def _policy(user: User, paid: datetime) -> Iterator[str]:
    for consent in Consent.objects.filter(user=user, agreed_at__lte=paid).order_by("agreed_at"):
        page = LegalText.Page(consent.page).label
        yield f"Agreed to version {consent.version} of: {page}, {_at(consent.agreed_at)}."
    policy = texts.current(LegalText.Page.REFUNDS, paid)
    yield f"Refund policy at the time of the payment (version {policy.version}):"
    yield policy.english


def _payment(dispute: Dispute, order: TopUp | None, user: User, paid: datetime) -> Iterator[str]:
    cents = order.charged_cents if order else dispute.cents
    yield f"Payment {dispute.intent_id} of ${dollars(cents * CENT)}, {_at(paid)}."
    yield f"Account opened {_at(user.created_at)}."
    if order is not None:
        yield f"Order {order.pk}, made on our site by the customer who was signed in."
        ours = Invoice.objects.filter(transfer__key=f"topup:{order.intent_id}").first()
        if ours is not None:
            yield f"Invoice {ours.number}, issued {_at(ours.issued_at)}."
    others = TopUp.objects.filter(user=user, state=TopUp.State.PAID, paid_at__lt=paid)
    if number := others.exclude(disputes__isnull=False).count():
        yield f"{number} earlier payments of this customer were not disputed."
    hour = paid.replace(minute=0, second=0, microsecond=0)
    used = UsageHour.objects.filter(user=user, hour__gte=hour).aggregate(
        spent=Sum("cost", default=0), requests_=Sum("requests", default=0)
    )
    yield (
        f"Since the payment {used['requests_']:,} requests were made with the customer's keys, "
        f"for ${dollars(used['spent'])} of the balance."
    )
