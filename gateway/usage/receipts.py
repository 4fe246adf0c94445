"""The lines of a receipt: what was used x its price, each exact; only their sum is rounded."""

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.catalogue.costs import margins
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.features.models import times
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.own_prices import terms
from gateway.catalogue.snapshot import price_of
from gateway.metering import bill
from gateway.usage.models import UsageEvent
from gateway.vendors.own_keys.fees import REQUEST_LINE
from hontoni.money import dollars, per_cent, per_million

_DECIMALS = 19  # nano-dollars x tokens a million x basis points


def lines(event: UsageEvent) -> list[bill.Line]:
    """As they were priced; of a plain request there is one, which the event itself is."""
    lines = event.details.get("lines")
    if not lines:
        plain = bill.Tokens("message", event.model, price_of(event.price), event.usage)
        return [plain]
    ids = {line["price_id"] for line in lines if "price_id" in line} - {event.price_id}
    prices = {row.pk: price_of(row) for row in Price.objects.filter(pk__in=ids)}
    return bill.read(lines, prices | {event.price_id: price_of(event.price)})


def shown(line: bill.Line) -> Iterator[dict[str, Any]]:
    """One a bucket; or one for all calls."""
    if isinstance(line, bill.Calls):
        yield {
            "kind": "calls",
            "name": line.name.rstrip("_*"),
            "calls": line.calls,
            "price_per_call": dollars(line.amount),
            "price_versions": _versions([(line.feature, line.version)]),
            "cost": exact(line.weight),
        }
        return
    rates = line.price.rates_for(line.usage)
    for bucket, tokens, rate in zip(BUCKETS, line.usage, rates, strict=True):
        yield {
            "kind": line.kind,
            "model": line.model,
            "bucket": bucket,
            "tokens": tokens,
            "price_per_million_tokens": dollars(rate),
            "long_context": rates is not line.price.rates,
            "factor": times(line.factor),
            "price_versions": _versions(line.factors),
            "cost": exact(tokens * rate * line.factor),
        }


def _versions(priced: Iterable[tuple[int, int]]) -> list[dict[str, int | None]]:
    """Of which features' prices it is made, each by its version (null: the first price)."""
    return [{"feature": each, "version": version or None} for each, version in priced if each]


def own(event: UsageEvent) -> dict[str, Any] | None:
    """The customer's own price that it was made from, if it was."""
    for line in event.details.get("lines", ()):
        if (lines := line.get("own")) and lines["id"] and not lines.get("own_key"):
            multiplier = lines.get("multiplier")
            return {"id": lines["id"], "multiplier": times(multiplier) if multiplier else None}
    return None


def overflow(event: UsageEvent) -> dict[str, str] | None:
    """Which window it went past, and by how much that was dearer."""
    kept = event.details.get("overflow")
    if kept is None:
        return None
    return {"window": kept["window"], "surcharge_percent": per_cent(kept["surcharge"])}


def own_key(event: UsageEvent) -> dict[str, Any] | None:
    """Of a request of an account that has a key of its own there: whose key answered, at which
    fee, and what the vendor charges for these tokens, as far as that is known (dollars)."""
    kept = event.details.get("own_key")
    if kept is None:
        return None
    found: dict[str, Any] = {
        "provider": kept["provider"],
        "fell_back": kept.get("fell_back", ""),
        "fee": None,
        "vendor_cost": None,
    }
    lines = event.details.get("lines", ())
    if fee := next((line["own"] for line in lines if line["kind"] == "own_key"), None):
        flat = next((line["amount"] for line in lines if line.get("name") == REQUEST_LINE), 0)
        found["fee"] = {
            "id": fee["id"],
            "per_million_tokens": dollars(terms.read(fee).on(fee["rates"])[0]),
            "per_request": dollars(flat),
        }
        cost = margins.known([event.model]).on(event.model, event.created_at.date())
        found["vendor_cost"] = dollars(_at(cost, event)) if cost else None
    return found


def _at(cost: VendorPrice, event: UsageEvent) -> int:
    above = cost.long_context_above
    kind = "long_" if above is not None and event.prompt_tokens > above else ""
    sums = (getattr(event, bucket) * cost.rate(kind + bucket) for bucket in BUCKETS)
    return per_million(sum(sums))


def exact(weight: int) -> str:
    """A weight of gateway/metering/bill.py in dollars, unrounded."""
    whole, fraction = divmod(weight, 10**_DECIMALS)
    return f"{whole}.{f'{fraction:0{_DECIMALS}d}'.rstrip('0').ljust(2, '0')}"
