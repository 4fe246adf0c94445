"""From the public door to the vendor's bill: what it has more than we booked has a name."""

from datetime import UTC, date, datetime, time, timedelta
from time import sleep
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import Wallet
from gateway.catalogue.costs.models import VendorPrice
from gateway.plane import admission
from gateway.reconciliation.vendors import daily_round, report_fetching
from gateway.reconciliation.vendors.comparison import Difference, differences
from gateway.reconciliation.vendors.earnings import By, margins, total
from gateway.reconciliation.vendors.models import (
    ReportSource,
    VendorBill,
    VendorImport,
    VendorName,
)
from gateway.usage import vendor_days
from gateway.usage.models import UsageEvent
from gateway.usage.vendor_day import UsageVendorDay
from gateway.vendors import vault
from sandbox.vendors.faults import Fault
from sandbox.vendors.recorder import hashed
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.waiting import until
from tests.world import Person, used

LONGEST = timedelta(seconds=60)  # that a test takes
ADMIN_KEYS = {"anthropic": "sk-ant-admin01-tests", "openai": "sk-admin-tests"}


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def _one_day() -> None:
    """No test begins so late that it would end on the next day."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    if midnight - now < LONGEST:
        sleep((midnight - now).total_seconds())


def source(gateway: Gateway, vendor: str, secret: str = "", **fields: Any) -> ReportSource:
    sealed = vault.seal(secret or ADMIN_KEYS[vendor])
    url = gateway.vendors.url
    return ReportSource.objects.create(vendor=vendor, sealed=sealed, base_url=url, **fields)


def compared(gateway: Gateway, *vendors: str) -> list[Difference]:
    """Fetch the vendors' reports of today and compare, once nothing is heard out any more."""
    until(lambda: not admission.LIVE, "a request never ended")
    gateway.books()
    assert list(vendor_days.problems(today(), today())) == []
    for vendor in vendors:
        found = ReportSource.objects.filter(vendor=vendor).first() or source(gateway, vendor)
        report_fetching.fetch(found, today(), today(), by="tests")
    return differences(today(), today())


