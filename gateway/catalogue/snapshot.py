"""Which model a name means, and what it costs at a moment: a snapshot of the catalogue in memory.

The hot path reads the snapshot and nothing else. No request is priced or refused by one that is
older than MAX_AGE_SECONDS (hontoni/freshness.py). It holds the prices in force and those to come,
and is looked at with the moment in question: so a price changes at the same instant on every
node, whenever each of them read the catalogue.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Model as DatabaseModel
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from gateway.catalogue import clock, model_life, models, rows, variants
from gateway.catalogue.features import snapshot
from gateway.catalogue.features.snapshot import Features
from gateway.catalogue.model_life import Retired, Stand
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.own_prices import terms
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.own_prices.terms import Agreement
from gateway.catalogue.sold import Book, Model, Price, carrier_key, learnt
from gateway.catalogue.variants import Variant
from gateway.dialects.codecs import families, hosted
from gateway.vendors import routes
from gateway.vendors.own_keys import fees
from gateway.vendors.routes import EMPTY, Pool
from hontoni.errors import BadRequest, NotFound
from hontoni.freshness import Kept

MAX_AGE_SECONDS = 5.0
REFUSES_SECONDS = 1.0  # a younger snapshot's no is final; an older one's is looked at again
# Prices that ended so lately are kept: another machine's clock may not have reached that moment.
_SKEW = timedelta(minutes=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is on sale, and at which prices, from the microsecond `since` to before `until` (0:
    whenever), when some price changes. `of` is the snapshot it was made of."""

    models: dict[str, Model]
    aliases: dict[str, str]
    of: "Snapshot"
    since: int = 0
    until: int = 0
    retired: dict[str, Retired] = field(default_factory=dict)
    listed: dict[str, Model] = field(default_factory=dict)  # with those that others answer for

    def resolve(self, name: str) -> tuple[Model, Variant]:
        """The model a client means, and how it wants it. Raises NotFound (404 model_not_found, or
        model_retired)."""
        if found := self.models.get(name):  # nearly always
            return found, variants.PLAIN
        for base, variant in variants.readings(name):
            if found := self._find(base):
                return found, variant
        for base, variant in variants.readings(name):
            if gone := self.retired.get(self._id(base)):
                return self._successor(gone), replace(variant, instead_of=gone)
        raise unknown(name)

    def labels(self) -> dict[str, str]:
        """Each model's id as forms show it: with its end, if that is known."""
        return {name: f"{name}{model.life.ending}" for name, model in self.listed.items()}

    def missing(self, name: str) -> NotFound:
        """Why a name that meant a model means none now."""
        gone = (self.retired.get(self._id(base)) for base, _ in variants.readings(name))
        found = next((each for each in gone if each is not None), None)
        return unknown(name) if found is None else model_life.retired(found, self.models)

    def _successor(self, gone: Retired) -> Model:
        """Who answers for it. Raises NotFound (404 model_retired)."""
        found = answering(gone, self.models, self.retired)
        if found is None:
            raise model_life.retired(gone, self.models)
        return found

    def other_names(self) -> dict[str, list[str]]:
        """What else each model answers to, as the documentation publishes it."""
        names: dict[str, list[str]] = {name: [] for name in self.models}
        for alias, name in sorted(self.aliases.items()):
            if name in names and alias != name:
                names[name].append(alias)
        return names

    def _find(self, name: str) -> Model | None:
        return self.models.get(name) or self.models.get(self.aliases.get(name.lower(), ""))

    def _id(self, name: str) -> str:
        return name if name in self.retired else self.aliases.get(name.lower(), "")


def answering(
    gone: Retired, on_sale: Mapping[str, Model], retired: Mapping[str, Retired]
) -> Model | None:
    """The successor that answers for a retired model, or that one's; None if nobody does."""
    last, seen = gone, {gone.id}
    while last.life.redirects:
        if found := on_sale.get(last.life.successor):
            return found
        after = retired.get(last.life.successor)
        if after is None or after.id in seen:
            break
        seen.add(after.id)
        last = after
    return None


def stand(model: Model, gone: Retired, account: int) -> Stand:
    """What it means for an account that this model answers for that one: both at what it pays."""
    now = model.price if model.fee is not None else model.owned(account).price
    own = terms.held(model.book.own, account, gone.id)
    listed = Price(0, gone.rates, long_rates=gone.long_rates)
    before = listed.at(own) if own else listed
    return Stand(gone, model_life.compared(before.whole, now.whole))


def unknown(name: str) -> NotFound:
    return NotFound(
        f"The model {name[:100]!r} does not exist. GET /v1/models lists what there is.",
        code="model_not_found",
        param="model",
    )


Priced = tuple[Model, tuple[Price, ...]]  # oldest first: in force, and to come
Names = dict[str, tuple[str, str]]  # other names: the model, and the one meant if not dearer


