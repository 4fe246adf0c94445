"""Section 4 of the protocol map, through the public door: what a vendor says, and what of it the
customer is told. Every upstream dialect, every client dialect; nothing is ever charged."""

from typing import Any

import orjson
import pytest

from gateway.vendors.breaker import FAILURES
from sandbox.vendors.faults import HTML, Fault
from tests.gateway.plane.test_translation import MODELS, PATHS, ask
from tests.gateway_server import Gateway, fund
from tests.world import Person

ACCOUNT = "organization org-Ab12Cd34Ef56 (key sk-proj-***abcd, projects/123456)"
SHAPES = {
    "gpt-4o": "openai",
    "gpt-5.2": "openai",
    "claude-sonnet-4.5": "anthropic",
    "gemini-3-flash-preview": "google",
}


def said(vendor: str, kind: str, message: str, status: int = 0) -> bytes:
    """An error as that vendor words it."""
    if vendor == "anthropic":
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})
    if vendor == "google":
        return orjson.dumps({"error": {"code": status, "status": kind, "message": message}})
    error = {"message": message, "type": kind, "code": kind, "param": None}
    return orjson.dumps({"error": error})


# What happened: (what each vendor says: status, word), the answer's status, type and code.
Row = tuple[dict[str, tuple[int, str]], int, str, str]
ROWS: dict[str, Row] = {
    "bad request": (
        {
            "openai": (400, "invalid_request_error"),
            "anthropic": (400, "invalid_request_error"),
            "google": (400, "INVALID_ARGUMENT"),
        },
        *(400, "invalid_request_error", "invalid_request"),
    ),
    "our key is bad": (
        {
            "openai": (401, "invalid_api_key"),
            "anthropic": (401, "authentication_error"),
            "google": (401, "UNAUTHENTICATED"),
        },
        *(500, "api_error", "upstream_error"),
    ),
    "we are not allowed": (
        {
            "openai": (403, "permission_error"),
            "anthropic": (403, "permission_error"),
            "google": (403, "PERMISSION_DENIED"),
        },
        *(500, "api_error", "upstream_error"),
    ),
    "we are out of money": (
        {"openai": (429, "insufficient_quota"), "anthropic": (402, "billing_error")},
        *(500, "api_error", "upstream_error"),
    ),
    "the model is missing": (
        {
            "openai": (404, "model_not_found"),
            "anthropic": (404, "not_found_error"),
            "google": (404, "NOT_FOUND"),
        },
        *(404, "not_found_error", "model_retired"),
    ),
    "too large": (
        {
            "openai": (413, "request_too_large"),
            "anthropic": (413, "request_too_large"),
            "google": (413, "INVALID_ARGUMENT"),
        },
        *(413, "request_too_large", "request_too_large"),
    ),
    "our limit is reached": (
        {
            "openai": (429, "rate_limit_exceeded"),
            "anthropic": (429, "rate_limit_error"),
            "google": (429, "RESOURCE_EXHAUSTED"),
        },
        *(503, "overloaded_error", "upstream_overloaded"),
    ),
    "overloaded": (
        {
            "openai": (503, "server_is_overloaded"),
            "anthropic": (529, "overloaded_error"),
            "google": (503, "UNAVAILABLE"),
        },
        *(503, "overloaded_error", "upstream_overloaded"),
    ),
    "server error": (
        {
            "openai": (500, "server_error"),
            "anthropic": (500, "api_error"),
            "google": (500, "INTERNAL"),
        },
        *(500, "api_error", "upstream_error"),
    ),
    "too late": (
        {
            "openai": (524, "timeout"),
            "anthropic": (504, "timeout_error"),
            "google": (504, "DEADLINE_EXCEEDED"),
        },
        *(504, "timeout_error", "upstream_timeout"),
    ),
    "against its policy": (
        {"openai": (400, "content_policy_violation")},
        *(400, "invalid_request_error", "content_policy"),
    ),
}


