"""One customer's own prices: agreed, binding at one instant, and shown on receipts."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.books.models import AuditEntry
from billing.channels import events
from billing.mails import letters
from billing.mails.models import Notice
from gateway.catalogue import snapshot
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.seed import seed
from gateway.pricing import announcements
from gateway.usage.corrections import booking
from gateway.usage.corrections.booking import Range
from gateway.usage.models import UsageHour
from hontoni.money import nanos
from tests.gateway.plane.test_limits import limit
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

ADD = "/admin/gateway/customerprice/add/"
USED = "[[usage: 1000 500 0]] [[say: hi]]"
LISTED = nanos("0.0075")  # of USED, at gpt-4o's list price


def agree(who: Person, **terms: Any) -> CustomerPrice:
    given = {"multiplier": 9_000, "from_at": timezone.now() - timedelta(minutes=1), **terms}
    row = CustomerPrice.objects.create(user=who.user, **given)
    snapshot.forget()
    return row


def paid(gateway: Gateway, who: Person, model: str = "gpt-4o") -> int:
    assert gateway.chat(who, USED, model=model, max_tokens=1000).status_code == 200
    return gateway.books()[-1].cost


def form(who: Person, **terms: Any) -> dict[str, Any]:
    later = timezone.now() + timedelta(minutes=2)
    empty = dict.fromkeys(("model", "multiplier", *BUCKETS, "until_at_0", "until_at_1"), "")
    begins = {"from_at_0": f"{later:%Y-%m-%d}", "from_at_1": f"{later:%H:%M:%S}"}
    return {**empty, **begins, "user": who.user.pk, "reason": "", **terms}


def test_a_multiplier_is_paid_by_one_customer_and_shown_on_the_receipt(
    gateway: Gateway, alice: Person, bob: Person, client: Client
) -> None:
    fund(alice, "10"), fund(bob, "10")
    row = agree(alice)
    assert (paid(gateway, alice), paid(gateway, bob)) == (LISTED * 9 // 10, LISTED)
    event = gateway.books()[0]
    told = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert told["price_version"]["own"] == {"id": row.pk, "multiplier": "0.9"}
    by_bucket = {line["bucket"]: line for line in told["lines"]}
    assert by_bucket["input"]["price_per_million_tokens"] == "2.25"
    assert told["total"] == told["charged"] == "0.00675"
    client.force_login(alice.user)
    assert "Your own price" in client.get(f"/usage/{event.request_id}").content.decode()
    assert gateway.balance(alice) == nanos("10") - LISTED * 9 // 10


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
def test_rates_of_ones_own_and_those_of_all_models(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    fund(alice, "10")
    rates = dict.fromkeys(BUCKETS, nanos("1"))
    agree(alice)
    agree(alice, model_id="gpt-4o", multiplier=None, **rates)
    answer = gateway.chat(alice, USED, max_tokens=1000, stream=stream)
    assert answer.status_code == 200
    event = gateway.books()[-1]
    assert event.cost == nanos("0.0015")
    (line,) = event.details["lines"]
    assert line["own"]["rates"] == [nanos("1")] * 6
    assert paid(gateway, alice, "gpt-4.1") == nanos("0.006") * 9 // 10


def test_it_begins_and_ends_at_its_instant(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=1000, five_hours=1000, daily=1000, weekly=1000, monthly=1000)
    begins = timezone.now() + timedelta(seconds=1)
    ends = begins + timedelta(seconds=1)
    agree(alice, from_at=begins, until_at=ends)
    while timezone.now() < ends + timedelta(seconds=0.5):
        gateway.chat(alice, USED, max_tokens=1000)
    found = set()
    for event in gateway.books():
        admitted = datetime.fromtimestamp(event.details["admitted_at"] / 1e6, begins.tzinfo)
        assert (event.cost < LISTED) == (begins <= admitted < ends)
        found.add(event.cost)
    assert found == {LISTED, LISTED * 9 // 10}


def test_a_correction_of_the_list_keeps_what_was_agreed(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    agree(alice)
    began = timezone.now() - timedelta(minutes=5)
    assert paid(gateway, alice) == LISTED * 9 // 10
    first = Price.objects.get(model_id="gpt-4o")
    rates = {bucket: getattr(first, bucket) // 2 for bucket in BUCKETS}
    half = Price.objects.create(model_id="gpt-4o", effective_at=timezone.now(), **rates)
    wanted = Range(half, began, timezone.now() + timedelta(minutes=1), None)
    booking.apply(wanted, reason="for the test", actor="tests", debit=False)
    assert gateway.balance(alice) == nanos("10") - LISTED * 9 // 20


def test_staff_agree_on_one_and_its_customer_is_told(gateway: Gateway, alice: Person) -> None:
    client = staff("catalogue")
    assert client.post(ADD, form(alice, multiplier="8000")).status_code == 302
    row = CustomerPrice.objects.get()
    notice = Notice.objects.get(kind="own_price")
    assert (notice.user, notice.facts["percent"]) == (alice.user, "80")
    entry = AuditEntry.objects.get(subject=f"customerprice:{row.pk}")
    assert entry.after["multiplier"] == 8000
    typed = form(alice, model="gpt-4o", reason="agreed", **dict.fromkeys(BUCKETS, "1.50"))
    page = client.post(ADD, typed).content.decode()
    assert "Output: $8.00 → $1.50" in page, re.findall("[^>]*→[^<]*", page)
    (seen,) = re.findall(r'name="confirmed" value="(\w+)"|value="(\w+)" name="confirmed"', page)
    assert client.post(ADD, typed | {"confirmed": "".join(seen)}).status_code == 302
    assert AuditEntry.objects.latest("pk").after["input"] == "1.50"
    client.post(f"/admin/gateway/customerprice/{row.pk}/delete/", {"post": "yes"})
    taken = Notice.objects.get(facts__withdrawn=True)
    assert (taken.user, taken.kind, taken.facts["percent"]) == (alice.user, "own_price", "80")
    for language, words in (("en", "are withdrawn"), ("vi", "được rút lại")):
        mail = letters.compose(
            taken.kind, taken.facts, to="a@x", name="", language=language, message_id="<2@x>"
        )
        assert words in mail.body
    for language in ("en", "vi"):
        for told in Notice.objects.exclude(pk=taken.pk):
            mail = letters.compose(
                told.kind, told.facts, to="a@x", name="", language=language, message_id="<1@x>"
            )
            assert "80" in mail.body or {"en": "$1.50", "vi": "$1,50"}[language] in mail.body


def test_below_cost_and_dearer_without_notice_need_a_reason(
    gateway: Gateway, alice: Person
) -> None:
    client = staff("catalogue")
    VendorPrice.objects.create(
        model_id="gpt-4o",
        since="2026-01-01",
        **dict.fromkeys(BUCKETS[:5], nanos("2")) | {"cache_read": 0},
    )
    page = client.post(ADD, form(alice, model="gpt-4o", multiplier="7000")).content.decode()
    assert "below cost" in page and "−$0.25 (−12.5 %)" in page
    page = client.post(ADD, form(alice, multiplier="12000", model="gpt-4o")).content.decode()
    assert "told 14 days before" in page
    assert not CustomerPrice.objects.exists()
    said = form(alice, model="gpt-4o", multiplier="7000", reason="A friend.")
    assert client.post(ADD, said).status_code == 302


@pytest.mark.parametrize(
    "terms", [{}, {"input": "1"}, {"multiplier": "9000", "input": "1"}, {"model": "gpt-4o"}]
)
def test_neither_nor_and_both_are_refused(
    gateway: Gateway, alice: Person, terms: dict[str, str]
) -> None:
    assert staff("catalogue").post(ADD, form(alice, **terms)).status_code == 200
    assert not CustomerPrice.objects.exists()


def test_an_end_that_makes_things_dearer_is_told_before(gateway: Gateway, alice: Person) -> None:
    now = timezone.now()
    agree(alice, until_at=now + timedelta(days=20))
    assert announcements.own_ends(now) == 0
    assert announcements.own_ends(now + timedelta(days=7)) == 1
    assert announcements.own_ends(now + timedelta(days=8)) == 0, "once"
    notice = Notice.objects.get()
    assert (notice.kind, events.type_of(notice)) == ("own_price_ends", "price.rising")


def test_a_large_request_is_priced_as_a_small_one(gateway: Gateway, alice: Person) -> None:
    """It is understood in another process, which knows one's own prices, and lives, too."""
    fund(alice, "10")
    agree(alice)
    Model.objects.filter(pk="gpt-5.1").update(
        ends_at=timezone.now() - timedelta(hours=1), successor="gpt-4o", redirects=True
    )
    snapshot.forget()
    many = [{"role": "user", "content": [{"type": "text", "text": "x"} for _ in range(4000)]}]
    messages = [*many, {"role": "user", "content": USED}]
    answer = gateway.chat(alice, model="gpt-5.1", messages=messages, max_tokens=1000)
    assert answer.status_code == 200 and answer.headers["x-hontoni-model"] == "gpt-4o"
    assert "x-hontoni-instead-of" in answer.headers
    assert gateway.books()[-1].cost == LISTED * 9 // 10


