"""One customer whom no limit stops: prints the key. Run in the environment of an installation."""

import django


def make() -> str:
    """A user with a million dollars on a plan of their own; the key in clear."""
    from accounts.keys import api_keys
    from accounts.models import User
    from billing.books import adjustments
    from billing.plans import terms
    from billing.plans.models import Plan
    from hontoni.money import nanos

    limits = dict.fromkeys(Plan.LIMITS, 1_000_000_000)
    plan = Plan.objects.create(
        slug="bench", name="Bench", price=0, thinking_budget=64_000, key_cap=5, **limits
    )
    terms.make_default(plan)
    user = User.objects.create_user("bench@example.com")
    adjustments.adjust(
        key="bench", user_id=user.pk, amount=nanos("1000000"), reason="bench", actor="bench"
    )
    return api_keys.mint(user, "bench")[1]


if __name__ == "__main__":
    django.setup()
    print(make())
