"""Numbers that cannot be true: the customer pays the hold, staff look into it and close it."""

from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client

from accounts.models import User
from billing.books.models import AuditEntry
from billing.mails.models import Notice
from gateway.dashboard.roles import seed as seed_roles
from gateway.plane import admission
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from gateway.usage.quarantine.models import UsageQuarantine
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys
from tests.gateway.plane.test_translation import MODELS, ask
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import PASSWORD, Person, person

ABSURD = "[[usage: 900000000 10 0 0]] [[say: hello there]]"

LONG = "[[usage: 9000 100 0 0]] [[say: hi]]" + "x" * 9_000


def staff(role: str) -> Client:
    seed_roles()
    user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    totp.TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    client = Client()
    client.force_login(user)
    return client


def close(client: Client, found: UsageQuarantine, note: str = "Told the vendor.") -> int:
    url = f"/admin/gateway/usagequarantine/{found.pk}/close/"
    return client.post(url, {"note": note}).status_code


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("model", MODELS)
def test_the_hold_is_billed_and_staff_are_told(
    gateway: Gateway, alice: Person, model: str, stream: bool
) -> None:
    fund(alice, "0.05")
    reply = ask(gateway, alice, "openai_chat", model, ABSURD, stream=stream, max_tokens=300)
    assert reply.status_code == 200
    (event,) = gateway.books()
    assert event.estimated and 0 < event.cost == event.hold <= nanos("0.05")
    assert event.details["rule"] == "quarantined"
    assert gateway.balance(alice) == nanos("0.05") - event.cost
    (found,) = UsageQuarantine.objects.all()
    assert found.event == event and found.closed_at is None
    assert found.told["input"] == 900_000_000 and event.input < 1_000


def test_more_than_context_and_output_together_cannot_be_true(
    gateway: Gateway, alice: Person
) -> None:
    """gpt-4o takes 128,000 tokens and gives 16,384 of them back."""
    fund(alice, "10")
    for used, believed in ((127_000, True), (145_000, False)):
        gateway.chat(alice, f"[[usage: {used} 100 0 0]] [[say: hi]]" + "x" * 127_000)
        assert (gateway.books()[-1].input == used) is believed
    assert UsageQuarantine.objects.count() == 1


