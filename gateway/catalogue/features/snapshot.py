"""The allow-list in memory: one set of rules for each dialect and model, made when first asked.

Read with the catalogue, so that an edit is in force on every node as soon as a price is; what a
feature costs is a price, and changes at one instant on every node (gateway/catalogue/snapshot.py).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.db.models import Exists, Q

from gateway.catalogue import clock
from gateway.catalogue.features.models import OURS, WHOLE, Feature, FeaturePrice, Kind, Pricing
from gateway.dialects.codecs import families
from gateway.vendors.web.models import SearchProvider


class Row(NamedTuple):
    """A row of the list, as the hot path reads it. `meters` and `factor` as of the model's."""

    id: int
    kind: str
    name: str
    pricing: str
    amount: int
    factor: int
    meters: tuple[str, ...]
    most_calls: int
    bound: str
    note: str
    version: int = 0  # of its price; 0: the first one
    coming: "tuple[Version, ...]" = ()
    ours: bool = False  # we run it ourselves


class Version(NamedTuple):
    """Of a feature's price, from a moment on (microseconds since 1970)."""

    id: int
    since: int
    pricing: str
    amount: int
    factor: int


Versions = Mapping[int, tuple[Version, ...]]  # by feature, oldest first
_NONE: Versions = {}


TOOLS, EDITS = "tools", "context_management"
LOOKED_INTO = (TOOLS, EDITS)  # members with rules of their own (sift.py)
_MOST_PLAIN = 1_000  # sets of members remembered
_ANY = Row(0, Kind.MEMBER, "*", Pricing.INCLUDED, 0, WHOLE, (), 0, "", "")


class Names:
    """The names of one kind: exact ones, and beginnings."""

    __slots__ = ("_begun", "_exact", "all")

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._exact = {name: row for name, row in rows.items() if not name.endswith("*")}
        self._begun = [(name[:-1], row) for name, row in rows.items() if name.endswith("*")]
        self.all = frozenset(self._exact)

    def included(self) -> "Names":
        """Those that cost nothing of their own."""
        rows = self._exact | {f"{head}*": row for head, row in self._begun}
        return Names({n: row for n, row in rows.items() if row.pricing == Pricing.INCLUDED})

    def find(self, name: str) -> Row | None:
        """The row that allows it: the exact one, or that of its longest listed beginning."""
        if (row := self._exact.get(name)) is not None or not self._begun:
            return row
        found = [(len(head), row) for head, row in self._begun if name.startswith(head)]
        return max(found)[1] if found else None


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked of one model in one dialect.

    `members` by the container they are in (`""` is the body itself), `inner` the paths of the
    containers in it, `costly` those of its members that cost; `values` by member; `meters` the
    counters that
    cost money, `factors` by the member that tells what was applied. What is plain costs nothing;
    `described` is what customers are told of. `ours` are the tools that we run ourselves.
    """

    members: Mapping[str, Names]
    inner: Mapping[str, Mapping[str, str]]
    costly: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Names]
    tools: Names
    plain_tools: frozenset[str | None]
    blocks: Names
    plain_blocks: frozenset[str | None]
    betas: Names
    headers: frozenset[bytes]
    meters: tuple[Row, ...]
    counters: Mapping[str, Row]
    factors: Mapping[str, Mapping[str, Row]]
    described: tuple[Row, ...]
    ours: Mapping[str, Row] = field(default_factory=dict)
    flags: dict[bytes, tuple[bytes, tuple[str, ...]]] = field(default_factory=dict, compare=False)
    _plain: set[tuple[str, ...]] = field(default_factory=set, compare=False)

    def without_hosted(self) -> "Rules":
        """At a host that runs no tools: those that cost are the ones a vendor runs."""
        return replace(self, tools=self.tools.included(), flags={}, _plain=set())

    def is_plain(self, body: Iterable[str]) -> bool:
        """Whether all of these members of a body are allowed, whatever their values, and none is
        one to look into. Clients name the same ones again and again."""
        names = tuple(body)
        if names in self._plain:
            return True
        known = self.members.get("")
        if known is None or not known.all.issuperset(names):
            return False
        for special in (self.inner.get("", ()), self.costly.get("", ()), self.values, LOOKED_INTO):
            if not set(names).isdisjoint(special):
                return False
        if len(self._plain) < _MOST_PLAIN:
            self._plain.add(names)
        return True


def row_of(row: Feature, versions: tuple[Version, ...] = (), micros: int = 0) -> Row:
    """At the price of a moment."""
    meters = tuple(name for part in row.meter.split(",") if (name := part.strip()))
    begun = bisect_right(versions, micros, key=lambda version: version.since)
    now = Version(0, 0, row.pricing, row.amount, row.factor)
    if begun:
        now = versions[begun - 1]
    numbers = (now.pricing, now.amount, now.factor, meters, row.most_calls, row.bound, row.note)
    ours = row.dialect == OURS
    return Row(row.pk, row.kind, row.name, *numbers, now.id, versions[begun:], ours)


def rules(rows: Iterable[Feature], versions: Versions = _NONE, micros: int = 0) -> Rules:
    """The rules that rows of one dialect make, with what we run ourselves, at the prices of a
    moment."""
    kinds: dict[str, dict[str, Row]] = {kind: {} for kind in Kind.values}
    ours: dict[str, Row] = {}
    for row in rows:
        made = row_of(row, versions.get(row.pk, ()), micros)
        (ours if row.dialect == OURS else kinds[row.kind])[row.name] = made
    priced = (*kinds[Kind.TOOL].values(), *kinds[Kind.COUNTER].values(), *ours.values())
    described = (*(row for kind in kinds.values() for row in kind.values()), *ours.values())
    members = _split({f".{name}": row for name, row in kinds[Kind.MEMBER].items()}, ".")
    return Rules(
        members={"tools": Names({"*": _ANY})} | members,
        inner=_inner(members),
        costly=_costly(kinds[Kind.MEMBER]),
        values=_split(kinds[Kind.VALUE], "="),
        tools=Names(kinds[Kind.TOOL]),
        plain_tools=_plain(kinds[Kind.TOOL]),
        blocks=Names(kinds[Kind.BLOCK]),
        plain_blocks=_plain(kinds[Kind.BLOCK]),
        betas=Names(kinds[Kind.BETA]),
        headers=frozenset(name.lower().encode() for name in kinds[Kind.HEADER]),
        meters=tuple(row for row in priced if row.pricing == Pricing.PER_CALL and row.amount),
        counters=kinds[Kind.COUNTER],
        factors=_factors(kinds[Kind.VALUE]),
        described=tuple(row for row in described if row.note),
        ours=ours,
    )


def _split(rows: Mapping[str, Row], mark: str) -> dict[str, Names]:
    """By what stands before the last mark of a name."""
    groups: dict[str, dict[str, Row]] = {}
    for name, row in rows.items():
        container, _, last = name.rpartition(mark)
        groups.setdefault(container.removeprefix("."), {})[last] = row
    return {container: Names(group) for container, group in groups.items()}


def _inner(containers: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each container those that are objects in it; `tools` are a list, and looked at apart."""
    found: dict[str, dict[str, str]] = {}
    for path in containers:
        outer, _, name = path.rpartition(".")
        if path and path != "tools":
            found.setdefault(outer, {})[name] = path
    return found


