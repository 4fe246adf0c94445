"""Staff hear by mail of a model or a customer that lost money in a day: once, unless it grows.

What was earned is what usage was charged less what it cost (earnings.py): the vendor's bill where
there is one, else what staff and sources know of his prices.
"""

import logging
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction

from accounts.models import User
from gateway.reconciliation.vendors.alarms import PERMISSION
from gateway.reconciliation.vendors.earnings import By, Margin, margins
from gateway.reconciliation.vendors.models import MarginAlarm
from hontoni import money
from hontoni.money import dollars

logger = logging.getLogger(__name__)


class Loss(NamedTuple):
    """A model's day, or a customer's; the other is empty. Nano-dollars."""

    day: date
    model: str
    customer: str
    revenue: int
    cost: int

    def __str__(self) -> str:
        who = self.model or f"account {self.customer}"
        lost = dollars(self.cost - self.revenue)
        return (
            f"{self.day} {who}: lost ${lost} (charged ${dollars(self.revenue)}, "
            f"cost ${dollars(self.cost)}: {money.change(self.cost, self.revenue)})"
        )


def losses(first: date, last: date) -> list[Loss]:
    """What lost more than MARGIN_ALARM_DOLLARS, by model and by customer, day by day."""
    found = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        found += [_loss(day, "model", each) for each in _lost("model", day)]
        found += [_loss(day, "customer", each) for each in _lost("customer", day)]
    return found


def _lost(by: By, day: date) -> list[Margin]:
    least = money.nanos(settings.MARGIN_ALARM_DOLLARS)
    found = margins(by, day, day)
    return [each for each in found if each.requests and (each.margin or 0) < -least]


def _loss(day: date, by: By, each: Margin) -> Loss:
    model, customer = (each.name, "") if by == "model" else ("", each.name)
    return Loss(day, model, customer, each.revenue, each.cost)


def look(first: date, last: date) -> list[Loss]:
    """Tell staff of these days' losses that are new, or have doubled since. Returns all."""
    found = losses(first, last)
    try:
        _tell(found)
    except OSError:  # and every error of SMTP's: nothing is noted as told, so the next look tells
        logger.exception("margins.mail_failed")
    return found


@transaction.atomic
def _tell(found: list[Loss]) -> None:
    new = [each for each in found if _is_news(each)]
    for each in new:
        logger.error("margins.lost %s", each)
        place: dict[str, Any] = {"day": each.day, "model": each.model, "customer": each.customer}
        sums = {"revenue": each.revenue, "cost": each.cost}
        MarginAlarm.objects.update_or_create(**place, defaults=sums)
    if new:
        _mail(new)


def _is_news(each: Loss) -> bool:
    known = MarginAlarm.objects.filter(
        day=each.day, model=each.model, customer=each.customer
    ).first()
    return known is None or each.cost - each.revenue > 2 * (known.cost - known.revenue)


def _mail(new: list[Loss]) -> None:
    staff = User.objects.filter(is_staff=True, is_active=True)
    to = [user.email for user in staff if user.has_perm(PERMISSION)]
    if not to:
        logger.warning("margins.nobody_to_tell")
        return
    lines = "\n".join(f"* {each}" for each in new)
    body = (
        f"These cost more than they were charged:\n\n{lines}\n\n"
        f"{settings.PUBLIC_URL}/admin/gateway/marginalarm/\n"
        f"{settings.PUBLIC_URL}/admin/gateway/proposal/\n"
    )
    send_mail(f"{len(new)} models or customers lost money", body, None, to)
