"""A team on one wallet, as its members' agents meet it on /v1."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client

from accounts.keys import api_keys
from accounts.models import Membership, User
from accounts.sign_in import mail_adapter
from accounts.teams import memberships
from billing.books import ledger
from billing.plans.models import Plan
from gateway.plane import callers
from gateway.usage import member_usage
from gateway.usage.models import UsageEvent
from hontoni import redis
from hontoni.money import nanos
from tests.accounts.teams.world import Member, joined, team_of
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("unhurried")]


@pytest.fixture(autouse=True)
def _mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_adapter.send_mail, "delay", mail_adapter.send_mail)


@pytest.fixture
def team(gateway: Gateway, alice: Person) -> Member:
    """Alice's team, whom neither its balance nor its plan stops."""
    found = team_of(fund(alice, "100"))
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000))
    User.objects.filter(pk=found.account.pk).update(key_cap=20)
    return found


def spent(member: Member) -> int:
    """What all keys of a member have cost."""
    return sum(
        UsageEvent.objects.filter(api_key__member=member.place).values_list("cost", flat=True)
    )


def test_four_on_one_wallet_race_and_no_cap_is_passed(gateway: Gateway, team: Member) -> None:
    four = [team, *(joined(team, name, "developer") for name in ("bob", "carol", "dave"))]
    one = gateway.chat(team.key(), max_tokens=50)
    assert one.status_code == 200
    gateway.books()
    each = UsageEvent.objects.get().cost
    before = ledger.balance(team.account.pk)
    cap = 4 * each
    for member in four:
        Membership.objects.filter(pk=member.place.pk).update(daily_cap=cap, lifetime_cap=cap)
    memberships.change(team.now(), team.now(), monthly_cap=cap)  # and every node hears of it
    racers = [member.key(f"k{n}") for member in four for n in range(2)]
    barrier = threading.Barrier(len(racers))

    def race(racer: Person) -> list[int]:
        barrier.wait()
        return [gateway.chat(racer, max_tokens=50).status_code for _ in range(4)]

    with ThreadPoolExecutor(len(racers)) as threads:
        statuses = [status for found in threads.map(race, racers) for status in found]
    gateway.books()
    assert set(statuses) == {200, 402}
    for member in four:
        assert 0 < spent(member) <= cap, member
    charged = sum(UsageEvent.objects.values_list("cost", flat=True)) - each
    assert ledger.balance(team.account.pk) == before - charged


def test_a_member_leaves_in_mid_stream(gateway: Gateway, team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key()
    with gateway.begun(key, "[[slow: 0.3]] [[say: a b c d e f]]") as arriving:
        memberships.remove(team.now(), bob.now())
        text = b"".join(arriving).decode()
    assert "[DONE]" in text  # what has begun ends well
    assert gateway.chat(key).status_code == 401
    gateway.books()
    event = UsageEvent.objects.get()
    assert (event.api_key_id, event.status, event.cost > 0) == (key.key.pk, 200, True)
    assert (
        member_usage.used(team.account.pk, event.created_at.date(), event.created_at.date())[
            0
        ].name
        == "bob@example.com"
    )


def test_in_mid_answer_the_cap_that_binds_is_named(gateway: Gateway, team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key(daily_cap=nanos("50"))
    memberships.change(team.now(), bob.now(), daily_cap=nanos("0.10"))
    text = f"[[say: {'word ' * 8_000}]]"
    answer = gateway.chat(key, text, stream=True, max_tokens=16_000)
    assert "member_cap_reached" in answer.text and "key_cap" not in answer.text
    api_keys.change(key.key, daily_cap=nanos("0.20"))
    memberships.change(team.now(), bob.now(), daily_cap=nanos("50"))
    answer = gateway.chat(key, text, stream=True, max_tokens=16_000)
    assert "key_cap_reached" in answer.text and "member_cap" not in answer.text
    assert [event.error for event in gateway.books()] == ["member_cap_reached", "key_cap_reached"]


def test_a_member_s_models_and_addresses_narrow_their_keys(gateway: Gateway, team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key(allowed_models=["gpt-4o", "claude-sonnet-4"])
    memberships.change(team.now(), bob.now(), allowed_models=["gpt-4o", "gpt-4o-mini"])
    assert gateway.chat(key, model="gpt-4o").status_code == 200
    for model in ("claude-sonnet-4", "gpt-4o-mini"):
        refused = gateway.chat(key, model=model)
        assert refused.json()["error"]["code"] == "model_not_allowed", model
    with gateway.http(key) as client:
        assert [m["id"] for m in client.get("/v1/models").json()["data"]] == ["gpt-4o"]
    memberships.change(team.now(), bob.now(), allowed_models=["gpt-5.2"])  # nothing in common
    assert gateway.chat(key, model="gpt-4o").status_code == 403
    memberships.change(team.now(), bob.now(), allowed_models=[], allowed_ips=["203.0.113.0/24"])
    assert gateway.chat(key, model="gpt-4o").json()["error"]["code"] == "ip_not_allowed"
    api_keys.change(key.key, allowed_ips=["127.0.0.1"])
    assert gateway.chat(key, model="gpt-4o").status_code == 403
    memberships.change(team.now(), bob.now(), allowed_ips=["127.0.0.0/8"])
    assert gateway.chat(key, model="gpt-4o").status_code == 200


def test_what_a_member_spent_is_found_again_in_the_books(gateway: Gateway, team: Member) -> None:
    bob = joined(team, "bob", "developer")
    first, second = bob.key("one"), bob.key("two")
    assert gateway.chat(first).status_code == 200
    gateway.books()
    assert gateway.chat(second).status_code == 200  # this one is in the stream yet
    cost = UsageEvent.objects.get().cost
    memberships.change(team.now(), bob.now(), lifetime_cap=2 * cost)
    refused = gateway.chat(first)
    assert refused.json()["error"]["code"] == "member_cap_lifetime"
    with gateway.http(first) as client:
        caps = client.get("/v1/key").json()["member_caps"]
        assert nanos(caps["life"]["spent"]) == 2 * cost
    gateway.books()
    redis.sync().flushall()
    callers.forget()
    assert gateway.chat(second).json()["error"]["code"] == "member_cap_lifetime"
    assert gateway.chat(team.key()).status_code == 200  # hers is no business of his cap
    api_keys.revoke(first.key)
    third = bob.key("three")  # another key is the same member's
    assert gateway.chat(third).json()["error"]["code"] == "member_cap_lifetime"


def test_usage_and_refusals_by_member(gateway: Gateway, team: Member) -> None:
    bob = joined(team, "bob", "developer")
    key = bob.key()
    gateway.chat(key)
    memberships.change(team.now(), bob.now(), lifetime_cap=1)
    assert gateway.chat(key).status_code == 402
    gateway.books()
    rows: dict[str, Any] = {
        row["member"]: row for row in team.api().get(f"/api/teams/{team.account.pk}/usage").json()
    }
    assert (rows["bob@example.com"]["requests"], rows["bob@example.com"]["role"]) == (
        1,
        "developer",
    )
    assert rows["alice@example.com"]["requests"] == 0
    page: Client = bob.browser()
    assert "bob@example.com" in page.get("/team/usage").content.decode()
    text = page.get("/team/usage.csv").content.decode()
    assert text.splitlines()[1].startswith("bob@example.com,developer,1,0,")
