"""The Lua files: what they say they touch is what they touch, and a cluster keeps it together."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django import Settings
from redis import Redis
from rest_framework.request import Request

from hontoni import errors, redis
from hontoni.money import nanos
from hontoni.redis import Script
from hontoni.valkey import Valkey
from ratelimits import keys, limiter, overflows, purses, rebuilding, scripts
from ratelimits.guards import Guard
from ratelimits.limiter import Limits, admit, beat, earmark, extend, reap_sync, settle
from ratelimits.overflows import Overflow
from tests.ports import free_port
from tests.ratelimits.test_throttle import ByAddress
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    TEN,
    advance,
    ask,
    events,
    expired,
    money,
    period,
    reserve,
    seed,
    seed_purse,
)

LUA = Path(scripts.__file__).parent / "lua"


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.name)
def test_every_file_opens_with_its_contract(path: Path) -> None:
    header = re.match(r"(--.*\n|\n)+", path.read_text())
    assert header
    assert all(word in header[0] for word in ("-- KEYS ", "-- ARGV ", "-- Answer "))


@pytest.mark.parametrize("path", sorted(LUA.glob("parts/*.lua")), ids=lambda path: path.name)
def test_every_part_says_what_it_is_and_is_of_some_script(path: Path) -> None:
    assert re.match(r"-- [A-Z]", path.read_text())
    whole = [other.read_text() for other in LUA.rglob("*.lua")]
    assert any(f"--@ {path.stem}\n" in text for text in whole)


async def everything_once() -> None:
    """Every script, down every path that touches keys."""
    await one_account()
    await a_batch_s()
    await a_member_s()
    await a_guarded_s()
    await one_past_a_window()
    await lost_and_found()


async def one_account() -> None:
    seed()
    limiter.publish_terms(ALICE, 2)
    limiter.publish_credits(ALICE, 2 * TEN, 2)
    given, dead, done = (ask(terms_version=3, credits=TEN, credits_version=3) for _ in range(3))
    for request in (given, dead, done):
        assert (await admit(request)).status == "ok"
    assert (await extend(done, hold=nanos("1"), step=1)).granted == 1
    assert await beat(done, cost=1, draft="{}")
    assert reserve("purchase_1") == "ok"
    limiter.release_sync(ALICE, "purchase_1")
    assert (await settle(given, cost=0, event=EVENT, giveback=True)).status == "settled"
    assert (await settle(done, cost=5, event=EVENT)).status == "settled"
    advance(LEASE_MS / 1000)
    (found,) = expired(10)
    assert reap_sync(found, cost=2, event=EVENT).status == "settled"
    assert (money().charged, money().held) == (7, 0)
    capped = ask(terms_version=3, caps=purses.Caps("p1", TEN, 2 * TEN))
    assert (await admit(capped)).status == "unseeded"
    assert seed_purse(key_ids=[1])
    assert (await admit(capped)).status == "ok"
    assert (await extend(capped, hold=nanos("1"), step=1)).granted == 1
    assert (await settle(capped, cost=5, event=EVENT)).status == "settled"


async def a_batch_s() -> None:
    assert await earmark(ALICE, "batch_1", amount=nanos("4"), lease_ms=LEASE_MS) == "ok"
    drawing = ask(terms_version=3, batch="batch_1", drawn=nanos("1"))
    assert (await admit(drawing)).status == "ok"
    assert (await settle(drawing, cost=5, event=EVENT)).status == "settled"
    assert await earmark(ALICE, "batch_1", amount=0, lease_ms=LEASE_MS) == "ok"
    assert await limiter.give(drawing, amount=5, most=10) is None
    assert await limiter.give(drawing, amount=5, most=10, given=0)


async def a_member_s() -> None:
    caps, theirs = purses.Caps("p1", TEN), purses.Caps("m1", TEN)
    request = ask(terms_version=3, caps=caps, member=theirs)
    assert (await admit(request)).status == "unseeded"
    assert seed_purse("m1", key_ids=[1], purses=["p1"])
    assert (await admit(request)).status == "ok"
    assert (await extend(request, hold=nanos("1"), step=1)).granted == 1
    assert seed_purse("m2", key_ids=[1], purses=["p1"])  # whose request is open
    assert (await settle(request, cost=5, event=EVENT)).status == "settled"
    purses.correct_sync(ALICE, "m1", [("life", 0, 1)])


async def one_past_a_window() -> None:
    """Beside the guard of its purse, of a member's."""
    overflow = Overflow("p1", nanos("1"))
    caps, guard = purses.Caps("m1", TEN), Guard("p1", spend=TEN, budget=TEN, session="one")
    request = ask(terms_version=3, member=caps, guard=guard, overflow=overflow)
    assert (await admit(request)).status == "inside"
    request = request._replace(limits=Limits(five_hours=1))
    assert (await admit(request)).status == "unseeded"
    _, month = period()
    for _ in range(2):
        overflows.seed_sync(
            ALICE, "p1", month=(month, 0), key_ids=[1], last_event_id="0-0", opened=["req_1"]
        )
    state = await admit(request)
    assert state.status == "ok" and state.past == (0, nanos("1")) and state.windows[1][2] > 0
    assert (await settle(request, cost=5, event=EVENT, giveback=True)).status == "settled"
    overflows.correct_sync(ALICE, "p1", month, 1)
    state = await admit(request._replace(request_id="req_past", guard=None))
    assert state.binding == "overflow_month" and state.past == (6, 0)