def say(gateway: Gateway, person: Person, text: str, model: str, **body: Any) -> int:
    with gateway.http(person) as http:
        message = {"role": "user", "content": text}
        asked = {"model": model, "messages": [message], "max_tokens": 200} | body
        return http.post("/v1/chat/completions", json=asked).status_code


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-4o", "gpt-5.2"])
def test_what_is_charged_in_full_is_the_whole_bill(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    for text in ("Hello", "[[think: hm]] [[say: one two three]]"):
        assert say(gateway, alice, text, model) == 200
    vendor = "anthropic" if model.startswith("claude") else "openai"
    (found,) = compared(gateway, vendor)
    assert found.place == (today(), vendor, f"{vendor}/environment", model)
    assert found.vendor_tokens == found.booked_tokens and found.requests == 2
    assert found.rates == "bill" and found.billed > 0
    assert found.parts == {"charged": found.billed} and found.rest == 0
    assert found.revenue == sum(UsageEvent.objects.values_list("cost", flat=True))


def test_an_answer_that_breaks_off_is_given_away(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert say(gateway, alice, "Hello", "claude-sonnet-4.5") == 200
    say(
        gateway,
        alice,
        "[[midstream]] [[say: one two three four]]",
        "claude-sonnet-4.5",
        stream=True,
    )
    (found,) = compared(gateway, "anthropic")
    assert gateway.balance(alice) < 10 * 10**9
    assert found.parts["given_away"] > 0 and found.rest == 0
    assert sum(found.parts.values()) == found.billed


def test_a_client_that_leaves_is_an_estimate(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    said = "[[slow: 0.02]] [[say: " + "one two three " * 40 + "]]"
    message = {"role": "user", "content": said}
    asked = {
        "model": "claude-sonnet-4.5",
        "messages": [message],
        "max_tokens": 400,
        "stream": True,
    }
    with (
        gateway.http(alice) as http,
        http.stream("POST", "/v1/chat/completions", json=asked) as reply,
    ):
        chunks = reply.iter_bytes()
        for _ in range(12):
            next(chunks)
    until(lambda: gateway.books(), "no event")
    until(lambda: all(b.ended for b in gateway.vendors.sandbox.meter.bills), "still answering")
    (found,) = compared(gateway, "anthropic")
    assert found.rest == 0 and found.parts["estimated"] > 0
    assert sum(found.parts.values()) == found.billed


def two_accounts(gateway: Gateway, second: Vendors) -> None:
    """Each with a key of its own, which staff have mapped. The first is asked first."""
    for at, name, priority in ((gateway.vendors, "one", 0), (second, "two", 1)):
        made = credential(at, name, priority=priority)
        key = f"apikey_{hashed(at.key).rpartition(':')[2]}"
        VendorName.objects.create(vendor="openai", name=key, credential=made)
    source(gateway, "openai", account="one")
    ReportSource.objects.create(
        vendor="openai", account="two", sealed=vault.seal("sk-admin-two"), base_url=second.url
    )


def test_an_attempt_that_failed_is_named(gateway: Gateway, alice: Person, second: Vendors) -> None:
    """One account generated an answer and dropped the line; the other one's was sent on. Both
    bill it, the customer pays once."""
    fund(alice, "10")
    two_accounts(gateway, second)
    gateway.vendors.faults.append(Fault(cut_after=0))
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    (event,) = gateway.books()
    assert [told["credential"] for told in event.details["attempts"]] == ["one/main", "two/main"]
    imported, problems = daily_round.fetch_all(today(), today(), by="tests")
    assert (imported, problems) == (4, [])
    one, two = differences(today(), today())
    assert (one.place.credential, two.place.credential) == ("one/main", "two/main")
    assert one.parts == {"failed": one.billed} and one.billed > 0 and one.rest == 0
    assert (one.failed_attempts, one.requests, one.revenue) == (1, 0, 0)
    assert two.parts == {"charged": two.billed} and two.rest == 0 and two.revenue == event.cost


def test_an_attempt_that_was_refused_explains_nothing(
    gateway: Gateway, alice: Person, second: Vendors
) -> None:
    """No vendor bills a 529; if one does, nothing in our books says why."""
    fund(alice, "10")
    two_accounts(gateway, second)
    gateway.vendors.faults.append(Fault(status=529, body=b"{}"))
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    assert daily_round.fetch_all(today(), today(), by="tests") == (4, [])
    gateway.books()
    bill = VendorBill.objects.filter(account="two", cost_import=None).get()
    key = VendorName.objects.get(credential__provider__name="one").name
    like = {"vendor_model": "gpt-4o", "day": today(), "vendor": "openai", "account": "one"}
    assert differences(today(), today())[0].rest == 0
    VendorBill.objects.create(
        key=key,
        output=bill.output,
        dollars=500,
        costs={"output": 500},
        **like,
        usage_import=bill.usage_import,
    )
    one, two = differences(today(), today())
    assert one.failed_attempts == 1 and one.rest == one.billed == 500 and two.rest == 0


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_said_after_a_stop_of_ours_is_given_away(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    """The vendor knows no stop there, and bills what it said to its end."""
    fund(alice, "10")
    text = "[[think: hm]] [[say: one two three <END> " + "four five six " * 20 + "]]"
    assert say(gateway, alice, text, "gpt-5.2", stop=["<END>"], stream=stream) == 200
    (found,) = compared(gateway, "openai")
    assert found.parts["given_away"] > 0 and found.parts["charged"] > 0 and found.rest == 0


def test_a_search_is_on_both_sides(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    message = {"role": "user", "content": "[[use: web_search 2]] [[say: found]]"}
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    body = {
        "model": "claude-sonnet-4.5",
        "messages": [message],
        "max_tokens": 200,
        "tools": [tool],
    }
    with gateway.http(alice) as http:
        assert http.post("/v1/messages", json=body).status_code == 200
    (found,) = compared(gateway, "anthropic")
    assert found.vendor_tokens["calls"] == found.booked_tokens["calls"] == 2
    assert found.billed > 20_000_000 and found.rest == 0


def test_numbers_nobody_believed_are_disputed(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert say(gateway, alice, "[[usage: 900000000 10 0 0]] [[say: hi]]", "gpt-4o") == 200
    (found,) = compared(gateway, "openai")
    assert found.parts["disputed"] > 0 and found.rest == 0
    assert found.billed > 2_000 * 10**9


def test_counting_is_free(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        body = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "Hello"}]}
        assert http.post("/v1/messages/count_tokens", json=body).status_code == 200
    assert say(gateway, alice, "Hello", "claude-sonnet-4.5") == 200
    (found,) = compared(gateway, "anthropic")
    assert found.parts == {"charged": found.billed} and found.rest == 0


def test_work_that_is_not_ours_is_the_rest(
    gateway: Gateway, alice: Person, second: Vendors, settings: Settings
) -> None:
    """Somebody else has the key."""
    fund(alice, "10")
    credential(second, "two")
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    said = [{"role": "user", "content": "[[say: " + "word " * 500 + "]]"}]
    headers = {"authorization": f"Bearer {second.key}"}
    url = f"{second.url}/v1/chat/completions"
    body = {"model": "gpt-4o", "messages": said}
    assert httpx.post(url, json=body, headers=headers, timeout=30).status_code == 200
    ReportSource.objects.create(
        vendor="openai", sealed=vault.seal("sk-admin-two"), base_url=second.url
    )
    (found,) = compared(gateway, "openai")
    assert found.rest > 0 and found.rest == found.billed - found.parts["charged"]
    assert not found.alarming  # it is not a dollar
    settings.VENDOR_ALERT_DOLLARS = "0.001"
    assert found.alarming
    with pytest.raises(CommandError, match="1 differences"):
        day = today().isoformat()
        call_command("reconcile", "--vendors", "--from", day, "--to", day)


def test_reconcile_prints_every_bill_and_is_content(
    gateway: Gateway, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    fund(alice, "10")
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    compared(gateway, "openai")
    call_command("reconcile", "--vendors", "--from", f"{today()}", "--to", f"{today()}")
    out = capsys.readouterr().out
    assert "openai/environment gpt-4o: billed $0.00" in out and "The books balance." in out


def test_a_report_fetched_twice_changes_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    before = compared(gateway, "openai")
    bills = list(VendorBill.objects.order_by("pk").values("pk", "input", "output", "dollars"))
    assert compared(gateway, "openai") == before
    assert (
        list(VendorBill.objects.order_by("pk").values("pk", "input", "output", "dollars")) == bills
    )
    assert [found.changed for found in VendorImport.objects.order_by("pk")][2:] == [0, 0]


def test_a_later_report_replaces_the_earlier(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    for turn in (1, 2):
        assert say(gateway, alice, "Hello", "gpt-4o") == 200
        (found,) = compared(gateway, "openai")
        assert found.requests == turn and found.rest == 0


def test_pages_are_followed(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long range comes in several pages, in spans a vendor answers."""
    fund(alice, "10")
    assert say(gateway, alice, "Hello", "claude-sonnet-4.5") == 200
    gateway.books()
    there = source(gateway, "anthropic")
    real = report_fetching._pages

    def in_small_pages(client: Any, address: str, params: Any, headers: Any) -> list[Any]:
        small = [(n, "3" if n == "limit" else v) for n, v in params]
        pages = real(client, address, small, headers)
        assert len(pages) > 1
        return pages

    monkeypatch.setattr(report_fetching, "_pages", in_small_pages)
    imports = report_fetching.fetch(there, today() - timedelta(days=39), today(), by="tests")
    assert [found.kind for found in imports] == ["usage", "costs"] * 2
    (found,) = differences(today(), today())
    assert found.rest == 0 and found.parts["charged"] == found.billed


# -- Margins -------------------------------------------------------------------------------------


def test_margins_add_up_to_the_ledger_and_to_the_bills(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    for person in (alice, bob):
        fund(person, "10")
        for model in ("claude-sonnet-4.5", "gpt-4o", "gpt-5.1"):
            assert say(gateway, person, f"Hello from {person.user.name}", model) == 200
    say(gateway, alice, "[[cut]] [[say: one two three four]]", "gpt-5.1")
    assert all(each.rest == 0 for each in compared(gateway, "anthropic", "openai"))
    charged = sum(Wallet.objects.values_list("settled_total", flat=True))
    billed = sum(bill.dollars or 0 for bill in VendorBill.objects.all())
    by: By
    for by in ("model", "day", "customer"):
        whole = total(margins(by, today(), today()))
        assert (whole.revenue, whole.cost, whole.estimated) == (charged, billed, 0), by
        assert whole.margin == charged - billed and whole.requests == 7
        assert whole.known
    customers = {m.name: m for m in margins("customer", today(), today())}
    assert customers.keys() - {""} == {str(alice.user.pk), str(bob.user.pk)}
    for person in (alice, bob):
        spent = 10 * 10**9 - ledger.balance(person.user.pk)
        assert customers[str(person.user.pk)].revenue == spent
        assert 0 < customers[str(person.user.pk)].cost < spent
    (dear,) = (m for m in margins("model", today(), today()) if m.name == "gpt-5.1")
    assert dear.margin is not None and dear.margin > 0


def test_without_a_bill_the_cost_is_an_estimate_or_unknown(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    assert say(gateway, alice, "Hello", "gpt-4o") == 200
    (event,) = gateway.books()
    (found,) = margins("model", today(), today())
    assert not found.known and found.margin is None and found.revenue == event.cost
    prices = dict.fromkeys(("input", "cache_read", "cache_write_5m", "cache_write_1h"), 10**9)
    VendorPrice.objects.create(model_id="gpt-4o", since=today(), output=2 * 10**9, **prices)
    by: By
    for by in ("model", "customer"):
        (found,) = margins(by, today(), today())
        assert found.cost == found.estimated == 1_000 * event.input + 2_000 * event.output
        assert found.margin == event.cost - found.cost


# -- Booked --------------------------------------------------------------------------------------


def test_what_was_booked_can_be_made_anew(
    gateway: Gateway, alice: Person, second: Vendors
) -> None:
    fund(alice, "10")
    two_accounts(gateway, second)
    gateway.vendors.faults.append(Fault(cut_after=0))
    for model in ("gpt-4o", "claude-sonnet-4.5"):
        assert say(gateway, alice, "Hello", model) == 200
    gateway.books()
    columns = [f.name for f in UsageVendorDay._meta.fields if f.name != "id"]
    before = sorted(map(str, UsageVendorDay.objects.values(*columns)))
    assert len(before) == 3
    UsageVendorDay.objects.update(requests=17)
    assert list(vendor_days.problems(today(), today())) != []
    call_command("vendorbills", "rebuild", "--from", f"{today()}", "--to", f"{today()}")
    assert sorted(map(str, UsageVendorDay.objects.values(*columns))) == before
    assert list(vendor_days.problems(today(), today())) == []


def test_what_the_fair_bill_takes_off_is_given_away(alice: Person) -> None:
    """A receipt may tell more than was charged for: what was said after a stop of ours."""
    event = used(alice, details={"full": {"input": 1000, "output": 650, "reasoning": 50}})
    vendor_days.add([event])
    rows = {row.part: row for row in UsageVendorDay.objects.all()}
    assert (rows["charged"].output, rows["charged"].requests) == (500, 1)
    assert (rows["given_away"].output, rows["given_away"].input) == (200, 0)
    assert rows["given_away"].requests == 0 and list(vendor_days.problems(today(), today())) == []


def test_a_receipt_of_several_lines_is_booked_by_the_model_of_each(alice: Person) -> None:
    lines = [
        {"kind": "message", "model": "claude-sonnet-4", "usage": [900, 0, 0, 0, 400, 0]},
        {"kind": "advisor_message", "model": "claude-opus-4.5", "usage": [100, 0, 0, 0, 80, 20]},
        {"kind": "calls", "name": "web_search_*", "calls": 2, "amount": 10_000_000},
    ]
    vendor_days.add([used(alice, details={"lines": lines})])
    rows = {row.model: row for row in UsageVendorDay.objects.all()}
    own, other = rows["claude-sonnet-4"], rows["claude-opus-4.5"]
    assert (own.input, own.output, own.calls, own.calls_cost) == (900, 400, 2, 20_000_000)
    assert (own.requests, own.cost) == (1, 10_500_000)
    assert (other.input, other.output, other.requests, other.cost) == (100, 100, 0, 0)


def test_the_daily_round_is_silent_where_nothing_is_set_up(
    db: None, mailoutbox: list[Any]
) -> None:
    assert daily_round.daily() == []
    assert mailoutbox == [] and VendorImport.objects.count() == 0
    assert User.objects.count() == 0
