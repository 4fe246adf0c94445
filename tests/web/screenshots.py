"""The pictures of the README, taken anew: `make screenshots`. Not a part of the tests."""

import random
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.legal import consents
from gateway.usage.models import UsageHour
from hontoni.money import CENT, DOLLAR
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.web.test_browser import books_now
from tests.web.test_every_page import a_busy_customer
from tests.world import Person

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 760}}
PAGES = {
    "home": "/",
    "pricing": "/pricing",
    "overview": "/overview",
    "usage": "/usage?by=tool&then=model",
    "key": "/keys/{key}",
    "plans": "/billing/plans",
    "quote": "/billing/plans/change?plan=premium",
    "docs": "/docs/tools",
}
TOOLS = ("Claude Code", "Codex", "Cursor", "Aider")
MODELS = {"claude-sonnet-4": 30, "gpt-5.2-codex": 18, "gemini-2.5-pro": 7, "gpt-4o-mini": 2}


def test_take_them(
    open_page: Open, site: Gateway, stripe: World, alice: Person, settings: Settings
) -> None:
    a_busy_customer(alice, stripe)
    fund(alice, "40")
    consents.record(alice.user, through="page", now=timezone.now())
    _a_week(alice)
    api_keys.change(
        alice.key,
        daily_cap=5 * DOLLAR,
        monthly_cap=50 * DOLLAR,
        allowed_models=[*MODELS, "gpt-4o"],
    )
    for model in ("gpt-4o", "claude-sonnet-4", "claude-sonnet-4", "gpt-5.2-codex", "gpt-4o-mini"):
        site.chat(alice, model=model)
    books_now(site, 5)
    settings.SANDBOX = False  # without its banner
    FOLDER.mkdir(exist_ok=True)
    for look, options in (("desktop", DESK), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page = open_page("/overview", alice, color_scheme=scheme, **options)
            for name, path in PAGES.items():
                page.goto(path.format(key=alice.key.pk))
                _keep(page.screenshot(), FOLDER / f"{name}-{look}-{scheme}.png")
    UsageHour.objects.filter(hour__lt=timezone.now() - timedelta(hours=2)).delete()


def _keep(picture: bytes, path: Path) -> None:
    """In 128 colours, which is all that the pages have: a third of the size."""
    Image.open(BytesIO(picture)).quantize(128).save(path, optimize=True)


def _a_week(person: Person) -> None:
    """Rollups to draw a chart of: the same ones each time, by day and night."""
    numbers, now = random.Random(1), timezone.now().replace(minute=0, second=0, microsecond=0)
    for ago in range(3, 24 * 7):
        hour = now - timedelta(hours=ago)
        for (model, weight), tool in zip(MODELS.items(), TOOLS, strict=True):
            n = numbers.randrange(weight) if 0 <= hour.hour <= 10 else numbers.randrange(3)
            UsageHour.objects.create(
                hour=hour,
                user=person.user,
                api_key=person.key,
                model=model,
                tool=tool,
                requests=n,
                errors=n // 25,
                input=n * 2_100,
                cache_read=n * 24_000,
                output=n * 700,
                cost=n * weight * CENT // 20,
            )
