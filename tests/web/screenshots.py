"""The pictures of the README, taken anew: `make screenshots`. Not a part of the tests."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from django.db import connections
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from accounts.keys import api_keys, places
from accounts.legal import consents
from accounts.models import User
from billing.mails.models import Announcement
from billing.payments.models import TopUp
from billing.plans.models import Plan, Subscription
from cockpit.watch import findings, rules
from cockpit.watch.models import Finding
from gateway.catalogue.models import Model
from gateway.usage.models import Refusal, UsageHour
from gateway.usage.vendor_day import UsageVendorDay
from hontoni.money import CENT, DOLLAR
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.web.test_browser import books_now
from tests.web.test_every_page import a_busy_customer
from tests.web.test_staff_pages import boss
from tests.world import Person, person

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


COCKPIT = {
    "cockpit": "/admin/?days=30",
    "cockpit-revenue": "/admin/reports/revenue?days=30",
    "cockpit-cohorts": "/admin/reports/cohorts",
    "cockpit-findings": "/admin/cockpit/finding/",
    "cockpit-finding": "/admin/cockpit/finding/{finding}/change/",
    "cockpit-rules": "/admin/cockpit/rule/",
    "cockpit-announcement": "/admin/billing/announcement/{announcement}/preview/",
    "cockpit-customer": "/admin/billing/customer/{customer}/change/",
}


def test_take_the_cockpit(open_page: Open, site: Gateway, alice: Person, bob: Person) -> None:
    """The same of what staff see, of a made-up month."""
    fund(bob, "25")
    for _ in range(3):
        site.chat(bob, "[[say: hi]]")
    books_now(site, 3)
    owner = boss(alice)
    with ThreadPoolExecutor(1) as thread:
        ids = thread.submit(_a_business, bob).result()
    FOLDER.mkdir(exist_ok=True)
    for look, options in (("desktop", DESK), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page = open_page("/admin/", owner, color_scheme=scheme, **options)
            for name, path in COCKPIT.items():
                page.goto(path.format(customer=bob.user.pk, **ids))
                page.wait_for_function("typeof Alpine === 'object'")
                _keep(page.screenshot(), FOLDER / f"{name}-{look}-{scheme}.png")
    UsageHour.objects.filter(tool="made up").delete()
    TopUp.objects.all().delete()
    Subscription.objects.all().delete()
    UsageVendorDay.objects.filter(credential="anthropic/main").delete()


def _a_business(bob: Person) -> dict[str, int]:
    """Sixty customers of a month, what they used and paid, and what was found."""
    numbers, now = random.Random(1), timezone.now()
    basic = Plan.objects.get(slug="basic")
    people = [person(f"dev{n}") for n in range(60)]
    for n, who in enumerate(people):
        since = now - timedelta(days=numbers.randrange(90))
        User.objects.filter(pk=who.user.pk).update(created_at=since)
        if n % 3:
            paid_at = since + timedelta(days=1)
            TopUp.objects.create(
                user=who.user, route="checkout", state="paid", amount=20 * DOLLAR, paid_at=paid_at
            )
        if n % 5 == 0:
            month = {"period_start": now, "period_end": now + timedelta(days=30)}
            sold = {"plan": basic, "plan_price": basic.price}
            Subscription.objects.create(user=who.user, **sold, **month)
        places.note([places.Use(who.key.pk, who.user.pk, now.timestamp(), f"203.0.113.{n % 9}")])
    _a_month(numbers, people)
    for code in ("rate_limit_exceeded", "insufficient_balance", "plan_limit_5h"):
        Refusal.objects.create(
            user=bob.user, api_key=bob.key, hour=now - timedelta(hours=2), code=code, status=429,
            message="No.", request_id=f"req_{code}", count=numbers.randrange(90), first_at=now,
            last_at=now,
        )  # fmt: skip
    rules.seed()
    findings.look(now)
    announcement = Announcement.objects.create(
        title="Maintenance on Sunday", title_vi="Bảo trì vào Chủ nhật",
        body="From 02:00 to 02:10 UTC requests may be refused with 503.",
        body_vi="Từ 02:00 đến 02:10 UTC, yêu cầu có thể bị từ chối với mã 503.",
        mail=True, starts_at=now, ends_at=now + timedelta(days=6),
    )  # fmt: skip
    finding = Finding.objects.filter(kind="address").first()
    connections.close_all()
    assert finding is not None
    return {"finding": finding.pk, "announcement": announcement.pk}


def _a_month(numbers: random.Random, people: list[Person]) -> None:
    """Rollups alone: of what is in the books there is no request behind them."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    days: dict[tuple[Any, str], list[int]] = {}
    for ago in range(60):
        for who in numbers.sample(people, 20 + (60 - ago) // 4):
            model, weight = numbers.choice(list(MODELS.items()))
            n = numbers.randrange(weight * 4) + 1
            hour = now - timedelta(days=ago)
            cost = n * weight * CENT // 4
            UsageHour.objects.create(
                hour=hour, user=who.user, api_key=who.key, model=model, tool="made up",
                requests=n, errors=n // 25, output=n * 700, cost=cost,
            )  # fmt: skip
            sums = days.setdefault((hour.date(), model), [0, 0])
            sums[0], sums[1] = sums[0] + n, sums[1] + cost
    vendors = dict(Model.objects.values_list("pk", "vendor"))
    for (day, model), (n, cost) in days.items():
        UsageVendorDay.objects.create(
            day=day, vendor=vendors[model], credential="anthropic/main", model=model,
            part="charged", requests=n, output=n * 700, cost=cost,
        )  # fmt: skip


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
