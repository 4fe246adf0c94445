"""Which model a name means, and what it costs at a moment: a snapshot of the catalogue in memory.

The hot path reads the snapshot and nothing else. No request is priced or refused by one that is
older than MAX_AGE_SECONDS (hontoni/freshness.py). It holds the prices in force and those to come,
and is looked at with the moment in question: so a price changes at the same instant on every
node, whenever each of them read the catalogue.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Model as DatabaseModel
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac

from gateway.catalogue import clock, models, rows, variants
from gateway.catalogue.features import snapshot
from gateway.catalogue.features.snapshot import Features, Rules
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.variants import Variant
from gateway.dialects.codecs import families, hosted
from gateway.dialects.ir import Target, Usage
from gateway.vendors import routes
from gateway.vendors.routes import EMPTY, NATIVE, Pool
from hontoni import money
from hontoni.errors import BadRequest, NotFound
from hontoni.freshness import Kept

MAX_AGE_SECONDS = 5.0
REFUSES_SECONDS = 1.0  # a younger snapshot's no is final; an older one's is looked at again
# Prices that ended so lately are kept: another machine's clock may not have reached that moment.
_SKEW = timedelta(minutes=1)

T = TypeVar("T")

Rates = tuple[int, int, int, int, int, int]  # nano-dollars per million tokens, in BUCKETS' order


@dataclass(frozen=True, slots=True)
class Price:
    """A price version, ready to multiply. `since`: when it comes into force, in microseconds."""

    id: int
    rates: Rates
    long_context_above: int | None = None
    long_rates: Rates | None = None
    since: int = 0

    def rates_for(self, usage: Usage) -> Rates:
        """The long-context prices apply to the whole request, by the size of its prompt."""
        prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
        if self.long_rates and self.long_context_above and prompt > self.long_context_above:
            return self.long_rates
        return self.rates

    def cost(self, usage: Usage) -> int:
        """Nano-dollars, rounded half up once."""
        return money.per_million(self.weigh(usage))

    def weigh(self, usage: Usage) -> int:
        """The same, not yet divided by a million."""
        rates = self.rates_for(usage)
        return (
            usage.input * rates[0]
            + usage.cache_read * rates[1]
            + usage.cache_write_5m * rates[2]
            + usage.cache_write_1h * rates[3]
            + usage.output * rates[4]
            + usage.reasoning * rates[5]
        )


class Book:
    """What a model needs to know beside itself: its sisters, and what may be asked of each. Of
    the same moment as their prices."""

    __slots__ = ("_aliases", "_models", "_vendors", "features")

    def __init__(self, features: Features) -> None:
        self.features = features
        self._models: dict[str, Model] = {}
        self._vendors: dict[str, Model] = {}
        self._aliases: dict[str, str] = {}

    def write(self, models: dict[str, "Model"], aliases: dict[str, str]) -> None:
        self._models, self._aliases = models, aliases
        self._vendors = {model.upstream_id: model for model in models.values()}

    def find(self, name: str) -> "Model | None":
        """The model of that name, ours or its vendor's, dated or not."""
        known = self._models.get(name) or self._vendors.get(name)
        known = known or self._models.get(self._aliases.get(name.lower(), ""))
        undated = variants.undated(name)
        return known if known or undated == name else self.find(undated)