async def a_guarded_s() -> None:
    """A brake, a prompt and a session, and what a dead gateway left in them."""
    guard = Guard("p1", spend=TEN, loop=2, budget=TEN, prompt="again", session="one")
    for times, giveback in ((0, True), (5, False)):
        request = ask(terms_version=3, guard=guard)
        for name in guard.keys(keys.tag(keys.shard(ALICE)))[::2]:
            redis.sync().hset(name, "oreq_of_nobody", 1)
        assert (await admit(request)).status == "ok"
        settled = await settle(request, cost=times, event=EVENT, giveback=giveback)
        assert settled.status == "settled"


async def lost_and_found() -> None:
    """What Redis lost, or had from the release before; and what belongs to no account."""
    late = ask(terms_version=3, caps=purses.Caps("p1"))
    assert (await settle(ask(), cost=5, event=EVENT)).status == "unknown"
    counted = {"k1": rebuilding.Counted(((0, 0),) * 4, {})}
    assert seed(terms_version=3, subjects=counted)
    said = dict[str, Any](hold=1, cost=0, draft=b"{}", admitted=1, windows=())
    assert await rebuilding.announce(late, **said)
    assert seed(terms_version=3, subjects=counted, opened=[], ended=[late.request_id])
    before, name = keys.open_before(keys.shard(ALICE)), "req_of_before"
    redis.sync().zadd(before, {name: 1})
    redis.sync().hset(
        keys.request_before(ALICE, name), mapping={"state": "open", "account": ALICE}
    )
    assert [each.request_id for each in expired(10)] == [name]
    rebuilding.mark_sync(1, "a transfer")
    assert ByAddress().allow_request(Request(RequestFactory().post("/")))


async def test_scripts_touch_only_the_keys_they_declare_and_all_share_one_tag() -> None:
    await everything_once()  # so that the scripts are loaded, and named by their hash alone
    redis.sync().flushall()
    with redis.sync().monitor() as monitor:
        await everything_once()
        redis.sync().echo("done")
        declared: list[str] = []
        touched, run = 0, set()
        for entry in monitor.listen():
            verb, *words = entry["command"].split(" ")
            if verb == "ECHO":
                break
            if verb == "EVAL":
                declared = []  # the clock of the tests
            elif verb == "EVALSHA":
                run.add(words[0])
                declared = words[1:][1 : 1 + int(words[1])]
                assert len({name.partition("}")[0] for name in declared}) == 1
            elif entry["client_type"] == "lua" and verb != "TIME" and declared:
                assert words[0] in declared
                touched += 1
    assert touched > 100
    known = [each for each in vars(scripts).values() if isinstance(each, Script | scripts.Guarded)]
    shas = {(each if isinstance(each, Script) else each.of("")).sha: each for each in known}
    assert [shas[sha] for sha in shas.keys() - run] == [] and len(shas) == len(
        list(LUA.glob("*.lua"))
    )


class Cluster(Valkey):
    """One node that owns every slot, and refuses keys that do not belong together."""

    port = 0

    def _options(self) -> list[str]:
        self.port, bus = free_port(), free_port()
        return [
            *super()._options(),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--cluster-port", str(bus)),
            *("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"),
        ]


@pytest.fixture
async def connect(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Turn to another Redis, for one test."""

    async def to(url: str, cluster: bool) -> None:
        await redis.close()
        redis.sync.cache_clear()
        settings.REDIS_URL, settings.REDIS_CLUSTER = url, cluster

    yield to
    await redis.close()
    redis.sync().close()
    redis.sync.cache_clear()


async def test_a_cluster_keeps_an_account_together_and_refuses_to_mix_shards(
    tmp_path: Path, connect: Callable[..., Awaitable[None]]
) -> None:
    node = Cluster(tmp_path, tmp_path / "s", durable=False)
    with node:
        client = Redis(unix_socket_path=str(node.socket))
        client.cluster("addslotsrange", 0, 16383)
        while client.cluster("info")["cluster_state"] != "ok":
            pass
        client.close()
        await connect(f"redis://127.0.0.1:{node.port}", cluster=True)
        await everything_once()
        mixed = (keys.account(1), keys.request(2, "req_1"))
        with pytest.raises(redis.RedisError, match="(?i)slot"):
            await scripts.EXTEND.of("").run(mixed, (0, 0, 0, 0, 0))
        with pytest.raises(redis.RedisError, match="(?i)slot"):
            scripts.EXTEND.of("").run_sync(mixed, (0, 0, 0, 0, 0))


async def test_a_killed_redis_fails_closed_and_comes_back_with_everything(
    tmp_path: Path, connect: Callable[..., Awaitable[None]]
) -> None:
    node = Valkey(tmp_path, tmp_path / "s")
    with node:
        await connect(f"unix://{node.socket}", cluster=False)
        seed()
        running, done = ask(), ask()
        await admit(running)
        await admit(done)
        await settle(done, cost=3, event=EVENT)
        assert node.process
        node.process.kill()
        node.process.wait()
        with pytest.raises(errors.Unavailable):
            await admit(ask())
        with pytest.raises(errors.Unavailable):
            seed()
        node.start()
        assert (await settle(done, cost=3, event=EVENT)).status == "already"
        state = await settle(running, cost=4, event=EVENT)
        assert (state.status, state.balance, state.held) == ("settled", TEN - 7, 0)
        assert [cost for _, cost, _ in events()] == [3, 4]