@pytest.mark.parametrize("happened", ROWS)
@pytest.mark.parametrize("dialect", PATHS)
def test_what_a_vendor_says_is_told_as_whose_fault_it_is(
    gateway: Gateway, alice: Person, dialect: str, happened: str
) -> None:
    fund(alice, "50")
    words, status, kind, code = ROWS[happened]
    for model in MODELS:
        if (vendor := SHAPES[model]) not in words:
            continue
        theirs, word = words[vendor]
        body = said(vendor, word, f"It is the fault of {ACCOUNT}.", theirs)
        for stream in (False, True):
            headers = {"x-request-id": "their-id-1"}
            gateway.vendors.faults.append(Fault(status=theirs, body=body, headers=headers))
            reply = ask(gateway, alice, dialect, model, "hi", stream=stream)
            error: dict[str, Any] = reply.json()["error"]
            assert (reply.status_code, error["type"], error["code"]) == (status, kind, code)
            assert "param" in error and reply.json()["request_id"] == reply.headers["request-id"]
            for secret in ("org-Ab12", "sk-proj", "123456", "their-id"):
                assert secret not in reply.text
            event = gateway.books()[-1]
            assert (event.cost, event.status, event.upstream_status) == (0, status, theirs)
            assert event.upstream_request_id == "their-id-1"
            from hontoni.asgi import v1

            assert v1.upstream is not None
            v1.upstream.forget()  # a refused key's breaker is open


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_html_is_never_passed_on(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "50")
    for status, told in ((400, 400), (429, 503), (502, 500), (504, 504), (403, 500)):
        page = Fault(status=status, body=HTML, headers={"content-type": "text/html"})
        gateway.vendors.faults.append(page)
        reply = ask(gateway, alice, dialect, model, "hi")
        assert reply.status_code == told and "nginx" not in reply.text


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, b"{}", "7"),
        ({"retry-after": "1.5"}, b"{}", "1.5"),
        ({"retry-after": "86400"}, b"{}", "60"),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"{}", "2"),
        ({"retry-after": "nan"}, b"{}", "2"),
        ({}, b"{}", "2"),
        (
            {},
            orjson.dumps(
                {"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "13s"}]}}
            ),
            "13",
        ),
    ],
)
def test_a_client_is_told_when_to_come_back(
    gateway: Gateway, alice: Person, headers: dict[str, str], body: bytes, seconds: str
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(Fault(status=429, body=body, headers=headers))
    reply = gateway.chat(alice)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, seconds)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_the_vendors_id_of_the_request_is_on_the_receipt(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    """Google's is only in the answer."""
    fund(alice, "10")
    for stream in (False, True):
        reply = ask(gateway, alice, dialect, model, "[[say: hi]]", stream=stream)
        assert reply.status_code == 200
        event = gateway.books()[-1]
        assert event.upstream_request_id
        receipt: Any = alice.client().get(f"/api/usage/{event.request_id}").json()
        assert receipt["upstream_request_id"] == event.upstream_request_id


@pytest.mark.parametrize("dialect", PATHS)
def test_a_refusal_in_an_answer_is_an_answer(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "10")
    for model in MODELS:
        reply = ask(gateway, alice, dialect, model, "[[refuse]]")
        assert reply.status_code == 200, reply.text
    assert all(event.status == 200 for event in gateway.books())


def failed_at_once(code: str, message: str) -> Fault:
    """The Responses API: 200, created, failed."""
    response: dict[str, Any] = {"id": "resp_1", "model": "gpt-5.2", "status": "in_progress"}
    created = {"type": "response.created", "response": response, "sequence_number": 0}
    error = {"error": {"code": code, "message": message}, "status": "failed"}
    failed = {"type": "response.failed", "response": response | error, "sequence_number": 1}
    body = b"".join(
        b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), orjson.dumps(event))
        for event in (created, failed)
    )
    return Fault(body=body, headers={"content-type": "text/event-stream"})


@pytest.mark.parametrize("dialect", PATHS)
def test_an_answer_opened_only_to_fail_is_a_status(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "10")
    for stream in (False, True):
        gateway.vendors.faults.append(failed_at_once("server_is_overloaded", "Busy."))
        reply = ask(gateway, alice, dialect, "gpt-5.2", "hi", stream=stream)
        assert reply.status_code == (503 if stream or dialect != "openai_responses" else 500)
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize("dialect", PATHS)
def test_a_policy_told_in_mid_stream_is_no_fault_of_the_vendors(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    """OpenAI's `bio_policy`: asked of nobody else, and no breaker opens for it."""
    fund(alice, "10")
    for _ in range(FAILURES + 1):
        gateway.vendors.faults.append(failed_at_once("bio_policy", "This request was flagged."))
        reply = ask(gateway, alice, dialect, "gpt-5.2", "hi", stream=True)
        if dialect == "openai_responses":  # as it came
            assert reply.status_code == 200 and "event: response.failed" in reply.text
        else:
            assert reply.status_code == 400
            assert reply.json()["error"]["type"] == "invalid_request_error"
        assert "This request was flagged." in reply.text
    assert len(gateway.vendors.requests) == FAILURES + 1
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize("dialect", PATHS)
def test_a_prompt_found_too_long_in_the_stream_makes_agents_compact(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "10")
    told = "Your input exceeds the context window of this model: 130512 > 128000 tokens."
    gateway.vendors.faults.append(failed_at_once("context_length_exceeded", told))
    reply = ask(gateway, alice, dialect, "gpt-5.2", "hi", stream=True)
    if dialect == "openai_responses":
        assert '"code":"context_length_exceeded"' in reply.text
    elif dialect == "openai_chat":
        assert (reply.status_code, reply.json()["error"]["code"]) == (
            400,
            "context_length_exceeded",
        )
    else:
        assert reply.status_code == 400
        assert "prompt is too long: 130512 tokens > 128000 maximum" in reply.text
