"""How much waits for a person, by list. What is open, counted up to a bound."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from billing.books.models import CreditRequest
from billing.payments import closing
from billing.payments.models import BankRefund, BankTransfer, Dispute, EInvoice, ExchangeRate
from billing.plans.models import Subscription
from billing.rewards.models import Referral
from billing.stripe.models import Quarantine, StripeEvent
from cockpit.watch.models import Finding
from gateway.catalogue.features.models import LeftOut
from gateway.pricing.models import Proposal, State
from gateway.reconciliation.vendors.models import VendorDifference
from gateway.usage.models import DeadEvent
from gateway.usage.quarantine.models import UsageQuarantine

MOST = 1_000  # beyond it, how many there are is no longer what matters


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by()[:MOST].count()


def disputes() -> int:
    """That the bank wants an answer to."""
    return _counted(Dispute.objects.filter(status__in=Dispute.ANSWERABLE))


def credits() -> int:
    """That support requested, for somebody else to approve."""
    return _counted(CreditRequest.objects.filter(state=CreditRequest.State.OPEN))


def unpaid() -> int:
    """Plans in grace."""
    late = Subscription.objects.filter(status=Subscription.Status.PAST_DUE)
    return _counted(late)


def months() -> int:
    """Over, and not closed yet."""
    return int(closing.next_month(timezone.now()) is not None)


def odd_payments() -> int:
    """That could not be booked as they were ordered."""
    return _counted(Quarantine.objects.filter(resolved_at=None))


def bank_transfers() -> int:
    """That came and fitted no order."""
    return _counted(BankTransfer.objects.filter(state=BankTransfer.State.QUARANTINED))


def bank_refunds() -> int:
    """That somebody else is to send."""
    return _counted(BankRefund.objects.filter(state=BankRefund.State.REQUESTED))


def exchange_rates() -> int:
    """That a source proposes."""
    return _counted(ExchangeRate.objects.filter(state=ExchangeRate.State.PROPOSED))


def e_invoices() -> int:
    """That were refused."""
    return _counted(EInvoice.objects.filter(state=EInvoice.State.FAILED))


def odd_bills() -> int:
    """Usage that cannot be true, or was capped."""
    return _counted(UsageQuarantine.objects.filter(closed_at=None))


def unwritten() -> int:
    """Events that did not get into the books."""
    return _counted(DeadEvent.objects.all())


def left_out() -> int:
    """Names that customers ask for and we do not pass on."""
    return _counted(LeftOut.objects.all())


def proposals() -> int:
    """What public sources say of models and prices that differs from ours."""
    return _counted(Proposal.objects.filter(state=State.OPEN))


def differences() -> int:
    """Between vendors' bills and our books."""
    return _counted(VendorDifference.objects.filter(gone_at=None))


def stripe_events() -> int:
    """That are not handled yet, or failed."""
    return _counted(StripeEvent.objects.filter(handled_at=None))


def findings() -> int:
    """Of the watch that nobody looks into yet."""
    return _counted(Finding.objects.filter(state=Finding.State.OPEN))


def referrals() -> int:
    """That look like one person inviting himself."""
    return _counted(Referral.objects.filter(status=Referral.Status.REVIEW))
