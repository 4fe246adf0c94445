"""What only a browser shows: the whole story, live numbers, the keyboard, small and dark screens,
Vietnamese, and what axe finds."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import openai
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from accounts.models import ApiKey, User
from billing.payments.models import AutoTopUp
from billing.plans.models import AddOn, Plan
from billing.rewards import promos, referrals
from billing.rewards.models import PromoCode
from billing.stripe import customers
from billing.subscriptions import balance_changes
from gateway.usage import settlement
from hontoni.money import dollars, nanos
from tests.confirmed import confirm
from tests.gateway.usage.test_refusals import seen
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

BILLING = [
    *("/billing", "/billing/topup", "/billing/topup/done", "/billing/plan/done", "/billing/plans"),
    *("/billing/plans/change?plan=basic", "/billing/plans/change?plan=premium"),
    *("/billing/plans/change?add_on=rate-limit-5x", "/billing/cards", "/billing/invoices"),
    *("/billing/promo", "/billing/referrals", "/billing/mails"),
]
PUBLIC = [
    *("/", "/models", "/pricing", "/status", "/docs/quickstart", "/docs/tools", "/docs/names"),
    *("/docs/errors", "/docs/receipts", "/docs/search?q=limits", "/errors/plan_limit_5h"),
    *("/terms", "/privacy", "/refunds", "/contact", "/proof", "/verify"),
]
ENTRANCE = ["/account/login/", "/account/signup/", "/account/password/reset/"]
OWN = [
    *("/overview", "/keys", "/usage", "/usage/refusals", "/playground", "/account"),
    *("/account/email/", "/account/password/change/", "/account/2fa/", "/account/sessions/"),
]


_SERVICE_RESTART = 1012


def books_now(site: Gateway, events: int) -> None:
    """Let the worker's job be done, in a thread like the worker's: the usage is in the books."""
    deadline, done = time.monotonic() + 20, 0
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


def test_a_receipt_is_shared_and_verified_by_a_stranger(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    site.chat(alice)
    books_now(site, 1)
    page = open_page("/usage", alice)
    page.locator("table.log tbody tr").get_by_role("link").click()
    page.get_by_role("dialog").get_by_text("Share").click()
    page.get_by_role("button", name="Make the link").click()
    shared = page.locator("#share-link").inner_text()

    stranger = open_page(shared.removeprefix(site.url))
    expect(stranger.get_by_text("Total, rounded once")).to_be_visible()
    assert alice.key.name not in stranger.locator("main").inner_text()
    with stranger.expect_download() as download:
        stranger.get_by_role("link", name="Signed JSON").click()
    stranger.get_by_role("link", name="Verify a receipt").click()
    stranger.get_by_label("or its file").set_input_files(download.value.path())
    stranger.get_by_role("button", name="Verify").click()
    expect(stranger.get_by_role("heading", name="This receipt is good")).to_be_visible()


def test_a_limit_is_hit_and_a_plan_bought_from_the_refusal(
    open_page: Open, site: Gateway, alice: Person
) -> None:
    fund(alice, "20")
    answers = [site.chat(alice).status_code for _ in range(9)]
    assert answers[-1] == 429
    seen(1)
    page = open_page("/overview", alice, viewport={"width": 390, "height": 844})
    page.get_by_role("link", name="Standard: 12 for $13.00 a month").click()
    page.get_by_role("button", name="Pay $13.00").click()
    expect(page.locator("#mine")).to_have_text("Standard")
    assert site.chat(alice).status_code == 200


def test_a_key_is_rotated(open_page: Open, site: Gateway, alice: Person) -> None:
    fund(alice, "10")
    page = open_page(f"/keys/{alice.key.pk}", alice)
    page.get_by_role("button", name="Rotate").click()
    raw = page.locator("#raw-key").inner_text()
    assert raw != alice.raw
    assert site.chat(Person(alice.user, ApiKey.objects.latest("pk"), raw)).status_code == 200


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_billing_pages_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, alice: Person, stripe: World, scheme: str
) -> None:
    a_busy_customer(alice, stripe)
    _look_at(open_page, alice, BILLING, scheme)


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_is_accessible_and_speaks_vietnamese(
    open_page: Open, site: Gateway, alice: Person, scheme: str
) -> None:
    fund(alice, "10")
    site.chat(alice)
    assert site.chat(alice, model="no-such-model").status_code == 404
    assert seen(1)[0].code == "model_not_found"
    books_now(site, 1)
    _look_at(open_page, None, ENTRANCE, scheme)
    _look_at(open_page, alice, [*PUBLIC, *OWN, f"/keys/{alice.key.pk}"], scheme)


def _look_at(open_page: Open, person: Person | None, paths: list[str], scheme: str) -> None:
    """Each page on the smallest phone, in Vietnamese, with axe."""
    checks: list[Callable[[Page], None]] = [_small, _vietnamese, _accessible]
    look: dict[str, Any] = {
        "viewport": {"width": 320, "height": 640},
        "color_scheme": scheme,
        "locale": "vi-VN",
    }
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
