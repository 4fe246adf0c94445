"""Customers whom no limit stops: `python -m bench.customer [COUNT]` prints their keys. Run in the
environment of an installation."""

import sys
from collections.abc import Iterator

import django


def make(count: int) -> Iterator[str]:
    """Users with a million dollars each, on a plan of their own; the keys in clear."""
    from accounts.keys import api_keys
    from accounts.models import User
    from billing.books import adjustments
    from billing.plans import terms
    from billing.plans.models import Plan
    from hontoni.money import nanos

    limits = dict.fromkeys(Plan.LIMITS, 1_000_000_000)
    defaults = {"name": "Bench", "price": 0, "thinking_budget": 64_000, "key_cap": 5} | limits
    plan, _ = Plan.objects.get_or_create(slug="bench", defaults=defaults)
    terms.make_default(plan)
    first = User.objects.filter(email__startswith="bench").count()
    for number in range(first, first + count):
        user = User.objects.create_user(f"bench{number or ''}@example.com")
        adjustments.adjust(
            key=f"bench{number}",
            user_id=user.pk,
            amount=nanos("1000000"),
            reason="bench",
            actor="bench",
        )
        yield api_keys.mint(user, "bench")[1]


if __name__ == "__main__":
    django.setup()
    for key in make(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        print(key)
