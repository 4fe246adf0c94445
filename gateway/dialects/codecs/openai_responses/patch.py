"""A Responses body on its way to a Responses model: the client's own, changed where it must be.

* Nothing is stored: reasoning goes by its secret and without its id; without a secret it would
  not be found, so it is left out.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, thinking
from gateway.dialects.ir import Target, Thinking

_SECRET = "reasoning.encrypted_content"


def patch_request(body: dict[str, Any], target: Target, requested: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking."""
    patched = body | {"model": target.model, "store": False}
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and target.max_output:
        patched["max_output_tokens"] = min(limit, target.max_output)
    if isinstance(body.get("input"), list):
        patched["input"] = [each for item in body["input"] for each in _item(item, target)]
    _think(patched, target, requested)
    if target.sampling == "none":
        patched.pop("temperature", None)
        patched.pop("top_p", None)
    if patched.get("stream"):
        options = patched.get("stream_options") or {}
        patched["stream_options"] = options | {"include_obfuscation": False}
    return patched


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """A patched body for the one retry after OpenAI called an encrypted item stale."""
    raw = body.get("input")
    if not isinstance(raw, list):
        return body
    kept = [i for i in raw if not (isinstance(i, dict) and i.get("type") == "reasoning")]
    return body | {"input": kept}


def _think(patched: dict[str, Any], target: Target, requested: Thinking) -> None:
    if target.thinking == "none":
        patched.pop("reasoning", None)
        return
    settled = thinking.settle(requested, target, patched.get("max_output_tokens"))
    if settled.effort:
        patched["reasoning"] = (patched.get("reasoning") or {}) | {"effort": settled.effort}
    include = patched.get("include") or []
    patched["include"] = include if _SECRET in include else [*include, _SECRET]


def _item(item: Any, target: Target) -> Iterator[Any]:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        yield item
        return
    secret = item.get("encrypted_content")
    kept = [carrier.closed(secret, "openai", "encrypted_content")] if secret else []
    for each in carrier.fitting(kept, target):
        raw = {k: v for k, v in item.items() if k != "id"}
        yield raw | {"encrypted_content": each.data}
