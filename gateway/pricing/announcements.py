"""Customers hear of what changes for them before it does: by mail, each once.

* A rise, from the moment it is announced: whoever used the model in the last 30 days.
* The end of a model: 60, 14 and 1 days before, whoever used it in the last 30 days by then; and
  where staff say that it has ended already.
* A price of one's own: when it is agreed, and before its end makes things dearer.
* A rise of the fee for own keys, from the moment it is announced: whoever has one there.
* That what they heard of is withdrawn.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from billing.mails import notices
from billing.mails.models import Notice
from gateway.catalogue import model_life
from gateway.catalogue.features.models import WHOLE, Feature, FeaturePrice
from gateway.catalogue.features.prices import Displaced
from gateway.catalogue.features.snapshot import has
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.own_prices import terms
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.own_prices.terms import Terms
from gateway.catalogue.prices import changes, schedule
from gateway.catalogue.prices.changes import Priced
from gateway.pricing import own_key_fees, own_prices
from gateway.usage.models import FeatureUse, UsageHour
from gateway.vendors.own_keys import fees
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from hontoni.money import dollars

USED_WITHIN = timedelta(days=30)
BEFORE_THE_END = (60, 14, 1)  # days


def users_of(model_id: str, now: datetime) -> set[int]:
    """Whoever has used it in the last 30 days."""
    used = UsageHour.objects.filter(model=model_id, hour__gte=now - USED_WITHIN)
    return set(used.order_by().values_list("user_id", flat=True).distinct())


# -- Prices --------------------------------------------------------------------------------------


def announce(price: Priced, actor: str, request_id: str = "") -> int:
    """Make a version known, and whom it makes things dearer for. How many were told. Raises
    BadRequest (catalogue/prices/changes.py)."""
    with transaction.atomic():
        schedule.announce(price, actor=actor, request_id=request_id)
        return _tell_of_rise(price, timezone.now())


def told_of(price: Priced, now: datetime) -> int:
    """How many will be, were it announced."""
    before = price.current(price.effective_at)
    return len(_concerned(price, now)) if changes.rises(before, price) else 0


def rises(now: datetime) -> int:
    """Tell of rises that came past the pages, and who has begun to use a model or a feature since
    it was announced. How many were told."""
    coming = Price.objects.filter(effective_at__gt=now).select_related("model")
    features = FeaturePrice.objects.filter(effective_at__gt=now).select_related("feature")
    return sum(_tell_of_rise(each, now) for each in coming) + sum(
        _tell_of_rise(each, now) for each in features
    )


def withdraw(price: Priced, *, actor: str, request_id: str = "") -> None:
    """Take back a price that is to come, and the news of it. Raises Conflict."""
    facts = _sold(price) | {"from_at": price.effective_at.isoformat()}
    key, kind = _key(price), _kind(price)
    with transaction.atomic():
        schedule.withdraw(price, actor=actor, request_id=request_id)
        _take_back(kind, key, facts)


def _take_back(kind: str, key: str, facts: dict[str, Any]) -> None:
    """Tell whoever was told of it."""
    given = Notice.objects.filter(key__startswith=f"{key}:")
    users = set(given.values_list("user_id", flat=True))
    _tell(users, kind, key.replace(":", "-withdrawn:"), facts | {"withdrawn": True})


def _tell_of_rise(price: Priced, now: datetime) -> int:
    before = price.previous()
    if before is None or not changes.rises(before, price):
        return 0
    facts = _sold(price) | {"from_at": price.effective_at.isoformat()}
    notified = 0
    for own, users in _by_terms(price, _concerned(price, now)).items():
        steps = [_paid(step, own) for step in changes.steps(before, price)]
        rows = [_row(step) for step in steps if step.before != step.after]
        percent = f"{own.multiplier / 100:g}" if own else ""
        notified += _tell(users, _kind(price), _key(price), facts | {"rows": rows, "own": percent})
    return notified


def _by_terms(price: Priced, users: set[int]) -> dict[Terms | None, set[int]]:
    """Who of them pays which multiple of the list's price when it begins; None: the list's. Calls
    and factors cost everybody the same, and the list is nothing to who has rates of their own."""
    if not isinstance(price, Price):
        return {None: users}
    agreed = own_prices.at(CustomerPrice.objects.filter(user__in=users), price.effective_at)
    found: dict[Terms | None, set[int]] = {}
    for user in users:
        own = terms.held(agreed, user, price.model_id)
        if own is None or own.rates is None:
            found.setdefault(own, set()).add(user)
    return found


def _paid(step: changes.Step, own: Terms | None) -> changes.Step:
    """A step of the list's as a customer with these terms pays it."""
    if own is None:
        return step
    before, after = own.on((step.before or 0,) * 6)[0], own.on((step.after,) * 6)[0]
    return step._replace(before=before, after=after)


