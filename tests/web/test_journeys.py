"""Ten journeys, each on a phone and on a desk, in both languages and both colours.

A journey is walked twice, in looks that differ in everything; which two goes round, so that every
pair of width, language and colours meets. What is pressed is found by the words of the language.
"""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import openai
import pytest
from django.core import mail
from django.db import connections
from django.utils import timezone, translation
from django.utils.translation import gettext
from playwright.sync_api import Locator, Page, expect

from accounts.models import ApiKey, User
from billing.plans.models import Plan
from billing.stripe import customers
from billing.subscriptions import balance_changes
from gateway.dashboard.models import SavedView
from gateway.usage.models import UsageEvent
from tests.gateway.usage.test_refusals import seen
from tests.gateway_server import Gateway, fund
from tests.sandbox.stripe.conftest import World
from tests.web.conftest import Open
from tests.web.test_browser import books_now
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 21, 23)"}
MINUTES_2 = 120


@dataclass(frozen=True)
class Look:
    width: int
    language: str
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.language}-{self.scheme}"

    def other(self) -> "Look":
        """Different in everything."""
        scheme = "dark" if self.scheme == "light" else "light"
        return Look(1830 - self.width, "vi" if self.language == "en" else "en", scheme)


_phones = cycle(
    Look(390, *rest) for rest in (("vi", "dark"), ("en", "light"), ("vi", "light"), ("en", "dark"))
)


def in_two_looks(test: Callable[..., None]) -> Any:
    look = next(_phones)
    return pytest.mark.parametrize("look", [look, look.other()], ids=str)(test)


class Walk:
    """One browser in one look; what it says is checked wherever it stands."""

    def __init__(self, open_page: Open, look: Look, path: str, person: Person | None = None):
        self.look = look
        options: dict[str, Any] = {
            "viewport": {"width": look.width, "height": 844},
            "locale": {"vi": "vi-VN", "en": "en-GB"}[look.language],
            "color_scheme": look.scheme,
        }
        self.page: Page = open_page(path, person, **options)
        self.well()

    def words(self, english: str, **values: Any) -> str:
        with translation.override(self.look.language):
            return gettext(english) % values if values else gettext(english)

    def number(self, text: str) -> str:
        return text.replace(".", ",") if self.look.language == "vi" else text

    def well(self) -> None:
        """It fits, in the language and the colours that were wished for."""
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.look.width, f"{self.page.url} is {width} wide"
        assert self.page.locator("html").get_attribute("lang") == self.look.language
        paper = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == PAPER[self.look.scheme]

    def goto(self, path: str) -> None:
        self.page.goto(path)
        self.well()

    def menu(self, english: str) -> None:
        """By the menu, which a phone opens first."""
        if self.look.width < 800:
            self.page.locator("label.menu-button").click()
        name = self.words(english)
        self.page.locator("header nav").get_by_role("link", name=name, exact=True).click()
        self.page.wait_for_load_state()
        self.well()

    def button(self, english: str, **values: Any) -> Locator:
        return self.page.get_by_role("button", name=self.words(english, **values), exact=True)

    def link(self, english: str, **values: Any) -> Locator:
        return self.page.get_by_role("link", name=self.words(english, **values)).first

    def field(self, name: str) -> Locator:
        return self.page.locator(f"main [name={name}]:not([type=hidden])").first

    def sees(self, english: str, **values: Any) -> None:
        expect(self.page.locator("main")).to_contain_text(self.words(english, **values))
        self.well()


def in_a_thread(work: Callable[[], object]) -> None:
    """What commits, which a thread with a browser may not."""

    def act() -> None:
        work()
        connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(act).result()


def on_basic(person: Person) -> None:
    fund(person, "6")
    plan = Plan.objects.get(slug="basic")
    in_a_thread(lambda: balance_changes.subscribe(person.user.pk, plan, now=timezone.now()))


def _follow_the_mail(walk: Walk) -> None:
    link = re.search(r"https?://\S+/account/confirm-email/\S+", str(mail.outbox[-1].body))
    assert link is not None
    walk.page.goto(link[0])
    walk.button("Confirm").click()


def _pay(walk: Walk, card: str = "Visa •••• 4242") -> None:
    """On the payment page, which is another's and speaks English."""
    walk.page.get_by_text(card).click()
    walk.page.get_by_role("button", name="Pay").click()


def _ask(site: Gateway, user: User, raw: str) -> None:
    client: openai.OpenAI = site.openai(Person(user, ApiKey.objects.latest("pk"), raw))
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


