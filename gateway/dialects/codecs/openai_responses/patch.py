"""A Responses body on its way to a Responses model: the client's own, changed where it must be.

Nothing is stored there; its history is repaired (`history.py`).
"""

from typing import Any

from gateway.dialects.codecs import dependents, thinking
from gateway.dialects.codecs.openai_responses import history
from gateway.dialects.ir import Target, Thinking

_SECRET = "reasoning.encrypted_content"


def patch_request(body: dict[str, Any], target: Target, requested: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking."""
    patched = body | {"model": target.model, "store": False}
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and target.max_output:
        patched["max_output_tokens"] = min(limit, target.max_output)
    if isinstance(body.get("input"), list):
        patched["input"] = history.repaired(body["input"], target)
    _think(patched, target, requested)
    if target.sampling == "none":
        patched.pop("temperature", None)
        patched.pop("top_p", None)
    if patched.get("stream"):
        options = patched.get("stream_options") or {}
        patched["stream_options"] = options | {"include_obfuscation": False}
    return dependents.without_orphans("openai_responses", patched)


def _think(patched: dict[str, Any], target: Target, requested: Thinking) -> None:
    if target.thinking == "none":
        patched.pop("reasoning", None)
        patched["include"] = [name for name in patched.get("include") or () if name != _SECRET]
        return
    settled = thinking.settle(requested, target, patched.get("max_output_tokens"))
    if settled.effort:
        patched["reasoning"] = (patched.get("reasoning") or {}) | {"effort": settled.effort}
    include = patched.get("include") or []
    patched["include"] = include if _SECRET in include else [*include, _SECRET]