def _row(step: changes.Step) -> dict[str, str]:
    return {"bucket": step.bucket, "old": dollars(step.before or 0), "new": dollars(step.after)}


def _key(price: Priced) -> str:
    return f"price:{price.pk}" if isinstance(price, Price) else f"feature_price:{price.pk}"


def _kind(price: Priced) -> str:
    return "model_price_rises" if isinstance(price, Price) else "feature_price_rises"


def _sold(price: Priced) -> dict[str, Any]:
    """What the price is of, as its customers know it."""
    if isinstance(price, Price):
        return {"model": price.model_id}
    row = price.feature
    return {"feature": row.name.rstrip("_*"), "about": row.note, "models": row.only_models}


def _concerned(price: Priced, now: datetime) -> set[int]:
    """Who is told of a rise."""
    if isinstance(price, Price):
        users = users_of(price.model_id, now)
        return set().union(*_by_terms(price, users).values())
    return users_of_feature(price, now)


def users_of_feature(price: FeaturePrice, now: datetime) -> set[int]:
    """Whoever has paid for it in the last 30 days; of what was free so far, whoever has used a
    model that has it: nobody counts that."""
    row, before = price.feature, price.current(now) or price.first()
    uses = FeatureUse.objects.filter(feature=row, last_at__gte=now - USED_WITHIN)
    users = set(uses.values_list("user_id", flat=True))
    if before.per_call or before.times != WHOLE:
        return users
    models = Model.objects.filter(dialect=row.dialect).values_list("pk", flat=True)
    return users.union(*(users_of(pk, now) for pk in models if has(row, pk)))


def displaced(edited: Feature, found: Iterable[Displaced], now: datetime) -> int:
    """Tell whom an edit of the list makes a feature dearer for, from within seconds on."""
    notified = 0
    for before, after in found:
        price = FeaturePrice(feature=before.feature, effective_at=now)
        rows = [_row(step) for step in changes.steps(before, after) if step.before != step.after]
        facts = _sold(price) | {"rows": rows, "from_at": now.isoformat()}
        key = f"feature:{edited.pk}:{before.feature_id}:{now.timestamp():.0f}"
        notified += _tell(users_of_feature(price, now), "feature_price_rises", key, facts)
    return notified


# -- Ends ----------------------------------------------------------------------------------------


def ends(now: datetime) -> int:
    """Tell of the models that end soon. How many mails that makes."""
    soon = now + timedelta(days=max(BEFORE_THE_END))
    found = Model.objects.filter(active=True, ends_at__gt=now, ends_at__lte=soon)
    return sum(_tell_of_end(model, now) for model in found)


def ended(model: Model, now: datetime) -> int:
    """Tell of an end that staff have put into the past. How many had not heard of it."""
    is_over = model.active and model.ends_at is not None and model.ends_at <= now
    return _tell_of_end(model, now) if is_over else 0


def _tell_of_end(model: Model, now: datetime) -> int:
    assert model.ends_at is not None
    left = model.ends_at - now
    days = min(each for each in BEFORE_THE_END if left <= timedelta(days=each))
    facts = {
        "model": model.pk,
        "ends_at": model.ends_at.isoformat(),
        "over": model.ends_at <= now,
        "successor": model.successor_id or "",
        "redirects": model.redirects,
        "notice": model.vendor_notice,
    }
    key, users = f"end:{model.pk}:{model.ends_at:%Y-%m-%d}:{days}", users_of(model.pk, now)
    dearer = _dearer_for(users, model) if model.redirects else set()
    return sum(
        _tell(each, "model_ends", key, facts | {"dearer": each is dearer})
        for each in (dearer, users - dearer)
    )


def _dearer_for(users: set[int], model: Model) -> set[int]:
    """For whom of them the successor costs more, by what each pays."""
    assert model.ends_at is not None
    mine = schedule.in_force(model.pk, model.ends_at)
    theirs = schedule.in_force(model.successor_id or "", model.ends_at)
    if mine is None or theirs is None:
        return set()
    own = own_prices.at(CustomerPrice.objects.filter(user__in=users), model.ends_at)

    def is_dearer(user: int) -> bool:
        before, after = (
            own_prices.paid(terms.held(own, user, price.model_id), price)
            for price in (mine, theirs)
        )
        return model_life.compared(before, after) == "higher"

    return {user for user in users if is_dearer(user)}


