"""What a dollar costs in dong: set by staff, or proposed by a source and accepted by staff.

* Nothing that a source says is sold at before a member of staff has said yes.
* A rate older than DONG_RATE_DAYS is not sold at either: somebody has to look at it again.
* What was ordered keeps the rate of its moment.
"""

import logging
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

import httpx
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing.books import audit
from billing.payments.vietqr.models import ExchangeRate
from hontoni import errors

logger = logging.getLogger(__name__)

State = ExchangeRate.State
SANE = range(1_000, 1_000_000)  # anything else is a mistake of units
MOST_BYTES = 1_000_000


def latest() -> ExchangeRate | None:
    """The newest that staff set, however old."""
    return ExchangeRate.objects.filter(state=State.SET).order_by("-decided_at", "-pk").first()


def current(now: datetime | None = None) -> int | None:
    """Dong for a dollar; None where there is none to sell at."""
    found = latest()
    return found.dong if found is not None and not is_old(found, now or timezone.now()) else None


def is_old(found: ExchangeRate, now: datetime) -> bool:
    """Whether nobody has looked at it for too long."""
    age = now - (found.decided_at or found.made_at)
    return age > timedelta(days=settings.DONG_RATE_DAYS)


@transaction.atomic
def set_by(actor: str, dong: int, *, request_id: str = "") -> ExchangeRate:
    """Sell at this rate from now on. Raises BadRequest for what cannot be one."""
    _check(dong)
    before = latest()
    found = ExchangeRate.objects.create(
        dong=dong, state=State.SET, decided_by=actor, decided_at=timezone.now()
    )
    _note(actor, found, before, request_id)
    return found


@transaction.atomic
def decide(pk: int, *, accept: bool, actor: str, request_id: str = "") -> ExchangeRate:
    """Say yes or no to a proposal. Raises Conflict if somebody has."""
    found = ExchangeRate.objects.select_for_update().get(pk=pk)
    if found.state != State.PROPOSED:
        raise errors.Conflict(gettext_noop("Somebody has decided about it already."))
    before = latest()
    found.state = State.SET if accept else State.DECLINED
    found.decided_by, found.decided_at = actor, timezone.now()
    found.save()
    _note(actor, found, before, request_id)
    return found


def _check(dong: int) -> None:
    if dong not in SANE:
        raise errors.BadRequest(
            gettext_noop("A rate is from 1,000 to 999,999 dong for a dollar."), param="dong"
        )


def _note(actor: str, found: ExchangeRate, before: ExchangeRate | None, request_id: str) -> None:
    audit.record(
        actor=actor,
        action="set rate" if found.state == State.SET else "decline rate",
        subject=f"exchange_rate:{found.pk}",
        before={"dong": before.dong if before else None},
        after={"dong": found.dong, "source": found.source},
        request_id=request_id,
    )


def propose() -> ExchangeRate | None:
    """Ask the source; a proposal, if it says another rate than the one that is set or proposed."""
    address: str = settings.DONG_RATE_SOURCE
    if not address:
        return None
    try:
        with httpx.Client(timeout=settings.VIETNAM_TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.get(address).raise_for_status()
        dong = read(answer.content[:MOST_BYTES])
    except (httpx.HTTPError, ValueError) as error:
        logger.warning("%s says no rate: %s", address, error)
        return None
    with transaction.atomic():
        waiting = ExchangeRate.objects.select_for_update().filter(state=State.PROPOSED)
        known, earlier = latest(), waiting.first()
        if (known and known.dong == dong) or (earlier and earlier.dong == dong):
            return None
        # An older proposal is no news any more: one waits at most.
        waiting.update(state=State.DECLINED, decided_at=timezone.now())
        return ExchangeRate.objects.create(dong=dong, state=State.PROPOSED, source=address)


def read(answer: bytes) -> int:
    """Whole dong for a dollar, half up, of Vietcombank's XML (what it sells dollars at) or of JSON
    with `rates.VND`. Raises ValueError for anything else, and for what cannot be a rate."""
    text = answer.lstrip(b"\xef\xbb\xbf \r\n\t")
    try:
        stated = _of_xml(text) if text.startswith(b"<") else _of_json(text)
        rate = Decimal(str(stated).replace(",", ""))
    except (ParseError, InvalidOperation, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of rates: {error}") from error
    if not rate.is_finite():
        raise ValueError("not a rate")
    dong = int(rate.to_integral_value(rounding=ROUND_HALF_UP))
    if dong not in SANE:
        raise ValueError(f"{dong} dong for a dollar cannot be")
    return dong


def _of_xml(text: bytes) -> Any:
    if b"<!" in text.replace(b"<!--", b""):
        raise TypeError("a list of rates defines nothing")  # entities in entities
    for each in fromstring(text).iter("Exrate"):
        if each.get("CurrencyCode") == "USD":
            return each.get("Sell")
    raise KeyError("USD")


def _of_json(text: bytes) -> Any:
    stated = httpx.Response(200, content=text).json()
    if stated.get("base", stated.get("base_code", "USD")) != "USD":
        raise KeyError("USD")
    return stated["rates"]["VND"]
