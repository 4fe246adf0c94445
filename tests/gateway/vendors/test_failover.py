"""Several credentials, several providers: who is asked, who is asked next, and what it costs."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest
from django.test import Client as Browser
from pytest_django import Settings

from gateway.catalogue import snapshot
from gateway.plane import watching
from gateway.vendors import vault
from gateway.vendors.breaker import FAILURES, LONGEST_SECONDS, SHORTEST_SECONDS
from gateway.vendors.http_client import Client
from gateway.vendors.models import Credential, Offering, Provider
from hontoni.money import nanos
from sandbox.vendors import faults
from sandbox.vendors.faults import Fault
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.plane.test_translation import PATHS, ask, said
from tests.gateway.vendors.world import credential, tried, unlimited, was_asked_with_its_key
from tests.gateway_server import Gateway, fund
from tests.ports import free_port
from tests.vendors import Vendors, serving
from tests.waiting import until
from tests.world import Person

LONG = "[[say: a fairly long text that takes a good many events to be told whole]]"


def error(status: int, kind: str, message: str = "No.", **headers: str) -> Fault:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Fault(status=status, headers=headers, body=orjson.dumps(body))


@pytest.fixture
def impatient(gateway: Gateway) -> Iterator[None]:
    """A vendor is silent for half a second, and given up."""
    from hontoni.asgi import v1

    assert v1.upstream is not None
    before = v1.upstream.client
    v1.upstream.client = Client(connect_seconds=5, silence_seconds=0.5)
    yield
    v1.upstream.client = before


def test_a_credential_in_the_admin_takes_the_environments_place(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    assert (len(gateway.vendors.requests), len(first.requests)) == (1, 0)
    credential(first, "reseller")
    assert gateway.chat(alice).status_code == 200
    assert (len(gateway.vendors.requests), len(first.requests)) == (1, 1)
    assert was_asked_with_its_key(first)
    before, after = gateway.books()
    assert tried(before.details) == [("openai/environment", 200, "")]
    assert tried(after.details) == [("reseller/main", 200, "")]
    assert ask(gateway, alice, "anthropic_messages", "claude-sonnet-4.5", "hi").status_code == 200
    assert len(gateway.vendors.requests) == 2  # another vendor's pool is the environment's still


FAILING = {
    "rate limited": (error(429, "rate_limit_error", **{"retry-after": "7"}), "rate_limit_error"),
    "overloaded": (error(529, "overloaded_error"), "overloaded_error"),
    "server error": (error(500, "api_error"), "api_error"),
    "bad gateway": (faults.html_page(502), "upstream_error"),
    "key refused": (error(401, "authentication_error"), "authentication_error"),
    "out of money": (error(402, "billing_error"), "billing_error"),
    "forbidden": (error(403, "permission_error"), "permission_error"),
    "quota used up": (error(429, "insufficient_quota"), "insufficient_quota"),
    "model missing": (error(404, "not_found_error"), "not_found_error"),
    "silent": (Fault(delay=30), "upstream_timeout"),
    "half an answer": (faults.half_json(), "upstream_error"),
    "an error first": (
        faults.error_first(b'{"type":"error","error":{"type":"overloaded_error"}}'),
        "overloaded_error",
    ),
}


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("dialect", PATHS)
def test_what_one_credential_fails_at_the_next_one_answers_at_the_same_price(
    gateway: Gateway,
    alice: Person,
    impatient: None,
    first: Vendors,
    second: Vendors,
    dialect: str,
    failing: str,
) -> None:
    """Passed through and translated, streamed and whole."""
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two", priority=1)
    fault, code = FAILING[failing]
    for stream in (False, True):
        if failing == ("half an answer" if stream else "an error first"):
            continue  # of a stream alone, or of none
        first.faults.append(fault)
        text = "[[usage: 1000 50 0 0]] [[say: Hanoi]]"
        reply = ask(gateway, alice, dialect, "gpt-4o", text, stream=stream)
        assert reply.status_code == 200, reply.text
        assert "Hanoi" in reply.text and '"error"' not in reply.text.replace('"error":null', "")
        assert reply.text.count("message_start") in (0, 2) and was_asked_with_its_key(second)
        first.faults.clear()
        event = gateway.books()[-1]
        attempts = tried(event.details)
        assert [label for label, _, _ in attempts] == ["one/main", "two/main"]
        assert attempts[1][1:] == (200, "") and attempts[0][2] in (code, "cut", "broken")
        assert (event.input, event.output, event.estimated) == (1000, 50, False)
        assert event.cost == nanos("0.0030") and event.status == 200
        snapshot.forget()
        Credential.objects.filter(provider__name="one").update(sealed=vault.seal(first.key))
    assert at_rest(alice)
    spent = sum(event.cost for event in gateway.books())
    assert gateway.balance(alice) == nanos("10") - spent


def test_nobody_else_is_asked_what_is_wrong_in_itself(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two", priority=1)
    for fault, status in (
        (error(400, "invalid_request_error", "no such voice"), 400),
        (error(413, "request_too_large"), 413),
        (error(422, "invalid_request_error"), 400),
    ):
        first.faults.append(fault)
        assert gateway.chat(alice).status_code == status
    assert (len(first.requests), second.requests) == (3, [])
    assert all(event.cost == 0 for event in gateway.books())
    for _ in range(FAILURES):
        first.faults.append(error(400, "invalid_request_error"))
        gateway.chat(alice)
    assert gateway.chat(alice).status_code == 200
    assert second.requests == []  # being wrong does not open a breaker


@pytest.mark.parametrize("dialect", PATHS)
def test_an_answer_that_has_begun_is_not_begun_again(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors, dialect: str
) -> None:
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two", priority=1)
    first.faults.append(Fault(cut_after=900))
    reply = ask(gateway, alice, dialect, "gpt-4o", LONG, stream=True)
    assert reply.status_code == 200 and '"error":' in reply.text
    assert (len(first.requests), second.requests) == (1, [])
    (event,) = gateway.books()
    assert event.cost == 0 and at_rest(alice)


@pytest.mark.parametrize("dialect", PATHS)
def test_keep_alives_do_not_stand_in_the_way(
    gateway: Gateway,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    first: Vendors,
    second: Vendors,
    dialect: str,
) -> None:
    """They are no answer yet; but what they began is gone on with, not begun twice."""
    fund(alice, "10")
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(watching, "KEEP_ALIVE_SECONDS", 0.05)
    credential(first, "one")
    credential(second, "two", priority=1)
    first.faults.append(
        Fault(status=529, delay=0.4, body=b'{"type":"error","error":{"type":"overloaded_error"}}')
    )
    reply = ask(gateway, alice, dialect, "gpt-4o", "[[say: Hanoi]]", stream=True)
    assert reply.status_code == 200 and '"error":{' not in reply.text
    said_by = re.findall(r"keep-?alive|event: ping", reply.text)
    assert said_by and "Hanoi" in reply.text
    events = [json.loads(d) for d in re.findall(r"^data: ({.*})$", reply.text, re.M)]
    kinds = [event.get("type") for event in events]
    assert kinds.count("message_start") == (dialect == "anthropic_messages")
    assert kinds.count("response.created") == (dialect == "openai_responses")
    numbers = [e["sequence_number"] for e in events if "sequence_number" in e]
    assert numbers == list(range(len(numbers)))
    (event,) = gateway.books()
    assert event.cost > 0 and len(event.details["attempts"]) == 2


def test_a_connection_that_the_vendor_closed_is_dialled_anew_once(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    fund(alice, "10")
    aimed(credential(first, "one"), f"http://127.0.0.1:{free_port()}")
    credential(second, "two", priority=1)
    assert gateway.chat(alice).status_code == 200
    (event,) = gateway.books()
    assert tried(event.details) == [
        ("one/main", None, "upstream_error"),
        ("one/main", None, "upstream_error"),
        ("two/main", 200, ""),
    ]


def test_an_address_that_comes_back_is_used_again(
    gateway: Gateway, alice: Person, clock: Callable[[float], None], first: Vendors
) -> None:
    """Also after a probe that was dialled twice, and in vain."""
    fund(alice, "10")
    unlimited()
    port = free_port()
    aimed(credential(first, "one"), f"http://127.0.0.1:{port}")
    while (reply := gateway.chat(alice)).status_code == 500:
        pass
    assert reply.status_code == 503
    clock(SHORTEST_SECONDS)
    assert gateway.chat(alice).status_code == 500
    clock(LONGEST_SECONDS)
    with serving(first.key, port) as back:
        assert gateway.chat(alice).status_code == 200
        assert len(back.requests) == 1
    assert all(event.cost == 0 for event in gateway.books()[:-1])


def aimed(made: Credential, address: str) -> None:
    """Point its provider elsewhere."""
    Provider.objects.filter(pk=made.provider_id).update(base_url=address)
    snapshot.forget()


def test_the_last_failure_is_told_when_nobody_answers(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors, third: Vendors
) -> None:
    fund(alice, "10")
    for number, at in enumerate((first, second, third)):
        credential(at, f"at-{number}", priority=number)
        at.faults.append(error(529 - number * 29, "overloaded_error"))
    reply = gateway.chat(alice)
    assert reply.status_code == 500 and "sk-" not in reply.text
    (event,) = gateway.books()
    assert (event.cost, event.status) == (0, 500)
    assert [status for _, status, _ in tried(event.details)] == [529, 500, 471]
    assert gateway.balance(alice) == nanos("10") and at_rest(alice)


def test_the_whole_has_one_deadline(
    gateway: Gateway,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    first: Vendors,
    second: Vendors,
) -> None:
    from hontoni.asgi import v1

    fund(alice, "10")
    credential(first, "one")
    credential(second, "two", priority=1)
    first.faults.append(Fault(status=500, delay=0.3, body=b"{}"))
    second.faults.append(Fault(delay=60))
    monkeypatch.setattr(v1, "config", v1.config._replace(total_seconds=1.5))
    reply = gateway.chat(alice)
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_timeout")
    (event,) = gateway.books()
    assert [e for _, _, e in tried(event.details)] == ["upstream_error", "abandoned"]
    assert event.cost == 0 and at_rest(alice)


# -- Sessions ------------------------------------------------------------------------------------


def test_a_session_stays_where_its_prompt_cache_is(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    unlimited()
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two")
    for number in range(12):
        for _ in range(2):
            gateway.chat(alice, "[[say: ok]]", prompt_cache_key=f"session {number}")
    pairs = list(zip(*[iter(gateway.books())] * 2, strict=True))
    served = [(tried(a.details)[0][0], tried(b.details)[0][0]) for a, b in pairs]
    assert all(one == two for one, two in served)
    assert {one for one, _ in served} == {"one/main", "two/main"}
    assert len(first.requests) + len(second.requests) == 24


def test_a_session_whose_credential_fails_comes_back_to_it(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two")
    gateway.chat(alice, prompt_cache_key="s")
    home, other = (first, second) if first.requests else (second, first)
    home.faults.append(error(500, "api_error"))
    for _ in range(2):
        assert gateway.chat(alice, prompt_cache_key="s").status_code == 200
    assert (len(home.requests), len(other.requests)) == (3, 1)


# -- Breakers ------------------------------------------------------------------------------------


def test_what_keeps_failing_is_left_alone_and_probed_once(
    gateway: Gateway,
    alice: Person,
    clock: Callable[[float], None],
    first: Vendors,
    second: Vendors,
) -> None:
    unlimited()
    fund(alice, "10")
    credential(first, "one")
    credential(second, "two", priority=1)
    first.faults.extend([error(500, "api_error")] * FAILURES)
    for _ in range(FAILURES + 3):
        assert gateway.chat(alice).status_code == 200
    assert (len(first.requests), len(second.requests)) == (FAILURES, FAILURES + 3)
    assert gateway.chat(alice, model="gpt-4o-mini").status_code == 200
    assert len(first.requests) == FAILURES + 1  # another model's breaker is closed
    clock(SHORTEST_SECONDS)
    with ThreadPoolExecutor(1) as threads:
        probe = threads.submit(gateway.chat, alice, "[[delay: 1]] [[say: ok]]")
        until(lambda: len(first.requests) == FAILURES + 2, "nobody probed")
        assert gateway.chat(alice).status_code == 200  # meanwhile the other one answers
        assert len(first.requests) == FAILURES + 2
        assert probe.result().status_code == 200
    assert gateway.chat(alice).status_code == 200
    assert len(first.requests) == FAILURES + 3


def test_a_probe_whose_client_leaves_is_made_again(
    gateway: Gateway, alice: Person, clock: Callable[[float], None], first: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one")
    first.faults.extend([error(500, "api_error")] * FAILURES)
    for _ in range(FAILURES):
        assert gateway.chat(alice).status_code == 500
    clock(SHORTEST_SECONDS)
    with gateway.http(alice) as http, pytest.raises(httpx.ReadTimeout):
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[delay: 20]]"}]}
        http.post("/v1/chat/completions", json=body, timeout=0.5)
    until(lambda: at_rest(alice), "it is still open")
    assert gateway.chat(alice).status_code == 200


def test_when_everybody_rests_a_client_is_told_when_to_come_back(
    gateway: Gateway, alice: Person, clock: Callable[[float], None], first: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one")
    first.faults.extend([error(529, "overloaded_error")] * FAILURES)
    for _ in range(FAILURES):
        assert gateway.chat(alice).status_code == 503
    reply = gateway.chat(alice)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert reply.json()["error"]["type"] == "overloaded_error"
    assert len(first.requests) == FAILURES
    assert gateway.balance(alice) == nanos("10") and at_rest(alice)
    clock(SHORTEST_SECONDS)
    assert gateway.chat(alice).status_code == 200


def test_a_refused_credential_is_shown_to_staff_until_it_works(
    gateway: Gateway,
    alice: Person,
    clock: Callable[[float], None],
    first: Vendors,
    second: Vendors,
) -> None:
    fund(alice, "10")
    wrong = credential(first, "one", secret="sk-wrong")
    credential(second, "two", priority=1)
    assert gateway.chat(alice).status_code == 200
    assert gateway.chat(alice).status_code == 200
    assert (len(first.requests), len(second.requests)) == (1, 2)  # once is enough
    marked = until(lambda: Credential.objects.filter(refused_at__isnull=False).first(), "unmarked")
    assert marked == wrong and marked.refusal == "invalid_api_key"
    wrong.sealed = vault.seal(first.key)
    wrong.save()
    snapshot.forget()
    assert gateway.chat(alice).status_code == 200  # a corrected one starts afresh
    assert (len(first.requests), len(second.requests)) == (2, 2)


def test_a_credential_that_recovers_is_unmarked(
    gateway: Gateway, alice: Person, clock: Callable[[float], None], first: Vendors
) -> None:
    fund(alice, "10")
    made = credential(first, "one")
    first.faults.append(error(403, "permission_error"))
    assert gateway.chat(alice).status_code == 500
    until(lambda: Credential.objects.get(pk=made.pk).refused_at, "it is not marked")
    clock(SHORTEST_SECONDS)
    assert gateway.chat(alice).status_code == 200
    until(lambda: Credential.objects.get(pk=made.pk).refused_at is None, "it is still marked")


def test_many_at_once_are_all_answered_and_each_is_charged_once(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    """While one account fails throughout."""
    fund(alice, "10")
    unlimited()
    credential(first, "one", weight=5)
    credential(second, "two")
    first.faults.extend([error(500, "api_error")] * 100)
    text = "[[usage: 1000 50 0 0]] [[say: ok]]"

    def chat(number: int) -> int:
        streamed = {"stream": number % 2 == 0, "prompt_cache_key": str(number)}
        return gateway.chat(alice, text, **streamed).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(chat, range(40))) == [200] * 40
    assert len(second.requests) == 40
    assert FAILURES <= len(first.requests) < FAILURES + 8  # those on their way when it opened
    events = gateway.books()
    assert len(events) == 40 and {event.cost for event in events} == {nanos("0.0030")}
    assert gateway.balance(alice) == nanos("10") - 40 * nanos("0.0030")
    assert at_rest(alice)


# -- Providers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", PATHS)
def test_a_reseller_answers_another_vendors_model_in_its_own_dialect_at_our_price(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors, dialect: str
) -> None:
    """Claude from Anthropic; when that fails, from who has it under another name, as Chat."""
    fund(alice, "10")
    credential(first, "anthropic", "anthropic")
    reseller = credential(second, "reseller", priority=1).provider
    Provider.objects.filter(pk=reseller.pk).update(everything=False)
    Offering.objects.create(provider=reseller, model_id="claude-sonnet-4.5", upstream_id="gpt-4.1")
    snapshot.forget()
    text = "[[usage: 1000 50 0 0]] [[say: Hanoi]]"
    costs = set()
    for fault in (None, error(529, "overloaded_error")):
        if fault:
            first.faults.append(fault)
        reply = ask(gateway, alice, dialect, "claude-sonnet-4.5", text)
        assert reply.status_code == 200, reply.text
        assert said(dialect, reply.json()) == "Hanoi"
        assert reply.json()["model"] == "claude-sonnet-4.5" == reply.headers["x-hontoni-model"]
        costs.add(gateway.books()[-1].cost)
    assert costs == {nanos("0.00375")}
    assert second.last.path == "/v1/chat/completions" and second.last.body["model"] == "gpt-4.1"
    event = gateway.books()[-1]
    told = None if dialect == "openai_chat" else "openai_chat"
    assert event.details.get("upstream_dialect") == told
    assert event.model == "claude-sonnet-4.5"


def test_a_reseller_stands_by_the_environments_key(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    fund(alice, "10")
    reseller = credential(first, "reseller", priority=1).provider
    Offering.objects.create(provider=reseller, model_id="claude-sonnet-4.5", upstream_id="gpt-4.1")
    snapshot.forget()
    gateway.vendors.faults.append(error(529, "overloaded_error"))
    reply = ask(gateway, alice, "anthropic_messages", "claude-sonnet-4.5", "[[say: Hanoi]]")
    assert reply.status_code == 200 and said("anthropic_messages", reply.json()) == "Hanoi"
    (event,) = gateway.books()
    labels = [label for label, _, _ in tried(event.details)]
    assert labels == ["anthropic/environment", "reseller/main"]
    web = Browser()
    web.force_login(alice.user)
    page = web.get(f"/usage/{event.request_id}").content.decode()
    assert "overloaded_error" in page and "reseller/main" not in page


def test_a_reseller_without_the_responses_api_is_spoken_to_in_chat(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    fund(alice, "10")
    provider = credential(first, "reseller").provider
    Offering.objects.create(
        provider=provider, model_id="gpt-5.2", upstream_id="gpt-5.2", dialect="openai_chat"
    )
    snapshot.forget()
    for dialect in PATHS:
        reply = ask(gateway, alice, dialect, "gpt-5.2", "[[say: Hanoi]]")
        assert reply.status_code == 200 and said(dialect, reply.json()) == "Hanoi"
        assert first.last.path == "/v1/chat/completions"
    assert all(event.cost > 0 for event in gateway.books())


def test_a_model_nobody_has_is_not_offered(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    fund(alice, "10")
    only = credential(first, "one").provider
    Provider.objects.filter(pk=only.pk).update(everything=False)
    snapshot.forget()
    reply = gateway.chat(alice)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "model_not_supported")
    with gateway.http(alice) as http:
        listed = {model["id"] for model in http.get("/v1/models").json()["data"]}
    assert "gpt-4o" not in listed and "claude-sonnet-4.5" in listed


def test_a_credential_switched_off_gives_no_way_to_the_environments(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    fund(alice, "10")
    made = credential(first, "one")
    Credential.objects.filter(pk=made.pk).update(active=False)
    snapshot.forget()
    assert gateway.chat(alice).status_code == 400
    assert gateway.vendors.requests == [] and first.requests == []


def test_what_staff_change_binds_by_itself(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, first: Vendors
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    monkeypatch.setattr(snapshot, "MAX_AGE_SECONDS", 0)
    provider = Provider.objects.create(name="late", vendor="openai", base_url=f"{first.url}/v1/")
    Credential.objects.create(provider=provider, label="main", sealed=vault.seal(first.key))
    until(lambda: gateway.chat(alice).status_code == 200 and first.requests, "it never bound")


def test_a_credential_nobody_can_open_is_not_used(
    gateway: Gateway, alice: Person, settings: Settings, first: Vendors, second: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one")
    settings.CREDENTIAL_KEYS = ["another key of at least thirty-two characters"]
    credential(second, "two", priority=1)
    assert gateway.chat(alice).status_code == 200
    assert (first.requests, len(second.requests)) == ([], 1)


def test_counting_asks_the_next_credential_too(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors
) -> None:
    credential(first, "one", "anthropic")
    credential(second, "two", "anthropic", priority=1)
    first.faults.append(error(529, "overloaded_error"))
    body = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "hi"}]}
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages/count_tokens", json=body)
    assert reply.status_code == 200 and reply.json()["input_tokens"] > 0
    assert (len(first.requests), len(second.requests)) == (1, 1)


def test_the_secret_is_nowhere_on_the_receipt_or_in_the_log(
    gateway: Gateway, alice: Person, caplog: pytest.LogCaptureFixture, first: Vendors
) -> None:
    fund(alice, "10")
    credential(first, "one", secret="sk-wrong-and-secret")
    reply = gateway.chat(alice)
    assert reply.status_code == 500
    (event,) = gateway.books()
    receipt: Any = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert receipt["attempts"][0] | {"ms": 0} == {
        "status": 401,
        "error": "invalid_api_key",
        "ms": 0,
    }
    for told in (reply.text, str(event.details), str(receipt), caplog.text):
        assert "sk-wrong-and-secret" not in told
    assert "one/main" in str(event.details) and "one/main" not in str(receipt)
    assert "sk-wrong-and-secret" not in str(list(Credential.objects.values()))
