"""What only a browser shows: the whole story, live numbers, the keyboard, small and dark screens,
Vietnamese, and what axe finds."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from django.db import connections
from playwright.sync_api import Page, expect

from accounts.models import ApiKey, User
from gateway import usage
from tests.gateway_server import Gateway, fund
from tests.web.conftest import Open
from tests.world import PASSWORD, Person

PUBLIC = ["/", "/models", "/status", "/docs/quickstart", "/docs/tools", "/docs/search?q=limits"]
ENTRANCE = ["/account/login/", "/account/signup/", "/account/password/reset/"]
OWN = [
    *("/overview", "/keys", "/usage", "/billing", "/playground", "/account"),
    *("/account/email/", "/account/password/change/", "/account/2fa/", "/account/sessions/"),
]


def books_now(site: Gateway, events: int) -> None:
    """Let the worker's job be done, in a thread like the worker's: the usage is in the books."""
    deadline, done = time.monotonic() + 20, 0
    with ThreadPoolExecutor(1) as worker:
        while done < events and time.monotonic() < deadline:
            done += worker.submit(usage.drain, "tests").result()
        worker.submit(connections.close_all)
    assert done == events


def test_from_sign_up_to_a_receipt_seen_live(open_page: Open, site: Gateway) -> None:
    page = open_page("/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill("Dora@Example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Open an account").click()
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    dora = User.objects.get(email="dora@example.com")

    link = re.search(r"https?://\S+/account/confirm-email/\S+", str(mail.outbox[0].body))
    assert link is not None
    page.goto(link[0])
    page.get_by_role("button", name="Confirm").click()

    page.goto("/billing")
    page.get_by_label("Dollars").fill("12.50")
    page.get_by_role("button", name="Add funds").click()
    expect(page.locator(".stats").first).to_contain_text("$17.50")

    page.goto("/keys")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make a key").click()
    raw = page.locator("#raw-key").inner_text()
    person = Person(dora, ApiKey.objects.get(user=dora), raw)
    expect(page.locator("code").filter(has_text="ANTHROPIC_BASE_URL")).to_contain_text(site.url)

    page.goto("/overview")
    expect(page.locator("#live-state.on")).to_be_attached()
    expect(page.get_by_text("No requests here")).to_be_visible()
    client: openai.OpenAI = site.openai(person)
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    books_now(site, 1)
    row = page.locator("table.log tbody tr")
    expect(row).to_contain_text("gpt-4o")  # pushed: nobody reloaded
    expect(page.get_by_role("heading", name="First steps")).to_be_hidden()  # ticked itself

    row.get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text("Total, rounded once")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_page_survives_a_break_and_catches_up(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    page = open_page("/overview", alice)
    expect(page.locator("#live-state.on")).to_be_attached()
    page.evaluate("document.querySelector('[ws-connect]')['htmx-internal-data'].webSocket.close()")
    site.chat(alice)
    books_now(site, 1)
    page.reload()
    expect(page.locator("table.log tbody tr")).to_contain_text("gpt-4o")


def test_the_playground_streams_and_tells_the_cost(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    page = open_page("/playground", alice)
    page.get_by_role("button", name="Make one for an hour").click()
    page.get_by_label("Model", exact=True).select_option("gpt-4o")
    page.get_by_label("Message").fill("Say hello")
    page.keyboard.press("Enter")
    expect(page.locator(".turn .cost")).to_be_visible()
    books_now(site, 1)
    page.get_by_text("Show as code").click()
    expect(page.locator("#code-curl")).to_contain_text(f"{site.url}/v1/chat/completions")
    answer = page.locator(".turn .said").nth(1)
    assert answer.inner_text().strip()


def test_a_key_is_made_by_keyboard_alone(open_page: Open, alice: Person) -> None:
    page = open_page("/overview", alice)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    _tab_to(page, "link", "API keys")
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys")
    _tab_to(page, "textbox", "Name")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#raw-key")).to_contain_text("sk-gw-")


def _tab_to(page: Page, role: Any, name: str) -> None:
    wanted = page.get_by_role(role, name=name, exact=True).first
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("found => found === document.activeElement"):
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


def _small(page: Page) -> None:
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{page.url} is {width} wide"


def _vietnamese(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "vi"
    words = page.locator("footer").inner_text()
    assert "Cổng LLM" in words


def _accessible(page: Page) -> None:
    found = Axe().run(page)
    serious = [
        (page.url, each["id"], [node["html"] for node in each["nodes"][:3]])
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_is_accessible_and_speaks_vietnamese(
    open_page: Open, site: Gateway, alice: Person, scheme: str
) -> None:
    fund(alice, "10")
    site.chat(alice)
    books_now(site, 1)
    checks: list[Callable[[Page], None]] = [_small, _vietnamese, _accessible]
    look: dict[str, Any] = {
        "viewport": {"width": 320, "height": 640},
        "color_scheme": scheme,
        "locale": "vi-VN",
    }
    for person, paths in ((None, ENTRANCE), (alice, [*PUBLIC, *OWN, f"/keys/{alice.key.pk}"])):
        page = open_page(paths[0], person, **look)
        for path in paths:
            page.goto(path)
            for check in checks:
                check(page)
