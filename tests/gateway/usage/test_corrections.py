"""What was charged at a wrong price is put right: once, for everybody, and the books balance."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.people.freezing import freeze
from billing.books import ledger
from billing.books.models import AuditEntry, Transfer
from billing.invoices.models import Invoice
from billing.mails import sending
from billing.mails.models import Notice
from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS, Price
from gateway.usage.corrections import booking, correction_proof
from gateway.usage.corrections.models import CorrectedRequest, Correction
from gateway.usage.models import UsageEvent, UsageHour
from hontoni import redis
from hontoni.money import dollars, nanos
from ratelimits import keys
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person, at_once

USED = "[[usage: 1000 500 0]] [[say: hi]]"  # at $2.50 and $10: $0.0075
COST = nanos("0.0075")


def version(times: float, model: str = "gpt-4o") -> Price:
    """A price of a model, so many times the one it began with, in force at once on every node."""
    first = Price.objects.filter(model_id=model).earliest("effective_at")
    rates = {bucket: int(times * getattr(first, bucket)) for bucket in BUCKETS}
    made = Price.objects.create(model_id=model, **rates)
    snapshot.forget()
    return made


def first_version(model: str = "gpt-4o") -> Price:
    return Price.objects.filter(model_id=model).earliest("effective_at")


def used(gateway: Gateway, *people: Person, times: int = 1) -> list[UsageEvent]:
    for person in people:
        for _ in range(times):
            assert gateway.chat(person, USED, max_tokens=1000).status_code == 200
    return gateway.books()


def reprice(price: Price, *more: str, since: datetime | None = None) -> str:
    said = StringIO()
    since, until = since or timezone.now() - timedelta(hours=1), timezone.now()
    call_command(
        *("reprice", "--model", price.model_id, "--price", str(price.pk)),
        *("--from", since.isoformat(), "--to", until.isoformat(), *more),
        stdout=said,
    )
    return said.getvalue()


def receipt(person: Person, event: UsageEvent) -> dict[str, Any]:
    found: dict[str, Any] = person.client().get(f"/api/usage/{event.request_id}").json()
    return found


@pytest.fixture
def overcharged(gateway: Gateway, alice: Person, bob: Person) -> Sequence[UsageEvent]:
    """Two requests of alice's and one of bob's at ten times the price that was meant."""
    fund(alice, "10")
    fund(bob, "10")
    version(10)
    return used(gateway, alice, alice, bob)


def test_a_preview_tells_everything_and_books_nothing(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    before = gateway.balance(alice)
    said = reprice(first_version())
    assert "alice@example.com: 2 requests; credit $0.135, debit $0.00" in said
    assert "bob@example.com: 1 requests; credit $0.0675" in said
    assert "In all 3 requests of 2 accounts: credit $0.2025" in said
    assert gateway.balance(alice) == before and not Correction.objects.exists()


def test_what_was_too_much_is_credited_once_with_a_credit_note_and_a_mail(
    gateway: Gateway,
    alice: Person,
    bob: Person,
    overcharged: Sequence[UsageEvent],
    mailoutbox: list[Any],
) -> None:
    for _ in range(2):
        said = reprice(first_version(), "--apply", "--reason", "A zero too many.")
    assert "There was nothing to correct." in said
    assert gateway.balance(alice) == nanos("10") - 2 * COST
    assert gateway.balance(bob) == nanos("10") - COST
    (made,) = Correction.objects.all()
    assert made.actor.startswith("shell:") and made.reason == "A zero too many."
    transfers = Transfer.objects.filter(kind="correction").order_by("pk")
    assert [t.key for t in transfers] == [
        f"correction:{made.pk}:{p.user.pk}" for p in (alice, bob)
    ]
    notes = Invoice.objects.filter(transfer__in=transfers).order_by("pk")
    assert [(n.kind, n.total) for n in notes] == [
        ("credit_note", -18 * COST),
        ("credit_note", -9 * COST),
    ]
    told = Notice.objects.get(kind="correction", user=alice.user).facts
    assert (told["amount"], told["credited"], told["requests"]) == ("0.135", True, 2)
    sending.collect()
    for mail in sending.due(timezone.now()):
        sending.send(mail, timezone.now())
    (hers,) = [m for m in mailoutbox if m.to == ["alice@example.com"]]
    assert "$0.135 was added" in hers.body and "A zero too many." in hers.body
    assert notes[0].number in hers.body
    audit = AuditEntry.objects.get(action="correct requests")
    assert audit.after["credited"] == "0.2025" and audit.before["model"] == "gpt-4o"


def test_a_statement_keeps_what_was_charged_and_has_the_correction_beside_it(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    month = f"{overcharged[0].created_at:%Y-%m}"

    def told() -> dict[str, Any]:
        found: dict[str, Any] = alice.client().get(f"/api/billing/statements/{month}").json()
        return found

    (before,) = told()["usage"]
    reprice(first_version(), "--apply", "--reason", "A zero too many.")
    assert told()["usage"] == [before]
    assert (before["exact"], before["model"]) == (dollars(-20 * COST), "gpt-4o")
    correction = told()["corrections"][-1]
    assert (correction["kind"], correction["exact"]) == ("correction", dollars(18 * COST))


def test_receipts_lists_and_charts_tell_what_was_corrected(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    wrong = overcharged[0].price_id
    reprice(first_version(), "--apply", "--reason", "Sorry.")
    told = receipt(alice, overcharged[0])
    assert (told["charged"], told["cost"], told["total"]) == ("0.0075", "0.0075", "0.075")
    (each,) = told["corrections"]
    assert (each["charged_before"], each["charged"], each["reason"]) == (
        "0.075", "0.0075", "Sorry.",
    )  # fmt: skip
    assert each["price_version"] == first_version().pk and told["price_version"]["id"] == wrong
    rows = alice.client().get("/api/usage").json()["results"]
    assert [row["cost"] for row in rows] == ["0.0075"] * 2
    assert (
        sum(UsageHour.objects.filter(user=alice.user).values_list("cost", flat=True)) == 2 * COST
    )
    assert [event.cost for event in UsageEvent.objects.filter(user=alice.user)] == [10 * COST] * 2
    client = Client()
    client.force_login(alice.user)
    page = client.get(f"/usage/{overcharged[0].request_id}").content.decode()
    assert "Corrected on" in page and "$0.0075 in place of $0.075" in page
    assert "$0.0075" in client.get("/usage").content.decode()


def test_what_was_too_little_is_debited_only_if_asked_and_never_beyond_the_hold(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    (event,) = used(gateway, alice)
    dear = version(100)
    assert "not debited" in reprice(dear, "--apply", "--reason", "Too cheap.")
    assert gateway.balance(alice) == nanos("10") - COST
    reprice(dear, "--apply", "--reason", "Too cheap.", "--debit")
    assert COST < event.hold < 100 * COST
    assert gateway.balance(alice) == nanos("10") - event.hold
    invoice = Invoice.objects.get(transfer__kind="correction")
    assert (invoice.kind, invoice.total) == ("invoice", event.hold - COST)
    told = Notice.objects.get(kind="correction").facts
    assert told["credited"] is False and told["amount"] == dollars(event.hold - COST)


def test_who_cannot_pay_is_listed_and_left_alone(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "10")
    fund(bob, "10")
    used(gateway, alice, bob)
    version(2)
    new = Price.objects.latest("pk")
    ledger.post(
        key="spent", kind="adjustment", user_id=alice.user.pk,
        amount=-ledger.balance(alice.user.pk), reason="spent", actor="tests",
    )  # fmt: skip
    freeze(bob.user.pk, "a dispute")
    previewed = reprice(new, "--debit").splitlines()
    said = reprice(new, "--apply", "--reason", "Too cheap.", "--debit")
    assert previewed[:-1] == said.splitlines()[:-1], "a preview says what would be done"
    assert "alice@example.com: 0 requests; credit $0.00, debit $0.00; not debited: " in said
    assert "bob@example.com: 0 requests" in said and "frozen or deleted" in said
    assert gateway.balance(alice) == 0 and gateway.balance(bob) == nanos("10") - COST
    assert not CorrectedRequest.objects.exists()


def test_a_request_is_corrected_from_its_last_state(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    version(10)
    (event,) = used(gateway, alice)
    for times in (2, 3, 1):
        reprice(version(times), "--apply", "--reason", f"Now {times} times.", "--debit")
        assert gateway.balance(alice) == nanos("10") - times * COST
    told = receipt(alice, event)["corrections"]
    assert [(c["charged_before"], c["charged"]) for c in told] == [
        ("0.075", "0.015"), ("0.015", "0.0225"), ("0.0225", "0.0075"),
    ]  # fmt: skip


def test_two_who_correct_at_once_correct_once(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    price, now = first_version(), timezone.now()
    wanted = booking.Range(price, now - timedelta(hours=1), now)
    found = at_once(lambda: booking.apply(wanted, reason="Both.", actor="tests"), 3)
    assert not [each for each in found if isinstance(each, Exception)]
    assert gateway.balance(alice) == nanos("10") - 2 * COST
    assert CorrectedRequest.objects.count() == 3


def test_corrections_beside_traffic_lose_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    version(10)
    used(gateway, alice, times=2)
    wanted = booking.Range(first_version(), timezone.now() - timedelta(hours=1), timezone.now())

    def both() -> None:
        booking.apply(wanted, reason="Sorry.", actor="tests")
        gateway.chat(alice, USED, max_tokens=1000)

    at_once(both, 3)
    assert gateway.balance(alice) == nanos("10") - 2 * COST - 3 * 10 * COST


def test_what_was_free_stays_free(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert gateway.chat(alice, "[[error: 500 broken]]").status_code == 500
    gateway.books()
    assert "In all 0 requests of 0 accounts" in reprice(version(7), "--debit")


def test_what_cost_nothing_by_mistake_had_no_hold_and_stays_so(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    version(0)
    (event,) = used(gateway, alice)
    assert (event.cost, event.hold) == (0, 0)
    reprice(first_version(), "--apply", "--reason", "It was free.", "--debit")
    assert gateway.balance(alice) == nanos("10")


def test_only_the_range_and_the_account_that_were_meant(
    gateway: Gateway, alice: Person, bob: Person, overcharged: Sequence[UsageEvent]
) -> None:
    later = overcharged[1].created_at
    reprice(
        first_version(), "--apply", "--reason", "Sorry.", "--account", "alice@example.com",
        since=later,
    )  # fmt: skip
    assert gateway.balance(alice) == nanos("10") - 11 * COST
    assert gateway.balance(bob) == nanos("10") - 10 * COST


def test_a_spend_cap_counts_what_was_corrected(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    alice.client().patch(f"/api/keys/{alice.key.pk}", {"daily_spend_cap": "0.15"}, format="json")
    version(10)
    used(gateway, alice)
    refused = gateway.chat(alice, USED, max_tokens=1000)
    assert refused.status_code == 402 and "cap" in refused.json()["error"]["code"]
    reprice(version(1), "--apply", "--reason", "Sorry.")
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    stored = redis.sync().hgetall(keys.spend(alice.user.pk, alice.key.purse))
    assert int(stored[b"day.spent"]) == int(stored[b"month.spent"]) == 2 * COST


def test_a_bill_of_lines_is_priced_anew_line_by_line(gateway: Gateway, alice: Person) -> None:
    """The message at the new version, the other model's work and the calls as they were."""
    fund(alice, "10")
    (event,) = used(gateway, alice)
    other = first_version("gpt-4o-mini")
    lines = [
        _tokens("gpt-4o", event.price_id, [1000, 0, 0, 0, 500, 0], factor=11_000),
        _tokens("gpt-4o-mini", other.pk, [2000, 0, 0, 0, 0, 0]),
        {"kind": "calls", "name": "web", "feature_id": 1, "calls": 2, "amount": nanos("0.001")},
    ]
    cost = COST * 11 // 10 + nanos("0.0003") + nanos("0.002")
    hold = nanos("1")
    UsageEvent.objects.filter(pk=event.pk).update(
        details=event.details | {"lines": lines}, cost=cost, hold=hold
    )
    (change,), odd = booking.changes_of(_now(version(3)), alice.user.pk)
    assert (change.old, change.new, odd) == (cost, cost + 2 * COST * 11 // 10, 0)
    (helped,), _ = booking.changes_of(_now(version(2, "gpt-4o-mini")), alice.user.pk)
    assert helped.more == nanos("0.0003"), "a model that only helped is corrected, too"
    UsageEvent.objects.filter(pk=event.pk).update(details=event.details, cost=COST, hold=hold)


def _tokens(model: str, price: int, usage: list[int], factor: int = 10_000) -> dict[str, Any]:
    told = {"kind": "message", "model": model, "price_id": price, "usage": usage}
    return told | {"long": False, "factor": factor}


def _now(price: Price) -> booking.Range:
    now = timezone.now()
    return booking.Range(price, now - timedelta(hours=1), now)


def test_what_is_not_charged_by_prices_is_left_to_staff(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    (event,) = used(gateway, alice)
    UsageEvent.objects.filter(pk=event.pk).update(cost=COST + 5)
    assert booking.changes_of(_now(version(0.5)), alice.user.pk) == ([], 1)
    UsageEvent.objects.filter(pk=event.pk).update(cost=COST)


def test_reconcile_finds_a_correction_that_does_not_add_up(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    reprice(first_version(), "--apply", "--reason", "Sorry.")
    assert list(correction_proof.problems()) == []
    line = CorrectedRequest.objects.first()
    assert line is not None
    with transaction.atomic():
        forged = Correction.objects.create(
            price=first_version(), since=timezone.now(), until=timezone.now(),
            debits=False, actor="nobody", reason="none",
        )  # fmt: skip
        CorrectedRequest.objects.create(
            correction=forged, event=line.event, old_cost=1, new_cost=0
        )
        assert len(list(correction_proof.problems())) == 2
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "A reason is required"),
        (["--reason", "x", "--account", "nobody@example.com"], "no account"),
    ],
)
def test_the_command_says_what_is_missing(
    gateway: Gateway, overcharged: Sequence[UsageEvent], words: list[str], problem: str
) -> None:
    with pytest.raises(CommandError, match=problem):
        reprice(first_version(), "--apply", *words)
    with pytest.raises(CommandError, match="no price version"):
        call_command(
            "reprice", "--model", "gpt-4.1", "--price", str(first_version().pk),
            "--from", "2026-01-01", "--to", "2026-01-02",
        )  # fmt: skip
    with pytest.raises(CommandError, match="not a moment"):
        reprice(first_version(), "--from", "yesterday")


