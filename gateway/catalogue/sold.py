"""A model and its price, ready for the hot path: what it can be asked, who can be asked, and what
tokens cost. Frozen values; the snapshot of the catalogue makes them (snapshot.py)."""

from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.crypto import salted_hmac

from gateway.catalogue import model_life, variants
from gateway.catalogue.features.snapshot import Features, Rules
from gateway.catalogue.model_life import Life
from gateway.catalogue.own_prices.terms import LISTED, Own, Rates, Terms, surcharged
from gateway.dialects.codecs import families
from gateway.dialects.ir import Target, Usage
from gateway.vendors.manners import NATIVE, PLAIN, Manners, Named
from gateway.vendors.own_keys import fees
from gateway.vendors.own_keys.fees import Fee, Fees
from gateway.vendors.routes import EMPTY, Pool
from hontoni import money


@dataclass(frozen=True, slots=True)
class Price:
    """A price version, ready to multiply. `since`: when it comes into force, in microseconds.
    Rates are nano-dollars per million tokens, in BUCKETS' order; `own` says whose they are if
    they are not the list's."""

    id: int
    rates: Rates
    long_context_above: int | None = None
    long_rates: Rates | None = None
    since: int = 0
    own: Terms | None = None

    def at(self, own: Terms) -> "Price":
        """What a customer with these terms pays instead."""
        if own.rates is not None or self.long_rates is None:
            return replace(
                self, rates=own.on(self.rates), long_context_above=None, long_rates=None, own=own
            )
        return replace(self, rates=own.on(self.rates), long_rates=own.on(self.long_rates), own=own)

    def surcharged(self, surcharge: int) -> "Price":
        """The same with so many basis points on top."""
        more = LISTED._replace(surcharge=surcharge)
        paid = self.at(more)
        return replace(paid, own=(self.own or more)._replace(surcharge=surcharge))

    @property
    def whole(self) -> tuple[int, ...]:
        """Of a short prompt, and of a long one: to compare by."""
        return (*self.rates, *(self.long_rates or self.rates))

    def rates_for(self, usage: Usage) -> Rates:
        """The long-context prices apply to the whole request, by the size of its prompt."""
        if not self.long_rates or not self.long_context_above:
            return self.rates
        prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
        return self.long_rates if prompt > self.long_context_above else self.rates

    def cost(self, usage: Usage) -> int:
        """Nano-dollars, rounded half up once (DESIGN.md section 5)."""
        return money.per_million(self.weigh(usage))

    def weigh(self, usage: Usage) -> int:
        """The same, not yet divided by a million."""
        read, cached, five_minutes, hour, output, reasoning = self.rates_for(usage)
        a, b, c, d, e, f = usage
        return a * read + b * cached + c * five_minutes + d * hour + e * output + f * reasoning


