"""Every 4xx of a known key is seen by its owner, and nobody can flood the log with them."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys
from billing.plans.seed import seed as seed_plans
from gateway.dashboard import docs
from gateway.usage import refusals
from gateway.usage.explanations import EXPLANATIONS
from gateway.usage.models import Refusal
from hontoni import redis
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person


def seen(count: int, **narrowed: Any) -> list[Refusal]:
    """The log, once `count` refusals are in it."""
    rows = Refusal.objects.filter(**narrowed).order_by("pk")

    def are_there() -> bool:
        refusals.drain()
        return sum(row.count for row in rows.all()) >= count

    until(are_there)
    found = list(rows.all())
    assert sum(row.count for row in found) == count
    return found


def test_every_refusal_is_seen_by_its_owner(gateway: Gateway, alice: Person, bob: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=1)
    api_keys.change(alice.key, allowed_models=["gpt-4o"])
    gateway.chat(alice)
    answers = {
        "rate_limit_exceeded": gateway.chat(alice),
        "model_not_allowed": gateway.chat(alice, model="claude-sonnet-4"),
        "model_not_found": gateway.chat(alice, model="gpt-9"),
        "invalid_request": gateway.chat(alice, messages="none"),
    }
    with gateway.http(alice) as client:
        answers["method_not_allowed"] = client.get("/v1/messages")
        answers["not_found"] = client.get("/v1/nothing")
        answers["invalid_json"] = client.post("/v1/messages", content=b"{")
    found = {row.code: row for row in seen(7)}
    assert set(found) == set(answers)
    for code, row in found.items():
        assert row.request_id == answers[code].headers["x-request-id"]
        assert row.message == answers[code].json()["error"]["message"]
        assert (row.status, row.user_id, row.api_key_id, row.count) == (
            answers[code].status_code, alice.user.pk, alice.key.pk, 1,
        )  # fmt: skip
    limited = found["rate_limit_exceeded"]
    assert (limited.model, limited.limit, limited.allowed) == ("gpt-4o", "rpm", "1")
    assert limited.frees_at is not None and limited.frees_at > timezone.now()
    assert found["model_not_found"].model == "gpt-9"

    listed = alice.client().get("/api/usage/refusals").json()["results"]
    assert {each["code"] for each in listed} == set(found)
    assert all(each["explanation"] for each in listed)
    assert bob.client().get("/api/usage/refusals").json()["results"] == []


def test_a_revoked_key_still_in_use_is_told_to_its_owner(gateway: Gateway, carol: Person) -> None:
    assert gateway.chat(carol).status_code == 401
    (row,) = seen(1)
    assert (row.code, row.api_key_id) == ("invalid_api_key", carol.key.pk)
    assert "revoked" in row.message


def test_the_unknown_and_the_answered_leave_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=50)
    with gateway.http() as nobody:
        nobody.post("/v1/messages", json={}, headers={"x-api-key": alice.raw[:-1] + "!"})
    assert gateway.chat(alice).status_code == 200
    assert gateway.chat(alice, "[[error: 500 broken]]").status_code == 500
    time.sleep(2 * refusals.FLUSH_SECONDS)
    assert refusals.drain() == 0 and not Refusal.objects.exists()


def test_equal_refusals_of_an_hour_are_one_with_a_count(gateway: Gateway, alice: Person) -> None:
    for _ in range(30):
        last = gateway.chat(alice)
    rows = seen(30)  # one, or two over the full hour
    assert len(rows) <= 2
    assert rows[-1].request_id == last.headers["x-request-id"]
    assert rows[-1].code == "insufficient_balance"


def test_nobody_floods_the_log_with_names(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as client:
        for n in range(120):
            body = {
                "model": f"nonsense-{n}\0",
                "messages": [{"role": "user", "content": "Hi"}],
            }
            client.post("/v1/chat/completions", json=body)
    rows = seen(120)
    assert len(rows) <= 2 * (refusals.MOST_ROWS + 2)
    assert any(row.model == "" and row.count > 1 for row in rows)


def entry(person: Person, **changes: Any) -> dict[str, Any]:
    return {
        "user_id": person.user.pk, "api_key_id": person.key.pk, "code": "model_not_found",
        "model": "gpt-9", "status": 404, "message": "There is none.", "limit": "", "allowed": "",
        "frees_at": None, "request_id": "req_1", "count": 1,
        "first": time.time(), "last": time.time(),
    } | changes  # fmt: skip


def test_an_account_keeps_so_many_rows_for_so_long(alice: Person, bob: Person) -> None:
    hours = range(refusals.KEPT_ROWS // refusals.MOST_ROWS + 5)
    now = timezone.now().timestamp()
    for hour in hours:
        at = now - 3600 * (len(hours) - hour)
        names = [f"m{n}" for n in range(refusals.MOST_ROWS)]
        refusals.record([entry(alice, model=n, first=at, last=at) for n in names])
    refusals.record([entry(bob)])
    assert Refusal.objects.filter(user=alice.user).count() == refusals.KEPT_ROWS
    assert Refusal.objects.filter(user=bob.user).count() == 1
    Refusal.objects.filter(user=bob.user).update(hour=timezone.now() - timedelta(days=31))
    assert refusals.forget() == 1


def test_a_database_that_is_away_loses_nothing(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import orjson

    def away(entries: object) -> None:
        raise OperationalError("away")

    texts = [orjson.dumps(entry(alice, model=f"m{n}")) for n in range(3)]
    redis.sync().rpush(refusals.WAITING, *texts)
    with monkeypatch.context() as patch, pytest.raises(OperationalError):
        patch.setattr(refusals, "record", away)
        refusals.drain()
    assert redis.sync().lrange(refusals.WAITING, 0, -1) == texts
    assert refusals.drain() == 3


def test_a_key_that_is_gone_holds_up_nobody(
    alice: Person, bob: Person, transactional_db: None
) -> None:
    import orjson

    entries = [entry(alice, api_key_id=10**6)], [entry(bob)]
    for each in entries:
        redis.sync().rpush(refusals.WAITING, *map(orjson.dumps, each))
        refusals.drain()
    assert [row.user_id for row in Refusal.objects.all()] == [bob.user.pk]


def test_the_page_explains_them(alice: Person) -> None:
    seed_plans()
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "Nothing was refused" in client.get("/usage/refusals").content.decode()
    frees = (timezone.now() + timedelta(hours=5)).isoformat()
    limited = {"limit": "5h", "allowed": "20", "frees_at": frees, "count": 7}
    refusals.record([entry(alice, code="plan_limit_5h", status=429, **limited)])
    for path in ("/usage", "/usage/refusals"):
        page = client.get(path).content.decode()
        assert "A window of your plan is used up" in page, path
        assert "7 times" in page and "frees at" in page and "gpt-9" in page, path


def test_every_explanation_is_in_the_documentation_too() -> None:
    page = docs.render("errors", "https://x", "k").html
    for code in EXPLANATIONS:
        assert f'id="{code}"' in page, code
