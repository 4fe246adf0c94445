"""Topping up, and taking it back: the money itself, and everything that comes with it.

* A top-up brings the bonus that waits for it.
* A refund or a dispute takes the same share of that bonus with it, even below zero; a dispute
  that is won gives both back.
* What somebody else earned by a referral follows by itself: rewards/referrals.py computes it from
  the books.

Everything happens in the caller's transaction, or in one of its own.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from billing.books import ledger, standing
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.mails import notices
from billing.rewards import promos
from hontoni import errors
from hontoni.money import DOLLAR, dollars

SANDBOX_LEAST, SANDBOX_MOST = DOLLAR, 10_000 * DOLLAR


@transaction.atomic
def credit(
    *,
    key: str,
    kind: str,
    user_id: int,
    amount: int,
    reason: str = "",
    ref: Mapping[str, Any] | None = None,
) -> tuple[Transfer, bool]:
    """Credit a paid top-up (kind `topup` or `sandbox`), in nano-dollars; twice is once.

    Answers and raises as `ledger.post`.
    """
    _lock(user_id, kind)
    top_up, created = ledger.post(
        key=key, kind=kind, user_id=user_id, amount=amount, reason=reason, ref=ref
    )
    if created:
        promos.bonus_for(top_up, user_id)
    return top_up, created


@transaction.atomic
def sandbox(*, key: str, user_id: int, amount: int, reason: str = "") -> tuple[Transfer, bool]:
    """Credit play money, with its receipt. `key` is the customer's own; answers as `credit`.

    Raises BadRequest outside SANDBOX_LEAST..SANDBOX_MOST, Forbidden where money is real, and as
    `standing.must_be_good`.
    """
    if not settings.SANDBOX:
        raise errors.Forbidden(
            "Balances are topped up by card: POST /api/billing/topup/checkout.",
            code="checkout_required",
        )
    if not SANDBOX_LEAST <= amount <= SANDBOX_MOST:
        least, most = SANDBOX_LEAST // DOLLAR, SANDBOX_MOST // DOLLAR
        raise errors.BadRequest(f"amount: from ${least} to ${most:,}.", param="amount")
    standing.must_be_good(user_id)
    key = f"sandbox:{user_id}:{key}"
    top_up, created = credit(
        key=key, kind=Kind.SANDBOX, user_id=user_id, amount=amount, reason=reason
    )
    if created:
        facts = {
            "amount": dollars(amount),
            "charged": "0.00",
            "balance": dollars(ledger.balance(user_id)),
            "topup": f"txn_{top_up.pk}",
        }
        notices.tell(user_id=user_id, kind="topup_receipt", key=key, facts=facts)
    return top_up, created


@transaction.atomic
def take_back(
    *,
    key: str,
    kind: str,
    user_id: int,
    top_up: Transfer,
    amount: int,
    reason: str = "",
    ref: Mapping[str, Any] | None = None,
) -> tuple[Transfer, bool]:
    """Post a refund or a dispute of `amount` of a top-up, and its share of the bonus.

    A negative amount gives back: a dispute that is won. Twice is once, as with `ledger.post`.
    """
    _lock(user_id, kind)
    taken, created = ledger.post(
        key=key, kind=kind, user_id=user_id, amount=-amount, reason=reason, ref=ref
    )
    if created:
        promos.follow(top_up, user_id, amount, cause=key)
    return taken, created


def _lock(user_id: int, kind: str) -> None:
    """Every ledger account this transaction may touch, in the order of billing/books/ledger.py."""
    ours = {ledger.COUNTERPARTS[Kind(kind)], ledger.COUNTERPARTS[Kind.PROMO]}
    ledger.lock(ours | {ledger.wallet_code(user_id)})
    ledger.wallet(user_id)  # whose opening locks a part of these: after all of them, in no circle
