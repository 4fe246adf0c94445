"""Buying from the balance. The only way to it, so that always:

1. What running requests hold is not spent, and what a purchase pays no request can spend: the
   amount is held in Redis, by the rule of admission, from before the ledger moves it until after
   the new credits are published. Between the two a request may be told to wait a moment; never is
   money spent twice. The wallet is locked meanwhile, so Redis cannot be seeded with older credits.
2. A purchase that dies gives back what it held: by itself, or as every request that died.
3. Whatever a customer buys, one thing after the other: the ledger's locks are taken first.
4. Without Redis nothing is bought: 503. Money fails closed.
5. Nothing is bought for an account that is closed or frozen (billing/books/standing.py): 403.

Should Redis have lost the account and not its stream, the ledger alone decides; usage that has
not reached it then may bring the balance below zero by as much.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction

from billing.books import ledger, standing
from billing.books.models import Transfer, Wallet
from billing.invoices import issuing
from billing.invoices.issuing import Line
from billing.invoices.models import Invoice
from billing.plans.models import Subscription
from hontoni import errors
from hontoni.money import dollars
from ratelimits import limiter

KIND = Transfer.Kind.SUBSCRIPTION


class Purchase:
    """One customer's purchase, under his locks, in a transaction of its own."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.name = f"purchase_{uuid.uuid4().hex}"
        self.reserved = False

    def new_key(self) -> str:
        """For a purchase the customer did not name: of his next entry in the books."""
        wallet = Wallet.objects.get(pk=self.user_id)
        return f"buy:{self.user_id}:#{wallet.credits_version + 1}"

    def earlier(self, key: str, purpose: str) -> Transfer | None:
        """What this key has paid for already. Raises KeyReused if that was something else."""
        found = Transfer.objects.filter(key=key).first()
        if found is not None and found.ref.get("asked") != purpose:
            raise ledger.KeyReused("This idempotency key was used for something else.")
        return found

    def pay(
        self,
        *,
        key: str,
        amount: int,
        reason: str,
        ref: Mapping[str, Any],
        kind: str = KIND,
        actor: str = "",
    ) -> Transfer:
        """Debit the balance; a negative amount is credited.

        Raises PaymentRequired: `insufficient_balance`, or `balance_on_hold` if waiting for
        running requests helps. Raises Forbidden as `standing.must_be_good`, Unavailable without
        Redis, ValueError for 0.
        """
        if amount > 0:
            standing.must_stay_good(self.user_id)
            self._reserve(amount)
        paid, _ = ledger.post(
            key=key,
            kind=kind,
            user_id=self.user_id,
            amount=-amount,
            reason=reason,
            actor=actor,
            ref=ref,
        )
        return paid

    def _reserve(self, amount: int) -> None:
        wallet = Wallet.objects.select_for_update().get(pk=self.user_id)
        answer = limiter.reserve_sync(
            self.user_id,
            self.name,
            amount=amount,
            credits=wallet.credits_total,
            credits_version=wallet.credits_version,
            lease_ms=limiter.RESERVATION_MS,
        )
        self.reserved = answer == "ok"
        if answer == "hold":
            raise errors.PaymentRequired(
                f"Running requests hold a part of the ${dollars(amount)}. Try again in a moment.",
                code="balance_on_hold",
                headers={"Retry-After": "2"},
            )
        if answer == "balance" or wallet.balance < amount:
            raise errors.PaymentRequired(
                f"This costs ${dollars(amount)}, which is more than your balance. Top up first."
            )

    def release(self) -> None:
        """Give the hold back; the reaper does if Redis is gone."""
        if self.reserved:
            try:
                limiter.release_sync(self.user_id, self.name)
            except errors.Unavailable:
                return


def invoiced(
    purchase: Purchase,
    subscription: Subscription,
    lines: Sequence[Line],
    *,
    key: str,
    ref: Mapping[str, Any],
    now: datetime,
) -> tuple[Transfer, Invoice]:
    """Pay what the lines add up to, and issue the invoice (or credit note) of it."""
    paid = purchase.pay(
        key=key,
        amount=sum(line.amount for line in lines),
        reason="; ".join(line.text for line in lines),
        ref=ref,
    )
    invoice = issuing.issue(
        transfer=paid, user=subscription.user, lines=lines, subscription=subscription, now=now
    )
    return paid, invoice


@contextmanager
def opened(
    user_id: int, ours: Collection[str] = (ledger.COUNTERPARTS[KIND],)
) -> Iterator[Purchase]:
    """The transaction of a purchase. It is the outermost: the hold outlives its commit. `ours` are
    the accounts of ours that are locked before the wallet's."""
    ledger.wallet(user_id)
    purchase = Purchase(user_id)
    try:
        with transaction.atomic(durable=True):
            ledger.lock([*ours, ledger.wallet_code(user_id)])
            yield purchase
    finally:
        purchase.release()