class Snapshot:
    """The catalogue as the database had it at `read_at` (seconds since 1970), for this moment and
    those to come. One that is found unchanged is kept, with all that was made of it."""

    def __init__(
        self,
        read_at: float,
        priced: list[Priced],
        names: Names,
        features: Features,
        agreed: tuple[Agreement, ...] = (),
        own_key_fees: tuple[fees.Version, ...] = (),
    ) -> None:
        self.read_at = read_at
        self._priced, self._names, self._features, self._agreed = priced, names, features, agreed
        self._fees = own_key_fees
        moments = {price.since for _, prices in priced for price in prices}
        moments |= {at for model, _ in priced for at in (model.life.begins, model.life.ends)}
        moments |= {at for each in agreed for at in (each.since, each.until)}
        moments |= {each.since for each in own_key_fees} | features.moments()
        self._switches = sorted(moments - {0})
        self._views: dict[int, Catalogue] = {}  # by how many of the switches are past

    def at(self, micros: int) -> Catalogue:
        """What holds at that moment: of each model the newest price that is in force then."""
        past = bisect_right(self._switches, micros)
        if past not in self._views:
            self._views[past] = self._view(micros, past)
        return self._views[past]

    def _view(self, micros: int, past: int) -> Catalogue:
        own = terms.at(self._agreed, micros)
        book = Book(self._features.at(micros), own, fees.at(self._fees, micros))
        on_sale: dict[str, Model] = {}
        retired: dict[str, Retired] = {}
        for model, prices in self._priced:
            begun = bisect_right(prices, micros, key=lambda price: price.since)
            if not begun:
                continue
            price = prices[begun - 1]
            if model.life.is_over(micros):
                retired[model.id] = Retired(model.id, model.life, price.rates, price.long_rates)
            elif model.life.holds(micros):
                on_sale[model.id] = replace(
                    model,
                    price=price,
                    coming=prices[begun:],
                    book=book,
                    **learnt(),
                )
        known = {*on_sale, *retired}
        aliases = {name: _meant(*pair, on_sale) for name, pair in self._names.items()}
        aliases = {name: model for name, model in aliases.items() if model in known}
        aliases |= {name.lower(): name for name in known}
        book.write(on_sale, aliases)
        since, until = [0, *self._switches][past], [*self._switches, 0][past]
        return Catalogue(
            on_sale, aliases, self, since, until, retired, self._listed(on_sale, retired)
        )

    def _listed(
        self, on_sale: Mapping[str, Model], retired: Mapping[str, Retired]
    ) -> dict[str, Model]:
        """In the catalogue's order. What another model answers for is that one under its name."""
        found = {}
        for model, _ in self._priced:
            gone = retired.get(model.id)
            if model.id in on_sale:
                found[model.id] = on_sale[model.id]
            elif gone is not None and (other := answering(gone, on_sale, retired)):
                found[model.id] = replace(
                    other,
                    id=model.id,
                    name=model.name,
                    context_window=model.context_window,
                    max_output=model.max_output,
                    capabilities=model.capabilities,
                    released_at=model.released_at,
                    life=model.life,
                    **learnt(),
                )
        return found


def _meant(model: str, alternative: str, on_sale: dict[str, Model]) -> str:
    """Of two models that a name may mean, the nearest, or the other if that is not dearer."""
    nearest, other = on_sale.get(model), on_sale.get(alternative)
    if other is None:
        return model
    if nearest is None or model_life.compared(nearest.price.whole, other.price.whole) != "higher":
        return alternative
    return model


def price_of(row: models.Price) -> Price:
    rates = tuple(getattr(row, bucket) for bucket in BUCKETS)
    since = clock.of(row.effective_at)
    if row.long_context_above is None:
        return Price(row.pk, rates, since=since)
    long_rates = tuple(getattr(row, f"long_{bucket}") for bucket in BUCKETS)
    return Price(row.pk, rates, row.long_context_above, long_rates, since)


class _Last:
    """What was read last, and of which rows it was made: as they are, and as they are meant."""

    rows: Any = None
    made: tuple[Any, Snapshot] | None = None


def read() -> Snapshot:
    """The active models, each with the price in force and those to come. Nearly always no row has
    changed since the last time, and that snapshot will do: it holds what is to come as well."""
    read_at, found = clock.micros() / 1_000_000, (carrier_key(), rows.read())
    if _Last.made is not None and _Last.rows == found:
        _Last.made[1].read_at = max(read_at, _Last.made[1].read_at)
        return _Last.made[1]
    made = _read(read_at)
    _Last.rows = found
    return made


