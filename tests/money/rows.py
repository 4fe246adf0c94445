"""The product's price rows, read once: what a line of the meter's costs at them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from gateway.catalogue.features.models import Feature
from gateway.catalogue.models import Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.usage.models import UsageEvent
from gateway.vendors.own_keys.models import OwnKeyFee
from sandbox.vendors.meter import Bill, Line

MILLION = 1_000_000

_BUCKETS = (
    ("input", "input"),
    ("cache_read", "read"),
    ("cache_write_5m", "write_5m"),
    ("cache_write_1h", "write_1h"),
    ("output", "output"),
    ("reasoning", "reasoning"),
)
_OWN = ("message", "compaction")  # lines of the model that was asked, whatever a provider calls it
_DIALECTS = {
    "messages": "anthropic_messages",
    "responses": "openai_responses",
    "embeddings": "openai_embeddings",
    "moderations": "openai_moderations",
    "generations": "openai_images",
    "transcriptions": "openai_transcriptions",
    "speech": "openai_speech",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """`prices` by model, the newest first; `features` by dialect."""

    versions: dict[int, Price]
    prices: dict[str, list[Price]]
    models: dict[str, str]  # by the vendor's name
    features: dict[str, list[Any]]
    agreed: list[CustomerPrice]  # what is to be preferred last
    fees: list[OwnKeyFee]  # the newest first

    @classmethod
    def read(cls) -> "Rows":
        prices: defaultdict[str, list[Price]] = defaultdict(list)
        features: defaultdict[str, list[Any]] = defaultdict(list)
        for price in Price.objects.order_by("-effective_at", "-id"):
            prices[price.model_id].append(price)
        for feature in Feature.objects.filter(active=True):
            features[feature.dialect].append(feature)
        return cls(
            versions={price.pk: price for each in prices.values() for price in each},
            prices=dict(prices),
            models=dict(Model.objects.values_list("upstream_id", "pk")),
            features=dict(features),
            agreed=list(CustomerPrice.objects.order_by("from_at", "id")),
            fees=list(OwnKeyFee.objects.order_by("-effective_at")),
        )

    @staticmethod
    def is_own(event: UsageEvent) -> bool:
        """Whether a customer's own key answered."""
        mine = event.details.get("own_key")
        return mine is not None and "fell_back" not in mine

    def fee(self, bill: Bill, event: UsageEvent) -> Fraction:
        """Nano-dollars for all the tokens that the vendor counted, and for the request."""
        at = datetime.fromtimestamp(event.details["admitted_at"] / 1e6, UTC)
        begun = [row for row in self.fees if row.effective_at <= at]
        vendor = Model.objects.get(pk=event.model).vendor
        row = next((each for each in begun if each.vendor == vendor), None)
        row = row or next(each for each in begun if not each.vendor)
        tokens = sum(getattr(line.tokens, mine) for line in bill.lines for _, mine in _BUCKETS)
        return Fraction(tokens * row.per_million, MILLION) + row.per_request + self.ours(event)

    def line(self, bill: Bill, event: UsageEvent, line: Line) -> Fraction:
        """Nano-dollars, not rounded."""
        model = event.model if line.kind in _OWN else self.models[line.model]
        price = self._price(event, model)
        above = price.long_context_above
        kind = "long_" if above is not None and line.tokens.prompt > above else ""
        own, times = self._own(event, model), Fraction(1)
        if own is not None and own.multiplier:
            times = Fraction(own.multiplier, 10_000)
        rates: Any = own if own is not None and not own.multiplier else price
        kind = "" if rates is own else kind
        tokens = sum(
            getattr(line.tokens, mine) * getattr(rates, kind + theirs) for theirs, mine in _BUCKETS
        )
        return Fraction(tokens, MILLION) * times * self._factor(bill, model)

    def _own(self, event: UsageEvent, model: str) -> CustomerPrice | None:
        """What was agreed with its customer, when it was admitted: of this model, else of all."""
        at = datetime.fromtimestamp(event.details.get("admitted_at", 0) / 1e6, UTC)
        holding = [
            row
            for row in self.agreed
            if row.user_id == event.user_id
            and row.from_at <= at
            and (row.until_at is None or at < row.until_at)
        ]
        mine = [row for row in holding if row.model_id == model]
        for_all = [row for row in holding if row.model_id is None]
        found = mine or for_all
        return found[-1] if found else None

    def calls(self, bill: Bill, event: UsageEvent) -> int:
        """Nano-dollars for the tools that the vendor ran, and for what was no text."""
        rows = [
            row
            for row in self.features.get(dialect(bill), ())
            if not row.only_models or event.model in row.only_models.split(",")
        ]
        amounts = {
            meter.strip(): row.amount
            for row in rows
            if row.pricing == "per_call"
            for meter in row.meter.split(",")
        }
        theirs: int = sum(amounts.get(counter, 0) * times for counter, times in bill.calls.items())
        return theirs + self.ours(event)

    def ours(self, event: UsageEvent) -> int:
        """Nano-dollars for what we ran ourselves, as often as the receipt says: no vendor knows
        (tests/gateway/plane/web/ counts them at the search provider)."""
        amounts: dict[int, int] = {row.pk: row.amount for row in self.features.get("ours", ())}
        lines = event.details.get("lines", ())
        called = (line for line in lines if line["kind"] == "calls")
        return sum(amounts.get(line["feature_id"], 0) * line["calls"] for line in called)

    def _price(self, event: UsageEvent, model: str) -> Price:
        if model == event.model:
            return self.versions[event.price_id]
        now = event.created_at
        return next(price for price in self.prices[model] if price.effective_at <= now)

    def _factor(self, bill: Bill, model: str) -> Fraction:
        """Geography, speed and tier really served, where a row prices them for this model."""
        work = bill.work
        served = (
            f"inference_geo={work.geo}",
            f"speed={work.speed}",
            f"service_tier={work.tier}",
        )
        product = Fraction(1)
        for row in self.features.get(dialect(bill), ()):
            only = row.only_models.replace(" ", "").split(",") if row.only_models else [model]
            if row.pricing == "factor" and row.name in served and model in only:
                product *= Fraction(row.factor, 10_000)
        return product


def dialect(bill: Bill) -> str:
    """The dialect in which the vendor was asked."""
    path = bill.record.path
    if path.startswith("/v1beta"):
        return "gemini_embeddings" if path.endswith("EmbedContents") else "gemini"
    return _DIALECTS.get(path.rpartition("/")[2], "openai_chat")
