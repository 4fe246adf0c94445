"""Bank transfers from Vietnam and e-invoices: whether they are set up as a whole, who tells us of
them answers, and nothing waits for too long."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from billing.payments.einvoice import handing_over, sepay_einvoice
from billing.payments.models import BankCursor, BankOrder, BankTransfer, EInvoice, ExchangeRate
from billing.payments.vietqr import bank_orders, banks, payos, rates, sepay
from billing.payments.vietqr.heard import Unanswered
from operations.doctor.findings import Finding, failing, ok, warning

SILENT = timedelta(minutes=30)
WAITS = timedelta(days=2)


def bank_transfers() -> Iterator[Finding]:
    """SePay, payOS, the rate, and what waits in quarantine."""
    if not bank_orders.gateways():
        yield ok("bank transfers are not set up: customers are not offered them")
        return
    yield from _rate()
    if sepay.configured():
        yield from _sepay()
    if payos.configured():
        yield from _payos()
    yield from _read()
    yield from _waiting()


def _rate() -> Iterator[Finding]:
    found = rates.latest()
    if found is None:
        yield failing("nobody has set what a dollar costs in dong: set it in the admin")
    elif rates.is_old(found, timezone.now()):
        days = settings.DONG_RATE_DAYS
        yield failing(f"the rate is older than {days} days: transfers are not offered; set one")
    else:
        yield ok(f"a dollar costs {found.dong:,} dong")
    proposed = ExchangeRate.objects.filter(state=ExchangeRate.State.PROPOSED).first()
    if proposed is not None:
        yield warning(
            f"a source proposes {proposed.dong:,} dong for a dollar: decide in the admin"
        )


def _sepay() -> Iterator[Finding]:
    if settings.VIETQR_BANK not in banks.NAMES:
        yield warning(f"VIETQR_BANK {settings.VIETQR_BANK} is no bank that we know: scan a code")
    if not sepay.calls_back():
        yield warning("SePay calls back without a secret we know: only its list is read")
    if not sepay.polled():
        yield warning("SEPAY_API_TOKEN is not set: a callback that is lost is never heard of")
        return
    try:
        for _ in sepay.listed(timezone.now() - timedelta(minutes=1)):
            break
    except Unanswered as error:
        yield failing(f"SePay's list cannot be read: {error.__cause__ or error!r}")
    else:
        yield ok("SePay's list can be read")


def _payos() -> Iterator[Finding]:
    """About an order that there cannot be: whether it is refused says whether we are known."""
    try:
        payos.found(BankOrder(number=1))
    except payos.Refused as error:
        if str(error).startswith("401"):
            yield failing("payOS does not know PAYOS_CLIENT_ID and PAYOS_API_KEY")
            return
    except Unanswered as error:
        yield failing(f"payOS does not answer: {error.__cause__ or error!r}")
        return
    yield ok("payOS answers")


def _read() -> Iterator[Finding]:
    for cursor in BankCursor.objects.all():
        if cursor.error:
            yield failing(f"{cursor.gateway} was not read: {cursor.error}")
        elif cursor.read_until < timezone.now() - SILENT:
            yield failing(f"{cursor.gateway} was last read at {cursor.read_until:%Y-%m-%d %H:%M}")


def _waiting() -> Iterator[Finding]:
    waiting = BankTransfer.objects.filter(state=BankTransfer.State.QUARANTINED)
    old = waiting.filter(heard_at__lt=timezone.now() - WAITS).count()
    if old:
        yield warning(
            f"{old} bank transfers have waited in quarantine for two days: see the admin"
        )


def e_invoices() -> Iterator[Finding]:
    """Whether SePay's e-invoices know us, and what was refused."""
    if not sepay_einvoice.configured():
        begun = settings.EINVOICE_CLIENT_ID or settings.EINVOICE_SERIES
        if begun:
            yield failing("e-invoices are set up in part: see EINVOICE_ in docs/configuration.md")
        else:
            yield ok("e-invoices are not set up: nothing is handed over")
        return
    try:
        handing_over.since()
        found = sepay_einvoice.account()
    except ValueError:
        yield failing(f"EINVOICE_SINCE {settings.EINVOICE_SINCE} is no day")
        return
    except (sepay_einvoice.Unanswered, sepay_einvoice.Refused) as error:
        yield failing(f"SePay's e-invoices: {getattr(error, 'why', error)}")
        return
    yield ok(f"e-invoices are made by {found.get('provider', 'SePay')}")
    refused = EInvoice.objects.filter(state=EInvoice.State.FAILED).count()
    if refused:
        yield failing(f"{refused} e-invoices were refused: see the admin")