@dataclass(frozen=True, slots=True)
class Model:
    """What the hot path needs to know of a model. `target` is what it can be asked, `pool` who
    can be asked. `coming` are the prices announced to follow `price`."""

    id: str
    name: str
    vendor: str
    upstream_id: str
    context_window: int
    max_output: int
    capabilities: tuple[str, ...]
    released_at: int
    price: Price
    dialect: str
    target: Target
    long_context_window: int | None = None
    long_context_beta: str = ""
    pool: Pool = EMPTY
    coming: tuple[Price, ...] = ()
    book: Book = field(default_factory=lambda: Book(Features()), compare=False, repr=False)
    _rules: list[Rules] = field(default_factory=list, compare=False, repr=False)
    _capped: dict[int, Target] = field(default_factory=dict, compare=False)
    _elsewhere: dict[tuple[str, str], "Model"] = field(default_factory=dict, compare=False)

    def window(self, long_context: bool) -> int:
        """The most tokens of a prompt. A long context without a switch is there for everybody."""
        long = self.long_context_window
        return (
            long if long and (long_context or not self.long_context_beta) else self.context_window
        )

    def capped(self, thinking_budget: int) -> Target:
        """The target under a plan's thinking budget; there are as many as there are plans."""
        if thinking_budget not in self._capped:
            self._capped[thinking_budget] = replace(self.target, thinking_cap=thinking_budget)
        return self._capped[thinking_budget]

    def rules(self) -> Rules:
        """What may be asked of it, and what of that costs money of its own."""
        if not self._rules:
            self._rules.append(self.book.features.rules(self.dialect, self.id))
        return self._rules[0]

    def at(self, named: tuple[str, str]) -> "Model":
        """The same model, at the same price, as a provider has it under that name and dialect."""
        if named in (NATIVE, (self.upstream_id, self.dialect)):
            return self
        if named not in self._elsewhere:
            self._elsewhere[named] = _elsewhere(self, *named)
        return self._elsewhere[named]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is on sale, and at which prices, from the microsecond `since` to before `until` (0:
    whenever), when some price changes. `of` is the snapshot it was made of."""

    models: dict[str, Model]
    aliases: dict[str, str]
    of: "Snapshot"
    since: int = 0
    until: int = 0

    def resolve(self, name: str) -> tuple[Model, Variant]:
        """The model a client means, and how it wants it. Raises NotFound (404 model_not_found)."""
        if found := self.models.get(name):  # nearly always
            return found, variants.PLAIN
        for base, variant in variants.readings(name):
            if found := self._find(base):
                return found, variant
        raise unknown(name)

    def other_names(self) -> dict[str, list[str]]:
        """What else each model answers to, as the documentation publishes it."""
        names: dict[str, list[str]] = {name: [] for name in self.models}
        for alias, name in sorted(self.aliases.items()):
            if name in names and alias != name:
                names[name].append(alias)
        return names

    def _find(self, name: str) -> Model | None:
        return self.models.get(name) or self.models.get(self.aliases.get(name.lower(), ""))


def unknown(name: str) -> NotFound:
    return NotFound(
        f"The model {name[:100]!r} does not exist. GET /v1/models lists what there is.",
        code="model_not_found",
        param="model",
    )


Priced = tuple[Model, tuple[Price, ...]]  # oldest first: in force, and to come


class Snapshot:
    """The catalogue as the database had it at `read_at` (seconds since 1970), for this moment and
    those to come. One that is found unchanged is kept, with all that was made of it."""

    def __init__(
        self, read_at: float, priced: list[Priced], aliases: dict[str, str], features: Features
    ) -> None:
        self.read_at = read_at
        self._priced, self._aliases, self._features = priced, aliases, features
        self._switches = sorted({price.since for _, prices in priced for price in prices})
        self._views: dict[int, Catalogue] = {}  # by how many of the switches are past

    def at(self, micros: int) -> Catalogue:
        """What holds at that moment: of each model the newest price that is in force then."""
        past = bisect_right(self._switches, micros)
        if past not in self._views:
            self._views[past] = self._view(micros, past)
        return self._views[past]

    def _view(self, micros: int, past: int) -> Catalogue:
        book = Book(self._features)
        on_sale = {}
        for model, prices in self._priced:
            begun = bisect_right(prices, micros, key=lambda price: price.since)
            if begun:
                on_sale[model.id] = replace(
                    model,
                    price=prices[begun - 1],
                    coming=prices[begun:],
                    book=book,
                    _rules=[],
                    _elsewhere={},
                )
        aliases = {name: model for name, model in self._aliases.items() if model in on_sale}
        aliases |= {name.lower(): name for name in on_sale}
        book.write(on_sale, aliases)
        since, until = [0, *self._switches][past], [*self._switches, 0][past]
        return Catalogue(on_sale, aliases, self, since, until)


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
    aliases = {alias.name.lower(): alias.model_id for alias in models.Alias.objects.all()}
    features = snapshot.load()
    listed = [_columns(row) for row in (*rows, *features.rows())]
    seen = (prices, pools, aliases, listed, carrier_key())
    if _Last.made is not None and _Last.made[0] == seen:
        _Last.made[1].read_at = max(read_at, _Last.made[1].read_at)
        return _Last.made[1]
    priced = [
        (_model(row, prices[row.id][0], pools.get(row.id, EMPTY), features), prices[row.id])
        for row in rows
    ]
    made = Snapshot(read_at, priced, aliases, features)
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
        ),
        long_context_window=row.long_context_window,
        long_context_beta=row.long_context_beta,
        pool=pool,
    )


def _hosts(row: models.Model, features: Features) -> frozenset[str]:
    """Its own tools that another dialect may ask for."""
    if row.dialect != "gemini":
        return frozenset()
    allowed = features.rules(row.dialect, row.id).tools
    return frozenset(word for word, name in hosted.GEMINI.items() if allowed.find(name))


def _elsewhere(model: Model, upstream_id: str, dialect: str) -> Model:
    """Behind another vendor's dialect nobody knows what of a model can be asked: the least."""
    native = families.vendor(dialect) == model.vendor
    target = families.target(
        model.upstream_id if native else "",
        dialect,
        max_output=model.max_output,
        key=carrier_key(),
    )
    return replace(
        model,
        upstream_id=upstream_id,
        dialect=dialect,
        target=replace(target, model=upstream_id),
        _rules=[],
        _capped={},
        _elsewhere={},
    )


def carrier_key() -> bytes:
    """What seals a vendor's reasoning secrets on their way through a client."""
    return salted_hmac("gateway.carrier", "", algorithm="sha256").digest()


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