def _costly(rows: Mapping[str, Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, row in rows.items():
        if row.pricing != Pricing.INCLUDED:
            container, _, last = name.rpartition(".")
            found[container] = (*found.get(container, ()), last)
    return found


def _plain(rows: Mapping[str, Row]) -> frozenset[str | None]:
    """What can be passed over: no type at all, and exact names that cost nothing."""
    found = {name for name, row in rows.items() if row.pricing == Pricing.INCLUDED}
    return frozenset((None, *(name for name in found if not name.endswith("*"))))


def _factors(rows: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    """By the member of the answer that says what was applied; what costs the plain price, too."""
    found: dict[str, dict[str, Row]] = {}
    for name, row in rows.items():
        if row.pricing == Pricing.FACTOR and row.factor != WHOLE:
            for meter in row.meters or (name.partition("=")[0],):
                found.setdefault(meter, {})[name.partition("=")[2]] = row
    return found


class Features:
    """Every active row, at the prices of a moment; `rules` of a dialect and a model, made once."""

    def __init__(
        self, rows: Iterable[Feature] = (), versions: Versions = _NONE, micros: int = 0
    ) -> None:
        self._rows = list(rows)
        self._versions, self._micros = versions, micros
        self._made: dict[tuple[str, str], Rules] = {}

    def at(self, micros: int) -> "Features":
        """The same at the prices of that moment."""
        return Features(self._rows, self._versions, micros) if self._versions else self

    def moments(self) -> set[int]:
        """When some price begins."""
        return {each.since for versions in self._versions.values() for each in versions}

    def rules(self, dialect: str, model: str) -> Rules:
        made = self._made.get((dialect, model))
        if made is None:
            mine = self._of(dialect, model)
            made = self._made[dialect, model] = rules(mine, self._versions, self._micros)
        return made

    def _of(self, dialect: str, model: str) -> list[Feature]:
        """A row for this very model stands before one for all of them."""
        spoken = (dialect, OURS) if families.chats(dialect) else (dialect,)
        mine = [row for row in self._rows if row.dialect in spoken and has(row, model)]
        return sorted(mine, key=lambda row: bool(row.only_models))

    def rows(self) -> list[Feature]:
        """For pages that show what costs what."""
        return list(self._rows)

    def versions(self) -> Versions:
        return self._versions


def has(row: Feature, model: str) -> bool:
    """Whether a row is one of a model's."""
    return not row.only_models or model in [name.strip() for name in row.only_models.split(",")]


_FIELDS = (
    *("id", "dialect", "kind", "name", "only_models", "pricing", "amount", "factor", "meter"),
    *("most_calls", "bound", "note"),
)


class _Last:
    """The list as it was read last: until somebody edits it, its rules need not be made anew."""

    rows: Sequence[tuple[object, ...]] = ()
    versions: Versions = _NONE
    features = Features()


def load() -> Features:
    """Read the list, and the prices that were, are and come; without what we run ourselves while
    nobody searches for us."""
    nobody = ~Exists(SearchProvider.objects.filter(active=True))
    listed = Feature.objects.filter(active=True).exclude(nobody & Q(dialect=OURS))
    rows = list(listed.order_by("pk").values_list(*_FIELDS))
    versions = _versions()
    if rows != _Last.rows or versions != _Last.versions:
        made = [Feature(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
        _Last.rows, _Last.versions = rows, versions
        _Last.features = Features(made, versions)
    return _Last.features


def _versions() -> Versions:
    found: defaultdict[int, tuple[Version, ...]] = defaultdict(tuple)
    names = ("feature_id", "id", "effective_at", "pricing", "amount", "factor")
    rows = FeaturePrice.objects.order_by("effective_at", "id").values_list(*names)
    for feature, pk, since, *price in rows:
        found[feature] += (Version(pk, clock.of(since), *price),)
    return dict(found)
