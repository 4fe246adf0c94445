"""Which model a name means, and what it costs now: a snapshot of the catalogue in memory.

The hot path reads the snapshot and nothing else. It is renewed from the database once it is
older than MAX_AGE_SECONDS, beside the requests and not in front of them.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace

from django.utils import timezone
from django.utils.crypto import salted_hmac

from gateway import models, variants
from gateway.codecs import families, hosted
from gateway.features import snapshot
from gateway.features.snapshot import Features, Rules
from gateway.ir import Target, Usage
from gateway.models import BUCKETS
from gateway.pools import routes
from gateway.pools.routes import EMPTY, NATIVE, Pool
from gateway.variants import Variant
from hontoni import money
from hontoni.db import in_thread
from hontoni.errors import NotFound

MAX_AGE_SECONDS = 5.0

Rates = tuple[int, int, int, int, int, int]  # nano-dollars per million tokens, in BUCKETS' order


@dataclass(frozen=True, slots=True)
class Price:
    """A price version, ready to multiply."""

    id: int
    rates: Rates
    long_context_above: int | None = None
    long_rates: Rates | None = None

    def rates_for(self, usage: Usage) -> Rates:
        """The long-context prices apply to the whole request, by the size of its prompt."""
        prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
        if self.long_rates and self.long_context_above and prompt > self.long_context_above:
            return self.long_rates
        return self.rates

    def cost(self, usage: Usage) -> int:
        """Nano-dollars, rounded half up once (DESIGN.md section 5)."""
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
        """The model of that name, ours or its vendor's."""
        known = self._models.get(name) or self._vendors.get(name)
        return known or self._models.get(self._aliases.get(name.lower(), ""))


@dataclass(frozen=True, slots=True)
class Model:
    """What the hot path needs to know of a model. `target` is what it can be asked, `pool` who
    can be asked."""

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
    book: Book = field(default_factory=lambda: Book(Features()), compare=False, repr=False)
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
        return self.book.features.rules(self.dialect, self.id)

    def at(self, named: tuple[str, str]) -> "Model":
        """The same model, at the same price, as a provider has it under that name and dialect."""
        if named in (NATIVE, (self.upstream_id, self.dialect)):
            return self
        if named not in self._elsewhere:
            self._elsewhere[named] = _elsewhere(self, *named)
        return self._elsewhere[named]


@dataclass(frozen=True, slots=True)
class Catalogue:
    models: dict[str, Model]
    aliases: dict[str, str]
    loaded_at: float

    def resolve(self, name: str) -> tuple[Model, Variant]:
        """The model a client means, and how it wants it. Raises NotFound (404 model_not_found)."""
        if found := self.models.get(name):  # nearly always
            return found, variants.PLAIN
        for base, variant in variants.readings(name):
            if found := self._find(base):
                return found, variant
        raise NotFound(
            f"The model {name[:100]!r} does not exist. GET /v1/models lists what there is.",
            code="model_not_found",
            param="model",
        )

    def other_names(self) -> dict[str, list[str]]:
        """What else each model answers to, as the documentation publishes it."""
        names: dict[str, list[str]] = {name: [] for name in self.models}
        for alias, name in sorted(self.aliases.items()):
            if name in names and alias != name:
                names[name].append(alias)
        return names

    def _find(self, name: str) -> Model | None:
        return self.models.get(name) or self.models.get(self.aliases.get(name.lower(), ""))


def price_of(row: models.Price) -> Price:
    rates = [getattr(row, bucket) for bucket in BUCKETS]
    if row.long_context_above is None:
        return Price(row.pk, tuple(rates))
    long_rates = [getattr(row, f"long_{bucket}") for bucket in BUCKETS]
    return Price(row.pk, tuple(rates), row.long_context_above, tuple(long_rates))


def load() -> Catalogue:
    """Read the active models, each with the newest price that is already in effect."""
    now = timezone.now()
    prices: dict[str, models.Price] = {}
    for price in models.Price.objects.filter(effective_at__lte=now).order_by("effective_at", "id"):
        prices[price.model_id] = price
    rows = [row for row in models.Model.objects.filter(active=True) if row.id in prices]
    pools = routes.load((row.id, row.vendor, row.dialect) for row in rows)
    book = Book(snapshot.load())
    found = {
        row.id: _model(row, price_of(prices[row.id]), pools.get(row.id, EMPTY), book)
        for row in rows
    }
    aliases = {alias.name.lower(): alias.model_id for alias in models.Alias.objects.all()}
    aliases |= {row.id.lower(): row.id for row in rows}
    book.write(found, aliases)
    return Catalogue(models=found, aliases=aliases, loaded_at=time.monotonic())


def _model(row: models.Model, price: Price, pool: Pool, book: Book) -> Model:
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
            hosts=_hosts(row, book),
        ),
        long_context_window=row.long_context_window,
        long_context_beta=row.long_context_beta,
        pool=pool,
        book=book,
    )


def _hosts(row: models.Model, book: Book) -> frozenset[str]:
    """Its own tools that another dialect may ask for."""
    if row.dialect != "gemini":
        return frozenset()
    allowed = book.features.rules(row.dialect, row.id).tools
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
        _capped={},
        _elsewhere={},
    )


def carrier_key() -> bytes:
    """What seals a vendor's reasoning secrets on their way through a client."""
    return salted_hmac("gateway.carrier", "", algorithm="sha256").digest()


class _Snapshot:
    value: Catalogue | None = None
    renewal: asyncio.Task[None] | None = None


async def current() -> Catalogue:
    """The snapshot, at most a few seconds old while requests come in."""
    if _Snapshot.value is None:
        _Snapshot.value = await in_thread(load)
    elif time.monotonic() - _Snapshot.value.loaded_at > MAX_AGE_SECONDS and not _renewing():
        _Snapshot.renewal = asyncio.create_task(_renew())
    return _Snapshot.value


def _renewing() -> bool:
    return _Snapshot.renewal is not None and not _Snapshot.renewal.done()


async def _renew() -> None:
    _Snapshot.value = await in_thread(load)


def forget() -> None:
    """Read the catalogue anew with the next request."""
    _Snapshot.value = None
