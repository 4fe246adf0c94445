"""The pages as they are served: who may see what, what the forms do, and what they refuse."""

import csv
import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.core import mail
from django.db import connections
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import ApiKey, User
from billing.books import ledger
from billing.plans.models import AddOn, Plan
from billing.plans.seed import seed as seed_billing
from billing.subscriptions import balance_changes
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.usage.models import UsageHour
from gateway.usage.request_ids import first_id
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.seed import seed as own_keys_seed
from hontoni.money import nanos
from tests.confirmed import confirm
from tests.world import PASSWORD, Person, used

OWN = ["/overview", "/keys", "/usage", "/billing", "/playground", "/account", "/account/2fa/"]
PUBLIC = [
    *("/", "/models", "/pricing", "/status", "/docs/quickstart", "/docs/receipts", "/terms"),
    *("/contact", "/proof", "/verify", "/account/login/", "/account/signup/"),
]

INLINE = re.compile(r"<script(?![^>]*(src=|application/json))|<style|\sstyle=|\son\w+=")


@pytest.fixture(autouse=True)
def _seeded(db: None) -> None:
    seed_billing()
    seed_catalogue()


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.any_database
@pytest.mark.parametrize("path", OWN)
def test_what_is_a_customers_own_asks_who_it_is(path: str, client: Client) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/account/login/?next={path}"


@pytest.mark.any_database
@pytest.mark.parametrize("path", [*OWN, *PUBLIC])
def test_no_page_needs_an_inline_script_or_style(path: str, as_alice: Client) -> None:
    answer = as_alice.get(path, follow=True)
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(
        r"<script(?![^>]*(src=|application/json))|<style|\sstyle=|\son\w+=", text(answer)
    )


# Of which a row becomes a card on a phone (static/css): names and values, or a grid of its own.
CARDS = {"stack", "log", "groups", "ledger", "lines"}
SMALL = {"_sample.html"}  # an example of ours, as narrow as it is


def test_a_row_becomes_a_card_on_a_phone() -> None:
    rooms = [
        django_settings.BASE_DIR / "templates" / name
        for name in ("accounts", "billing", "gateway")
    ]
    wide = {}
    for path in (each for room in rooms for each in room.rglob("*.html")):
        for kind, head in re.findall(r"<table([^>]*)>\s*<thead>(.*?)</thead>", path.read_text()):
            if head.count("<th ") > 3 and CARDS.isdisjoint(re.findall(r"\w+", kind)):
                wide[path.name] = head.count("<th ")
    assert wide.keys() == SMALL


def test_the_sandbox_says_so_on_every_page(client: Client, settings: Settings) -> None:
    for path in [*PUBLIC, "/nothing"]:
        settings.SANDBOX = True
        assert "Every" in text(client.get(path)) or "play money" in text(client.get(path))
        settings.SANDBOX = False
        assert "play money" not in text(client.get(path))


def test_every_browser_finds_the_icon(client: Client) -> None:
    assert client.get("/favicon.ico")["Location"] == "/static/favicon.svg"


def test_an_error_page_is_a_page(client: Client) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page" in text(answer)


