"""Stripe's objects as dj-stripe keeps them, for staff to look at.

* An event says which object to fetch: what is kept is what Stripe has now, in whatever order
  events come. Objects it refers to are fetched with it where they are not here yet.
* Nothing of ours reads it. It may be late, or off (STRIPE_MIRROR), and money is still right.
* dj-stripe would keep our secret key in a table, to know whose objects they are. All are of one
  account, so it is told of none.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from djstripe.models import Account, StripeModel

from billing.stripe import stripe_api
from billing.stripe.models import StripeEvent

KEPT_TRYING = timedelta(days=1)
BATCH = 100

# What there is to see of a customer's business; the rest of dj-stripe's models stay empty.
KINDS = (
    "charge",
    "checkout.session",
    "customer",
    "dispute",
    "invoice",
    "payment_intent",
    "payment_method",
    "price",
    "product",
    "refund",
    "setup_intent",
    "subscription",
)

Account.get_or_retrieve_for_api_key = classmethod(lambda cls, api_key: None)


@cache
def models() -> dict[str, type[StripeModel]]:
    """dj-stripe's model of each kind of object."""
    found: dict[str, type[StripeModel]] = {}
    for model in apps.get_app_config("djstripe").get_models():
        kind = getattr(getattr(model, "stripe_class", None), "OBJECT_NAME", "")
        if kind in KINDS and issubclass(model, StripeModel):
            found.setdefault(kind, model)  # UpcomingInvoice comes after Invoice
    return found


def keep(event: StripeEvent) -> None:
    """Store what an event is about. Raises whatever Stripe or dj-stripe has against it."""
    thing: dict[str, Any] = (event.payload.get("data") or {}).get("object") or {}
    model = models().get(str(thing.get("object")))
    if model is not None and event.object_id and not event.type.endswith(".deleted"):
        stripe_api.point_sdk()
        data = model(id=event.object_id).api_retrieve(api_key=settings.STRIPE_SECRET_KEY)
        model.sync_from_stripe_data(data, api_key=settings.STRIPE_SECRET_KEY)
    StripeEvent.objects.filter(pk=event.pk).update(mirrored_at=timezone.now())


def missing(now: datetime) -> list[StripeEvent]:
    """Events of the last day whose object is not kept yet, but for the newest."""
    recent = Q(received_at__gte=now - KEPT_TRYING, received_at__lt=now - timedelta(minutes=1))
    return list(StripeEvent.objects.filter(recent, mirrored_at=None)[:BATCH])
