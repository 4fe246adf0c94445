"""How an answer ended, judged by what was said: one rule for every dialect, streamed or whole,
translated or passed through.

* A word for an end that nobody knows is a failure, unless a call was seen: that is what it is for.
* An answer that says how it ended is complete, whatever its vendor leaves out behind it.
* A second answer in the same stream is no part of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed, Finish

_WORDS = {
    "openai_chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
        # of hosts that are compatible in all but this
        "end_turn": "stop",
        "eos": "stop",
        "eos_token": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_length": "length",
        "tool_use": "tool_calls",
    },
    "anthropic_messages": {
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "context_window",
        "refusal": "content_filter",
        "pause_turn": "pause",
        "compaction": "compaction",
    },
    "openai_responses": {
        "completed": "stop",
        "cancelled": "cancelled",
        "max_output_tokens": "length",
        "max_tokens": "length",
        "content_filter": "content_filter",
    },
    "gemini": {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
        "CONTINUATION": "pause",
    },
    "converse": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "context_window",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
    },
}
_MUDDLED = frozenset(
    (
        *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
        *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
        *("malformed_model_output", "malformed_tool_use"),
    )
)
# What each dialect calls an end, where its vendor used another word, or none for calls.
_OWN = {
    "openai_chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
    },
    "anthropic_messages": {"tool_calls": "tool_use"},
}

_NONE: Mapping[str, str] = {}
# What each word means of an answer that called nothing, refused nothing and met no sequence.
_PLAIN = {
    dialect: {raw: Finish(reason, raw) for raw, reason in words.items() if raw not in _MUDDLED}
    for dialect, words in _WORDS.items()
}


def judge(
    dialect: str, raw: str, *, called: bool, refused: bool = False, stop: str | None = None
) -> Finish | Failed:
    """What the vendor's word `raw` means, after an answer that called something or not."""
    if not called and not refused and stop is None and (known := _PLAIN[dialect].get(raw)):
        return known  # nearly always
    if not raw:
        return failures.CUT
    if raw in _MUDDLED:
        return failures.malformed(raw)
    reason = _WORDS[dialect].get(raw)
    if called and reason in (None, "stop"):
        return Finish("tool_calls", raw)
    if reason is None:
        return replace(failures.CUT, vendor_code=raw[:80])
    if refused and reason == "stop":
        return Finish("content_filter", raw)
    return Finish(reason, raw, stop)


def corrected(dialect: str, finish: Finish) -> str:
    """The word to pass on in place of the vendor's; "" if its own will do."""
    own = _OWN.get(dialect, _NONE).get(finish.reason, "")
    refused = finish.reason == "content_filter"  # told by the refusal itself
    same = refused or finish.raw == "function_call" or own in ("", finish.raw)
    return "" if same else own


def rewritten(dialect: str, reply: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a whole answer that say how it ended, where another word is to be passed on;
    each of several answers by itself."""
    if dialect == "openai_chat":
        choices = reply["choices"]
        now = [_in_our_words(choice) for choice in choices]
        return {} if all(a is b for a, b in zip(now, choices, strict=True)) else {"choices": now}
    ended = of_reply(dialect, reply)
    word = corrected(dialect, ended) if isinstance(ended, Finish) else ""
    return {"stop_reason": word} if word else {}


def _in_our_words(choice: Any) -> Any:
    ended = _of_chat({"choices": [choice]})
    word = corrected("openai_chat", ended) if isinstance(ended, Finish) else ""
    return {**choice, "finish_reason": word} if word else choice


def of_reply(dialect: str, reply: Mapping[str, Any]) -> Finish | Failed:
    """How a whole answer ended."""
    if isinstance(reply.get("error"), dict) or reply.get("type") == "error":
        return failures.decode(reply)
    return _OF_REPLY[dialect](reply)


def of_response(
    response: Mapping[str, Any], *, called: bool, refused: bool = False, compacted: bool = False
) -> Finish | Failed:
    """How one of Responses' ended, by its status."""
    status = str(response.get("status") or "completed")
    if status == "failed":
        return failures.decode(response.get("error") or {})
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    raw = str(reason or status) if status == "incomplete" else status
    found = judge("openai_responses", raw, called=called, refused=refused)
    if compacted and isinstance(found, Finish) and found.reason == "stop":
        return Finish("compaction", raw)
    return found


def _of_chat(reply: Mapping[str, Any]) -> Finish | Failed:
    found: Finish | Failed = failures.CUT
    choices = reply.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if isinstance(choice.get("error"), dict):
            return failures.decode(choice)
        message = choice.get("message")
        said = message if isinstance(message, dict) else {}
        if raw := choice.get("finish_reason"):
            found = judge(
                "openai_chat",
                str(raw),
                called=calls(said),
                refused=bool(said.get("refusal")),
            )
        if isinstance(found, Failed):
            return found
    return found


def calls(message: Mapping[str, Any]) -> bool:
    """Whether one of Chat's messages, or a piece of one, calls something."""
    return bool(message.get("tool_calls") or message.get("function_call"))


def _of_message(reply: Mapping[str, Any]) -> Finish | Failed:
    raw = reply.get("stop_reason")
    called = any(block.get("type") == "tool_use" for block in _objects(reply.get("content")))
    stop = reply.get("stop_sequence")
    return judge(
        "anthropic_messages",
        str(raw or ""),
        called=called,
        stop=stop if isinstance(stop, str) else None,
    )


def _of_whole_response(reply: Mapping[str, Any]) -> Finish | Failed:
    kinds = {str(item.get("type")) for item in _objects(reply.get("output"))}
    called = not kinds.isdisjoint(CALLS)
    parts = (p for i in _objects(reply.get("output")) for p in _objects(i.get("content")))
    refused = any(part.get("type") == "refusal" for part in parts)
    return of_response(reply, called=called, refused=refused, compacted="compaction" in kinds)


CALLS = frozenset(("function_call", "custom_tool_call", "tool_search_call"))
_OF_REPLY = {
    "openai_chat": _of_chat,
    "anthropic_messages": _of_message,
    "openai_responses": _of_whole_response,
}


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()