def test_what_was_agreed_is_not_ended_from_one_day_to_the_next(
    gateway: Gateway, alice: Person
) -> None:
    row, client = agree(alice), staff("catalogue")
    url = f"/admin/gateway/customerprice/{row.pk}/change/"
    soon = timezone.now() + timedelta(days=2)
    end = {"until_at_0": f"{soon:%Y-%m-%d}", "until_at_1": f"{soon:%H:%M:%S}"}
    page = client.post(url, end | {"reason": ""})
    assert page.status_code == 200 and "The list is dearer" in page.content.decode()
    row.refresh_from_db()
    assert row.until_at is None
    assert client.post(url, end | {"reason": "Fraud."}).status_code == 302
    row.refresh_from_db()
    assert row.until_at == soon.replace(microsecond=0)
    assert Notice.objects.filter(kind="own_price_ends", user=alice.user).count() == 1


def long(rate: str) -> dict[str, Any]:
    """Rates that are twice as much of a prompt beyond 100,000 tokens."""
    doubled = {f"long_{bucket}": 2 * nanos(rate) for bucket in BUCKETS}
    return dict.fromkeys(BUCKETS, nanos(rate)) | doubled | {"long_context_above": 100_000}


def test_an_end_is_told_by_what_the_list_says_then(gateway: Gateway, alice: Person) -> None:
    """Rates agreed while the list was the same, and a list that has risen since."""
    now = timezone.now()
    rates = dict.fromkeys(BUCKETS, nanos("2"))
    Price.objects.create(model_id="gpt-4o", effective_at=now - timedelta(minutes=5), **rates)
    row = agree(alice, model_id="gpt-4o", multiplier=None, **rates)
    dearer = dict.fromkeys(BUCKETS, nanos("3"))
    Price.objects.create(model_id="gpt-4o", effective_at=now + timedelta(days=3), **dearer)
    client, url = staff("catalogue"), f"/admin/gateway/customerprice/{row.pk}/change/"
    for days, refused in ((4, True), (2, False)):
        end = now + timedelta(days=days)
        typed = {"until_at_0": f"{end:%Y-%m-%d}", "until_at_1": f"{end:%H:%M:%S}", "reason": ""}
        page = client.post(url, typed)
        assert (page.status_code == 200) == refused
        assert announcements.own_ends(now) == 0, "it ends before the list rises"
    CustomerPrice.objects.filter(pk=row.pk).update(until_at=now + timedelta(days=4))
    assert announcements.own_ends(now) == 1


