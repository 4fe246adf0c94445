"""What is published about the models that are sold, as rows of the first start: their costs, their
ends and who comes after them, the rules of mark-up, and proposals for the rest.

Idempotent, and never over what staff have written: a cost where none is, an end where nothing is
known of one. An end that is past, or too near for customers to hear of it in time (NOTICE),
is left to a proposal: the model is on offer here, and who answers for it is the owner's to say.
"""

from datetime import UTC, date, datetime, time, timedelta

from django.db import transaction
from django.utils import timezone

from gateway.catalogue import model_life
from gateway.catalogue.costs.models import FeatureCost, MarkUp, VendorPrice
from gateway.catalogue.features.models import WHOLE, Feature, Pricing
from gateway.catalogue.models import Model
from gateway.catalogue.prices import schedule
from gateway.pricing import accepting, announcements, proposals
from gateway.pricing.models import Proposal
from gateway.pricing.sources import models_dev, source_reading
from gateway.pricing.sources.listings import Listing
from gateway.vendors.models import Vendor

_SINCE = date(2026, 1, 1)
NOTICE = timedelta(days=14)  # the second of the three mails
_FEATURES = "the vendor's price list"

# Whom the vendors name, of what is sold here. It answers for the other where that is not dearer.
SUCCESSORS = {
    "claude-sonnet-4": "claude-sonnet-4.6",
    "claude-sonnet-4.5": "claude-sonnet-4.6",
    "claude-opus-4.5": "claude-opus-4.6",
    "gpt-4o": "gpt-5.4",
    "gpt-4o-mini": "gpt-5.4-mini",
    "gpt-4.1": "gpt-5.4",
    "gpt-5.1": "gpt-5.4",
    "gpt-5.2-codex": "gpt-5.3-codex",
    "gpt-5.3-codex": "gpt-5.4",
    "gpt-5-mini": "gpt-5.4-mini",
    "gemini-2.5-pro": "gemini-3.1-pro-preview",
}
_ANNOUNCED = {"claude-opus-4.5": date(2026, 11, 23)}  # where that is published


@transaction.atomic
def seed() -> None:
    """Write down what is missing of it."""
    listings, _ = source_reading.read(offline=True)
    for vendor in Vendor.values:
        MarkUp.objects.get_or_create(vendor=vendor)
    models = {row.upstream_id: row for row in Model.objects.filter(active=True)}
    _costs(models, listings)
    _feature_costs()
    ends: dict[str, date] = {}
    for each in listings:
        if each.ends and each.name in models:
            ends[each.name] = min(each.ends, ends.get(each.name, each.ends))
    for name, day in ends.items():
        _end(models[name], _midnight(day), timezone.now())
    if not Proposal.objects.exists():
        proposals.sync(offline=True)


def _costs(models: dict[str, Model], listings: list[Listing]) -> None:
    known = set(VendorPrice.objects.values_list("model_id", flat=True))
    for each in listings:
        model = models.get(each.name)
        if each.source != models_dev.NAME or model is None or model.pk in known or not each.rates:
            continue
        cost = accepting.cost_of(model, proposals.facts_of(each))
        cost.since, cost.source = _SINCE, each.source
        cost.save()


def _feature_costs() -> None:
    known = set(FeatureCost.objects.values_list("feature_id", flat=True))
    priced = Feature.objects.filter(pricing__in=[Pricing.PER_CALL, Pricing.FACTOR])
    FeatureCost.objects.bulk_create(
        FeatureCost(
            feature=row,
            since=_SINCE,
            amount=row.amount,
            factor=row.factor or WHOLE,
            source=_FEATURES,
        )
        for row in priced
        if row.pk not in known
    )


def _end(model: Model, ends_at: datetime, now: datetime) -> None:
    if model.ends_at or model.successor_id or model.vendor_notice or model.deprecated_at:
        return
    if ends_at <= now + NOTICE:
        return
    model.ends_at = ends_at
    model.deprecated_at = min(_midnight(_ANNOUNCED.get(model.pk, now.date())), ends_at)
    model.successor = Model.objects.filter(pk=SUCCESSORS.get(model.pk, "")).first()
    model.redirects = _is_not_dearer(model, now)
    model.vendor_notice = "published by the vendor, read in November 2026"
    model.save()


def _is_not_dearer(model: Model, now: datetime) -> bool:
    mine = schedule.in_force(model.pk, now + timedelta(seconds=1))
    theirs = schedule.in_force(model.successor_id or "", now + timedelta(seconds=1))
    if mine is None or theirs is None:
        return False
    return model_life.compared(announcements.rates(mine), announcements.rates(theirs)) != "higher"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