def rates(price: Price) -> tuple[int, ...]:
    """Of a short prompt, and of a long one."""
    return tuple(changes.rate(price, name) for name in (*BUCKETS, *changes.LONG))


# -- One's own -----------------------------------------------------------------------------------


def own(row: CustomerPrice) -> int:
    """Tell its customer what was agreed; 1 if that is news."""
    return _tell([row.user_id], "own_price", f"own_price:{row.pk}", _agreed(row))


def own_withdrawn(row: CustomerPrice) -> None:
    """Before it begins."""
    _take_back("own_price", f"own_price:{row.pk}", _agreed(row))


def own_ends(now: datetime) -> int:
    """Tell whose own prices end within the notice, if the list is dearer."""
    soon = now + changes.notice()
    rows = CustomerPrice.objects.filter(until_at__gt=now, until_at__lte=soon)
    return sum(
        _tell(
            [row.user_id],
            "own_price_ends",
            f"own_price_ends:{row.pk}:{row.until_at}",
            _agreed(row),
        )
        for row in rows
        if row.until_at is not None and own_prices.ends_dearer(row, row.until_at)
    )


def own_key_fee(row: OwnKeyFee, now: datetime) -> int:
    """Tell whoever has a key of their own there of a fee that rises. How many had not heard."""
    before = own_key_fees.before_it(row)
    if row.effective_at <= now or not fees.is_dearer(row, before):
        return 0
    assert before is not None
    keys = OwnKey.objects.filter(active=True)
    if row.vendor:
        keys = keys.filter(provider__vendor=row.vendor)
    else:
        keys = _elsewhere(keys, row.effective_at)
    facts = {
        "vendor": row.get_vendor_display() if row.vendor else "",
        "from_at": row.effective_at.isoformat(),
        "old_tokens": dollars(before.per_million),
        "new_tokens": dollars(row.per_million),
        "old_request": dollars(before.per_request),
        "new_request": dollars(row.per_request),
    }
    users = set(keys.values_list("user_id", flat=True))
    return _tell(users, "own_key_fee_rises", f"own_key_fee:{row.pk}", facts)


def own_key_fee_withdrawn(row: OwnKeyFee) -> None:
    """Before it begins."""
    vendor = row.get_vendor_display() if row.vendor else ""
    facts = {"vendor": vendor, "from_at": row.effective_at.isoformat()}
    _take_back("own_key_fee_rises", f"own_key_fee:{row.pk}", facts)


def _elsewhere(keys: "QuerySet[OwnKey]", moment: datetime) -> "QuerySet[OwnKey]":
    """Those of vendors without a fee of their own at that moment."""
    own = OwnKeyFee.objects.exclude(vendor="").filter(effective_at__lte=moment).values("vendor")
    return keys.exclude(provider__vendor__in=own)


def own_key_fees_rise(now: datetime) -> int:
    """Tell of those to come whoever has brought a key since. How many were told."""
    return sum(own_key_fee(row, now) for row in OwnKeyFee.objects.filter(effective_at__gt=now))


def _agreed(row: CustomerPrice) -> dict[str, Any]:
    return {
        "model": row.model_id or "",
        "percent": f"{row.multiplier / 100:g}" if row.multiplier else "",
        "rows": list(_rows(row)),
        "from_at": row.from_at.isoformat(),
        "until_at": row.until_at.isoformat() if row.until_at else None,
    }


def _rows(row: CustomerPrice) -> Iterator[dict[str, str]]:
    for name, rate in zip(BUCKETS, row.rates or (), strict=False):
        yield {"bucket": name, "new": dollars(rate)}


def _tell(users: Iterable[int], kind: str, key: str, facts: dict[str, Any]) -> int:
    """To each of them once. How many had not heard of it."""
    keys = {f"{key}:{user}": user for user in users}
    known = set(Notice.objects.filter(key__in=keys).values_list("key", flat=True))
    notices.tell_all(
        Notice(user_id=user, kind=kind, key=each, facts=facts)
        for each, user in keys.items()
        if each not in known
    )
    return len(keys.keys() - known)
