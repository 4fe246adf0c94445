"""What the product refuses to start with."""

from typing import Any

import pytest
from django.core.checks import Error
from pytest_django import Settings

from hontoni.checks import deployment

LIVE = {
    "STRIPE_SECRET_KEY": "sk_live_x",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "STRIPE_API_BASE": "https://api.stripe.com",
    "SANDBOX": False,
    "DEBUG": False,
    "SECURE": True,
}
TEST = {
    **LIVE,
    "STRIPE_SECRET_KEY": "sk_test_x",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_x",
    "SANDBOX": True,
    "DEBUG": True,
    "STRIPE_API_BASE": "http://127.0.0.1:8001",
}


def refusals(settings: Settings, values: dict[str, Any]) -> list[str]:
    for name, value in values.items():
        setattr(settings, name, value)
    found = deployment()
    assert all(isinstance(problem, Error) for problem in found)
    return [str(problem.id) for problem in found]


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"SELLER_TAX_RATE": "8.25", "SELLER_COUNTRY": "VN"}, []),
        ({"SELLER_TAX_RATE": "ten"}, ["hontoni.E020"]),
        ({"SELLER_TAX_RATE": "-1"}, ["hontoni.E020"]),
        ({"SELLER_TAX_RATE": "10", "STRIPE_TAX": True}, ["hontoni.E021"]),
        ({"SELLER_COUNTRY": "Vietnam"}, ["hontoni.E022"]),
    ],
)
def test_what_is_printed_on_invoices_makes_sense(
    settings: Settings, values: dict[str, Any], refused: list[str]
) -> None:
    assert refusals(settings, {"STRIPE_SECRET_KEY": "", **values}) == refused


def test_it_starts_without_stripe(settings: Settings) -> None:
    assert refusals(settings, {**LIVE, "STRIPE_SECRET_KEY": "", "STRIPE_WEBHOOK_SECRET": ""}) == []


@pytest.mark.parametrize("keys", [LIVE, TEST], ids=["live", "test"])
def test_it_starts_with_keys_that_fit(settings: Settings, keys: dict[str, Any]) -> None:
    assert refusals(settings, keys) == []


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ({"STRIPE_WEBHOOK_SECRET": ""}, "hontoni.E006"),
        ({"STRIPE_WEBHOOK_SECRET": "secret"}, "hontoni.E006"),
        ({"SANDBOX": True}, "hontoni.E002"),
        ({"STRIPE_SECRET_KEY": "rk_live_x", "SANDBOX": True}, "hontoni.E002"),
        ({"DEBUG": True}, "hontoni.E003"),
        ({"SECURE": False}, "hontoni.E011"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:8001"}, "hontoni.E007"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_test_x"}, "hontoni.E008"),
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, "hontoni.E008"),
        ({"TOPUP_MIN": "10", "TOPUP_MAX": "5"}, "hontoni.E009"),
        ({"TOPUP_MIN": "five"}, "hontoni.E009"),
        ({"TOPUP_MAX": "1000000"}, "hontoni.E009"),
        ({"CREDENTIAL_KEYS": []}, "hontoni.E010"),
        ({"CREDENTIAL_KEYS": ["x" * 32, "short"]}, "hontoni.E010"),
    ],
)
def test_it_refuses_to_start(settings: Settings, wrong: dict[str, Any], refused: str) -> None:
    assert refusals(settings, {**LIVE, **wrong}) == [refused]
