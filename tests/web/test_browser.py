"""What only a browser shows: the whole story, live numbers, the keyboard
and restarts. The journeys are in test_journeys.py, every page in test_every_page.py."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from django.core import mail
from django.db import connections
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from accounts.models import ApiKey, User
from billing.rewards import referrals
from gateway.usage import settlement
from hontoni.money import dollars
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.waiting import ENOUGH
from tests.web.conftest import Open
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

_SERVICE_RESTART = 1012


def books_now(site: Gateway, events: int) -> None:
    """Let the worker's job be done, in a thread like the worker's: the usage is in the books."""
    deadline, done = time.monotonic() + ENOUGH, 0
    with ThreadPoolExecutor(1) as worker:
        while done < events and time.monotonic() < deadline:
            done += worker.submit(settlement.drain, "tests").result()
        worker.submit(connections.close_all)
    assert done == events


@pytest.mark.usefixtures("worker")
def test_from_sign_up_to_an_invoice(open_page: Open, site: Gateway, stripe: World) -> None:
    page = open_page("/")
    dora = _sign_up(page)
    _top_up(page)
    person = _make_a_key(page, site, dora)
    _see_a_request_live(page, site, person)
    _buy(page, person)

    page.goto("/billing/invoices")
    number = page.get_by_role("link", name=re.compile("^INV-")).first
    with page.expect_response(lambda answer: "/invoices/" in answer.url) as opened:
        number.click()
    pdf = page.context.request.get(opened.value.url)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.body().startswith(b"%PDF")


def _sign_up(page: Page) -> User:
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill("Dora@Example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Open an account").click()
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    link = re.search(r"https?://\S+/account/confirm-email/\S+", str(mail.outbox[0].body))
    assert link is not None
    page.goto(link[0])
    page.get_by_role("button", name="Confirm").click()
    return User.objects.get(email="dora@example.com")


def _top_up(page: Page) -> None:
    """On the payment page of the sandbox, and back."""
    page.goto("/overview")
    page.get_by_role("link", name="Put money on your balance").click()
    page.get_by_label("Dollars").first.fill("45.50")
    page.get_by_label("Keep a new card").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("Visa •••• 4242").click()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", name="$45.50 is on your balance")).to_be_visible()
    page.get_by_role("link", name="To your balance").click()
    expect(page.locator(".stats").first).to_contain_text("$50.50")  # $5 were for signing up


def _make_a_key(page: Page, site: Gateway, dora: User) -> Person:
    page.goto("/keys")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create key").click()
    raw = page.locator("#raw-key").inner_text()
    expect(page.locator("code").filter(has_text="ANTHROPIC_BASE_URL")).to_contain_text(site.url)
    return Person(dora, ApiKey.objects.get(user=dora), raw)


def _see_a_request_live(page: Page, site: Gateway, person: Person) -> None:
    """From the real SDK onto the open page, and its receipt."""
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


def _buy(page: Page, person: Person) -> None:
    """A plan and an add-on; the limits follow on the next page."""
    page.goto("/billing/plans")
    page.get_by_role("link", name="Choose Standard").click()
    expect(page.locator(".quote")).to_contain_text("$13.00")
    page.get_by_role("button", name="Pay $13.00").click()
    expect(page.locator("#mine")).to_have_text("Standard")
    page.get_by_role("link", name="Add to plan Rate Limit 5x").click()
    page.get_by_role("button", name="Pay $9.99").click()
    expect(page.locator("#mine")).to_have_text("Standard + Rate Limit 5x")
    page.goto("/overview")
    minute = page.locator(".gauge", has_text="Requests per minute")
    expect(minute).to_contain_text("/ 60")  # 12 × 5


def test_a_page_survives_a_restart_and_catches_up(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    """The socket ends as a server that goes down ends it; nobody reloads the page."""
    fund(alice, "10")
    page = open_page("/keys", alice)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/live", through)
    page.goto("/overview")
    expect(page.locator("#live-state.on")).to_be_attached()
    expect(page.get_by_text("No requests here")).to_be_visible()
    sockets[0].close(code=_SERVICE_RESTART)
    site.chat(alice)
    books_now(site, 1)
    expect(page.locator("table.log tbody tr")).to_contain_text("gpt-4o")
    expect(page.locator("#live-state.on")).to_be_attached()
    assert len(sockets) == 2


def test_the_playground_streams_and_tells_the_cost(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    page = open_page("/playground", alice)
    page.get_by_role("button", name="Create one for an hour").click()
    page.get_by_label("Model", exact=True).select_option("gpt-4o")
    page.get_by_label("Message").fill("Say hello")
    page.keyboard.press("Enter")
    expect(page.locator(".turn .cost")).to_be_visible()
    books_now(site, 1)
    expect(page.locator(".turn .cost a")).to_have_text(re.compile(r"^\$0\.0"))  # of its receipt
    answer = page.locator(".turn .said").nth(1)
    assert answer.inner_text().strip()

    page.get_by_text("Show as code").click()
    for tab in ("curl", "Python", "Node"):
        page.locator("label", has_text=tab).click()
        expect(page.locator(f"#code-{tab.lower()}")).to_contain_text(f"{site.url}/v1")
        expect(page.locator(f"#code-{tab.lower()}")).to_be_visible()


def test_the_playground_answers_without_javascript_too(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    page = open_page("/playground", alice, java_script_enabled=False)
    page.get_by_label("Message").fill("[[say: Plainly so.]]")
    page.get_by_label("Key").fill("sk-gw-nonsense")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("key")
    expect(page.get_by_label("Message")).to_have_value("[[say: Plainly so.]]")
    page.get_by_role("button", name="Create one for an hour").click()
    expect(page.get_by_label("Message")).to_have_value("[[say: Plainly so.]]")
    page.get_by_label("Model", exact=True).select_option("gpt-4o")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn .said").nth(1)).to_have_text("Plainly so.")
    (event,) = site.books()
    expect(page.locator(".turn .note")).to_have_text(f"${dollars(event.cost)}")


def test_the_playground_shows_thinking_and_the_call_of_a_tool(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather"}}
    pieces: list[dict[str, Any]] = [
        {"role": "assistant", "reasoning_content": "The user is "},
        {"reasoning_content": "cold."},
        {"tool_calls": [{"index": 0, **call}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Hue"}'}}]},
    ]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in pieces]
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    page = open_page("/playground", alice)
    page.route("**/usage/*", lambda route: route.fulfill(status=202))
    with page.expect_request("**/v1/chat/completions") as asked:
        page.route(
            "**/v1/chat/completions",
            lambda route: route.fulfill(body=stream, content_type="text/event-stream"),
        )
        page.get_by_label("Let it think").check()
        page.get_by_label("Offer it a tool").check()
        page.get_by_label("Message").fill("Weather?")
        page.keyboard.press("Enter")
    sent: Any = asked.value.post_data_json
    assert sent["reasoning_effort"] == "high" and sent["tools"][0]["function"]["name"]
    expect(page.locator(".turn .thought")).to_contain_text("The user is cold.")
    expect(page.locator(".turn .call")).to_contain_text("Tool call: get_weather")
    expect(page.locator(".turn .call")).to_contain_text('{"city": "Hue"}')


def test_a_phone_has_one_menu(open_page: Open, alice: Person) -> None:
    page = open_page("/overview", alice, viewport={"width": 390, "height": 844})
    expect(page.get_by_role("link", name="API keys")).to_be_hidden()
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("link", name="API keys").click()
    page.wait_for_url("**/keys")


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
    _tab_to_it(page, page.get_by_role(role, name=name, exact=True).first)


def _tab_to_it(page: Page, wanted: Locator) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("found => found === document.activeElement"):
            return
    raise AssertionError(f"{wanted} cannot be reached by keyboard")


def test_a_plan_is_bought_by_keyboard_alone(open_page: Open, alice: Person) -> None:
    fund(alice, "20")
    page = open_page("/billing", alice)
    for name in ("Plans", "Choose Basic"):
        _tab_to(page, "link", name)
        page.keyboard.press("Enter")
        page.wait_for_load_state()
    _tab_to(page, "button", "Pay $6.00")
    page.keyboard.press("Enter")
    expect(page.locator("#mine")).to_have_text("Basic")
    _tab_to_it(page, page.locator("summary", has_text="Cancel"))
    page.keyboard.press("Enter")
    _tab_to(page, "button", "Yes, cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep my plan")).to_be_visible()


def test_a_code_is_copied(open_page: Open, alice: Person) -> None:
    page = open_page("/billing/referrals", alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").last.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == referrals.code_of(alice.user.pk)
