"""From the release before to this one with a live Valkey: nothing of money or usage is lost."""

import uuid

import pytest
from uuid_utils import uuid7

from gateway.stores import nodes
from gateway.stores.models import Node
from gateway.usage.models import UsageEvent
from hontoni import redis
from hontoni.money import nanos
from ratelimits import epochs, keys, limiter
from tests.faults.clocks import LEASE, watching
from tests.faults.gateway import event
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


def ran_before(by: Person, price_id: int, *, hold: int, cost: int) -> str:
    """A request as a gateway of the release before kept it, which then died."""
    account, name = by.user.pk, f"req_{uuid7().hex}"
    client, money = redis.sync(), keys.account(account)
    seconds, micros = client.time()
    record = {
        "state": "open", "account": account, "subject": by.key.subject, "purse": by.key.purse,
        "hold": hold, "cost": cost, "seeded": client.hget(money, "seeded"), "at": seconds * 10**6,
        "epoch": epochs.believed(), "draft": event(name, by, price_id, details={}, cost=0),
    }  # fmt: skip
    client.hset(keys.request_before(account, name), mapping=record)
    client.zadd(keys.open_before(keys.shard(account)), {name: seconds * 1000})
    client.hincrby(money, "held", hold)
    return name


@pytest.mark.parametrize("made_by", ["us", "the release before"])
def test_a_request_that_died_with_its_old_gateway_is_booked_at_its_last_word(
    gateway: Gateway, alice: Person, made_by: str
) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    (first,) = gateway.books()
    if made_by != "us":
        redis.sync().hset(keys.account(alice.user.pk), "seeded", "1764000000.5")
    name = ran_before(alice, first.price_id, hold=nanos("2"), cost=nanos("0.5"))
    reaper, steady = watching()
    assert reaper.reap() == 0  # it may be alive, and slow
    steady.now += LEASE
    assert reaper.reap() == 1
    assert reaper.reap() == 0
    gateway.books()
    assert UsageEvent.objects.get(pk=uuid.UUID(name[4:])).cost == nanos("0.5")
    account = limiter.read_account_sync(alice.user.pk)
    assert account is not None
    assert (account.held, account.charged) == (0, first.cost + nanos("0.5"))
    assert gateway.chat(alice).status_code == 200


def test_an_account_of_the_release_before_is_made_anew_by_its_next_request(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    money = keys.account(alice.user.pk)
    redis.sync().hset(money, "seeded", "1764000000.123456")
    assert gateway.chat(alice).status_code == 200
    assert b"." not in redis.sync().hget(money, "seeded")
    charged = sum(each.cost for each in gateway.books())
    account = limiter.read_account_sync(alice.user.pk)
    assert account is not None and (account.held, account.charged) == (0, charged)


@pytest.mark.django_db
def test_no_gateway_of_the_release_before_makes_an_account_anew_while_one_of_ours_lives() -> None:
    nodes.beat("ours", "abc")
    assert list(Node.objects.exclude(epoch="abc").values_list("pk", flat=True)) == ["ours"]
    assert nodes.behind("abc") == []


@pytest.mark.django_db
def test_ours_wait_for_gateways_of_the_release_before_to_announce_their_requests() -> None:
    Node.objects.create(pk="theirs", host="elsewhere", epoch="former")
    assert nodes.behind("abc") == ["theirs"]
    Node.objects.update(epoch="abc")
    assert nodes.behind("abc") == []
