"""Prices of one customer's own keep the rules of every price.

Always true of every way in which one is made:

1. One that is below what the vendor charges has a reason.
2. One that is dearer than the list, or than what the customer has, begins after the notice of a
   rise, unless it has a reason; its customer is told at once.
3. It begins `schedule.LEAD` from now at the earliest, so that every node knows it by then.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.catalogue import clock, life
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.margins import Margin
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.own_prices import terms
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.own_prices.terms import Agreement, Rates
from gateway.catalogue.prices import changes, schedule
from hontoni.errors import BadRequest


def check(row: CustomerPrice, now: datetime) -> None:
    """Raises BadRequest for one that breaks a rule above."""
    if row.from_at < now - timedelta(minutes=5):
        raise BadRequest("It cannot begin in the past.", param="from_at")
    row.from_at = max(row.from_at, now + schedule.LEAD)
    if row.reason:
        return
    for price in _listed(row, now):
        if lost := margins.below(_earned(row, price, now)):
            words = ", ".join(f"{each.label} {each}" for each in lost)
            raise BadRequest(f"{price.model_id} below cost: {words}. Say why.", param="reason")
        rises = life.compared(_present(row, price, now), _paid(row, price)) == "higher"
        if rises and row.from_at < now + changes.notice() - timedelta(minutes=5):
            raise BadRequest(
                f"Dearer for {price.model_id} than now. A rise is told "
                f"{changes.notice().days} days before it binds: begin it then, or say why not.",
                param="reason",
            )


def check_end(
    row: CustomerPrice, until_at: datetime, now: datetime, *, explained: bool
) -> datetime:
    """When it may end: not before every node knows. Raises BadRequest where that makes things
    dearer before the customer has had the notice of a rise, unless staff say why."""
    if until_at < now + changes.notice() - timedelta(minutes=5) and not explained:
        for price in _listed(row, now):
            if life.compared(_paid(row, price), _rates(price)) == "higher":
                raise BadRequest(
                    f"The list is dearer for {price.model_id}. That is told "
                    f"{changes.notice().days} days before: end it then, or say why not.",
                    param="reason",
                )
    return max(until_at, now + schedule.LEAD)


def is_coming(row: CustomerPrice, now: datetime) -> bool:
    """Whether no request can have been priced by it."""
    return row.from_at > now + schedule.LEAD


def earns(row: CustomerPrice, now: datetime) -> str:
    """Every bucket of its model; of all models the one that earns least."""
    found = [each for price in _listed(row, now) for each in _earned(row, price, now)]
    if row.model_id:
        return margins.words(found)
    worst = margins.least(found)
    return f"{worst.label}: {worst}" if worst else "cost unknown"


def _listed(row: CustomerPrice, now: datetime) -> Iterable[Price]:
    """The list's prices that it is in place of."""
    models = Model.objects.filter(active=True)
    if row.model_id:
        models = models.filter(pk=row.model_id)
    found = (schedule.in_force(model.pk, max(now, row.from_at)) for model in models)
    return [price for price in found if price is not None]


def _paid(row: CustomerPrice, price: Price) -> Rates:
    return terms.of(row).on(_rates(price))


def _rates(price: Price) -> Rates:
    found: Rates = tuple(getattr(price, name) for name in BUCKETS)
    return found


def _present(row: CustomerPrice, price: Price, now: datetime) -> Rates:
    """What its customer pays without it."""
    rows = CustomerPrice.objects.filter(user=row.user_id).exclude(pk=row.pk)
    agreed = [
        Agreement(
            account=each.user_id,
            model=each.model_id or "",
            since=clock.of(each.from_at),
            until=clock.of(each.until_at) if each.until_at else 0,
            terms=terms.of(each),
        )
        for each in rows
    ]
    mine = terms.at(agreed, clock.of(now)).get(row.user_id, {})
    own = mine.get(price.model_id) or mine.get("")
    return own.on(_rates(price)) if own else _rates(price)


def _earned(row: CustomerPrice, price: Price, now: datetime) -> list[Margin]:
    paid = Price(
        model=price.model,
        effective_at=row.from_at,
        **dict(zip(BUCKETS, _paid(row, price), strict=True)),
    )
    return margins.known([price.model_id]).of(paid)