@pytest.mark.parametrize(("language", "word"), [("vi", "lỗi ở phía chúng tôi"), ("en", "broken")])
def test_even_a_bug_speaks_the_visitors_language(
    client: Client, monkeypatch: pytest.MonkeyPatch, language: str, word: str
) -> None:
    def broken(now: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.dashboard.views.public_views.report", broken)
    client.raise_request_exception = False
    answer = client.get("/status", headers={"Accept-Language": language})
    assert answer.status_code == 500
    assert f'<html lang="{language}">' in text(answer) and word in text(answer)


def test_prices_are_those_of_the_catalogue(client: Client) -> None:
    page = text(client.get("/models?compare=claude-sonnet-4"))
    assert "$3.00" in page and "$15.00" in page
    assert "gpt-4o" not in page
    assert "$0.0105" in page  # a chat turn: the documentation's own example


def test_the_first_request_is_to_where_the_visitor_is(client: Client) -> None:
    page = text(client.get("/", headers={"Host": "localhost:8123"}))
    assert "curl http://localhost:8123/v1/chat/completions" in page
    assert "export ANTHROPIC_BASE_URL=http://localhost:8123 " in page


def test_a_model_has_a_page_with_every_price_of_it(client: Client) -> None:
    page = text(client.get("/models/claude-sonnet-4", headers={"Host": "localhost:8123"}))
    for price in ("$3.00", "$15.00", "$0.30", "$3.75"):
        assert price in page
    assert '"model": "claude-sonnet-4"' in page and "http://localhost:8123/v1" in page
    assert client.get("/models/nothing").status_code == 404


def test_models_are_filtered_in_the_visitors_language(client: Client) -> None:
    page = text(client.get("/models?ability=reasoning", headers={"Accept-Language": "vi"}))
    assert '<option value="reasoning" selected>suy luận</option>' in page
    assert '<span class="badge">suy luận</span>' in page
    assert 'value="gpt-5.2"' in page and 'value="gpt-4o"' not in page


def test_the_calculator_finds_the_cheapest_plan_with_room(client: Client) -> None:
    asked = {
        "model": "claude-sonnet-4",
        "requests": "30",
        "tokens_in": "1000",
        "tokens_out": "500",
    }
    page = text(client.get("/pricing", asked | {"model": "claude-sonnet-4"}))
    assert "$9.45" in page  # 30 × 30 × $0.0105
    assert "Pay as you go + Rate Limit 5x, $9.99" in page  # 900 of 1,200 in 30 days
    assert "$19.44" in page
    assert "Basic alone: its 30-day limit allows 480 requests, you need 900." in page
    AddOn.objects.update(active=False)
    page = text(client.get("/pricing", asked | {"model": "claude-sonnet-4"}))
    assert "Standard, $13.00" in page  # 1,100 in 30 days
    many = text(client.get("/pricing", asked | {"requests": "50"}))
    assert "Standard alone: its 30-day limit allows 1,100 requests, you need 1,500." in many
    assert "Premium, $39.00" in many


@pytest.mark.parametrize("path", ["/", "/pricing", "/billing/plans"])
def test_a_plan_says_what_it_saves_over_add_ons_or_what_they_would(
    as_alice: Client, path: str
) -> None:
    def sentence(slug: str) -> str:
        card = re.search(rf'aria-labelledby="(?:offer|plan)-{slug}".*?</section>', page(), re.S)
        assert card
        return card[0]

    def page() -> str:
        return text(as_alice.get(path))

    less = "a month, {} less. Take the plan for its {} tokens of thinking or {} keys; else that"
    assert "as Pay as you go + Rate Limit 2x: $4.99 a month, $1.01 less. That is" in sentence(
        "basic"
    )
    assert less.format("$3.01", "16,000", "10") in sentence("standard")
    assert "Standard + Rate Limit 5x: $22.99 " + less.format("$16.01", "32,000", "20") in sentence(
        "premium"
    )
    assert "better buy" not in sentence("pay-as-you-go")
    Plan.objects.filter(slug="standard").update(price=nanos("8"), thinking_budget=8_000)
    assert "Saves $1.99 a month against Pay as you go + Rate Limit 5x" in sentence("standard")
    Plan.objects.filter(slug="standard").update(price=nanos("9.99"))
    same = sentence("standard")
    assert "Rate Limit 5x: $9.99 a month, the same." in same and "better buy" not in same
    Plan.objects.filter(slug="ultimate").update(rpm=9_000)
    assert "No add-on to another plan has all of these rate limits." in sentence("ultimate")
    AddOn.objects.update(active=False)
    assert "No add-on" not in page() and "better buy" not in page()


def test_the_calculator_keeps_what_was_typed_and_says_what_is_wrong(client: Client) -> None:
    page = text(client.get("/pricing", {"model": "claude-sonnet-4", "requests": "-7"}))
    assert 'value="-7"' in page
    assert "greater than or equal to 1" in page


# -- Signing up and in ---------------------------------------------------------------------------


def test_signing_up_opens_an_account_by_its_address_in_lower_case(client: Client) -> None:
    form = {"email": "Dora@Example.com", "password1": PASSWORD}
    assert client.post("/account/signup/", form)["Location"] == "/overview"
    dora = User.objects.get()
    assert dora.email == "dora@example.com"
    assert not EmailAddress.objects.get(user=dora).verified


def test_who_signs_up_in_vietnamese_is_written_to_in_vietnamese(client: Client) -> None:
    form = {"email": "dora@example.com", "password1": PASSWORD}
    client.post("/account/signup/", form, headers={"Accept-Language": "vi-VN,vi;q=0.9"})
    assert User.objects.get().language == "vi"


def test_who_registered_by_the_api_logs_in_here(client: Client, alice: Person) -> None:
    form = {"login": "Alice@Example.com", "password": PASSWORD}
    assert client.post("/account/login/", form)["Location"] == "/overview"


@pytest.mark.usefixtures("worker")
def test_mails_of_the_account_speak_the_visitors_language(client: Client, alice: Person) -> None:
    form = {"email": "alice@example.com"}
    for language, subject in (("vi", "Đặt lại mật khẩu"), ("en", "Reset your password")):
        client.post("/account/password/reset/", form, headers={"Accept-Language": language})
        assert mail.outbox[-1].subject == subject
        assert "/account/password/reset/key/" in mail.outbox[-1].body


def test_guessing_is_throttled(client: Client, alice: Person) -> None:
    form = {"login": "alice@example.com", "password": "wrong"}
    answers = [client.post("/account/login/", form) for _ in range(12)]
    assert "Too many failed login attempts" in text(answers[-1])
    form["password"] = PASSWORD
    assert client.post("/account/login/", form).status_code == 200  # not even the right one


def test_staff_signs_in_where_customers_do(client: Client) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer["Location"].startswith("/account/login/?next=")


def test_the_language_and_the_colours_stay_chosen(client: Client) -> None:
    client.post("/preferences", {"language": "vi", "next": "/models"})
    client.post("/preferences", {"theme": "dark", "next": "//evil.example"})
    page = text(client.get("/"))
    assert '<html lang="vi" data-theme="dark">' in page
    assert "Mở tài khoản" in page


def test_it_only_goes_back_to_our_own_pages(client: Client) -> None:
    assert client.post("/preferences", {"next": "//evil.example"})["Location"] == "/"
    assert client.post("/preferences", {"next": "/usage?days=1"})["Location"] == "/usage?days=1"


def test_dates_are_in_the_visitors_zone(as_alice: Client, alice: Person) -> None:
    moment = timezone.now().replace(year=2025, month=1, day=2, hour=23, minute=5)
    used(alice, created_at=moment)
    as_alice.cookies["time_zone"] = "Asia/Ho_Chi_Minh"
    assert "3 Jan 2025, 06:05" in text(as_alice.get("/usage"))
    as_alice.cookies["time_zone"] = "../../etc/passwd"
    assert "2 Jan 2025, 23:05" in text(as_alice.get("/usage"))


# -- Keys ----------------------------------------------------------------------------------------


def _form(client: Client) -> dict[str, str]:
    once = re.search(r'name="once" value="([^"]+)"', text(client.get("/keys")))
    assert once is not None
    return {"name": "server", "expires": "30", "once": once[1]}


def test_a_key_is_shown_once_and_made_once(as_alice: Client, alice: Person) -> None:
    form = _form(as_alice)
    answer = as_alice.post("/keys", form)
    raw = re.search(r'id="raw-key">(sk-gw-\w{49})<', text(answer))
    assert raw is not None
    assert "no-store" in answer["Cache-Control"]
    made = ApiKey.objects.get(name="server")
    assert made.user == alice.user and made.last4 == raw[1][-4:] and made.expires_at is not None
    assert as_alice.post("/keys", form).status_code == 302  # sent twice
    assert ApiKey.objects.filter(name="server").count() == 1
    assert raw[1] not in text(as_alice.get("/keys"))


def test_a_form_with_an_error_keeps_what_was_typed(as_alice: Client) -> None:
    answer = as_alice.post("/keys", _form(as_alice) | {"name": "x" * 101})
    assert f'value="{"x" * 101}"' in text(answer)
    assert 'class="errorlist" id="id_name_error"' in text(answer)


def test_the_cap_is_an_error_beside_the_form(as_alice: Client, alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(key_cap=1)
    assert "Your plan allows no more active keys" in text(as_alice.post("/keys", _form(as_alice)))


def test_a_key_is_renamed_rotated_and_revoked(as_alice: Client, alice: Person) -> None:
    url = f"/keys/{alice.key.pk}"
    assert as_alice.post(url, {"name": "desk"}).status_code == 302
    assert "sk-gw-" in text(as_alice.post(f"{url}/rotate", {"overlap": "3600"}))
    assert "rotated already" in text(as_alice.post(f"{url}/rotate", {"overlap": "3600"}))
    assert as_alice.post(f"{url}/revoke").status_code == 302
    alice.key.refresh_from_db()
    assert alice.key.name == "desk" and alice.key.revoked_at is not None
    assert alice.key.replaced_by is not None and alice.key.replaced_by.name == "desk"


@pytest.mark.parametrize("path", ["", "/rotate", "/revoke"])
def test_bobs_key_is_not_alices(as_alice: Client, bob: Person, path: str) -> None:
    answer = as_alice.post(f"/keys/{bob.key.pk}{path}", {"name": "mine", "overlap": "0"})
    assert answer.status_code == 404
    bob.key.refresh_from_db()
    assert bob.key.name == "laptop" and bob.key.revoked_at is None


# -- Money and usage -----------------------------------------------------------------------------


def test_sandbox_funds_are_credited_once(
    as_alice: Client, alice: Person, settings: Settings
) -> None:
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "0"
    once = re.search(r'name="once" value="([^"]+)"', text(as_alice.get("/billing/topup")))
    assert once is not None
    form = {"amount": "12.50", "once": once[1]}
    for _ in range(2):
        assert as_alice.post("/billing/sandbox", form).status_code == 302
    assert ledger.balance(alice.user.pk) == nanos("12.50")
    assert "$12.50" in text(as_alice.get("/billing"))
    refused = as_alice.post("/billing/sandbox", form | {"amount": "0.5"})
    assert 'value="0.5"' in text(refused) and "errorlist" in text(refused)


def test_there_is_no_play_money_beside_real_vendors(as_alice: Client, settings: Settings) -> None:
    settings.SANDBOX = False
    form = {"amount": "5", "once": "00000000-0000-0000-0000-000000000001"}
    assert as_alice.post("/billing/sandbox", form).status_code == 404
    assert "Add sandbox funds" not in text(as_alice.get("/billing/topup"))


def test_a_receipt_explains_every_cent_and_is_its_owners(
    as_alice: Client, alice: Person, bob: Person
) -> None:
    page = text(as_alice.get(f"/usage/{used(alice).request_id}"))
    assert "$0.003" in page and "$0.0075" in page and "$0.0105" in page
    long_ago = uuid.UUID("01890000-0000-7000-8000-000000000000")
    assert as_alice.get(f"/usage/{used(bob, id=long_ago).request_id}").status_code == 404
    fresh = as_alice.get(f"/usage/{used(bob).request_id}")  # as if nobody had it yet
    assert fresh.status_code == 202 and "being written" in text(fresh)
    assert as_alice.get("/usage/req_nonsense").status_code == 404


def test_the_drawer_gets_the_receipt_alone(as_alice: Client, alice: Person) -> None:
    url = f"/usage/{used(alice).request_id}"
    assert "<html" not in text(as_alice.get(url, headers={"HX-Request": "true"}))
    assert "HX-Request" in as_alice.get(url)["Vary"]


def test_the_log_is_filtered_and_paged(as_alice: Client, alice: Person) -> None:
    events = [used(alice, client=f"n{i}") for i in range(51)]
    used(alice, model="gpt-4o", status=500, error="upstream_error")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    rolled_up = {"user": alice.user, "api_key": alice.key, "model": "gpt-4o", "hour": hour}
    UsageHour.objects.create(**rolled_up, requests=1, errors=1)
    assert text(as_alice.get("/usage?outcome=failed")).count("/usage/req_") == 2  # link and hx-get
    assert "upstream_error" in text(as_alice.get("/usage?model=gpt-4o"))
    first = text(as_alice.get("/usage?outcome=ok"))
    older = re.search(r'href="\?([^"]*before=[^"]+)"', first)
    assert older is not None
    second = text(as_alice.get("/usage?" + older[1].replace("&amp;", "&")))
    assert events[0].request_id in second and events[0].request_id not in first
    for odd in ("before=x", "days=3", "key=-1", "key=9" + "9" * 30):
        assert as_alice.get(f"/usage?{odd}").status_code == 404


def test_the_chart_is_drawn_from_the_rollups(as_alice: Client, alice: Person) -> None:
    UsageHour.objects.create(
        hour=timezone.now().replace(minute=0, second=0, microsecond=0),
        user=alice.user,
        api_key=alice.key,
        model="gpt-4o",
        requests=3,
        cost=nanos("1.23"),
        input=1000,
        cache_read=3000,
    )
    page = text(as_alice.get("/usage"))
    assert "<title>" in page and "gpt-4o: $1.23" in page
    assert "75.0 %" in page  # of the prompt came from the cache
    vietnamese = text(as_alice.get("/usage", headers={"Accept-Language": "vi"}))
    drawn = vietnamese[vietnamese.index("<figure") : vietnamese.index("</figure>")]
    assert not re.search(r'(x|y|width|height)="\d+[.,]\d+"', drawn)


def test_days_of_ones_own_choice_narrow_chart_log_and_sums(
    as_alice: Client, alice: Person
) -> None:
    as_alice.cookies["time_zone"] = "Asia/Ho_Chi_Minh"  # whose day begins at 17:00 UTC
    for day, cost in ((9, "0.50"), (10, "1.25"), (11, "2.50")):
        UsageHour.objects.create(
            hour=datetime(2026, 11, day, 18, tzinfo=UTC),
            user=alice.user,
            api_key=alice.key,
            model="gpt-4o",
            requests=1,
            cost=nanos(cost),
        )
    moment = datetime(2026, 11, 10, 18, 30, tzinfo=UTC)
    there = used(alice, id=first_id(moment.timestamp()), created_at=moment)
    elsewhere = used(alice)
    page = text(as_alice.get("/usage?since=2026-11-11&until=2026-11-11"))
    assert "$1.25<small>$0.50 in the time before</small>" in page and "$2.50" not in page
    assert there.request_id in page and elsewhere.request_id not in page
    assert 'name="custom" value="1"' in page and 'value="2026-11-11"' in page
    again = text(as_alice.get("/usage?custom=1&days=7&since=2026-11-11&until=2026-11-11"))
    assert elsewhere.request_id in again and 'name="custom"' not in again
    for odd in (
        "since=2026-11-12&until=2026-11-11",
        "since=2020-01-01&until=2026-01-01",
        "since=x",
    ):
        assert as_alice.get(f"/usage?{odd}").status_code == 404


async def _streamed(person: Person, url: str) -> bytes:
    client = AsyncClient()
    await client.aforce_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    await client.post("/account/reauthenticate/", {"password": PASSWORD})
    answer: Any = await client.get(url)
    assert answer.status_code == 200
    return b"".join([part async for part in answer.streaming_content])


def bought(person: Person) -> None:
    """A plan, and a key of their own at a vendor, by somebody whose address is confirmed."""
    confirm(person.user)
    own_keys_seed()
    keeping.add(person.user, "openai", "sk-alice-at-openai-0123456789")
    ledger.post(key="fund", kind="sandbox", user_id=person.user.pk, amount=nanos("10"))
    basic = Plan.objects.get(slug="basic")
    balance_changes.subscribe(person.user.pk, basic, now=timezone.now())


@pytest.mark.django_db(transaction=True)
async def test_everything_is_exported(transactional_db: None) -> None:
    from asgiref.sync import sync_to_async

    from tests.world import person

    await sync_to_async(seed_billing)()
    alice = await sync_to_async(person)("alice")
    bob = await sync_to_async(person)("bob")
    mine = await sync_to_async(used)(alice, client="=cmd()")
    await sync_to_async(used)(bob)
    await sync_to_async(bought)(alice)
    rows = list(csv.DictReader((await _streamed(alice, "/usage.csv")).decode().splitlines()))
    assert [row["request_id"] for row in rows] == [mine.request_id]
    assert rows[0]["cost_usd"] == "0.0105"
    assert rows[0]["client"] == "'=cmd()"  # no spreadsheet runs it
    everything = json.loads(await _streamed(alice, "/account/export"))
    assert everything["account"]["email"] == "alice@example.com"
    assert everything["account"]["language"] == "en"
    assert [key["name"] for key in everything["keys"]] == ["laptop"]
    assert [key["prefix"] for key in everything["own_keys"]] == ["sk-alice"]
    assert "0123456789" not in json.dumps(everything["own_keys"])
    assert [each["plan"] for each in everything["subscriptions"]] == ["basic"]
    assert [each["total"] for each in everything["invoices"]] == ["6.00"]
    assert [each["kind"] for each in everything["known_by"]] == ["mailbox"]
    assert [event["request_id"] for event in everything["requests"]] == [mine.request_id]
    await sync_to_async(connections.close_all)()  # of the thread that served the pages


def test_a_deleted_account_is_gone_and_the_books_are_not(alice: Person, client: Client) -> None:
    client.post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    used(alice)
    assert "not the address" in text(client.post("/account/delete", {"email": "x@example.com"}))
    client.post("/account/delete", {"email": "Alice@example.com"})
    alice.user.refresh_from_db()
    alice.key.refresh_from_db()
    assert not alice.user.is_active and "alice" not in alice.user.email
    assert alice.key.revoked_at is not None
    assert client.get("/overview").status_code == 302
    login = client.post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    assert login.status_code == 200


def test_deleting_asks_for_the_password_again(as_alice: Client) -> None:
    assert as_alice.get("/account/delete")["Location"].startswith("/account/reauthenticate/")
