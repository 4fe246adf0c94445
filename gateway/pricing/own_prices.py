"""Prices of one customer's own keep the rules of every price.

Always true of every way in which one is made:

1. One that is below what the vendor charges has a reason.
2. One that is dearer than the list, or than what the customer has, begins after the notice of a
   rise, unless it has a reason; its customer is told at once.
3. It begins `schedule.LEAD` from now at the earliest, so that every node knows it by then.
4. What has ended stays ended.

Prompts are as long as they may be: what is dearer only in long contexts is dearer.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext

from gateway.catalogue import clock, model_life
from gateway.catalogue.bucket_labels import LABELS
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.margins import Margin
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.own_prices import terms
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.own_prices.terms import Agreement, Own, Terms
from gateway.catalogue.prices import changes, schedule
from hontoni.errors import BadRequest
from hontoni.money import DOLLAR

_EVERY = (*BUCKETS, *changes.LONG)


def check(row: CustomerPrice, now: datetime) -> None:
    """Raises BadRequest for one that breaks a rule above."""
    if row.from_at < now - timedelta(minutes=5):
        raise BadRequest(gettext("It cannot begin in the past."), param="from_at")
    row.from_at = max(row.from_at, now + schedule.LEAD)
    if row.reason:
        return
    for price in _listed(row, max(now, row.from_at)):
        if lost := margins.below(_earned(row, price)):
            words = ", ".join(f"{each.label} {each}" for each in lost)
            raise BadRequest(
                gettext("%(model)s below cost: %(what)s. Say why.")
                % {"model": price.model_id, "what": words},
                param="reason",
            )
        rises = model_life.compared(_present(row, price, now), _paid(row, price)) == "higher"
        if rises and row.from_at < now + changes.notice() - timedelta(minutes=5):
            raise BadRequest(
                gettext(
                    "Dearer for %(model)s than now. A rise is told %(days)d days before it binds: "
                    "begin it then, or say why not."
                )
                % {"model": price.model_id, "days": changes.notice().days},
                param="reason",
            )


def check_end(
    row: CustomerPrice, until_at: datetime | None, now: datetime, *, explained: bool
) -> datetime | None:
    """When it may end; None: never. Not before every node knows. Raises BadRequest for one that
    has ended, for a later end of one that is dearer than the list, and for an end that makes
    things dearer before the customer has had the notice of a rise, unless staff say why."""
    before = row.until_at
    if before is not None and before <= now + schedule.LEAD:
        raise BadRequest(gettext("It has ended: agree on another one."), param="until_at")
    if before is not None and (until_at is None or until_at > before):
        for price in _listed(row, before):
            if model_life.compared(_rates(price), _paid(row, price)) == "higher":
                raise BadRequest(
                    gettext("Dearer than the list: agree on another one."), param="until_at"
                )
        return until_at
    if until_at is None:
        return None
    soon = until_at < now + changes.notice() - timedelta(minutes=5)
    if soon and not explained and (dearer := ends_dearer(row, until_at)):
        raise BadRequest(
            gettext(
                "The list is dearer for %(model)s. That is told %(days)d days before: end it "
                "then, or say why not."
            )
            % {"model": dearer, "days": changes.notice().days},
            param="reason",
        )
    return max(until_at, now + schedule.LEAD)


def ends_dearer(row: CustomerPrice, moment: datetime) -> str:
    """A model for which the list is dearer at that moment; "" if there is none."""
    for price in _listed(row, moment):
        if model_life.compared(_paid(row, price), _rates(price)) == "higher":
            return price.model_id
    return ""


def amounts(row: CustomerPrice, now: datetime) -> list[tuple[str, int, int]]:
    """What changes for its customer: a bucket, what is paid without it, and with it. Of all models
    a dollar of the list."""
    if not row.model_id:
        paid = terms.of(row).on((DOLLAR,) * 6)
        return [(gettext("A dollar of the list"), DOLLAR, paid[0])]
    begins = max(now, row.from_at)
    return [
        change
        for price in _listed(row, begins)
        for change in zip(
            map(gettext, LABELS.values()),
            _present(row, price, begins),
            _paid(row, price),
            strict=False,
        )
    ]


def is_coming(row: CustomerPrice, now: datetime) -> bool:
    """Whether no request can have been priced by it."""
    return row.from_at > now + schedule.LEAD


def earns(row: CustomerPrice, now: datetime) -> str:
    """Every bucket of its model; of all models the one that earns least."""
    prices = _listed(row, max(now, row.from_at))
    found = [each for price in prices for each in _earned(row, price)]
    if row.model_id:
        return margins.words(found)
    worst = margins.least(found)
    return f"{worst.label}: {worst}" if worst else gettext("cost unknown")


def _listed(row: CustomerPrice, moment: datetime) -> list[Price]:
    """The list's prices that it is in place of, at a moment."""
    models = Model.objects.filter(active=True)
    if row.model_id:
        models = models.filter(pk=row.model_id)
    found = (schedule.in_force(model.pk, moment) for model in models)
    return [price for price in found if price is not None]


def _paid(row: CustomerPrice, price: Price) -> tuple[int, ...]:
    return paid(terms.of(row), price)


def paid(own: Terms | None, price: Price) -> tuple[int, ...]:
    """What is paid of a short prompt, and of a long one, in the order of _EVERY."""
    short, long = _rates(price)[:6], _rates(price)[6:]
    return (*own.on(short), *own.on(long)) if own else _rates(price)


def _rates(price: Price) -> Any:
    """The list's."""
    return tuple(changes.rate(price, name) for name in _EVERY)


def _present(row: CustomerPrice, price: Price, now: datetime) -> tuple[int, ...]:
    """What its customer pays without it."""
    rows = CustomerPrice.objects.filter(user=row.user_id).exclude(pk=row.pk)
    return paid(terms.held(at(rows, now), row.user_id, price.model_id), price)


def at(rows: Iterable[CustomerPrice], moment: datetime) -> Own:
    """What of these holds at a moment."""
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
    return terms.at(agreed, clock.of(moment))


def _earned(row: CustomerPrice, price: Price) -> list[Margin]:
    paid = Price(
        model=price.model,
        effective_at=row.from_at,
        long_context_above=price.long_context_above,
        **dict(zip(_EVERY, _paid(row, price), strict=True)),
    )
    return margins.known([price.model_id]).of(paid)
