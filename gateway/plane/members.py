"""Members that decide what a request costs and can be read in two ways: refused, by name.

JSON may say a member twice, and there are servers to whom "MODEL" is "model". We would price one
reading, and the vendor follow the other. What only describes (the arguments of a call, a schema,
metadata) is free: it costs its bytes, however it is read.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from gateway.dialects.json_patch import parse
from hontoni.errors import BadRequest

# At the top of a body of any dialect.
_TOP = frozenset(
    (
        *("model", "messages", "input", "system", "instructions", "prompt", "tools", "functions"),
        *("tool_choice", "function_call", "stream", "stream_options", "n", "max_tokens"),
        *("max_completion_tokens", "max_output_tokens", "max_tool_calls", "thinking"),
        *("thinking_budget", "reasoning", "reasoning_effort", "output_config", "stop"),
        *("stop_sequences", "service_tier", "speed", "inference_geo", "fallbacks", "mcp_servers"),
        *("container", "context_management", "web_search_options", "modalities", "prediction"),
        *("background", "store", "previous_response_id", "conversation", "cache_control"),
        *("response_format", "text", "betas", "include", "truncation", "verbosity"),
        *("size", "quality", "partial_images", "dimensions", "best_of", "suffix", "voice"),
    )
)
# In the small objects that decide how much is done.
_WITHIN = frozenset(
    (
        *("type", "name", "budget_tokens", "effort", "display", "include_usage", "max_uses"),
        *("max_tokens", "max_tokens_to_sample", "model", "summary", "format", "edits", "trigger"),
    )
)
_SETTINGS = (
    *("thinking", "reasoning", "output_config", "stream_options", "tool_choice"),
    "context_management",
)
# Free JSON: nothing in it is priced by what it says.
_FREE = frozenset(
    (
        *("arguments", "args", "input_schema", "parameters", "schema", "metadata", "properties"),
        *("logit_bias", "cache_hints", "user_location", "$defs", "definitions"),
        *("response", "responseSchema", "responseJsonSchema", "parametersJsonSchema", "labels"),
    )
)
_LOOKED_INTO = frozenset((*_SETTINGS, "tools"))
_ESCAPE = b"\\u00"
_LARGE = 262_144  # bytes, beyond which the exact look is not for the event loop


class Written(dict[str, Any]):
    """A body as it was parsed, where what is sent on is not its bytes but these members, written
    anew: nothing in it is said twice, or spelled in a way of its own."""


def written(body: Mapping[str, Any]) -> bytes:
    """As we write it. Raises BadRequest for what is nested too deeply."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        if "Recursion" in str(error):
            raise _too_deep() from None
        raise


async def check(body: bytes) -> None:
    """The closer look at a body that is not plain. Raises BadRequest."""
    if len(body) <= _LARGE:
        twice = _twice(body)
    else:
        twice = await asyncio.to_thread(_twice, body)
    if twice:
        raise BadRequest(f"{twice} occurs twice.", param=twice)


def agree(body: bytes, parsed: dict[str, Any]) -> None:
    """The whole look, of a body that is written anew before anybody understands it: what stood
    there twice would be there once. Blocking for as long as it is large. Raises BadRequest."""
    look(parsed)
    if not spelling(body, parsed)[0] and (twice := _twice(body)):
        raise BadRequest(f"{twice} occurs twice.", param=twice)


def parsed(raw: bytes) -> dict[str, Any]:
    """A small body, parsed and looked at as by `agree`. Raises BadRequest."""
    found = parse(raw)
    agree(raw, found)
    return found


async def agreed(body: bytes, parsed: dict[str, Any]) -> None:
    """As `agree`, beside the event loop if that is much work."""
    if len(body) <= _LARGE:
        agree(body, parsed)
    else:
        await asyncio.to_thread(agree, body, parsed)


def look(parsed: dict[str, Any]) -> None:
    """The names alone, of the body and of what decides how much is done. Raises BadRequest."""
    if not _TOP.issuperset(parsed):
        _same_case(parsed.keys() - _TOP, _TOP, "")
    if not _LOOKED_INTO.isdisjoint(parsed):
        _settings(parsed)


def spelling(body: bytes, parsed: dict[str, Any]) -> tuple[bool, bool]:
    """Whether it is plain that nothing is said twice, and whether there are letters, or quotes,
    that are spelled as escapes without need.

    Nearly every program writes JSON as we write it, and then neither is so. Else what was parsed
    has as many quotes, written again, as the body itself, unless something was said twice or a
    quote is spelled. Raises BadRequest.
    """
    if type(parsed) is Written:
        return True, False
    try:
        again = written(parsed)
    except orjson.JSONEncodeError:
        return False, _ESCAPE in body
    if again == body:
        return True, False
    escapes = _ESCAPE in body
    plain = body.count(b'"') == again.count(b'"') and not (escapes and b"\\u0022" in body)
    return plain, escapes


def _too_deep() -> BadRequest:
    return BadRequest("The request body is nested too deeply.", code="invalid_json")


def _same_case(odd: Iterable[str], known: frozenset[str], where: str) -> None:
    for name in odd:
        if name not in known and name.casefold().strip() in known:
            shown = f"{where}{name}"
            right = name.casefold().strip()
            raise BadRequest(f"{shown[:100]}: write {where}{right}.", param=shown[:100])


def _settings(parsed: dict[str, Any]) -> None:
    for name in _SETTINGS:
        if isinstance(given := parsed.get(name), dict):
            _same_case(given.keys() - _WITHIN, _WITHIN, f"{name}.")
    tools = parsed.get("tools")
    for at, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and not _WITHIN.issuperset(tool):
            _same_case(tool.keys() - _WITHIN, _WITHIN, f"tools[{at}].")


class _Object(dict[str, Any]):
    """An object that remembers which of its members was said twice."""

    twice = ""


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        made.twice = next(name for at, name in enumerate(names) if name in names[:at])
    return made


def _twice(body: bytes) -> str:
    """The path of a member said twice, outside free JSON; "" if there is none."""
    text = body.decode("utf-8", "replace")
    pending: list[tuple[str, Any]] = [("", json.loads(text, object_pairs_hook=_object))]
    while pending:
        where, node = pending.pop()
        if isinstance(node, _Object):
            if node.twice:
                return f"{where}.{node.twice}".lstrip(".")[:100]
            pending += _members(where, node)
        elif isinstance(node, list):
            pending += [(f"{where}[{at}]", each) for at, each in enumerate(node)]
    return ""


def _members(where: str, node: _Object) -> Iterator[tuple[str, Any]]:
    called = node.get("type") in ("tool_use", "server_tool_use", "mcp_tool_use")
    for name, value in node.items():
        if name not in _FREE and not (called and name == "input"):
            yield f"{where}.{name}", value