def _read(read_at: float) -> Snapshot:
    prices = _prices()
    rows = [row for row in models.Model.objects.filter(active=True) if row.id in prices]
    pools = routes.load((row.id, row.vendor, row.dialect) for row in rows)
    names = {
        alias.name.lower(): (alias.model_id, alias.alternative_id or "")
        for alias in models.Alias.objects.all()
    }
    features, agreed, charged = snapshot.load(), _agreed(), _fees()
    listed = [_columns(row) for row in (*rows, *features.rows())]
    seen = (prices, pools, names, listed, features.versions(), agreed, charged, carrier_key())
    if _Last.made is not None and _Last.made[0] == seen:
        _Last.made[1].read_at = max(read_at, _Last.made[1].read_at)
        return _Last.made[1]
    priced = [
        (_model(row, prices[row.id][0], pools.get(row.id, EMPTY), features), prices[row.id])
        for row in rows
    ]
    made = Snapshot(read_at, priced, names, features, agreed, charged)
    _Last.made = seen, made
    return made


def _columns(row: DatabaseModel) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def load() -> Catalogue:
    """What is on sale this moment, read from the database."""
    return read().at(clock.of(timezone.now()))


def _prices() -> dict[str, tuple[Price, ...]]:
    """Of each model, oldest first, what is or comes into force."""
    before = timezone.now() - _SKEW
    older = models.Price.objects.filter(model=OuterRef("model"), effective_at__lte=before)
    newest = older.order_by("-effective_at", "-id").values("pk")[:1]
    rows = models.Price.objects.filter(Q(effective_at__gt=before) | Q(pk=Subquery(newest)))
    found = defaultdict(list)
    for row in rows.order_by("effective_at", "id"):
        found[row.model_id].append(price_of(row))
    return {model: tuple(prices) for model, prices in found.items()}


def _agreed() -> tuple[Agreement, ...]:
    """Customers' own prices that hold, or will."""
    running = Q(until_at=None) | Q(until_at__gt=timezone.now() - _SKEW)
    return tuple(
        Agreement(
            account=row.user_id,
            model=row.model_id or "",
            since=clock.of(row.from_at),
            until=clock.of(row.until_at) if row.until_at else 0,
            terms=terms.of(row),
        )
        for row in CustomerPrice.objects.filter(running)
    )


def _fees() -> tuple[fees.Version, ...]:
    """For customers' own keys: those that hold, or will."""
    return tuple(
        fees.Version(row.vendor, clock.of(row.effective_at), fees.of(row))
        for row in fees.kept(timezone.now() - _SKEW)
    )


def _model(row: models.Model, price: Price, pool: Pool, features: Features) -> Model:
    return Model(
        id=row.id,
        name=row.name,
        vendor=row.vendor,
        upstream_id=row.upstream_id,
        context_window=row.context_window,
        max_output=row.max_output,
        capabilities=tuple(row.capabilities),
        released_at=int(row.released_at.timestamp()),
        price=price,
        dialect=row.dialect,
        target=families.target(
            row.upstream_id,
            row.dialect,
            max_output=row.max_output,
            key=carrier_key(),
            hosts=_hosts(row, features),
            ours=frozenset(features.rules(row.dialect, row.id).ours),
        ),
        long_context_window=row.long_context_window,
        long_context_beta=row.long_context_beta,
        pool=pool,
        life=model_life.of(row),
    )


def _hosts(row: models.Model, features: Features) -> frozenset[str]:
    """Its own tools that another dialect may ask for."""
    if row.dialect != "gemini":
        return frozenset()
    allowed = features.rules(row.dialect, row.id).tools
    return frozenset(word for word, name in hosted.GEMINI.items() if allowed.find(name))


_kept = Kept(lambda: read())


def at_hand(moment: int | None = None) -> Catalogue | None:
    """As `current`, if nothing need be waited for."""
    kept = _kept.warm(MAX_AGE_SECONDS)
    return None if kept is None else kept.at(clock.micros() if moment is None else moment)


async def current(moment: int | None = None) -> Catalogue:
    """What is on sale now, or at a moment (microseconds) that Redis told, by a snapshot at most
    MAX_AGE_SECONDS old. Raises Unavailable."""
    kept = await _kept.get(MAX_AGE_SECONDS)
    return kept.at(clock.micros() if moment is None else moment)


async def found(look: Callable[[Catalogue], T]) -> T:
    """What `look` finds. A refusal is raised only by a snapshot younger than REFUSES_SECONDS:
    what staff have just switched on is there. Raises as `look`, and Unavailable."""
    try:
        return look(await current())
    except (NotFound, BadRequest):
        return look(await newest())


async def newest() -> Catalogue:
    """What is on sale, by a snapshot that is young enough to refuse by. Raises Unavailable."""
    return (await _kept.get(REFUSES_SECONDS, ahead=False)).at(clock.micros())


def forget() -> None:
    """Read the catalogue anew with the next request."""
    _kept.forget()