@in_two_looks
@pytest.mark.usefixtures("worker")
def test_from_a_visit_to_the_first_paid_request(
    open_page: Open, site: Gateway, stripe: World, look: Look
) -> None:
    begun = time.monotonic()
    walk = Walk(open_page, look, "/")
    walk.menu("Sign up")
    walk.field("email").fill("dora@example.com")
    walk.field("password1").fill(PASSWORD)
    walk.button("Open an account").click()
    walk.sees("First steps")
    _follow_the_mail(walk)
    walk.goto("/overview")
    walk.link("Put money on your balance").click()
    walk.page.locator("[data-amount='10']").click()
    walk.button("Continue").click()
    _pay(walk)
    walk.sees("$%(amount)s is on your balance", amount=walk.number("10.00"))
    walk.goto("/keys")
    walk.field("name").fill("laptop")
    walk.button("Create key").click()
    raw = walk.page.locator("#raw-key").inner_text()
    _ask(site, User.objects.get(email="dora@example.com"), raw)
    books_now(site, 1)
    walk.goto("/overview")
    walk.page.locator("table.log tbody a").click()
    expect(walk.page.get_by_role("dialog")).to_contain_text(walk.words("Total, rounded once"))
    assert time.monotonic() - begun < MINUTES_2
    assert UsageEvent.objects.get().cost > 0


@in_two_looks
@pytest.mark.usefixtures("worker")
def test_a_wrong_turn_at_each_step_leads_back(
    open_page: Open, site: Gateway, stripe: World, look: Look
) -> None:
    walk = Walk(open_page, look, "/")
    answer = walk.page.request.get("/no-such-page")  # with a way back
    assert answer.status == 404 and 'href="/"' in answer.text()
    walk.goto("/account/signup/")
    walk.field("email").fill("dora@example.com")
    walk.field("password1").fill("short")
    walk.button("Open an account").click()
    expect(walk.page.locator(".errorlist")).to_be_visible()
    walk.field("password1").fill(PASSWORD)
    walk.button("Open an account").click()
    _follow_the_mail(walk)
    walk.goto("/billing/topup")
    walk.field("amount").fill("1")  # too little: the browser says so, and stays
    walk.button("Continue").click()
    assert walk.page.locator("#id_amount:invalid").count() == 1
    walk.field("amount").fill("10")
    walk.button("Continue").click()
    _pay(walk, "Visa •••• 0002")  # declined
    _pay(walk, "Visa •••• 4242")
    walk.sees("$%(amount)s is on your balance", amount=walk.number("10.00"))
    walk.goto("/keys")
    walk.button("Create key").click()  # without a name
    assert walk.page.locator("#id_name:invalid").count() == 1
    walk.field("name").fill("laptop")
    walk.button("Create key").click()
    raw = walk.page.locator("#raw-key").inner_text()
    user = User.objects.get(email="dora@example.com")
    wrong = Person(user, ApiKey.objects.latest("pk"), raw[:-1] + ("a" if raw[-1] != "a" else "b"))
    error = site.chat(wrong)
    assert error.status_code == 401
    walk.goto(re.sub(r"^https?://[^/]+", "", error.json()["error"]["doc_url"]))
    walk.sees("What to do")
    _ask(site, user, raw)
    books_now(site, 1)


