"""A Responses body on its way to a Responses model: the client's own, changed where it must be.

* Nothing is stored: reasoning goes by its secret and without its id; without a secret it would
  not be found, so it is left out.
* Tools that OpenAI itself runs cost money of their own: forwarded only where they are priced,
  left out elsewhere, and refused where the choice forces one.
"""

from collections.abc import Iterator
from typing import Any, TypeGuard

from gateway.codecs import carrier, thinking, wire
from gateway.codecs.openai_responses.request import refuse_impossible
from gateway.ir import Target, Thinking

_HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp")
_SECRET = "reasoning.encrypted_content"


def patch_request(body: dict[str, Any], target: Target, asked: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking. BadRequest for what
    points at a stored response."""
    refuse_impossible(body)
    patched = {k: v for k, v in body.items() if k != "service_tier"}
    patched |= {"model": target.model, "store": False}
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and target.max_output:
        patched["max_output_tokens"] = min(limit, target.max_output)
    if isinstance(body.get("input"), list):
        patched["input"] = [each for item in body["input"] for each in _item(item, target)]
    if not target.hosted:
        _without_hosted(patched, str(body.get("model")))
    _think(patched, target, asked)
    if target.sampling == "none":
        patched.pop("temperature", None)
        patched.pop("top_p", None)
    if patched.get("stream"):
        options = patched.get("stream_options") or {}
        patched["stream_options"] = options | {"include_obfuscation": False}
    return patched


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """A patched body for the one retry after OpenAI called an encrypted item stale."""
    told = body.get("input")
    if not isinstance(told, list):
        return body
    kept = [i for i in told if not (isinstance(i, dict) and i.get("type") == "reasoning")]
    return body | {"input": kept}


def _think(patched: dict[str, Any], target: Target, asked: Thinking) -> None:
    if target.thinking == "none":
        patched.pop("reasoning", None)
        return
    settled = thinking.settle(asked, target, patched.get("max_output_tokens"))
    if settled.effort:
        patched["reasoning"] = (patched.get("reasoning") or {}) | {"effort": settled.effort}
    include = patched.get("include") or []
    patched["include"] = include if _SECRET in include else [*include, _SECRET]


def _without_hosted(patched: dict[str, Any], model: str) -> None:
    """BadRequest where the choice forces what is left out."""
    choice = patched.get("tool_choice")
    if _is_hosted(choice):
        wire.unsupported("tool_choice", f"{choice['type']} is not available on {model}")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = _free(choice.get("tools"))
        patched["tool_choice"] = choice | {"tools": allowed} if allowed else "none"
    if isinstance(patched.get("tools"), list):
        patched["tools"] = _free(patched["tools"])
        if not patched["tools"]:
            for name in ("tools", "tool_choice", "parallel_tool_calls"):
                patched.pop(name, None)


def _free(tools: Any) -> list[Any]:
    return [tool for tool in tools or () if not _is_hosted(tool)]


def _is_hosted(tool: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(tool, dict) and str(tool.get("type")).startswith(_HOSTED)


def _item(item: Any, target: Target) -> Iterator[Any]:
    if isinstance(item, dict) and item.get("type") == "additional_tools" and not target.hosted:
        yield item | {"tools": _free(item.get("tools"))}
        return
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        yield item
        return
    secret = item.get("encrypted_content")
    kept = [carrier.closed(secret, "openai", "encrypted_content")] if secret else []
    for each in carrier.fitting(kept, target):
        told = {k: v for k, v in item.items() if k != "id"}
        yield told | {"encrypted_content": each.data}
