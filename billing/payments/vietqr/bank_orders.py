"""Orders by bank transfer: an amount in dong, and a content that binds a transfer to it.

* The rate is frozen when it is ordered, for VIETQR_MINUTES. A transfer that the bank dates later
  than GRACE after that is not booked by itself (settling.py).
* An order is never deleted and its code never used again: what is paid to it years later is still
  known to be somebody's.
"""

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.books import standing
from billing.payments import orders as top_ups
from billing.payments.vietqr import dong, payload, payos, rates, sepay
from billing.payments.vietqr.models import BankOrder
from hontoni import errors

GRACE = timedelta(minutes=15)
MOST_OPEN = 20  # of an account
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is read for another
_PREFIX, _LENGTH = "HT", 9  # payOS takes nine characters of an account at any bank
_CODE = re.compile(f"(?=({_PREFIX}[{_LETTERS}]{{{_LENGTH - len(_PREFIX)}}}))")

Gateway, State = BankOrder.Gateway, BankOrder.State


def gateways() -> list[str]:
    """Those that are set up, the one that is offered first first."""
    ready = ((Gateway.SEPAY, sepay.configured), (Gateway.PAYOS, payos.configured))
    return [str(gateway.value) for gateway, configured in ready if configured()]


def offered(now: datetime | None = None) -> int | None:
    """The rate at which transfers are taken now; None: they are not."""
    return rates.current(now) if gateways() else None


def place(
    *,
    user: User,
    amount: Decimal | None = None,
    in_dong: int | None = None,
    gateway: str = "",
    client_key: str = "",
    back: str,
) -> BankOrder:
    """Order so many dollars, or so many dong's worth; the same client key again is the same order.

    `back` is the address of our page of it, where `{}` is its id. Raises Unavailable where
    transfers are not taken or payOS does not answer, BadRequest outside TOPUP_MIN..TOPUP_MAX,
    Conflict where the key was something else's or too many are open, and as standing.must_be_good.
    """
    if client_key and (known := _known(user, client_key)):
        return _same(known, amount, in_dong, back)
    rate = offered()
    ready = gateways()
    if rate is None or (gateway and gateway not in ready):
        raise errors.Unavailable(
            gettext_noop("Bank transfers are not set up here."),
            code="bank_transfers_not_set_up",
        )
    standing.must_be_good(user.pk)
    if BankOrder.objects.filter(user=user, state=State.OPEN).count() >= MOST_OPEN:
        raise errors.Conflict(
            gettext_noop("Too many orders wait to be paid: cancel one."), code="too_many_orders"
        )
    wanted = _priced(amount, in_dong, rate)
    expires = timezone.now() + timedelta(minutes=settings.VIETQR_MINUTES)
    order = _saved(
        user=user,
        gateway=gateway or ready[0],
        rate=rate,
        client_key=client_key,
        expires_at=expires,
        **wanted,
    )
    return _same(order, amount, in_dong, back) if client_key else submit(order, back)


def _priced(amount: Decimal | None, in_dong: int | None, rate: int) -> dict[str, int]:
    if in_dong is not None:
        bought = dong.worth(in_dong, rate)
        if in_dong < 1:
            raise errors.BadRequest(gettext_noop("Whole dong, from 1."), param="amount")
        top_ups.check_amount(Decimal(bought).scaleb(-9))
        return {"dong": in_dong, "amount": bought}
    bought = top_ups.check_amount(amount or Decimal(0))
    return {"dong": dong.price(bought, rate), "amount": bought}


def _saved(**fields: Any) -> BankOrder:
    """With a code and a number that no order ever had."""
    for _attempt in range(20):
        code = _PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH - len(_PREFIX)))
        number = 10**9 + secrets.randbelow(9 * 10**12)
        try:
            with transaction.atomic():
                return BankOrder.objects.create(code=code, number=number, **fields)
        except IntegrityError:
            if fields["client_key"] and (known := _known(fields["user"], fields["client_key"])):
                return known
    raise errors.Unavailable(gettext_noop("Try again."))


def _known(user: User, client_key: str) -> BankOrder | None:
    return BankOrder.objects.filter(user=user, client_key=client_key).first()


