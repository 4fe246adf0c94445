"""The response object: what it echoes of the request, and its items."""

from typing import Any

from gateway.dialects.ir import Failed, Finish, Head
from hontoni.errors import page

_INCOMPLETE = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
}
_CODES = {400: "invalid_prompt", 402: "insufficient_quota", 429: "rate_limit_exceeded"}


def skeleton(head: Head) -> dict[str, Any]:
    """All that does not change while the answer grows."""
    body = head.body
    text = body.get("text") or {}
    reasoning = body.get("reasoning") or {}
    return {
        "id": f"resp_{head.reply_id}",
        "object": "response",
        "created_at": head.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": body.get("metadata") or {},
        "model": head.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": _or(body.get("temperature"), 1.0),
        "text": {"format": {"type": "text"}} | text,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": _or(body.get("top_p"), 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
    }


def _or(value: Any, default: float) -> Any:
    return default if value is None else value


def ended(end: Finish | Failed, refused: bool) -> dict[str, Any]:
    """Status, error and details of a response that is over."""
    if isinstance(end, Failed):
        return {"status": "failed", "error": encode_error(end)}
    reason = _INCOMPLETE.get(end.reason)
    # A refusal that was said is an answer; one that was not is an answer missing.
    if reason is None or (reason == "content_filter" and refused):
        return {"status": "completed"}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def _code(failed: Failed) -> str:
    """The words Codex acts on (protocols.md section 4.4)."""
    if failed.code in ("context_length_exceeded", "insufficient_quota"):
        return failed.code
    if failed.type == "overloaded_error":
        return "server_is_overloaded"
    return _CODES.get(failed.status, "server_error")


def encode_error(failed: Failed) -> dict[str, Any]:
    """What a failed response holds as its error."""
    return {"code": _code(failed), "message": failed.message, **page(failed.code)}
