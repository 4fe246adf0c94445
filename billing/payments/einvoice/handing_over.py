"""Which of our invoices the tax office has to have, and one step after another until it has them.

* From EINVOICE_SINCE on: what was paid in (bank transfers, and cards with an invoice of ours), and
  every credit note about one of those. What the balance buys was taxed when it was paid in.
* In whole dong: a bank transfer's own; of anything else at the rate of the day it is handed over.
* A credit note is an adjustment (`decrease`) of the invoice it is about, in its latest form; what
  comes back after all (a dispute won, a refund that failed) is one that adds (`increase`). They
  wait until that is issued. Together, they never take away more than all of it.
* What waits for something else holds up nothing.
* Its own reference code goes with each: what SePay has already is found again, not made twice.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.fields.json import KT
from django.utils.translation import gettext_noop

from billing.books import audit
from billing.books.ledger import Kind
from billing.invoices import issuing, taxes
from billing.invoices.models import Invoice
from billing.payments.einvoice import paper, sepay_einvoice
from billing.payments.einvoice.models import EInvoice
from billing.payments.einvoice.sepay_einvoice import FAILED, SUCCESS, Refused, Unanswered
from billing.payments.vietqr import dong, rates
from billing.payments.vietqr.models import BankRefund, BankTransfer
from hontoni import errors

logger = logging.getLogger(__name__)

EKind, State = EInvoice.Kind, EInvoice.State
PAID_IN = (Kind.TOPUP, Kind.BANK_TOPUP)
MOVED_BACK = (Kind.REFUND, Kind.DISPUTE, Kind.BANK_REFUND)
BATCH = 100
SOON = timedelta(seconds=5)
LATER = timedelta(minutes=10)
MOST_ATTEMPTS = 500  # some days of not being answered
NOT_REPLACED = gettext_noop("Only what is issued, and neither replaced nor adjusted, is replaced.")


def hand_over(now: datetime) -> None:
    """Begin with what is wanted, and do the next step of everything that waits for one."""
    if not sepay_einvoice.configured():
        return
    for invoice in wanted(now):
        try:
            begin(invoice, now)
        except NotYet as why:
            logger.info("%s is not handed over yet: %s", invoice.number, why)
    due = EInvoice.objects.filter(state__in=EInvoice.UNFINISHED, next_at__lte=now)
    for pk in due.order_by("next_at", "pk").values_list("pk", flat=True)[:BATCH]:
        step(pk, now)


class NotYet(Exception):
    """Something else has to be there first."""


# -- What is wanted ------------------------------------------------------------------------------


def since() -> datetime:
    """The first moment of EINVOICE_SINCE, in Vietnam. Raises ValueError for what is no day."""
    return datetime.fromisoformat(settings.EINVOICE_SINCE).replace(tzinfo=taxes.VIETNAM)


def wanted(now: datetime) -> list[Invoice]:
    """Ours that have none yet and can have one, the oldest first: invoices before what takes of
    them away. Cards are billed in dollars: without a rate theirs wait."""
    there = EInvoice.objects.filter(invoice=OuterRef("pk"))
    bare = Invoice.objects.filter(~Exists(there), issued_at__gte=since())
    bare = bare.select_related("transfer", "user").defer("pdf").order_by("pk")
    kinds = (Kind.BANK_TOPUP,) if rates.current(now) is None else PAID_IN
    paid = bare.filter(kind=Invoice.Kind.INVOICE, transfer__kind__in=kinds)
    about = EInvoice.objects.filter(invoice__number=OuterRef("about"), state=State.ISSUED)
    moved = bare.filter(transfer__kind__in=MOVED_BACK).annotate(about=KT("credits__0"))
    notes = moved.filter(Exists(about), kind=Invoice.Kind.CREDIT_NOTE)
    # Few ever come back, and only who they undo names what they are about.
    undone = [each for each in moved.filter(kind=Invoice.Kind.INVOICE) if _about(each)]
    return [*paid[:BATCH], *notes[:BATCH], *undone]


def begin(invoice: Invoice, now: datetime) -> EInvoice:
    """Keep what will be handed over of it. Raises NotYet."""
    assert invoice.transfer is not None
    if invoice.transfer.kind in PAID_IN:
        rate, total = _in_dong(invoice, now)
        percent = paper.percent(invoice)
        taxed = Decimal(percent) if invoice.tax else Decimal(0)
        tax = dong.tax_in(total, int(taxed * 10**6))
        return _keep(invoice, EKind.INVOICE, None, rate, percent, total, tax, now)
    about = _about(invoice)
    if about is None:
        raise NotYet("what it is about is not issued")
    total = -_back_in_dong(invoice, about)
    tax = _share_of_tax(about, total)
    made = _keep(invoice, EKind.ADJUSTMENT, about, about.rate, about.tax_percent, total, tax, now)
    return made


def _keep(
    invoice: Invoice,
    kind: EInvoice.Kind,
    about: EInvoice | None,
    rate: int,
    percent: str,
    total: int,
    tax: int,
    now: datetime,
    *,
    reason: str = "",
    buyer: dict[str, object] | None = None,
) -> EInvoice:
    suffix = f"-R{about.pk}" if kind == EKind.REPLACEMENT and about else ""
    return EInvoice.objects.create(
        invoice=invoice,
        kind=kind,
        about=about,
        reference_code=f"{invoice.number}{suffix}",
        template=settings.EINVOICE_TEMPLATE,
        series=settings.EINVOICE_SERIES,
        rate=rate,
        tax_percent=percent,
        net=total - tax,
        tax=tax,
        total=total,
        buyer=buyer or paper.buyer(invoice.buyer),
        reason=reason or (invoice.lines[0]["text"] if about else ""),
        next_at=now,
    )


def _in_dong(invoice: Invoice, now: datetime) -> tuple[int, int]:
    """The rate, and what was paid. Raises NotYet where nobody set a rate."""
    if bank := BankTransfer.objects.filter(pk=_named(invoice, "bank_transfer")).first():
        return bank.rate, bank.dong
    rate = rates.current(now)
    if rate is None:
        raise NotYet("there is no rate")
    return rate, dong.about(invoice.total, rate)


def _named(invoice: Invoice, name: str) -> int:
    """What the books say it is about; 0: nothing of that kind."""
    return int(invoice.transfer.ref.get(name) or 0) if invoice.transfer else 0


def _about(moved: Invoice) -> EInvoice | None:
    """The latest form of what was given back, or came back; None while another form of it is
    made."""
    numbers = moved.credits or _undone_by(moved)
    of = EInvoice.objects.filter(invoice__number__in=numbers, state=State.ISSUED)
    found = of.exclude(kind=EKind.ADJUSTMENT).order_by("-pk").first()
    if found is None:
        return None
    next_form = EInvoice.objects.filter(about=found, kind=EKind.REPLACEMENT)
    return None if next_form.filter(state__in=EInvoice.UNFINISHED).exists() else found


def _undone_by(moved: Invoice) -> list[str]:
    """What the credit note is about that is undone by it: as settlements.py names the two."""
    assert moved.transfer is not None
    key = moved.transfer.key
    keys = (key.removesuffix(":failed"), key.removesuffix(":reinstated") + ":withdrawn")
    notes = Invoice.objects.filter(kind=Invoice.Kind.CREDIT_NOTE, transfer__key__in=keys)
    return next(iter(notes.values_list("credits", flat=True)), [])


def _back_in_dong(moved: Invoice, about: EInvoice) -> int:
    """What went back, negative for what came back: a bank refund's own dong, else its share; all
    of them no more than all."""
    assert moved.transfer is not None
    if refund := BankRefund.objects.filter(pk=_named(moved, "bank_refund")).first():
        return refund.dong
    whole, paid = about.invoice.total, about.total
    earlier = EInvoice.objects.filter(kind=EKind.ADJUSTMENT, about=about)
    gone = sum(-each.invoice.total for each in earlier.select_related("invoice"))
    before = sum(-each.total for each in earlier)
    return min((gone - moved.total) * paid // whole, paid) - before


def _share_of_tax(about: EInvoice, total: int) -> int:
    """The part of its tax, half away from zero to the dong; all parts are all of it."""
    earlier = EInvoice.objects.filter(kind=EKind.ADJUSTMENT, about=about)
    sums = [(each.total, each.tax) for each in earlier]
    back = -(sum(each for each, _ in sums) + total)
    upto = (2 * about.tax * back + about.total) // (2 * about.total)
    return -(upto + sum(tax for _, tax in sums))


@transaction.atomic
def replace(pk: int, *, reason: str, actor: str, now: datetime, request_id: str = "") -> EInvoice:
    """Have one replaced by the same for its buyer as they want to be named today.

    Raises Conflict for one that is not issued, or was replaced or adjusted already.
    """
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    found = EInvoice.objects.select_for_update().get(pk=pk)
    again = EInvoice.objects.filter(about=found).exclude(state=State.FAILED)
    if found.state != State.ISSUED or found.kind == EKind.ADJUSTMENT or again.exists():
        raise errors.Conflict(NOT_REPLACED)
    EInvoice.objects.filter(about=found, state=State.FAILED).delete()
    invoice = Invoice.objects.select_related("user").get(pk=found.invoice_id)
    made = _keep(
        invoice,
        EKind.REPLACEMENT,
        found,
        found.rate,
        found.tax_percent,
        found.total,
        found.tax,
        now,
        reason=reason,
        buyer=paper.buyer(issuing.buyer(invoice.user)),
    )
    _note(made, "replace e-invoice", {"number": found.number}, actor, request_id)
    return made


@transaction.atomic
def retry(pk: int, *, actor: str, now: datetime, request_id: str = "") -> EInvoice:
    """Have what was refused tried again, as whoever mended the reason. Raises Conflict."""
    found = EInvoice.objects.select_for_update().get(pk=pk)
    if found.state != State.FAILED:
        raise errors.Conflict(gettext_noop("Only what was refused is tried again."))
    before: dict[str, object] = {"error": found.error}
    _find_anew(found)
    found.state, found.attempts, found.next_at, found.error = State.WAITING, 0, now, ""
    found.series, found.template = settings.EINVOICE_SERIES, settings.EINVOICE_TEMPLATE
    found.save()
    _note(found, "retry e-invoice", before, actor, request_id)
    return found


def _find_anew(found: EInvoice) -> None:
    """What it is about may have another form by now, or may not be replaced any more. Raises
    Conflict."""
    adjusted = EInvoice.objects.filter(about=found.about, kind=EKind.ADJUSTMENT)
    if found.kind == EKind.ADJUSTMENT:
        found.about = _about(found.invoice) or found.about
    elif found.kind == EKind.REPLACEMENT and adjusted.exists():
        raise errors.Conflict(NOT_REPLACED)


def _note(
    made: EInvoice, action: str, before: dict[str, object], actor: str, request_id: str
) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject=f"e_invoice:{made.pk}",
        before=before,
        after={"invoice": made.invoice.number, "reason": made.reason},
        request_id=request_id,
    )


# -- One step ------------------------------------------------------------------------------------


def step(pk: int, now: datetime) -> EInvoice:
    """The next one of it. Whoever puts it off does it, and nobody else meanwhile: SePay is asked
    outside of any transaction."""
    due = EInvoice.objects.filter(pk=pk, state__in=EInvoice.UNFINISHED, next_at__lte=now)
    mine = due.update(next_at=now + LATER, attempts=F("attempts") + 1)
    found = EInvoice.objects.select_related("invoice", "about").get(pk=pk)
    if not mine:
        return found
    try:
        _STEPS[State(found.state)](found, now)
    except Refused as error:
        found.state, found.error = State.FAILED, str(error)
    except Unanswered as error:
        found.error = error.why[:500]
    if found.state in EInvoice.UNFINISHED and found.attempts >= MOST_ATTEMPTS:
        found.state = State.FAILED
    _save(found)
    if found.state == State.FAILED:
        logger.error("e-invoice %s is refused: %s", found.reference_code, found.error)
    return found


@transaction.atomic
def _save(found: EInvoice) -> None:
    found.save()
    if found.kind == EKind.REPLACEMENT and found.state == State.ISSUED and found.about:
        EInvoice.objects.filter(pk=found.about.pk).update(state=State.REPLACED)


def _hand(found: EInvoice, now: datetime) -> None:
    """As a draft: what an answer that was lost made is found by its reference code."""
    if _is_there(found, now):
        return
    body = paper.body(found, now)
    makers = {
        EKind.INVOICE: sepay_einvoice.create,
        EKind.REPLACEMENT: sepay_einvoice.replace,
        EKind.ADJUSTMENT: sepay_einvoice.adjust,
    }
    found.tracking_code = makers[EKind(found.kind)](body)
    found.state, found.error, found.next_at = State.CREATING, "", now + SOON


def _is_there(found: EInvoice, now: datetime) -> bool:
    """Whether SePay has it, and then how far it is. Raises Unanswered while it is at work."""
    there = sepay_einvoice.find(found.reference_code)
    if there is None or there["status"] == "failed":
        return False
    if there["status"] == "draft":
        found.state, found.next_at = State.DRAFT, now
    elif there["status"] in ("issued", "replaced"):
        _issued(found, there, now)
    else:
        raise Unanswered(f"it is {there['status']} there")
    return True


def _look_whether_made(found: EInvoice, now: datetime) -> None:
    job = sepay_einvoice.created(found.tracking_code)
    if _is_over(found, job, now):
        found.state = State.DRAFT


def _issue(found: EInvoice, now: datetime) -> None:
    """Where it is no draft any more an answer was lost: it is on its way, or issued."""
    try:
        found.tracking_code = sepay_einvoice.issue(found.reference_code)
    except Refused:
        if not _is_there(found, now) or found.state == State.DRAFT:
            raise
    else:
        found.state, found.error, found.next_at = State.ISSUING, "", now + SOON


def _look_whether_issued(found: EInvoice, now: datetime) -> None:
    job = sepay_einvoice.issued(found.tracking_code)
    if _is_over(found, job, now):
        _issued(found, job["invoice"], now)


def _is_over(found: EInvoice, job: sepay_einvoice.Object, now: datetime) -> bool:
    if job["status"] == FAILED:
        raise Refused(str(job.get("message") or "refused")[:500])
    found.next_at = now if job["status"] == SUCCESS else now + SOON
    return bool(job["status"] == SUCCESS)


def _issued(found: EInvoice, there: sepay_einvoice.Object, now: datetime) -> None:
    """Its number and its files are kept; one that says another amount is not ours."""
    if abs(int(there["total_amount"])) != abs(found.total):
        raise Refused(f"it was issued over {there['total_amount']} dong"[:500])
    code = found.tracking_code or found.reference_code
    found.pdf, found.xml = sepay_einvoice.file(code, "pdf"), sepay_einvoice.file(code, "xml")
    found.number, found.state = str(there["invoice_number"])[:20], State.ISSUED
    found.issued_at, found.error = now, ""


_STEPS = {
    State.WAITING: _hand,
    State.CREATING: _look_whether_made,
    State.DRAFT: _issue,
    State.ISSUING: _look_whether_issued,
}


def of(invoice: Invoice) -> EInvoice | None:
    """What an invoice of ours is at the tax office now."""
    found = EInvoice.objects.filter(invoice=invoice).exclude(state=State.REPLACED)
    return found.defer("pdf", "xml").order_by("-pk").first()
