"""Many requests in a test: limits are other tests' business."""

import pytest


@pytest.fixture(autouse=True)
def roomy(gateway: object) -> None:
    from billing.plans.models import Plan

    windows = ("rpm", "five_hours", "daily", "weekly", "monthly")
    Plan.objects.update(**dict.fromkeys(windows, 1_000))