def _same(known: BankOrder, amount: Decimal | None, in_dong: int | None, back: str) -> BankOrder:
    wanted = _priced(amount, in_dong, known.rate)
    if any(getattr(known, name) != value for name, value in wanted.items()):
        raise errors.Conflict(
            "This Idempotency-Key was used for something else.", code="idempotency_key_reused"
        )
    return submit(known, back)


def submit(order: BankOrder, back: str) -> BankOrder:
    """Make what is paid to, if that is not made yet. Raises Unavailable where payOS does not
    answer (ask again) or refuses (the order has failed)."""
    if order.qr or order.state != State.OPEN:
        return order
    if order.gateway == Gateway.SEPAY:
        order.bank, order.account = settings.VIETQR_BANK, settings.VIETQR_ACCOUNT
        order.holder, order.content = settings.VIETQR_HOLDER, order.code
        order.qr = payload.payload(
            bank=order.bank, account=order.account, dong=order.dong, content=order.content
        )
    else:
        _ask_payos(order, back.format(order.pk))
    names = ("bank", "account", "holder", "content", "qr", "link_id", "link_url")
    order.save(update_fields=names)
    return order


def _ask_payos(order: BankOrder, back: str) -> None:
    try:
        made = _made_by_payos(order, back)
    except payos.Refused as error:
        end(order, State.FAILED, failure=str(error))
        raise errors.Unavailable(
            gettext_noop("The payment provider refused the order. Nothing was charged."),
            code="bank_order_refused",
        ) from error
    order.bank, order.account = str(made["bin"]), str(made["accountNumber"])[:30]
    order.holder, order.qr = str(made.get("accountName") or "")[:100], str(made["qrCode"])[:512]
    order.content = str(made.get("description") or order.code)[:50]
    order.link_id, order.link_url = str(made["paymentLinkId"]), str(made["checkoutUrl"])[:500]


def _made_by_payos(order: BankOrder, back: str) -> dict[str, Any]:
    """payOS makes an order once: where its answer was lost there is no second one, and the order
    is made anew under another number. Nobody was shown the first."""
    try:
        return payos.make(order, back=back)
    except payos.Refused as error:
        if not str(error).startswith("231"):  # it exists
            raise
    order.number = 10**9 + secrets.randbelow(9 * 10**12)
    order.save(update_fields=["number"])
    return payos.make(order, back=back)


def own(user_id: int, pk: Any) -> BankOrder:
    """Raises NotFound for anybody else's."""
    order = BankOrder.objects.filter(user=user_id, pk=pk).first()
    if order is None:
        raise errors.NotFound(gettext_noop("You have no such order."))
    return order


def cancel(order: BankOrder) -> BankOrder:
    """The customer will not pay it. What is paid all the same waits for a person."""
    if order.gateway == Gateway.PAYOS and order.state == State.OPEN and order.link_id:
        with suppress(payos.Refused, errors.Unavailable):  # what it takes all the same is told us
            payos.cancel(order)
    end(order, State.CANCELED)
    return order


def end(order: BankOrder, state: BankOrder.State, *, failure: str = "") -> bool:
    """It is over. False if it had ended before: it may have been paid."""
    ended = BankOrder.objects.filter(pk=order.pk, state=State.OPEN).update(
        state=state, failure=failure[:255], ended_at=timezone.now()
    )
    order.refresh_from_db()
    return bool(ended)


def expire(now: datetime) -> int:
    """End what was not paid in time; how many."""
    late = BankOrder.objects.filter(state=State.OPEN, expires_at__lt=now - GRACE)
    return late.update(state=State.EXPIRED, ended_at=now)


def named(content: str) -> list[BankOrder]:
    """The orders whose codes a transfer's content has. Banks change its case, and put spaces,
    points and words of theirs around and between."""
    text = re.sub(r"[^0-9A-Z]", "", content.upper())
    codes: Iterable[str] = {found.group(1) for found in _CODE.finditer(text)}
    return list(BankOrder.objects.filter(code__in=codes)[:3]) if codes else []
