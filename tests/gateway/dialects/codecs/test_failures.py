"""Section 4.2 of the protocol map: whose fault it is, and what the client is told."""

from typing import Any

import pytest

from gateway.dialects.codecs import failures
from hontoni.errors import BadRequest, PaymentRequired, Unavailable, UpstreamFailed
from tests.gateway.dialects.codecs.world import row


def openai(message: str, code: Any = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code, "param": None}}


def claude(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def gemini(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message}}


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (400, openai("Bad tool"), 400),
        (400, claude("invalid_request_error", "Bad tool"), 400),
        (400, [gemini(400, "INVALID_ARGUMENT", "Bad tool")], 400),
        (401, openai("Incorrect key", "invalid_api_key"), 500),
        (403, claude("permission_error", "no"), 500),
        (400, gemini(400, "INVALID_ARGUMENT", "API key not valid. API_KEY_INVALID"), 500),
        (429, openai("You exceeded your quota", "insufficient_quota"), 500),
        (400, claude("invalid_request_error", "Your credit balance is too low"), 500),
        (402, claude("billing_error", "pay"), 500),
        (404, openai("no such model", "model_not_found"), 404),
        (400, openai("gone", "model_decommissioned"), 404),
        (410, openai("The model `gpt-3` has been deprecated."), 404),
        (404, "<html>", 500),
        (404, openai("The model `gpt-9` does not exist or you have no access to it."), 404),
        (404, claude("not_found_error", "model: claude-9"), 404),
        (404, claude("not_found_error", "File not found: file_1"), 404),
        (404, openai("Item with id 'msg_1' not found. Items are not persisted."), 404),
        (404, openai("Item with id 'rs_1' not found. Items are not persisted."), 400),
        (404, openai("No such File object: file-1"), 404),
        (403, gemini(403, "PERMISSION_DENIED", "No permission to access the File x"), 403),
        (413, claude("request_too_large", "too large"), 413),
        (429, openai("Rate limit", "rate_limit_exceeded"), 503),
        (429, gemini(429, "RESOURCE_EXHAUSTED", "Quota"), 503),
        (529, claude("overloaded_error", "Overloaded"), 503),
        (503, gemini(503, "UNAVAILABLE", "Overloaded"), 503),
        (500, claude("api_error", "Internal"), 500),
        (504, gemini(504, "DEADLINE_EXCEEDED", "late"), 504),
        (524, "<html>", 504),
        (502, None, 500),
    ],
)
def test_a_vendors_error_is_answered_as_whose_fault_it_is(
    status: int, body: Any, answer: int
) -> None:
    assert failures.decode(body, status).status == answer


def test_only_the_clients_own_faults_keep_the_vendors_words() -> None:
    kept = failures.decode(openai("Bad tool 'x'"), 400)
    ours = failures.decode(openai("Key sk-abc of org-1 is wrong", "invalid_api_key"), 401)
    page = failures.parse(b"<html>secret</html>", 502)
    assert kept.message == "Bad tool 'x'"
    assert "sk-abc" not in ours.message and "secret" not in page.message


@row("098")
@pytest.mark.parametrize(
    "told",
    [
        openai(
            "This model's maximum context length is 128000 tokens, got 130512.",
            "context_length_exceeded",
        ),
        openai("Your input exceeds the context window of this model. 128000, 130512", 400),
        gemini(
            400,
            "INVALID_ARGUMENT",
            "The input token count (130512) exceeds the maximum number allowed (128000).",
        ),
        claude("invalid_request_error", "prompt is too long: 130512 tokens > 128000 maximum"),
    ],
    ids=["openai", "numeric code", "gemini", "claude"],
)
def test_an_overlong_prompt_makes_every_agent_compact(told: Any) -> None:
    failed = failures.decode(told, 400)
    raised = failures.error(failed)
    assert isinstance(raised, BadRequest) and raised.code == "context_length_exceeded"
    body = failures.body(raised, "req_1", "anthropic_messages")
    assert body["error"]["type"] == "invalid_request_error"
    assert "prompt is too long: 130512 tokens > 128000 maximum" in body["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        "The encrypted content gAAA could not be verified.",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
        "The block is bound to a different conversation",
        "Function call is missing a thought_signature in functionCall parts",
        "Item with id 'rs_123' not found.",
    ],
)
def test_a_stale_secret_is_told_apart_to_be_retried_without(message: str) -> None:
    assert failures.decode(openai(message), 400).vendor_code == failures.STALE


def test_when_to_come_back_is_kept() -> None:
    raised = failures.error(failures.decode(openai("slow"), 429, retry_after=1.5))
    assert isinstance(raised, Unavailable) and raised.headers == {"retry-after": "1.5"}


def test_our_own_error_can_end_a_stream() -> None:
    failed = failures.of(PaymentRequired("Top up"))
    assert (failed.status, failed.code) == (402, "insufficient_balance")
    assert isinstance(failures.error(failures.CUT), UpstreamFailed)
