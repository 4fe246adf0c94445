"""The guard of a key: a brake, a loop brake, a budget for each session, and a kill switch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys
from accounts.models import ApiKey
from billing.plans.models import Plan
from gateway.plane import callers
from gateway.usage import refusals, velocity
from gateway.usage.models import Refusal, UsageEvent, UsageHour
from hontoni import redis
from hontoni.money import DOLLAR
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
def rich(gateway: Gateway, alice: Person) -> Person:
    """Alice, whom neither her balance nor her plan stops."""
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000))
    return fund(alice, "100")


def guard(person: Person, **fields: Any) -> None:
    api_keys.change(person.key, **fields)


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


def cost_of_one(gateway: Gateway, person: Person) -> int:
    """What such a request costs: and so has been spent."""
    assert gateway.chat(person).status_code == 200
    return gateway.books()[-1].cost


def kept(pattern: str) -> list[str]:
    return [name.decode() for name in redis.sync().scan_iter(match=pattern)]


# -- The brake -----------------------------------------------------------------------------------


def test_the_brake_holds_at_its_bound_and_says_when_it_lets_go(
    gateway: Gateway, rich: Person
) -> None:
    cost = cost_of_one(gateway, rich)
    guard(rich, brake_spend=5 * cost)
    codes = [gateway.chat(rich).status_code for _ in range(8)]
    assert codes[0] == 200 and codes[-1] == 429
    spent = sum(event.cost for event in gateway.books()[1:])
    assert 0 < spent <= 5 * cost
    refused = gateway.chat(rich)
    assert error(refused)["code"] == error(refused)["details"]["limit"] == "key_brake_spend"
    assert 0 < int(refused.headers["retry-after"]) <= 600
    assert refused.headers["x-should-retry"] == "false"
    assert error(refused)["doc_url"].endswith("/errors/key_brake_spend")
    guard(rich, brake_spend=1000 * cost)
    assert gateway.chat(rich).status_code == 200, "a change holds from the next request on"


def test_what_was_spent_ten_minutes_ago_is_forgotten(gateway: Gateway, rich: Person) -> None:
    cost = cost_of_one(gateway, rich)
    guard(rich, brake_spend=5 * cost)
    while gateway.chat(rich).status_code == 200:
        pass
    (brake,) = kept("*:brake:*")
    client = redis.sync()
    for name, spent in client.hgetall(brake).items():  # as if eleven minutes had passed
        earlier = b"m%d" % (int(name[1:]) - 11)
        client.hdel(brake, name)
        client.hset(brake, earlier, spent)
    assert gateway.chat(rich).status_code == 200


def test_requests_at_once_do_not_pass_the_brake(gateway: Gateway, rich: Person) -> None:
    guard(rich, brake_spend=DOLLAR // 100)  # some ten holds
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: gateway.chat(rich), range(36)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert sum(event.cost for event in gateway.books()) <= DOLLAR // 100
    codes = {error(each)["code"] for each in answers if each.status_code == 429}
    assert codes <= {"key_brake_spend", "key_guard_on_hold"}


def test_a_request_beyond_the_brake_is_told_that_waiting_is_futile(
    gateway: Gateway, rich: Person
) -> None:
    guard(rich, brake_spend=1_000)
    refused = gateway.chat(rich)
    assert refused.status_code == 429 and "retry-after" not in refused.headers
    assert error(refused)["details"]["frees_at"] is None
    assert gateway.balance(rich) == 100 * DOLLAR


def test_a_brake_by_history_is_so_many_times_its_busiest_hour(alice: Person) -> None:
    now = timezone.now()
    key = alice.key
    key.brake_times = 3
    assert velocity.bound(key, now) == velocity.FLOOR, "it has no history"
    for hours, cost in ((0, 900), (1, 30), (30, 60), (24 * 8, 600)):
        hour = (now - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        same = {"user": alice.user, "api_key": key, "model": "gpt-4o", "hour": hour}
        UsageHour.objects.create(**same, requests=1, cost=cost * DOLLAR)
    assert velocity.bound(key, now) == 30 * DOLLAR
    key.brake_spend = 7 * DOLLAR
    assert velocity.bound(key, now) == 7 * DOLLAR, "of both the lower holds"


# -- Loops ---------------------------------------------------------------------------------------


def test_the_same_prompt_again_and_again_is_a_loop(gateway: Gateway, rich: Person) -> None:
    guard(rich, brake_loop=2)
    codes = [gateway.chat(rich, temperature=n / 10).status_code for n in range(4)]
    assert codes == [200, 200, 429, 429]
    refused = gateway.chat(rich)
    assert error(refused)["code"] == "key_brake_loop"
    assert 0 < int(refused.headers["retry-after"]) <= 600
    assert gateway.chat(rich, "Something else").status_code == 200
    assert len(gateway.books()) == 3


@pytest.mark.parametrize(
    "prompt", ["[[error: 503 Overloaded]]", "[[error: 429 Slow down]]", "[[cut]]", "[[midstream]]"]
)
def test_to_ask_again_what_a_vendor_failed_to_answer_is_no_loop(
    gateway: Gateway, rich: Person, prompt: str
) -> None:
    guard(rich, brake_loop=2)
    for _ in range(4):
        answer = gateway.chat(rich, f"[[say: {'a b c ' * 50}]] {prompt}", stream=True)
        assert "key_brake_loop" not in answer.text
    assert gateway.chat(rich, "Another").status_code == gateway.chat(rich).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}]}, "anthropic"),
        ("/v1/responses", {"input": "Hi"}, "openai"),
        ("/v1beta/models/gpt-4o:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}, ""),
    ],
)
def test_every_dialect_is_told_in_its_own_words(
    gateway: Gateway, rich: Person, path: str, body: dict[str, Any], shape: str
) -> None:
    guard(rich, brake_loop=2)
    named = {"model": "gpt-4o", "max_tokens": 50} if shape == "anthropic" else {"model": "gpt-4o"}
    sent = {**named, **body} if shape else body
    with gateway.http(rich) as client:
        answers = [client.post(path, json=sent) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    told = answers[-1].json()
    if shape:
        assert error(answers[-1])["code"] == "key_brake_loop"
        assert told.get("type") == "error"
    else:
        assert told["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert answers[-1].headers["retry-after"]


# -- Sessions ------------------------------------------------------------------------------------


def in_session(gateway: Gateway, person: Person, name: str = "", **body: Any) -> httpx.Response:
    headers = {"x-session-id": name} if name else {}
    message = {"role": "user", "content": "Hello"}
    sent = {"model": "gpt-4o", "messages": [message], "max_tokens": 100, **body}
    with gateway.http(person) as client:
        return client.post("/v1/chat/completions", json=sent, headers=headers)


def test_a_session_has_its_budget_and_another_its_own(gateway: Gateway, rich: Person) -> None:
    cost = cost_of_one(gateway, rich)
    guard(rich, session_budget=5 * cost)
    while (answer := in_session(gateway, rich, "one")).status_code == 200:
        pass
    assert (answer.status_code, error(answer)["code"]) == (403, "key_session_budget")
    assert "retry-after" not in answer.headers and answer.headers["x-should-retry"] == "false"
    spent = sum(event.cost for event in gateway.books()[1:])
    assert 0 < spent <= 5 * cost
    assert in_session(gateway, rich, "two").status_code == 200
    assert in_session(gateway, rich, "one").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"prompt_cache_key": "thread-1"},
        {"metadata": {"user_id": "user_1_session_2"}},
        {},  # who names no session has the one that begins so
    ],
)
def test_a_session_is_what_the_tool_calls_it(
    gateway: Gateway, rich: Person, body: dict[str, Any]
) -> None:
    cost = cost_of_one(gateway, rich)
    guard(rich, session_budget=4 * cost)
    while in_session(gateway, rich, **body).status_code == 200:
        pass
    assert error(in_session(gateway, rich, **body))["code"] == "key_session_budget"
    other = {"prompt_cache_key": "thread-2"}
    assert in_session(gateway, rich, **other).status_code == 200


def test_what_a_dead_gateway_had_running_holds_no_budget_for_ever(
    gateway: Gateway, rich: Person
) -> None:
    cost = cost_of_one(gateway, rich)
    guard(rich, session_budget=20 * cost, brake_spend=20 * cost)
    assert in_session(gateway, rich, "one").status_code == 200
    client = redis.sync()
    for name in (*kept("*:session:*"), *kept("*:brake:*")):
        client.hset(name, "oreq_of_nobody", 20 * cost)
    assert in_session(gateway, rich, "one").status_code == 200
    for name in (*kept("*:session:*"), *kept("*:brake:*")):
        assert b"oreq_of_nobody" not in client.hgetall(name)


def test_who_has_no_guard_leaves_nothing_in_redis(gateway: Gateway, rich: Person) -> None:
    in_session(gateway, rich, "one")
    for pattern in ("*:session:*", "*:brake:*", "*:loop:*"):
        assert kept(pattern) == []


# -- The kill switch -----------------------------------------------------------------------------


def test_a_stopped_key_ends_nothing_that_has_begun(gateway: Gateway, rich: Person) -> None:
    path = f"/api/keys/{rich.key.pk}"
    with gateway.begun(rich, "please count to 40") as arriving:
        stopped = rich.client().patch(path, {"stopped": True}, format="json")
        assert stopped.json()["stopped"] is True
        refused = gateway.chat(rich)
        assert (refused.status_code, error(refused)["code"]) == (403, "key_stopped")
        assert b"[DONE]" in b"".join(arriving)
    (event,) = gateway.books()
    assert event.status == 200 and event.cost > 0
    assert rich.client().patch(path, {"stopped": False}, format="json").json()["stopped"] is False
    assert gateway.chat(rich).status_code == 200


def test_a_stop_is_among_the_refusals(gateway: Gateway, rich: Person) -> None:
    rich.client().patch(f"/api/keys/{rich.key.pk}", {"stopped": True}, format="json")
    gateway.chat(rich)
    until(refusals.drain)
    assert Refusal.objects.get().code == "key_stopped"


def test_what_a_key_is_rotated_to_is_stopped_and_guarded_with_it(rich: Person) -> None:
    guard(rich, brake_spend=DOLLAR, brake_loop=3, session_budget=DOLLAR, brake_times=2)
    successor, _ = api_keys.rotate(rich.key, timedelta(days=1))
    rich.client().patch(f"/api/keys/{rich.key.pk}", {"stopped": True}, format="json")
    successor.refresh_from_db()
    assert successor.stopped_at is not None and successor.brake_loop == 3
    assert (successor.brake_spend, successor.brake_times) == (DOLLAR, 2)


def test_the_guard_on_the_pages(rich: Person) -> None:
    client = Client()
    client.force_login(rich.user, "allauth.account.auth_backends.AuthenticationBackend")
    where = f"/keys/{rich.key.pk}"
    form = {"expires": "keep", "scopes": ["inference"], "brake_spend": "2.50"}
    client.post(f"{where}/limits", {**form, "brake_loop": "4", "session_budget": "10"})
    rich.key.refresh_from_db()
    assert (rich.key.brake_spend, rich.key.brake_loop) == (5 * DOLLAR // 2, 4)
    shown = client.get(where).content.decode()
    assert 'value="2.50"' in shown and "$10.00 a session" in client.get("/keys").content.decode()
    client.post(f"{where}/limits", form | {"brake_loop": "1"})
    rich.key.refresh_from_db()
    assert rich.key.brake_loop == 4, "once is no loop"
    for name, stopped in (("stop", True), ("start", False)):
        client.post("/keys/switch", {name: ""})
        assert ApiKey.objects.filter(stopped_at__isnull=not stopped, user=rich.user).count() == 1
        client.post(f"{where}/switch", {name: ""})
    callers.forget()


def test_the_guard_on_the_api(rich: Person) -> None:
    path = f"/api/keys/{rich.key.pk}"
    body = {"brake_spend": "1.50", "brake_times": 5, "brake_loop": 3, "session_budget": "20.00"}
    shown = rich.client().patch(path, body, format="json").json()
    assert {name: shown[name] for name in body} == body and shown["stopped"] is False
    for wrong in ({"brake_loop": 1}, {"brake_spend": "-1"}, {"brake_times": 0}):
        assert rich.client().patch(path, wrong, format="json").status_code == 400
    nothing = dict.fromkeys(body)
    assert rich.client().patch(path, nothing, format="json").json()["brake_spend"] is None


def test_an_event_names_the_session_it_was_asked_in(gateway: Gateway, rich: Person) -> None:
    guard(rich, session_budget=DOLLAR)
    in_session(gateway, rich, "one")
    gateway.books()
    assert len(UsageEvent.objects.get().details["session"]) == 32