class Book:
    """What a model needs to know beside itself: its sisters, and what may be asked of each. Of
    the same moment as their prices."""

    __slots__ = ("_aliases", "_models", "_vendors", "features", "fees", "own")

    def __init__(
        self, features: Features, own: Own | None = None, fees: Fees | None = None
    ) -> None:
        self.features = features
        self.own: Own = own or {}
        self.fees: Fees = fees or {}
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
    can be asked. `coming` are the prices announced to follow `price`. Through a customer's own key
    it costs the `fee`, and `ours` is the same at the price of our own credentials. `surcharge` is
    what it costs more, in basis points, past a window of the plan."""

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
    life: Life = model_life.UNKNOWN
    owner: int = 0  # the account whose own price it has
    fee: Fee | None = None
    ours: "Model | None" = field(default=None, compare=False, repr=False)
    surcharge: int = 0
    manners: Manners = PLAIN  # of whoever is asked for it
    book: Book = field(default_factory=lambda: Book(Features()), compare=False, repr=False)
    outlines: dict[bytes, Any] = field(default_factory=dict, compare=False, repr=False)  # plane's
    _rules: list[Rules] = field(default_factory=list, compare=False, repr=False)
    _capped: dict[int, Target] = field(default_factory=dict, compare=False)
    _elsewhere: dict[Named, "Model"] = field(default_factory=dict, compare=False)
    _owned: dict[int, "Model"] = field(default_factory=dict, compare=False, repr=False)

    @property
    def chats(self) -> bool:
        """Whether it answers prompts; others embed, draw, hear or speak."""
        return families.chats(self.dialect)

    def owned(self, account: int) -> "Model":
        """The same, at the account's own price if it has one."""
        mine = self.book.own.get(account)
        if mine is None or self.owner == account:  # nearly always
            return self
        if account not in self._owned:
            own = mine.get(self.id) or mine.get("")
            self._owned[account] = self if own is None else _owned(self, account, own)
        return self._owned[account]

    def sister(self, name: str) -> "Model | None":
        """Another model, by any of its names, at the prices of the same account."""
        found = self.book.find(name)
        if found is None:
            return None
        if self.fee is not None:
            found = found.by_own_key() or found
        elif self.owner:
            found = found.owned(self.owner)
        return found.surcharged(self.surcharge)

    def by_own_key(self) -> "Model | None":
        """The same at the fee for a customer's own key; None where staff have set none."""
        fee = fees.for_vendor(self.book.fees, self.vendor)
        if fee is None:
            return None
        if _BY_OWN_KEY not in self._owned:
            self._owned[_BY_OWN_KEY] = _by_own_key(self, fee)
        return self._owned[_BY_OWN_KEY]

    def surcharged(self, surcharge: int) -> "Model":
        """The same past a window of a plan with that surcharge, in basis points."""
        if surcharge == self.surcharge:  # nearly always: none
            return self
        at = _SURCHARGED - surcharge
        if at not in self._owned:
            self._owned[at] = _surcharged(self, surcharge)
        return self._owned[at]

    def paid(self, amount: int) -> int:
        """What is paid for a call, or another unit, that costs so much: nano-dollars."""
        return surcharged(amount, self.surcharge) if self.surcharge else amount

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
            found = self.book.features.rules(self.dialect, self.id)
            self._rules.append(found if self.manners.hosts else found.without_hosted())
        return self._rules[0]

    @property
    def named(self) -> Named:
        """How whoever is asked has it."""
        return Named(self.upstream_id, self.dialect, self.manners)

    def at(self, named: Named) -> "Model":
        """The same model, at the same price, as a provider has it under that name and dialect."""
        if named is NATIVE or named in (NATIVE, self.named):
            return self
        if named not in self._elsewhere:
            self._elsewhere[named] = _elsewhere(self, named)
        return self._elsewhere[named]

    def path(self, *, streams: bool) -> str:
        """Where whoever is asked takes a request for it."""
        return self.manners.path(self.dialect, self.target.model, streams=streams)


def learnt() -> dict[str, Any]:
    """What a model has learnt before anybody asked for it: for one that is made of another."""
    return {"outlines": {}, "_rules": [], "_capped": {}, "_elsewhere": {}, "_owned": {}}


_BY_OWN_KEY, _SURCHARGED = -1, -2  # no account's id; the latter and all below it


def _by_own_key(model: Model, fee: Fee) -> Model:
    """Every token costs the same, however long the prompt: the vendor bills the rest himself."""
    a, b, c, d, e, f = (fee.per_million,) * 6
    terms = Terms(fee.id, rates=(a, b, c, d, e, f), own_key=True)
    return replace(
        model,
        price=model.price.at(terms),
        coming=(),
        fee=fee,
        ours=model,
        _elsewhere={},
        _owned={},
    )


def _surcharged(model: Model, surcharge: int) -> Model:
    return replace(
        model,
        price=model.price.surcharged(surcharge),
        coming=(),
        surcharge=surcharge,
        ours=model.ours.surcharged(surcharge) if model.ours else None,
        _elsewhere={},
        _owned={},
    )


def _owned(model: Model, account: int, own: Terms) -> Model:
    return replace(
        model,
        price=model.price.at(own),
        coming=tuple(price.at(own) for price in model.coming),
        owner=account,
        _elsewhere={},
        _owned={},
    )


def _elsewhere(model: Model, named: Named) -> Model:
    """Behind another vendor's dialect nobody knows what of a model can be asked: the least."""
    upstream_id, dialect = named.model or model.upstream_id, named.dialect or model.dialect
    native = families.vendor(dialect) == model.vendor
    target = families.target(
        model.upstream_id if native else "",
        dialect,
        max_output=model.max_output,
        key=carrier_key(),
        hosts=model.target.hosts if dialect == model.dialect and named.manners.hosts else _NONE,
        ours=model.target.ours,
    )
    return replace(
        model,
        upstream_id=upstream_id,
        dialect=dialect,
        manners=named.manners,
        target=named.manners.target(replace(target, model=upstream_id)),
        **learnt(),
    )


_NONE: frozenset[str] = frozenset()


def carrier_key() -> bytes:
    """What seals a vendor's reasoning secrets on their way through a client."""
    return salted_hmac("gateway.carrier", "", algorithm="sha256").digest()