# -- The page ------------------------------------------------------------------------------------


def _ask(client: Client, price: Price, **changes: Any) -> Any:
    moments = {
        "since": f"{timezone.now() - timedelta(hours=1):%Y-%m-%d %H:%M}",
        "until": f"{timezone.now() + timedelta(minutes=1):%Y-%m-%d %H:%M}",
    }
    return client.post(
        f"/admin/gateway/price/{price.pk}/correct/", moments | {"reason": "Sorry."} | changes
    )


def test_staff_see_what_it_changes_before_they_confirm_it(
    gateway: Gateway, alice: Person, overcharged: Sequence[UsageEvent]
) -> None:
    client, price = staff("finance"), first_version()
    assert client.get(f"/admin/gateway/price/{price.pk}/correct/").status_code == 200
    shown = _ask(client, price)
    assert "0.135" in shown.content.decode() and not Correction.objects.exists()
    seen = shown.context["form"]["seen"].value()
    used(gateway, alice)  # meanwhile
    changed = _ask(client, price, seen=seen)
    assert changed.status_code == 200 and not Correction.objects.exists(), "it is shown again"
    seen = changed.context["form"]["seen"].value()
    assert _ask(client, price, seen=seen).status_code == 302
    assert gateway.balance(alice) == nanos("10") - 3 * COST
    made = Correction.objects.get()
    assert made.actor == "finance@example.com"
    assert client.get(f"/admin/gateway/correction/{made.pk}/change/").status_code == 200
    _ask(client, price, seen=seen)
    assert Correction.objects.count() == 1


@pytest.mark.parametrize("role", ["support", "catalogue"])
def test_who_may_not_correct_cannot(
    gateway: Gateway, overcharged: Sequence[UsageEvent], role: str
) -> None:
    client = staff(role)
    assert _ask(client, first_version()).status_code == 403
    assert json.dumps(list(Correction.objects.values())) == "[]"