@pytest.mark.any_database
def test_dearer_in_long_contexts_alone_is_dearer(gateway: Gateway, alice: Person) -> None:
    """Of a list that has such prices, and of a customer whose rates are the same at any length."""
    now = timezone.now()
    Price.objects.create(model_id="gpt-4o", effective_at=now - timedelta(minutes=5), **long("2"))
    row = agree(alice, model_id="gpt-4o", multiplier=None, **dict.fromkeys(BUCKETS, nanos("2")))
    CustomerPrice.objects.filter(pk=row.pk).update(until_at=now + timedelta(days=9))
    assert announcements.own_ends(now) == 1
    client = staff("catalogue")
    page = client.post(ADD, form(alice, multiplier="10000", model="gpt-4o")).content.decode()
    assert "Dearer for gpt-4o than now" in page


@pytest.mark.any_database
@pytest.mark.parametrize("ended", [False, True], ids=["runs", "has ended"])
def test_what_is_dearer_or_has_ended_is_not_prolonged(
    gateway: Gateway, alice: Person, ended: bool
) -> None:
    now = timezone.now()
    end = now + timedelta(days=-1 if ended else 3)
    row = agree(
        alice, multiplier=9_000 if ended else 12_000, from_at=now - timedelta(days=9), until_at=end
    )
    client, url = staff("catalogue"), f"/admin/gateway/customerprice/{row.pk}/change/"
    for later in (None, now + timedelta(days=99)):
        typed = ["", ""] if later is None else [f"{later:%Y-%m-%d}", f"{later:%H:%M:%S}"]
        page = client.post(
            url, {"until_at_0": typed[0], "until_at_1": typed[1], "reason": "Because."}
        )
        assert page.status_code == 200 and "agree on another one" in page.content.decode()
    row.refresh_from_db()
    assert row.until_at == end


@pytest.mark.any_database
def test_a_multiplier_far_from_what_is_paid_is_confirmed(gateway: Gateway, alice: Person) -> None:
    page = staff("catalogue").post(ADD, form(alice, multiplier="90")).content.decode()
    assert "More than half" in page and "A dollar of the list" in page
    assert not CustomerPrice.objects.exists()


