"""What is sold from the first day: the plans and add-ons of the public documentation."""

from django.db import transaction

from billing.plans.models import AddOn, Plan
from hontoni.money import nanos

# slug, name, price a month, requests: a minute, 5 h, a day, a week, 30 days, at once,
# then tokens of thinking in one request, and active keys
PLANS = [
    ("pay-as-you-go", "Pay as you go", "0", 8, 20, 50, 60, 240, 1, 8_000, 5),
    ("basic", "Basic", "6", 8, 20, 100, 120, 480, 1, 8_000, 5),
    ("standard", "Standard", "13", 12, 45, 250, 275, 1_100, 2, 16_000, 10),
    ("premium", "Premium", "39", 20, 200, 1_000, 1_250, 5_000, 2, 32_000, 20),
    ("ultimate", "Ultimate", "79", 40, 800, 3_000, 5_000, 20_000, 4, 64_000, 50),
]
DEFAULT = "pay-as-you-go"
ADD_ONS = [
    ("rate-limit-2x", "Rate Limit 2x", "4.99", 2),
    ("rate-limit-5x", "Rate Limit 5x", "9.99", 5),
    ("rate-limit-10x", "Rate Limit 10x", "19.99", 10),
]


def seed() -> None:
    """Create what is missing. What is there belongs to staff and is left as it is."""
    with transaction.atomic():
        for order, (slug, name, price, *numbers, thinking, key_cap) in enumerate(PLANS):
            Plan.objects.get_or_create(
                slug=slug,
                defaults={
                    "name": name,
                    "price": nanos(price),
                    **dict(zip(Plan.LIMITS, numbers, strict=True)),
                    "thinking_budget": thinking,
                    "key_cap": key_cap,
                    "sort_order": order,
                    "is_default": slug == DEFAULT and not _default_exists(),
                },
            )
        for order, (slug, name, price, multiplier) in enumerate(ADD_ONS):
            AddOn.objects.get_or_create(
                slug=slug,
                defaults={
                    "name": name,
                    "price": nanos(price),
                    "multiplier": multiplier,
                    "sort_order": order,
                },
            )


def _default_exists() -> bool:
    return Plan.objects.filter(is_default=True).exists()