@in_two_looks
def test_a_limit_is_hit_and_a_plan_bought_from_the_refusal(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    fund(alice, "20")
    assert [site.chat(alice).status_code for _ in range(9)][-1] == 429
    seen(1)
    walk = Walk(open_page, look, "/overview", alice)
    walk.page.locator('.remedies a[href$="plan=standard"]').click()
    walk.page.locator("main form button").last.click()
    expect(walk.page.locator("#mine")).to_have_text("Standard")
    walk.well()
    assert site.chat(alice).status_code == 200


@in_two_looks
def test_an_upgrade_is_paid_by_a_saved_card(
    open_page: Open, site: Gateway, stripe: World, alice: Person, look: Look
) -> None:
    on_basic(alice)
    customer = {"customer": customers.of(alice.user)}
    stripe.stripe.payment_methods.attach("pm_card_visa", customer)
    walk = Walk(open_page, look, "/billing/plans", alice)
    walk.page.locator('a[href$="plan=standard"]').first.click()
    expect(walk.page.locator("[name=pay_with]:checked")).to_have_count(1)
    walk.well()
    walk.page.locator("main form button").last.click()
    expect(walk.page.locator("#mine")).to_have_text("Standard")
    walk.well()


@in_two_looks
def test_a_key_is_rotated_and_both_work_for_a_while(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    fund(alice, "10")
    walk = Walk(open_page, look, "/overview", alice)
    walk.menu("API keys")
    walk.page.get_by_role("link", name="laptop").click()
    walk.button("Rotate").click()
    raw = walk.page.locator("#raw-key").inner_text()
    walk.well()
    assert raw != alice.raw
    for key in (alice.raw, raw):
        assert site.chat(Person(alice.user, alice.key, key)).status_code == 200


@in_two_looks
def test_a_receipt_is_shared_and_verified_by_a_stranger(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    fund(alice, "10")
    site.chat(alice)
    books_now(site, 1)
    walk = Walk(open_page, look, "/usage", alice)
    walk.page.locator("table.log tbody a").click()
    walk.page.get_by_role("dialog").get_by_text(walk.words("Share")).click()
    walk.button("Make the link").click()
    shared = walk.page.locator("#share-link").inner_text()
    stranger = Walk(open_page, look.other(), shared.removeprefix(site.url))
    stranger.sees("Total, rounded once")
    assert alice.key.name not in stranger.page.locator("main").inner_text()
    with stranger.page.expect_download() as download:
        stranger.link("Signed JSON").click()
    stranger.link("Verify a receipt").click()
    stranger.page.locator("[type=file]").set_input_files(download.value.path())
    stranger.button("Verify").click()
    stranger.sees("This receipt is good")
    forged = json.loads(download.value.path().read_text())
    text = json.dumps(forged).replace("gpt-4o", "gpt-5o")
    stranger.page.locator("main textarea").fill(text)
    stranger.button("Verify").click()
    stranger.sees("This receipt is not good")


@in_two_looks
def test_an_account_is_deleted(open_page: Open, site: Gateway, alice: Person, look: Look) -> None:
    fund(alice, "10")
    walk = Walk(open_page, look, "/overview", alice)
    walk.menu("Account")
    walk.page.locator('main a[href="/account/delete"]').click()
    if "/reauthenticate/" in walk.page.url:
        walk.field("password").fill(PASSWORD)
        walk.page.locator("main form button").first.click()
    walk.field("email").fill("alice@example.com")
    walk.button("Delete for good").click()
    walk.sees("Your account is deleted.")
    assert site.chat(alice).status_code == 401
    walk.goto("/account/login/")
    walk.field("login").fill("alice@example.com")
    walk.field("password").fill(PASSWORD)
    walk.page.locator("main form button").first.click()
    expect(walk.page.locator(".errorlist, .message.error").first).to_be_visible()


@in_two_looks
def test_a_question_about_usage_is_answered_kept_and_taken_along(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    fund(alice, "10")
    for model in ("gpt-4o", "claude-sonnet-4"):
        site.chat(alice, model=model)
    books_now(site, 2)
    walk = Walk(open_page, look, "/overview", alice)
    walk.menu("Usage")
    walk.page.locator("#by").select_option("model")  # the choice sends the form
    walk.page.locator("#then").select_option("api_key_id")
    walk.page.wait_for_url("**then=api_key_id**")
    expect(walk.page.locator(".groups .second")).to_have_count(2)
    walk.page.get_by_text(walk.words("Save this view")).click()
    walk.field("name").fill("Mine")
    walk.page.locator(".views [name=name] ~ button, .views form.row button").last.click()
    walk.page.get_by_role("link", name="Mine", exact=True).click()
    for _ in range(2):  # into the day, into the hour
        walk.page.locator("a.bar").last.click()
        walk.page.wait_for_load_state()
    walk.well()
    assert "hour=" in walk.page.url
    expect(walk.page.locator("g.bar")).to_have_count(60)
    walk.page.get_by_text(walk.words("Download")).click()
    with walk.page.expect_download() as download:
        walk.page.locator('a[href^="/usage.parquet"]').click()
    assert download.value.path().read_bytes()[:4] == b"PAR1"
    assert SavedView.objects.get().name == "Mine"


@in_two_looks
def test_the_documentation_is_searched_and_its_example_copied(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    walk = Walk(open_page, look, "/docs", alice)
    walk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    walk.page.locator("#q").fill("curl")
    walk.page.keyboard.press("Enter")
    walk.page.locator("main section a").first.click()
    walk.well()
    walk.goto("/docs/quickstart")
    blocks, copies = (
        walk.page.locator("article pre"),
        walk.page.locator("article [data-copy] > button"),
    )
    expect(copies).to_have_count(blocks.count())
    box = walk.page.locator("article [data-copy]:visible").first
    box.get_by_role("button").click()
    copied = walk.page.evaluate("navigator.clipboard.readText()")
    assert copied and copied == box.locator("code").inner_text().strip()
    text = walk.page.locator("article").inner_text()
    assert alice.key.prefix in text and site.url in text


@in_two_looks
def test_a_plan_is_cancelled_and_kept_after_all(
    open_page: Open, site: Gateway, alice: Person, look: Look
) -> None:
    on_basic(alice)
    walk = Walk(open_page, look, "/overview", alice)
    walk.menu("Billing")
    walk.page.locator('.sections a[href="/billing/plans"]').click()
    walk.page.locator("summary", has_text=walk.words("Cancel")).click()
    walk.button("Yes, cancel").click()
    walk.button("Keep my plan").click()
    expect(walk.page.locator("summary", has_text=walk.words("Cancel"))).to_be_visible()
    walk.well()
