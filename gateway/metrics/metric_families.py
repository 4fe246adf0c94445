"""The figures in Prometheus's words: one function for each kind of family, and their list."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar

from gateway.dialects.ir import Usage
from gateway.metrics.snapshots import Snapshot
from gateway.metrics.store_metrics import Stores
from gateway.plane.counts import FIRST_BYTE, Histogram, Row

NANO = 1_000_000_000
_GAUGES = {
    "open_streams": "Streams being answered now.",
    "slots": "Requests that hold a slot now.",
    "holds_nano_dollars": "Money set aside for them, in nano-dollars.",
    "unsettled": "Requests that ended while Valkey was away, and wait for it.",
    "spool_bytes": "Usage events on the gateways' own disks.",
    "drains": "Answers heard to their end without their client.",
}
_BREAKER_HELP = "0 closed, 1 asked once to see whether it is well again, 2 open."


class Families:
    """A collector of prometheus-client's."""

    def __init__(self, snapshot: Snapshot, stores: Stores) -> None:
        self.snapshot, self.stores = snapshot, stores

    def collect(self) -> Iterator[Metric]:
        yield from _requests(self.snapshot)
        yield _histogram(
            "hontoni_overhead_seconds",
            "Time of ours in a request: until a vendor is asked, and after its last byte.",
            {(): self.snapshot.overhead},
        )
        yield _histogram(
            "hontoni_first_byte_seconds",
            "From a whole request to the first byte of its answer.",
            _by_model(self.snapshot),
            ("model", "vendor"),
        )
        yield _counter(
            "hontoni_refusals",
            "Errors answered on /v1.",
            ("status", "code"),
            self.snapshot.refusals.items(),
        )
        yield _counter(
            "hontoni_rebuilds",
            "Accounts made anew in Valkey from the database.",
            (),
            [((), self.snapshot.rebuilt)],
        )
        yield from _open(self.snapshot)
        yield from _stores(self.stores)


def _requests(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ("dialect", "model", "vendor", "outcome")
    rows = snapshot.rows.items()
    yield _counter(
        "hontoni_requests",
        "Requests whose cost was decided.",
        labels,
        ((kind, row.requests) for kind, row in rows),
    )
    cost, gift = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    tokens = Counter[tuple[str, str, str]]()
    for (_, model, vendor, _), row in rows:
        cost[model, vendor] += row.cost
        gift[model, vendor] += row.gift
        for bucket, count in zip(Usage._fields, row.buckets, strict=True):
            tokens[model, vendor, bucket] += count
    yield _counter(
        "hontoni_tokens", "Tokens billed.", ("model", "vendor", "bucket"), tokens.items()
    )
    for name, help_text, found in (
        ("hontoni_charged_dollars", "Dollars charged to customers.", cost),
        ("hontoni_given_dollars", "Dollars given away by fair billing.", gift),
    ):
        amounts = ((kind, nanos / NANO) for kind, nanos in found.items())
        yield _counter(name, help_text, ("model", "vendor"), amounts)


def _by_model(snapshot: Snapshot) -> dict[tuple[str, ...], Histogram]:
    found: defaultdict[tuple[str, ...], Histogram] = defaultdict(lambda: Histogram(FIRST_BYTE))
    for (_, model, vendor, _), row in snapshot.rows.items():
        _fold(found[model, vendor], row)
    return found


def _fold(into: Histogram, row: Row) -> None:
    theirs = row.first_byte
    into.sum += theirs.sum
    for place, count in enumerate(theirs.counts):
        into.counts[place] += count
        into.exemplars[place] = theirs.exemplars[place] or into.exemplars[place]


def _counter(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for kind, value in values:
        family.add_metric(kind, value)
    return family


def _histogram(
    name: str,
    help_text: str,
    histograms: dict[tuple[str, ...], Histogram],
    labels: tuple[str, ...] = (),
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=labels)
    for kind, histogram in histograms.items():
        family.add_metric(kind, list(_buckets(histogram)), histogram.sum)
    return family


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float, Exemplar]]:
    total = 0
    bounds = [*map(str, histogram.bounds), "+Inf"]
    for bound, count, last in zip(bounds, histogram.counts, histogram.exemplars, strict=True):
        total += count
        exemplar = last and Exemplar({"request_id": last[0]}, last[1], last[2])
        yield bound, total, exemplar  # type: ignore[misc]  # None is taken, but not typed


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"hontoni_{name}", help_text, value=value)


def _open(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge("processes", "Gateway processes behind this port.", snapshot.processes)
    for name, help_text in _GAUGES.items():
        yield _gauge(name, help_text, snapshot.gauges[name])
    family = GaugeMetricFamily("hontoni_breaker", _BREAKER_HELP, labels=("credential", "model"))
    for kind, state in snapshot.breakers.items():
        family.add_metric(kind, state)
    yield family


def _stores(stores: Stores) -> Iterator[Metric]:
    up = GaugeMetricFamily("hontoni_store_up", "1 if it answers.", labels=("store",))
    for store, is_up in stores.up.items():
        up.add_metric((store,), int(is_up))
    yield up
    for name, (help_text, value) in stores.values.items():
        yield _gauge(name, help_text, value)
