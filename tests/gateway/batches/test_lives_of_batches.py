"""What may happen to a batch before its end: to its money, its key, its account, its processes."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from uuid_utils import uuid7

from accounts.keys import api_keys
from accounts.people import freezing
from accounts.sign_in import deletion
from billing.books import ledger
from gateway.batches import closing, records
from gateway.batches.models import Batch, BatchRequest, FilePiece, State, StoredFile
from gateway.catalogue import snapshot
from gateway.catalogue.models import Model, Price
from gateway.plane.batches import runner, work
from gateway.plane.batches.runner import Runner
from hontoni import redis
from hontoni.money import nanos
from sandbox.vendors.faults import Fault
from tests.gateway.batches.world import create, ended, held, line, over, results, row
from tests.gateway_server import Gateway, fund, nobody_runs_batches
from tests.waiting import until
from tests.world import Person


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for is looked at again at once."""
    monkeypatch.setattr(work, "MOST_SECONDS", 0.1)
    monkeypatch.setattr(work, "AGAIN_SECONDS", 0.05)


def three(text: str = "Hello") -> list[str]:
    return [line(f"l{n}", text) for n in range(3)]


def restart() -> None:
    """The gateway's runner ends, as with its process, and another begins."""
    from hontoni.asgi import v1

    before = v1.batches
    assert before is not None and before.loop is not None and v1.upstream is not None
    asyncio.run_coroutine_threadsafe(before.stop(), before.loop).result(30)
    after = v1.batches = Runner(v1.upstream, v1.config)
    asyncio.run_coroutine_threadsafe(_begin(after), before.loop).result(30)


_TASKS: list[Any] = []


async def _begin(runner: Runner) -> None:
    _TASKS.append(asyncio.create_task(runner.for_ever()))
    await asyncio.sleep(0)


def codes(gateway: Gateway, person: Person, file_id: str | None) -> dict[str, Any]:
    """Of what was not answered well: its code, by custom id."""
    found = results(gateway, person, file_id)
    return {
        name: (each["error"] or each["response"]["body"]["error"])["code"]
        for name, each in found.items()
    }


