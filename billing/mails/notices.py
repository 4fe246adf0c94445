"""What a customer should hear of by mail. Recorded in the transaction of the deed itself.

Kinds, and their facts (amounts are dollars as text, moments ISO 8601):

* plan_started, plan_upgraded, add_on_started: plan and add_on (names, here and below), paid,
  invoice, renews_at
* windows_reset: plan, add_on, paid, invoice, renews_at
* plan_renewal_soon: plan, add_on, amount, renews_at, balance, enough (is it?), plus_tax (by card)
* price_rises: sold (a name), old, new, from_at (the first renewal that costs it)
* surcharge_rises: plan, old, new (per cent), from_at
* plan_renewed: plan, add_on, paid, invoice, renews_at
* plan_renewal_failed: plan, add_on, amount, balance, grace_until
* plan_ended: plan, add_on, reason (canceled, unpaid or staff), credited, invoice
* topup_receipt, auto_topup: amount, charged (tax included), balance, topup; of a bank transfer
  dong and rate, too
* auto_topup_failed, auto_topup_off: amount, reason, failures, off
* dispute, dispute_won: amount, balance
* refund, refund_failed: amount (to a card: tax included), balance, of (topup, invoice, usage, or
  order: of a transfer that was never booked, and then amount is null), payment (the topup of its
  receipt, the number of an invoice, null of usage, the order's code), to (card, balance or bank);
  of a refund whole, too (has all of the payment gone back?), and by bank dong
* account_frozen: request (the last whose bill was strange)

`by_card` is true where Stripe took the money; `balance` of a renewal is null then, and `tax` says
how much of what was `paid` is tax, `on_top` how much of that came on top of the price.
`add_on` and `invoice` may be null. Whoever sends mail reads the rows and remembers what it sent.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from billing.mails.models import Notice


def tell(*, user_id: int, kind: str, key: str, facts: Mapping[str, Any]) -> None:
    """Keep it once: the same key again is no news."""
    tell_all([Notice(user_id=user_id, kind=kind, key=key, facts=dict(facts))])


def tell_all(found: Iterable[Notice]) -> None:
    """The same of many at once."""
    Notice.objects.bulk_create(found, ignore_conflicts=True)