def test_what_can_be_true_is_not_set_aside(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert gateway.chat(alice, LONG).status_code == 200
    assert gateway.books()[0].input == 9000
    assert UsageQuarantine.objects.count() == 0


def test_an_event_delivered_twice_is_set_aside_once(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    ask(gateway, alice, "openai_chat", "gpt-4o", ABSURD)
    ((_, fields),) = redis.sync().xrange(keys.usage(keys.shard(alice.user.pk)))
    entry = settlement.entry(keys.shard(alice.user.pk), b"1-1", fields[b"event"])
    assert [settlement.record([entry]), settlement.record([entry])] == [1, 0]
    assert UsageQuarantine.objects.count() == UsageEvent.objects.count() == 1


def test_a_process_that_dies_meanwhile_leaves_no_absurd_cost(
    gateway: Gateway, alice: Person
) -> None:
    """Claude tells its input first: what heartbeats say of it is an estimate, too."""
    fund(alice, "50")
    text = "[[usage: 900000000 10 0 0]] [[slow: 0.05]] [[say: " + "one two three " * 30 + "]]"
    body = {"model": "claude-sonnet-4.5", "max_tokens": 300, "stream": True}
    body |= {"messages": [{"role": "user", "content": text}]}
    with gateway.http(alice) as http, http.stream("POST", "/v1/messages", json=body) as reply:
        chunks = reply.iter_bytes()  # closed when nobody holds it
        next(chunks)
        call = until(
            lambda: next(
                (c for c in admission.LIVE if c.tap and c.caller.account == alice.user.pk), None
            ),
            "not admitted",
        )
        until(lambda: call.tap.text_bytes > 20, "nothing was said")
        cost = call.so_far().cost
        assert 0 < cost <= call.held and call.cost_so_far() <= call.held
    until(lambda: call not in admission.LIVE, "it is still open")


def test_finance_closes_it_with_a_note(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    ask(gateway, alice, "openai_chat", "gpt-4o", ABSURD)
    gateway.books()
    found = UsageQuarantine.objects.get()
    finance = staff("finance")
    page = finance.get("/admin/gateway/usagequarantine/").content.decode()
    assert "alice@example.com" in page and "openai/environment" in page and "$2250.0001" in page
    detail = finance.get(f"/admin/gateway/usagequarantine/{found.pk}/change/").content.decode()
    assert "900,000,000" in detail and found.event.upstream_request_id in detail
    assert close(finance, found, note="") == 200
    assert UsageQuarantine.objects.get().closed_at is None
    assert [close(finance, found), close(finance, found, "Again.")] == [302, 302]
    closed = UsageQuarantine.objects.get()
    assert (closed.closed_by, closed.note) == ("finance@example.com", "Told the vendor.")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("finance@example.com", "close")
    assert entry.subject == f"usage_quarantine:{found.event.request_id}"
    assert entry.after == {"note": "Told the vendor."}
    changed = finance.post(f"/admin/gateway/usagequarantine/{found.pk}/change/", {"note": "x"})
    assert changed.status_code == 403


@pytest.mark.parametrize("role", ["support", "catalogue"])
def test_nobody_else_closes_it(gateway: Gateway, alice: Person, role: str) -> None:
    fund(alice, "10")
    ask(gateway, alice, "openai_chat", "gpt-4o", ABSURD)
    gateway.books()
    other = staff(role)
    assert close(other, UsageQuarantine.objects.get()) == 403
    assert other.get("/admin/gateway/usagequarantine/").status_code == 403
    assert UsageQuarantine.objects.get().closed_at is None


def test_what_costs_more_than_was_held_is_for_staff_too(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    (kind,) = staff_mails(gateway, alice, "[[usage: 100000 10 0 0]] [[say: hi]]")
    assert kind == "capped"
    (event,) = gateway.books()
    assert event.cost == event.hold < event.price.input // 10 and not event.estimated
    assert event.details["rule"] == "capped"
    found = UsageQuarantine.objects.get()
    assert found.told["input"] == 100_000 and found.kind == "capped"


def staff_mails(gateway: Gateway, person: Person, text: str) -> list[str]:
    """The kinds of bills that finance got a mail about."""
    staff("finance")
    mail.outbox.clear()
    assert gateway.chat(person, text).status_code == 200
    gateway.books()
    assert [m.to for m in mail.outbox] == [["finance@example.com"]]
    return [m.body.split()[1].rstrip(":") for m in mail.outbox]


def test_an_account_with_several_strange_bills_a_day_is_frozen(
    gateway: Gateway, alice: Person, bob: Person, settings: Any
) -> None:
    settings.FREEZE_AFTER_STRANGE_BILLS = 3
    for each in (alice, bob):
        fund(each, "10")
    for text in (ABSURD, "[[usage: 100000 10 0 0]] [[say: hi]]", ABSURD):
        assert gateway.chat(alice, text).status_code == 200
        gateway.chat(bob)
        gateway.books()
    refused = gateway.chat(alice)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "account_frozen")
    assert gateway.chat(bob).status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("system", "freeze")
    assert entry.subject == f"user:{alice.user.pk}" and len(entry.after["bills"]) == 3
    assert Notice.objects.get(kind="account_frozen").user == alice.user


def test_what_staff_closed_freezes_nobody(gateway: Gateway, alice: Person, settings: Any) -> None:
    settings.FREEZE_AFTER_STRANGE_BILLS = 3
    fund(alice, "10")
    finance = staff("finance")
    for _ in range(4):
        assert gateway.chat(alice, ABSURD).status_code == 200
        gateway.books()
        close(finance, UsageQuarantine.objects.get(closed_at=None))
    assert gateway.chat(alice).status_code == 200


def test_negative_numbers_are_nobodys_trick(
    gateway: Gateway, alice: Person, settings: Any
) -> None:
    settings.FREEZE_AFTER_STRANGE_BILLS = 3
    fund(alice, "10")
    for _ in range(4):
        assert gateway.chat(alice, "[[usage: -5 10 0 0]] [[say: hi]]").status_code == 200
        gateway.books()
    assert UsageQuarantine.objects.count() == 4
    assert gateway.chat(alice).status_code == 200


def test_a_vendor_whose_numbers_fail_for_many_freezes_nobody(
    gateway: Gateway, alice: Person, bob: Person, settings: Any
) -> None:
    settings.FREEZE_AFTER_STRANGE_BILLS = 3
    people = [alice, bob, person("dave")]
    for each in people:
        fund(each, "10")
    for _ in range(4):
        for each in people:
            assert gateway.chat(each, ABSURD).status_code == 200
        gateway.books()
    assert [gateway.chat(each).status_code for each in people] == [200, 200, 200]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
def test_a_dense_prompt_on_a_short_balance_is_paid_and_no_offence(
    gateway: Gateway, alice: Person, settings: Any, stream: bool
) -> None:
    """Many letters a token is what most prompts have, and what the least hold reckons with."""
    settings.FREEZE_AFTER_STRANGE_BILLS = 3
    fund(alice, "0.4")
    text = "[[usage: 20000 10 0 0]] [[say: hi]]" + "ấ" * 10_000
    for _ in range(4):
        reply = gateway.chat(alice, text, model="gpt-4.1", max_tokens=32_768 * 4, stream=stream)
        assert reply.status_code == 200, reply.text
        event = gateway.books()[-1]
        assert event.cost == 20_000 * 2_000 + 10 * 8_000 <= event.hold
    assert UsageQuarantine.objects.count() == 0
