"""Every page, as only a browser shows it: on the smallest phone, light and dark, in Vietnamese,
with axe, weighed, and watched for what moves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Page

from billing.channels.models import Channel
from billing.payments.models import AutoTopUp
from billing.plans.models import AddOn, Plan
from billing.rewards import promos
from billing.rewards.models import PromoCode
from billing.stripe import customers
from billing.subscriptions import balance_changes
from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from tests.confirmed import confirm
from tests.gateway.usage.test_refusals import seen
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.web.furnished import furnish
from tests.web.test_browser import books_now
from tests.world import Person

pytestmark = pytest.mark.any_database

BILLING = [
    *("/billing", "/billing/topup", "/billing/topup/done", "/billing/plan/done", "/billing/plans"),
    *("/billing/plans/change?plan=basic", "/billing/plans/change?plan=premium"),
    *("/billing/plans/change?add_on=rate-limit-5x", "/billing/cards", "/billing/invoices"),
    *("/billing/promo", "/billing/referrals", "/billing/mails", "/billing/statements"),
]
PUBLIC = [
    *("/", "/models", "/pricing", "/status", "/docs/quickstart", "/docs/tools", "/docs/names"),
    *("/docs/errors", "/docs/receipts", "/docs/search?q=limits", "/errors/plan_limit_5h"),
    *("/terms", "/privacy", "/refunds", "/contact", "/proof", "/verify"),
    *("/docs/models-and-pricing", "/docs/own-keys", "/docs/agents"),
    *("/docs/conformance", "/docs/endpoints", "/docs/batches", "/models/tts-1"),
    "/docs/notifications",
]
ENTRANCE = ["/account/login/", "/account/signup/", "/account/password/reset/"]
OWN = [
    *(
        "/overview",
        "/keys",
        "/usage",
        "/usage/refusals",
        "/usage/batches",
        "/playground",
        "/account",
    ),
    *("/usage?days=30&by=day&then=model", "/models/gpt-4o"),
    *("/own-keys", "/account/tokens", "/device", "/notifications"),
    *("/account/email/", "/account/password/change/", "/account/2fa/", "/account/sessions/"),
]


# What of a row that became a card does not fit on it.
_CUT_OFF = """() => [...document.querySelectorAll('.scroll')]
    .filter(one => one.querySelector(':scope > :is(.stack, .log, .groups, .ledger, .lines)'))
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"""


def _small(page: Page) -> None:
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{page.url} is {width} wide"
    assert page.evaluate(_CUT_OFF) == [], page.url


def _vietnamese(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "vi"
    words = page.locator("footer").inner_text()
    assert "Cổng LLM" in words


# Every colour is a pair (base.css), of which the dark one is shown at once.
_COLOURS = """() => {
    for (const fading of document.getAnimations()) fading.finish()
    const runOnly = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }
    return axe.run(document, { runOnly, resultTypes: ['violations'] })
}"""


def _accessible(page: Page) -> None:
    """By every rule in the light, and in the dark by those of colours: no other looks at them."""
    found = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(_COLOURS)["violations"]
    page.emulate_media(color_scheme="light")
    serious = [
        (page.url, each["id"], [node["html"] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_billing_pages_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, alice: Person, stripe: World
) -> None:
    a_busy_customer(alice, stripe)
    _look_at(open_page, alice, BILLING)


def a_busy_customer(alice: Person, stripe: World) -> None:
    """Something for every page: a plan, cards, a bonus that waits, top-ups that gave up."""
    fund(alice, "100")
    now = timezone.now()
    with ThreadPoolExecutor(1) as thread:  # what is bought commits, which this thread may not

        def act() -> None:
            balance_changes.subscribe(alice.user.pk, Plan.objects.get(slug="standard"), now=now)
            add_on = AddOn.objects.get(slug="rate-limit-2x")
            balance_changes.add(alice.user.pk, add_on, now=now)
            connections.close_all()

        thread.submit(act).result()
    for card in ("pm_card_visa", "pm_card_mastercard"):
        stripe.stripe.payment_methods.attach(card, {"customer": customers.of(alice.user)})
    began = now - timedelta(days=1)
    PromoCode.objects.create(code="PLUS20", kind="percent", percent=20, valid_from=began)
    confirm(alice.user)
    promos.redeem(alice.user.pk, "PLUS20", now)
    amounts = {"threshold": nanos("2"), "amount": nanos("20"), "monthly_cap": nanos("60")}
    AutoTopUp.objects.create(user=alice.user, failures=3, **amounts)


def test_every_page_fits_a_phone_is_accessible_and_speaks_vietnamese(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    site.chat(alice)
    assert site.chat(alice, model="no-such-model").status_code == 404
    assert seen(1)[0].code == "model_not_found"
    books_now(site, 1)
    (event,) = site.books()
    furnish(alice)
    _look_at(open_page, None, ENTRANCE)
    _look_at(open_page, alice, [*PUBLIC, *OWN, *_of(alice, event)])


def _of(person: Person, event: UsageEvent) -> list[str]:
    """Their key and their webhook, the receipt of a request, and the month it is in."""
    month = f"{event.created_at:%Y-%m}"
    channel = Channel.objects.get(account=person.user, kind="webhook")
    return [
        *(f"/keys/{person.key.pk}", f"/notifications/{channel.pk}"),
        *(f"/usage/{event.request_id}", f"/billing/statements/{month}"),
    ]


def _look_at(open_page: Open, person: Person | None, paths: list[str]) -> None:
    """Each page on the smallest phone, in Vietnamese, with axe."""
    checks: list[Callable[[Page], None]] = [_small, _vietnamese, _accessible]
    look: dict[str, Any] = {"viewport": {"width": 320, "height": 640}, "locale": "vi-VN"}
    page = open_page(paths[0], person, **look)
    for path in paths:
        page.goto(path)
        for check in checks:
            check(page)


_WEIGHT = """() => [...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource')].reduce((sum, one) => sum + one.transferSize, 0)"""
_SHIFT = """() => new Promise(done => {
  let sum = 0
  new PerformanceObserver(list => {
    for (const shift of list.getEntries()) sum += shift.value
  }).observe({ type: 'layout-shift', buffered: true })
  requestAnimationFrame(() => requestAnimationFrame(() => done(sum)))
})"""


@pytest.mark.parametrize("width", [1280, 320])
def test_every_page_is_light_and_stays_where_it_is(
    open_page: Open, alice: Person, stripe: World, width: int
) -> None:
    a_busy_customer(alice, stripe)
    page = open_page("/overview", alice, viewport={"width": width, "height": 640})
    for path in [*PUBLIC, *OWN, *BILLING]:
        page.goto(path)
        assert 1_000 < page.evaluate(_WEIGHT) <= 100_000, path
        assert page.evaluate(_SHIFT) < 0.01, path