def test_a_cancelled_batch_sends_nothing_more_and_frees_its_money(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        assert client.batches.cancel(made.id).status == "cancelling"
        assert client.batches.cancel(made.id).status == "cancelling"
    done = ended(gateway, alice, made.id)
    assert done.status == "cancelled" and done.cancelled_at >= done.cancelling_at
    assert done.output_file_id is None
    found = codes(gateway, alice, done.error_file_id)
    assert found == dict.fromkeys(("l0", "l1", "l2"), "batch_cancelled")
    assert held(alice.user) == 0 and gateway.books() == []


def test_what_runs_as_a_batch_is_cancelled_ends_and_is_paid(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(Fault(delay=1.0))
    made = create(gateway, alice, line("slow"))
    until(lambda: gateway.vendors.requests)
    gateway.openai(alice).batches.cancel(made.id)
    done = ended(gateway, alice, made.id)
    assert (done.status, done.request_counts.completed) == ("cancelled", 1)
    (event,) = gateway.books()
    assert row(made.id).cost == event.cost > 0 and held(alice.user) == 0


def test_an_expired_batch_ends_with_what_it_has(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        Batch.objects.update(expires_at=timezone.now())
    done = ended(gateway, alice, made.id)
    assert done.status == "expired" and done.expired_at
    assert set(codes(gateway, alice, done.error_file_id).values()) == {"batch_expired"}
    assert held(alice.user) == 0 and gateway.books() == []


def test_a_batch_goes_on_after_a_restart_and_nothing_is_sent_twice(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.extend(Fault(delay=0.3) for _ in range(12))
    made = create(gateway, alice, *(line(f"l{n}") for n in range(12)))
    until(lambda: BatchRequest.objects.filter(state=State.SUCCEEDED).exists())
    restart()
    done = ended(gateway, alice, made.id)
    assert (done.status, done.request_counts.completed) == ("completed", 12)
    assert len(gateway.vendors.requests) == len(gateway.books()) == 12
    assert held(alice.user) == 0


def test_an_answer_that_a_stopping_gateway_cuts_off_costs_nothing_and_is_asked_again(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    monkeypatch.setattr(runner, "_STOP_SECONDS", 0.0)
    gateway.vendors.faults.append(Fault(delay=2.0))
    made = create(gateway, alice, line("a"))
    until(lambda: gateway.vendors.requests)
    restart()
    gateway.books()  # what was cut off is in the books, so its fate is known
    done = ended(gateway, alice, made.id)
    assert (done.request_counts.completed, len(gateway.vendors.requests)) == (1, 2)
    cut, whole = gateway.books()
    assert (cut.cost, cut.error) == (0, "server_stopping") and whole.cost > 0
    assert row(made.id).cost == whole.cost and held(alice.user) == 0


def test_of_a_request_whose_process_died_the_books_decide(gateway: Gateway, alice: Person) -> None:
    """What was charged is lost, and told so; what was not is sent again."""
    from tests.world import used

    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        lost, free, unknown = BatchRequest.objects.order_by("number")
        long_ago = timezone.now() - timedelta(hours=1)
        for request in (lost, free, unknown):
            assert records.send(request, f"req_{uuid7().hex}")
        BatchRequest.objects.update(sent_at=long_ago)
        charged = used(alice, id=uuid.UUID(hex=lost.request_id[4:]), cost=5_000)
        used(alice, id=uuid.UUID(hex=free.request_id[4:]), cost=0)
    done = ended(gateway, alice, made.id)
    assert (done.request_counts.completed, done.request_counts.failed) == (2, 1)
    assert codes(gateway, alice, done.error_file_id) == {"l0": "answer_lost"}
    assert len(gateway.vendors.requests) == 2
    assert held(alice.user) == 0
    charged.delete()  # it was never in the ledger
    type(charged).objects.filter(pk=uuid.UUID(hex=free.request_id[4:])).delete()


def test_a_lost_valkey_costs_a_batch_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        aside = row(made.id).held
        redis.sync().flushall()
        assert held(alice.user) == 0
        assert gateway.chat(alice).status_code == 200  # the account is made anew
    done = ended(gateway, alice, made.id)
    assert done.request_counts.completed == 3 and held(alice.user) == 0
    assert aside > 0 and len(gateway.books()) == 4


def test_a_revoked_key_ends_its_batches(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        api_keys.revoke(alice.key)
    over(made.id)
    other = Person(alice.user, *api_keys.mint(alice.user, "other"))
    done = ended(gateway, other, made.id)
    assert (done.status, done.request_counts.failed) == ("completed", 3)
    assert set(codes(gateway, other, done.error_file_id).values()) == {"invalid_api_key"}
    assert gateway.books() == [] and held(alice.user) == 0


def test_a_rotated_key_has_its_successor_run_its_batches(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        successor, raw = api_keys.rotate(alice.key, timedelta(0))
    over(made.id)
    done = ended(gateway, Person(alice.user, successor, raw), made.id)
    assert done.request_counts.completed == 3
    assert {event.api_key_id for event in gateway.books()} == {successor.pk}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"allowed_models": ["claude-sonnet-4"]}, "model_not_allowed"),
        ({"allowed_ips": ["203.0.113.0/24"]}, "ip_not_allowed"),
        ({"scopes": ["usage"]}, "scope_missing"),
        ({"lifetime_cap": 1}, "key_cap_lifetime"),
    ],
    ids=["models", "addresses", "scopes", "cap"],
)
def test_what_its_owner_takes_from_a_key_its_batch_may_not_do(
    gateway: Gateway, alice: Person, change: dict[str, Any], code: str
) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        api_keys.change(alice.key, **change)
    over(made.id)
    other = Person(alice.user, *api_keys.mint(alice.user, "other"))
    done = ended(gateway, other, made.id)
    assert set(codes(gateway, other, done.error_file_id).values()) == {code}
    assert gateway.books() == [] and held(alice.user) == 0


def test_a_batch_beyond_its_keys_cap_is_not_begun(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    api_keys.change(alice.key, daily_cap=nanos("0.002"))
    with gateway.http(alice) as http:
        file = http.post(
            "/v1/files", data={"purpose": "batch"}, files={"file": ("a", "\n".join(three()))}
        ).json()["id"]
        asked = {"input_file_id": file, "completion_window": "24h"}
        reply = http.post("/v1/batches", json=asked | {"endpoint": "/v1/chat/completions"})
    assert reply.status_code in (402, 429) and held(alice.user) == 0, reply.text


def test_a_frozen_accounts_batch_waits(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        freezing.freeze(alice.user.pk, "looked at")
    until(lambda: row(made.id).runner)
    assert row(made.id).status == "in_progress" and gateway.vendors.requests == []
    freezing.unfreeze(alice.user.pk)
    assert ended(gateway, alice, made.id).request_counts.completed == 3


def test_nothing_is_left_of_a_deleted_account(gateway: Gateway, alice: Person) -> None:
    with nobody_runs_batches():
        fund(alice, "10")
        made = create(gateway, alice, *three())
        ledger.post(
            key="out", kind="adjustment", user_id=alice.user.pk, amount=-nanos("10"),
            reason="paid out", actor="tests",
        )  # fmt: skip
        deletion.delete(alice.user)
    assert row(made.id).status == "cancelled"
    for rows in (BatchRequest, StoredFile, FilePiece):
        assert not rows.objects.exists()
    assert gateway.vendors.requests == []


def test_each_request_pays_the_price_of_its_own_moment(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, *three())
        before = Price.objects.filter(model_id="gpt-4o").latest("effective_at")
        dearer = {name: getattr(before, name) * 3 for name in ("input", "output", "reasoning")}
        now = Price.objects.create(
            model_id="gpt-4o",
            cache_read=before.cache_read,
            cache_write_5m=before.cache_write_5m,
            cache_write_1h=before.cache_write_1h,
            **dearer,
        )
        snapshot.forget()
    done = ended(gateway, alice, made.id)
    assert done.request_counts.completed == 3
    events = gateway.books()
    assert {event.price_id for event in events} == {now.pk}
    assert sum(event.cost for event in events) == row(made.id).cost


def test_a_model_that_is_retired_meanwhile_is_told_line_by_line(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, line("a"), line("b", model="claude-sonnet-4.6"))
        Model.objects.filter(pk="gpt-4o").update(ends_at=timezone.now() - timedelta(seconds=1))
        snapshot.forget()
    done = ended(gateway, alice, made.id)
    assert codes(gateway, alice, done.error_file_id) == {"a": "model_retired"}
    assert results(gateway, alice, done.output_file_id).keys() == {"b"}


def test_what_fails_at_the_vendor_is_sent_again_and_costs_once(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    made = create(gateway, alice, line("a", "[[errors: 2 400]] [[say: At last]]"))
    done = ended(gateway, alice, made.id)
    assert done.request_counts.failed == 1  # a 400 is the answer
    again = create(gateway, alice, line("b", "[[error: 529 Busy]]"))
    done = ended(gateway, alice, again.id)
    (found,) = results(gateway, alice, done.error_file_id).values()
    assert found["response"]["status_code"] >= 500
    assert row(again.id).cost == 0 and held(alice.user) == 0


def test_making_a_batch_is_one_request_in_the_plans_windows(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    limits: list[str] = []
    for _ in range(2):
        made = create(gateway, alice, *three())
        over(made.id)
        with gateway.http(alice) as http:
            answer = http.get("/v1/models")
        limits.append(answer.headers["x-ratelimit-remaining-daily"])
    assert int(limits[0]) - int(limits[1]) == 1
    redis.sync().flushall()
    with gateway.http(alice) as http:
        gateway.books()
        answer = http.get("/v1/models")
    assert int(answer.headers["x-ratelimit-remaining-daily"]) >= int(limits[0])


def test_what_was_kept_for_long_enough_is_gone(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    done = ended(gateway, alice, create(gateway, alice, *three()).id)
    assert closing.forget_expired(timezone.now()) == 0
    later = timezone.now() + timedelta(days=31)
    assert closing.forget_expired(later) > 0
    for rows in (BatchRequest, StoredFile, FilePiece):
        assert not rows.objects.exists()
    assert row(done.id).forgotten_at is not None and row(done.id).bytes == 0
    assert gateway.openai(alice).batches.retrieve(done.id).output_file_id is None
