"""Our price list at Stripe. A price there is made when it is first sold, and never changes.

Who subscribed at a price keeps it, whatever staff make of the list, until the next change.
"""

from typing import Any, NamedTuple

from django.conf import settings

from accounts.models import User
from billing.invoices import issuing, taxes
from billing.plans import terms
from billing.plans.models import AddOn, Plan
from billing.stripe import stripe_api
from billing.stripe.models import StripePrice, StripeTaxRate
from billing.stripe.stripe_api import Object
from hontoni import errors
from hontoni.money import CENT

LEAST_CENTS = 50  # docs.stripe.com/currencies#minimum-and-maximum-charge-amounts


class Unknown(Exception):
    """Something at Stripe that we never sold. Says what does not fit, in one word."""


class Sold(NamedTuple):
    """What the items of a subscription at Stripe stand for, in cents a month."""

    plan: Plan
    add_on: AddOn | None
    plan_cents: int
    add_on_cents: int

    @property
    def cents(self) -> int:
        return self.plan_cents + self.add_on_cents


def price_of(sold: Plan | AddOn, amount: int | None = None) -> str:
    """The id of its price at Stripe; by the list, or at that many nano-dollars.

    Raises BadRequest `not_for_card` for what a card cannot pay.
    """
    cents, rest = divmod(sold.price if amount is None else amount, CENT)
    if rest or cents < LEAST_CENTS:
        raise errors.BadRequest(
            f"{sold} cannot be paid by card: pay from the balance.", code="not_for_card"
        )
    key: dict[str, Any] = {"plan": sold} if isinstance(sold, Plan) else {"add_on": sold}
    key |= {"cents": cents, "inclusive": contains_tax()}
    known = StripePrice.objects.filter(**key).first()
    if known is None:
        made = _make(sold, cents)
        known, _ = StripePrice.objects.get_or_create(
            **key, defaults={"stripe_id": made["id"], "product_id": made["product"]}
        )
    return known.stripe_id


def _make(sold: Plan | AddOn, cents: int) -> Object:
    kind = "plan" if isinstance(sold, Plan) else "add_on"
    params = {
        "currency": stripe_api.CURRENCY,
        "unit_amount": cents,
        "recurring": {"interval": "month"},
        "tax_behavior": "inclusive" if contains_tax() else "exclusive",
        "product_data": {"name": sold.name},
        "metadata": {kind: sold.slug},
    }
    # With what it is made of: one that was renamed between two tries is no conflict.
    name = f"price:{kind}:{sold.pk}:{cents}:{'with tax:' if contains_tax() else ''}{sold.name}"
    return stripe_api.create_price(params, name[:255])


def contains_tax() -> bool:
    """Whether our prices contain a tax that Stripe is told of, and does not compute itself."""
    return bool(taxes.rate()) and not settings.STRIPE_TAX


def tax_rates(user: User) -> list[str]:
    """The ids of what Stripe is to name as tax on the invoices of a plan, contained in it."""
    if not contains_tax() or taxes.is_business_abroad(issuing.buyer(user)):
        return []
    key = {"name": settings.SELLER_TAX_NAME, "percent": f"{taxes.rate().normalize():f}"}
    known = StripeTaxRate.objects.filter(**key).first()
    if known is None:
        params = {"display_name": key["name"], "percentage": key["percent"], "inclusive": True}
        made = stripe_api.create_tax_rate(params, f"tax:{key['percent']}:{key['name']}"[:255])
        known, _ = StripeTaxRate.objects.get_or_create(**key, defaults={"stripe_id": made["id"]})
    return [known.stripe_id]


def taxed_as_now(item: Object) -> Object:
    """The same item, at the price that contains our tax, or contains none, as prices do now."""
    known = _known(item)
    sold = known.plan or known.add_on
    assert sold is not None, "stripe_price_of_one_thing"
    return {"id": item["id"], "price": price_of(sold, known.cents * CENT)}


def read(items: list[Object]) -> Sold:
    """Raises Unknown: `price` of nobody's, `currency`, or `items` that make no sense together."""
    sold: dict[str, StripePrice] = {}
    for item in items:
        known = _known(item)
        if sold.setdefault("plan" if known.plan else "add_on", known) != known:
            raise Unknown("items")
    plan, add_on = sold.get("plan"), sold.get("add_on")
    return Sold(
        plan.plan if plan and plan.plan else terms.default_plan(),
        add_on.add_on if add_on else None,
        plan.cents if plan else 0,
        add_on.cents if add_on else 0,
    )


def _known(item: Object) -> StripePrice:
    known = StripePrice.objects.select_related("plan", "add_on")
    found = known.filter(stripe_id=item["price"]["id"]).first()
    if found is None:
        raise Unknown("price")
    if item["price"]["currency"] != stripe_api.CURRENCY:
        raise Unknown("currency")
    if item["price"]["unit_amount"] != found.cents or item["quantity"] != 1:
        raise Unknown("amount")
    return found


def item_of(found: Object, kind: str) -> Object | None:
    """The item of a subscription that is its `plan`, or its `add_on`."""
    ids = [item["price"]["id"] for item in found["items"]["data"]]
    sold = StripePrice.objects.filter(stripe_id__in=ids, **{f"{kind}__isnull": False}).first()
    return next(
        (i for i in found["items"]["data"] if sold and i["price"]["id"] == sold.stripe_id), None
    )
