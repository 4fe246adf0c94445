"""/v1/responses/compact: a conversation in, a shorter one to go on from out.

OpenAI's models are asked at OpenAI's own endpoint. On any other the same request ends with a
trigger, and the model writes a summary (`gateway/dialects/codecs/summaries.py`). Either is a
request like another: admitted, held for, billed by what the vendor counted.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import summaries
from gateway.dialects.codecs.openai_responses import history
from gateway.dialects.ir import Target
from gateway.dialects.json_patch import parse
from gateway.plane import members
from gateway.state import conversation

_LARGE = 262_144
_CLIENTS = ("function", "custom", "namespace")  # tools that a client runs
# What OpenAI takes there.
_NATIVE = (
    *("model", "input", "instructions", "prompt_cache_key", "prompt_cache_options"),
    *("prompt_cache_retention", "service_tier"),
)
# What belongs to an answer, which there will be none of.
_OF_ANSWERS = (
    *("stream", "stream_options", "background", "store", "max_output_tokens", "text"),
    *("tool_choice", "include", "max_tool_calls", "top_logprobs", "truncation"),
    *("parallel_tool_calls", "context_management"),
)


async def requested(body: bytes) -> bytes:
    """The request that makes a compaction of what a body says. Raises BadRequest."""
    if len(body) > _LARGE:
        return await asyncio.to_thread(_requested, body)
    return _requested(body)


def _requested(body: bytes) -> bytes:
    parsed = parse(body)
    members.agree(body, parsed)
    kept = {name: value for name, value in parsed.items() if name not in _OF_ANSWERS}
    if isinstance(tools := kept.get("tools"), list):  # of the conversation: nobody runs any now
        kept["tools"] = [each for each in tools if not _is_hosted(each)]
    if not (parsed.get("input") or parsed.get("previous_response_id")):
        return orjson.dumps(kept)  # which is refused in its dialect's words
    said = conversation.items(parsed.get("input"))
    items = [*said, {"type": summaries.TRIGGER}]
    return orjson.dumps(kept | {"input": items, "store": False})


def native(wanted: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """As OpenAI takes it at its own endpoint."""
    items = [item for item in wanted.get("input") or () if not _is_trigger(item)]
    body = {name: wanted[name] for name in _NATIVE if wanted.get(name) is not None}
    return body | {"model": target.model, "input": history.repaired(items, target)}


def _is_hosted(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") not in _CLIENTS


def _is_trigger(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == summaries.TRIGGER


def answered(reply: bytes, asked: Any) -> bytes:
    """The answer that its client waits for: what the user said, and what stands for the rest."""
    response = orjson.loads(reply)
    if response.get("object") == "response.compaction":
        return reply
    made = [item for item in response.get("output") or () if item.get("type") == "compaction"]
    return orjson.dumps(
        {
            "id": response["id"],
            "object": "response.compaction",
            "created_at": response.get("created_at") or int(time.time()),
            "output": [*_of_the_user(asked), *made],
            "usage": response.get("usage"),
        }
    )


def _of_the_user(asked: Any) -> Iterator[dict[str, Any]]:
    for at, item in enumerate(conversation.items(asked)):
        if isinstance(item, dict) and item.get("role") == "user":
            content = item.get("content")
            if isinstance(content, str):
                content = [{"type": "input_text", "text": content}]
            told = {"type": "message", "role": "user", "status": "completed", "content": content}
            yield {"id": item.get("id") or f"msg_{at:032x}", **told}
