"""A browser in front of the running product, where there is a Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from pytest_django import Settings

from sandbox.stripe import create_app
from tests.billing.shop import worker as worker
from tests.sandbox.stripe.conftest import KEY, World
from tests.sandbox.stripe.conftest import loop as loop
from tests.sandbox.stripe.running import Loop, Running
from tests.web import chromium

if TYPE_CHECKING:  # they import models, and this file is read before Django is set up
    from tests.gateway_server import Gateway
    from tests.world import Person

PATIENCE_MS = 20_000  # a loaded machine is slow, not wrong
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser | None]:
    launch = chromium.found()
    if launch is None:
        yield None
        return
    # Playwright keeps an event loop in this thread, where Django suspects mistakes. Both are gone
    # again before the next module.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(**launch, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(gateway: Gateway, settings: Settings) -> Gateway:
    """The running product as a sandbox: play money, and a banner that says so."""
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "5"
    return gateway


@pytest.fixture
def stripe(loop: Loop, settings: Settings) -> Iterator[World]:
    """The simulator, as the sandbox starts it: cards, a payment page, a portal, invoices."""
    with Running(create_app(), loop) as server:
        world = World(server)
        settings.STRIPE_SECRET_KEY, settings.STRIPE_PUBLISHABLE_KEY = KEY, "pk_test_x"
        settings.STRIPE_WEBHOOK_SECRET, settings.STRIPE_API_BASE = "whsec_x", server.url
        yield world
        world.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(
    _browser: Browser | None,
    site: Gateway,
) -> Iterator[Open]:
    """A page of a fresh browser; as somebody, if a person is given. What the console complains
    about fails the test."""
    if _browser is None:
        pytest.skip(chromium.MISSING)
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(path: str, person: Person | None = None, **options: Any) -> Page:
        context = _browser.new_context(base_url=site.url, timezone_id="Asia/Tokyo", **options)
        contexts.append(context)
        if person is not None:
            context.add_cookies([_session(site, person)])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if _is_ours(said, site) else None,
        )
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _is_ours(said: ConsoleMessage, site: Gateway) -> bool:
    """An error, and of a page of the product: the payment page may decline as it likes."""
    return said.type == "error" and said.location["url"].startswith(site.url)


def _session(site: Gateway, person: Person) -> Any:
    from tests.web.furnished import sign_in

    client = Client()
    sign_in(client, person.user)
    name = django_settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": site.url}


@pytest.fixture
def as_alice(alice: Person) -> Client:
    """Django's test client, signed in."""
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client