@pytest.mark.any_database
def test_the_mail_of_an_end_says_what_the_successor_costs_its_reader(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    now = timezone.now()
    for who in (alice, bob):
        fund(who, "10")
        paid(gateway, who, "gpt-5.1")
    agree(alice, model_id="gpt-5.1", multiplier=2_000, from_at=now + timedelta(days=5))
    Model.objects.filter(pk="gpt-5.1").update(
        ends_at=now + timedelta(days=10), successor="gpt-5.4", redirects=True
    )
    assert announcements.ends(now) == 2 and announcements.ends(now) == 0
    told = {each.user_id: each.facts["dearer"] for each in Notice.objects.all()}
    assert told == {alice.user.pk: True, bob.user.pk: False}


# -- When the list or the vendor moves -----------------------------------------------------------


def cost_of(rate: str, since: str = "2026-01-01") -> dict[str, Any]:
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    empty = [f"long_{bucket}" for bucket in BUCKETS]
    empty += ["reasoning", "long_context_above", "batch_factor", "reason"]
    return {
        "model": "gpt-4o",
        "since": since,
        "source": "its list",
        **dict.fromkeys(names, rate),
    } | (dict.fromkeys(empty, ""))


@pytest.mark.any_database
def test_a_cost_that_rises_above_an_agreed_price_needs_a_reason(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    """Rates, a multiple of the list, and the list itself: all are named, and none is by itself."""
    now = timezone.now()
    rates = dict.fromkeys(BUCKETS, nanos("2"))
    Price.objects.create(model_id="gpt-4o", effective_at=now - timedelta(minutes=5), **rates)
    agree(alice, model_id="gpt-4o", multiplier=None, **dict.fromkeys(BUCKETS, nanos("1.5")))
    agree(bob, multiplier=9000)
    client, url = staff("catalogue"), "/admin/gateway/vendorprice/add/"
    assert client.post(url, cost_of("1.25")).status_code == 302
    named = {"1.6": {"alice"}, "1.85": {"alice", "bob"}, "1.87": {"alice", "bob"}}
    for rate, people in named.items():
        page = client.post(url, cost_of(rate)).content.decode()
        assert "Sold below cost from then on" in page and "the list:" not in page
        assert {who for who in ("alice", "bob") if f"{who}@" in page} == people
    assert client.post(url, cost_of("1.85") | {"reason": "They stay."}).status_code == 302
    assert VendorPrice.objects.latest("pk").reason == "They stay."
    assert client.post(url, cost_of("1.86")).status_code == 302, "that is decided"
    assert "the list: input" in client.post(url, cost_of("2.10")).content.decode()


@pytest.mark.any_database
def test_a_fall_of_the_list_below_cost_for_some_needs_a_reason(
    gateway: Gateway, alice: Person
) -> None:
    from gateway.catalogue.prices import schedule
    from hontoni.errors import BadRequest

    agree(alice, multiplier=8000)
    costs = dict.fromkeys(BUCKETS, nanos("1"))
    VendorPrice.objects.create(model_id="gpt-4o", since="2026-01-01", **costs)
    moment = timezone.now() + timedelta(days=1)
    fall = {"model_id": "gpt-4o", **dict.fromkeys(BUCKETS, nanos("1.2"))}
    with pytest.raises(BadRequest, match="prices of their own: alice"):
        schedule.announce(Price(effective_at=moment, **fall), actor="tests")
    schedule.announce(Price(effective_at=moment, reason="A sale.", **fall), actor="tests")


def test_who_has_a_multiple_of_the_list_reads_what_they_pay(
    db: None, alice: Person, bob: Person, carol: Person
) -> None:
    seed()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for who in (alice, bob, carol):
        UsageHour.objects.create(user=who.user, api_key=who.key, hour=hour, model="gpt-4o")
    agree(alice, multiplier=8250)
    agree(carol, model_id="gpt-4o", multiplier=None, **dict.fromkeys(BUCKETS, nanos("2")))
    moment = timezone.now() + timedelta(days=20)
    present = Price.objects.filter(model_id="gpt-4o").latest("effective_at")
    rates = {name: getattr(present, name) for name in BUCKETS} | {"output": nanos("15")}
    announcements.announce(Price(model_id="gpt-4o", effective_at=moment, **rates), "tests")
    told = {n.user_id: n for n in Notice.objects.filter(kind="model_price_rises")}
    assert set(told) == {alice.user.pk, bob.user.pk}
    row = {"bucket": "output", "old": "8.25", "new": "12.375"}
    assert told[alice.user.pk].facts["rows"] == [row]
    assert told[bob.user.pk].facts["rows"][0]["new"] == "15.00"
    words = {
        "en": ("you pay 82.5 % of the list", "$8.25 → $12.375 (+50 %)"),
        "vi": ("82,5 % giá niêm yết", "$8,25 → $12,375 (+50 %)"),
    }
    for language, expected in words.items():
        mail = letters.compose(
            "model_price_rises",
            told[alice.user.pk].facts,
            to="a@x",
            name="",
            language=language,
            message_id="<1@x>",
        )
        assert [each for each in expected if each not in mail.body] == []
