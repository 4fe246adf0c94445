"""Limits as a customer meets them on /v1: headers, waiting for a slot, refusals, holds, clamps."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.plans import terms
from billing.plans.models import Plan
from hontoni.money import dollars, nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.usefixtures("unhurried")

TWELVE = [
    *(f"x-ratelimit-{what}-{name}"
      for what in ("limit", "remaining") for name in ("rpm", "daily", "5h", "weekly", "monthly")),
    "x-ratelimit-concurrent-limit",
    "x-ratelimit-concurrent-active",
]  # fmt: skip
RESETS = [f"x-ratelimit-reset-{name}" for name in ("rpm", "5h", "daily", "weekly", "monthly")]


def limit(person: Person, **limits: int) -> None:
    """Put a person on a plan with these limits."""
    plan = Plan.objects.get(is_default=True)
    for name, value in limits.items():
        setattr(plan, name, value)
    plan.save()
    terms.apply_plan(plan)


def slow(max_tokens: int) -> dict[str, Any]:
    """A stream that is still running while the test does something else."""
    message = {"role": "user", "content": "[[slow: 0.2]] [[say: a b c d e f]]"}
    return {"model": "gpt-4o", "stream": True, "max_tokens": max_tokens, "messages": [message]}


def _answers(gateway: Gateway, alice: Person) -> dict[str, httpx.Response]:
    with gateway.http(alice) as client, gateway.http() as nobody:
        return {
            "unary": gateway.chat(alice),
            "stream": gateway.chat(alice, stream=True),
            "bad json": client.post("/v1/chat/completions", content=b"{"),
            "no messages": client.post("/v1/messages", json={"model": "claude-sonnet-4"}),
            "no model": gateway.chat(alice, model="gpt-9"),
            "upstream error": gateway.chat(alice, "[[error: 500 broken]]"),
            "no key": nobody.post("/v1/chat/completions", json={}),
            "wrong key": nobody.get("/v1/models", headers={"x-api-key": "sk-gw-nonsense"}),
            "models": client.get("/v1/models"),
            "one model": client.get("/v1/models/gpt-4o"),
            "unknown route": client.get("/v1/nothing"),
            "wrong method": client.get("/v1/messages"),
            "preflight": nobody.options("/v1/messages"),
            "head": nobody.head("/v1/messages"),
        }


def test_every_answer_tells_every_limit_and_its_id(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=50)
    for name, answer in _answers(gateway, alice).items():
        for header in (*TWELVE, *RESETS):
            assert answer.headers[header].isdecimal(), f"{name} lacks {header}"
        assert answer.headers["ratelimit-policy"], name
        assert answer.headers["x-request-id"] == answer.headers["request-id"], name
        if answer.status_code >= 400:
            body = answer.json()
            assert body["type"] == "error" and body["request_id"].startswith("req_"), name
            assert set(body["error"]) >= {"type", "message", "code", "param"}, name


def test_statuses_are_what_they_mean(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=50)
    statuses = {name: answer.status_code for name, answer in _answers(gateway, alice).items()}
    assert statuses == {
        "unary": 200, "stream": 200, "bad json": 400, "no messages": 400, "no model": 404,
        "upstream error": 500, "no key": 401, "wrong key": 401, "models": 200, "one model": 200,
        "unknown route": 404, "wrong method": 405, "preflight": 204, "head": 200,
    }  # fmt: skip


def test_what_never_reached_generation_uses_up_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=50)
    _answers(gateway, alice)
    with gateway.http(alice) as client:
        left = client.get("/v1/models").headers
    assert left["x-ratelimit-remaining-rpm"] == "48"  # the unary and the streamed one
    assert left["x-ratelimit-remaining-monthly"] == str(int(left["x-ratelimit-limit-monthly"]) - 2)


def test_the_rpm_refusal_names_the_limit_and_when_it_frees(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    limit(alice, rpm=2)
    assert [gateway.chat(alice).status_code for _ in range(3)] == [200, 200, 429]
    refused = gateway.chat(alice)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "2 requests per minute" in refused.json()["error"]["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert "x-should-retry" not in refused.headers


def test_a_long_window_tells_agents_not_to_wait_for_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, five_hours=1)
    assert gateway.chat(alice).status_code == 200
    refused = gateway.chat(alice)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "plan_limit_5h"
    assert refused.headers["x-should-retry"] == "false"
    assert 17_900 < int(refused.headers["retry-after"]) <= 18_000


def test_two_requests_at_once_on_one_slot_both_get_through(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    limit(alice, concurrent=1, rpm=50)
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: gateway.chat(alice, "[[delay: 0.1]] hi"), range(4))
    assert [answer.status_code for answer in answers] == [200] * 4


def test_who_waits_too_long_for_a_slot_is_told_so(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    settings.CONCURRENCY_WAIT_SECONDS = 0.2
    fund(alice, "10")
    limit(alice, concurrent=1, rpm=50)
    with gateway.http(alice) as client:
        body = slow(50)
        with client.stream("POST", "/v1/chat/completions", json=body) as running:
            arriving = running.iter_bytes()
            next(arriving)
            refused = gateway.chat(alice)
            assert list(arriving), "it was still running"
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "concurrency_limit"
    assert refused.headers["x-ratelimit-concurrent-active"] == "1"
    assert gateway.chat(alice).status_code == 200


def test_new_limits_bind_with_the_very_next_request(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=1)
    assert [gateway.chat(alice).status_code for _ in range(2)] == [200, 429]
    limit(alice, rpm=3)
    assert [gateway.chat(alice).status_code for _ in range(3)] == [200, 200, 429]


def test_two_keys_have_windows_of_their_own_and_an_accounts_plan_one_for_all(
    gateway: Gateway, alice: Person
) -> None:
    from accounts.keys import api_keys

    fund(alice, "10")
    limit(alice, rpm=1)
    second = Person(alice.user, *api_keys.mint(alice.user, "second"))
    assert [gateway.chat(p).status_code for p in (alice, second)] == [200, 200]
    limit(alice, subject="account")  # type: ignore[arg-type]
    assert [gateway.chat(p).status_code for p in (alice, second)] == [200, 429]


# -- Money ---------------------------------------------------------------------------------------


def test_a_stream_holds_a_first_step_and_extends_it_while_it_runs(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.10")  # 16,384 tokens of output would cost $0.16
    text = "word " * 4_000
    answer = gateway.chat(alice, f"[[say: {text}]]", stream=True, max_tokens=16_000)
    assert answer.status_code == 200 and "[DONE]" in answer.text
    (event,) = gateway.books()
    first_step = nanos("0.00001") * 2_048
    assert event.hold > first_step + nanos("0.02"), "the hold grew with the answer"
    assert gateway.balance(alice) == nanos("0.10") - event.cost >= 0


def test_a_stream_that_uses_up_the_balance_ends_with_an_error_and_never_below_zero(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.10")
    text = "word " * 8_000
    answer = gateway.chat(alice, f"[[say: {text}]]", stream=True, max_tokens=16_000)
    assert answer.status_code == 200
    assert "insufficient_balance" in answer.text and "[DONE]" not in answer.text
    (event,) = gateway.books()
    assert event.error == "insufficient_balance"
    assert 0 <= gateway.balance(alice) < nanos("0.05")


def test_a_unary_call_the_balance_does_not_cover_is_asked_for_less(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.05")
    answer = gateway.chat(alice, max_tokens=16_000)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-max-tokens"].endswith("clamped-by=balance")
    sent: Any = gateway.vendors.last.body
    assert sent["max_tokens"] < 5_000
    (event,) = gateway.books()
    assert event.details["clamps"]["max_tokens"]["applied"] == sent["max_tokens"]


def test_money_held_by_other_requests_is_another_402(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.03")
    limit(alice, concurrent=5, rpm=50)
    body = slow(2_048)
    with gateway.http(alice) as client:
        with client.stream("POST", "/v1/chat/completions", json=body) as running:
            arriving = running.iter_bytes()
            next(arriving)
            refused = gateway.chat(alice, max_tokens=2_048)
            assert list(arriving), "it was still running"
        assert refused.status_code == 402
        assert refused.json()["error"]["code"] == "balance_on_hold"
        assert refused.headers["retry-after"] == "2"
    assert gateway.chat(alice, max_tokens=2_048).status_code == 200


def test_a_top_up_is_spendable_at_once(gateway: Gateway, bob: Person) -> None:
    assert gateway.chat(bob).status_code == 402
    fund(bob, "1")
    assert gateway.chat(bob).status_code == 200
    assert dollars(ledger.balance(bob.user.pk)) == "1.00"  # until the books are written
    assert gateway.balance(bob) < nanos("1")


def test_the_plans_thinking_budget_clamps_and_says_so(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = {"model": "claude-sonnet-4", "max_tokens": 32_000,
            "thinking": {"type": "enabled", "budget_tokens": 31_999},
            "messages": [{"role": "user", "content": "[[say: ok]]"}]}  # fmt: skip
    with gateway.http(alice) as client:
        answer = client.post("/v1/messages", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-hontoni-thinking-budget"] == "8000; asked=31999; clamped-by=plan"
    sent: Any = gateway.vendors.last.body
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 8_000}


@pytest.mark.parametrize(("frozen", "status"), [(False, 401), (True, 200)])
def test_an_account_that_is_switched_off_is_refused_at_once(
    gateway: Gateway, alice: Person, frozen: bool, status: int
) -> None:
    from accounts.people import terms as accounts_terms

    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    User.objects.filter(pk=alice.user.pk).update(is_active=frozen)
    accounts_terms.changed(alice.user.pk)
    assert gateway.chat(alice).status_code == status


def test_who_leaves_the_queue_leaves_no_slot_behind(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, concurrent=1, rpm=100)
    with (
        gateway.http(alice) as client,
        client.stream("POST", "/v1/chat/completions", json=slow(50)) as running,
    ):
        arriving = running.iter_bytes()
        next(arriving)
        with gateway.http(alice) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.post("/v1/chat/completions", json=slow(50), timeout=0.4)
        assert list(arriving), "it was still running"
    answer = gateway.chat(alice)
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-concurrent-active"] == "0"
