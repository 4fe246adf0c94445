"""A reset pass whose money comes from a saved card: what the balance is short of is charged first,
as a top-up, and the pass is paid from the balance as ever (subscriptions/resets.py).

One order a period and attempt, however often and at once it is asked for: what was charged and
then buys nothing (somebody else was faster) stays on the balance.
"""

from datetime import datetime
from decimal import Decimal

from django.conf import settings

from accounts.models import User
from billing.books import balances
from billing.payments import orders
from billing.payments.models import TopUp
from billing.plans import terms
from billing.plans.models import Subscription
from billing.subscriptions import resets
from billing.subscriptions.resets import Bought
from hontoni import errors
from hontoni.money import CENT, dollars, nanos


def missing(user_id: int, due: int) -> int:
    """Nano-dollars to add before the balance pays this, at least what can be topped up; 0 if it
    does already."""
    short = due - balances.live(user_id).available
    if short <= 0:
        return 0
    return max(-(-short // CENT) * CENT, nanos(settings.TOPUP_MIN))


def buy(
    user: User,
    *,
    now: datetime,
    key: str = "",
    card: str = "",
    most: int | None = None,
    by: str = "",
) -> Bought:
    """Raises as `resets.buy`, with a card also as `orders.buy`, and PaymentRequired
    `authentication_required` where its bank wants to ask."""
    mine = terms.subscription_of(user.pk)
    price = resets.offered(mine, now)
    if card and mine is not None and price and (most is None or price <= most):
        _fill_up(user, mine, missing(user.pk, price), card)
    return resets.buy(user.pk, now=now, key=key, most=most, by=by)


def _fill_up(user: User, mine: Subscription, short: int, card: str) -> None:
    if not short:
        return
    name = f"reset:{mine.pk}:{mine.period_start:%Y%m%d%H%M%S}"
    tried = TopUp.objects.filter(user=user, client_key__startswith=name)
    over = tried.exclude(state__in=(*TopUp.PENDING, TopUp.State.PAID)).count()
    order, _ = orders.buy(
        user=user,
        route=TopUp.Route.INTENT,
        payment_method=card,
        amount=Decimal(dollars(short)),
        client_key=f"{name}:{over}",
    )
    if order.state != TopUp.State.PAID:
        raise errors.PaymentRequired(
            "Its bank wants to ask: use the payment page.", code="authentication_required"
        )
