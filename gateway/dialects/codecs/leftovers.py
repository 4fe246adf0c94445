"""What of a client's body another dialect has no words for: not sent, and so told."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import hosted, opaque
from gateway.dialects.ir import Request, Target, Tool

_MOST, _LONGEST = 20, 80
# What decoding reads; and what changes neither the answer nor the bill where it is missing.
_READ = {
    "anthropic_messages": """
        max_tokens messages metadata model output_config output_format stop_sequences stream
        system temperature thinking thread tool_choice tools top_k top_p cache_control
    """,
    "openai_chat": """
        frequency_penalty function_call functions logprobs max_completion_tokens max_tokens
        messages metadata modalities model n parallel_tool_calls presence_penalty
        prompt_cache_key reasoning reasoning_effort response_format safety_identifier seed stop
        stop_sequences stream stream_options system temperature thinking thinking_budget
        tool_choice tools
        top_k top_logprobs top_p user verbosity prompt_cache_options prompt_cache_retention store
        web_search_options
    """,
    "openai_responses": """
        background conversation input instructions max_output_tokens metadata model
        parallel_tool_calls previous_response_id prompt prompt_cache_key reasoning
        safety_identifier stream stream_options temperature text tool_choice tools top_logprobs
        top_p user client_metadata include max_tool_calls prompt_cache_options
        prompt_cache_retention store truncation
    """,
    "openai_completions": """
        best_of echo frequency_penalty logprobs max_tokens model n presence_penalty prompt
        reasoning_effort seed stop stream stream_options suffix temperature top_p user
    """,
    "gemini": """
        contents systemInstruction generationConfig tools toolConfig model stream maxOutputTokens
        stop_sequences
    """,
}
_KNOWN = {dialect: frozenset(names.split()) for dialect, names in _READ.items()}
_CONFIG = frozenset(
    (
        *("candidateCount", "frequencyPenalty", "logprobs", "maxOutputTokens", "presencePenalty"),
        *("responseJsonSchema", "responseLogprobs", "responseMimeType", "responseModalities"),
        *("responseSchema", "seed", "stopSequences", "temperature", "thinkingConfig"),
        *("topK", "topP"),
    )
)
_STANDARD = {"service_tier": ("auto", "default", "standard_only"), "speed": ("standard",)}


def left_out(
    dialect: str, body: Mapping[str, Any], request: Request, target: Target, why: str = ""
) -> tuple[str, ...]:
    """`kind:name` of each; `why` is said of a tool that the target could run."""
    if dialect == "openai_chat" and body.get("input") and not body.get("messages"):
        dialect = "openai_responses"  # Cursor posts these to Chat's path
    known = _KNOWN[dialect]
    given = [] if known.issuperset(body) else list(_members(body, known))
    if dialect == "gemini" and isinstance(config := body.get("generationConfig"), dict):
        inner = (each.partition(":")[2] for each in _members(config, _CONFIG))
        given += [f"member:generationConfig.{name}" for name in inner]
    given += [f"tool:{name}" for name in _tools(request, target, why)]
    given += [f"block:{name}" for name in opaque.left_out(request, target)]
    return tuple(dict.fromkeys(each[:_LONGEST] for each in given))[:_MOST]


def _members(body: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    for name, value in body.items():
        plain = isinstance(value, str) and value in _STANDARD.get(name, ())
        if name not in known and not plain and value not in (None, False, [], {}, ""):
            yield f"member:{name}"


def _tools(request: Request, target: Target, why: str) -> Iterator[str]:
    for tool in request.tools:
        if tool.kind == "hosted" and not hosted.runs(tool, request, target):
            yield f"{_type(tool)}{why if hosted.word(tool) or hosted.ours(tool.raw or {}) else ''}"


def _type(tool: Tool) -> str:
    return str((tool.raw or {}).get("type") or tool.name)
