"""What Anthropic refuses in the parameters of a request. The history has a module of its own."""

import re
from collections.abc import Iterator

from sandbox.vendors.conversation import Json, Sent, mapping, objects, walk
from sandbox.vendors.lint import anthropic_history, anthropic_schema, together
from sandbox.vendors.lint.shapes import NUMBER, mistyped, names, subschemas
from sandbox.vendors.vendors import VendorError, describe, version_of

_FIELDS = names(
    "model messages max_tokens system stream temperature top_p top_k stop_sequences tools "
    "tool_choice thinking metadata service_tier container output_config inference_geo speed "
    "cache_control diagnostics user_profile_id workspace_id"
)
_COUNTED = names("model messages system tools tool_choice thinking output_config cache_control")
_BETA_FIELDS = {
    "context_management": ("context-management-", "compact-"),
    "mcp_servers": ("mcp-client-",),
    "output_format": ("structured-outputs-",),
    "thread": ("message-threads-",),
    "fallbacks": ("fallback",),
    "compaction": ("compact",),
    "safeguards": ("dangerous-tool-use-",),
}
_TOOL_FIELDS = names(
    "type name description input_schema cache_control strict defer_loading allowed_callers "
    "eager_input_streaming input_examples"
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NO_SAMPLING = "2026-10-21"


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)
    anthropic_history.check(sent)


def fits(sent: Sent, used: int) -> None:
    """The prompt and `max_tokens` fit the window; beta context-1m widens it (1.9, 4.2)."""
    window = describe(sent.model).window
    if "context-1m" in sent.headers.get("anthropic-beta", ""):
        window = 1_000_000
    limit = 0 if sent.counting else sent.body.get("max_tokens", 0)
    if used > window:
        raise VendorError(f"prompt is too long: {used} tokens > {window} maximum")
    if used + limit > window:
        raise VendorError(
            f"input length and `max_tokens` exceed context limit: {used} + {limit} > {window}, "
            "decrease input length or `max_tokens` and try again"
        )


def fields_have_their_types(sent: Sent) -> None:
    """Numbers are numbers and flags are flags."""
    kinds = {"temperature": NUMBER, "top_p": NUMBER, "top_k": int, "stream": bool, "tools": list}
    kinds |= {"thinking": dict, "output_config": dict, "metadata": dict}
    if field := mistyped(sent.body, kinds):
        raise VendorError(f"{field}: Input has the wrong type")


def only_known_fields(sent: Sent) -> None:
    """A field the API does not know, or knows only with its beta, is refused (upstream 400)."""
    known = _COUNTED if sent.counting else _FIELDS
    betas = sent.headers.get("anthropic-beta", "")
    for field in sent.body:
        if field not in known and not any(b in betas for b in _BETA_FIELDS.get(field, ())):
            raise VendorError(f"{field}: Extra inputs are not permitted")


def required_fields(sent: Sent) -> None:
    """`model`, `messages` and, but for counting, `max_tokens` are required (1.3)."""
    needed = {"model": str, "messages": list} | ({} if sent.counting else {"max_tokens": int})
    for field, kind in needed.items():
        if field not in sent.body:
            raise VendorError(f"{field}: Field required")
        if not isinstance(sent.body[field], kind) or sent.body[field] is True:
            raise VendorError(f"{field}: Input should be a valid {kind.__name__}")


def max_tokens_in_range(sent: Sent) -> None:
    """`max_tokens` goes from 0, which only warms the cache, to what the model can write (1.3)."""
    limit, model = sent.body.get("max_tokens", 0), describe(sent.model)
    if limit < 0:
        raise VendorError("max_tokens: Input should be greater than or equal to 0")
    if limit > model.max_output:
        raise VendorError(
            f"max_tokens: {limit} > {model.max_output}, which is the maximum allowed number of "
            f"output tokens for {sent.model}"
        )


def no_threads(sent: Sent) -> None:
    """Message threads are for accounts that have them (clients.md 4.7)."""
    if "thread" in sent.body:
        raise VendorError(
            "thread: message threads are not supported", code="thread_unsupported_request"
        )


def budget_fits(sent: Sent) -> None:
    """A thinking budget is at least 1,024 and below `max_tokens`; with interleaved thinking and
    tools it may exceed it (1.5, and the vendor's page on extended thinking)."""
    thinking = mapping(sent.body.get("thinking"))
    if thinking.get("type") != "enabled":
        return
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        raise VendorError("thinking.enabled.budget_tokens: Field required")
    if budget < 1024:
        raise VendorError(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    interleaved = "interleaved-thinking" in sent.headers.get("anthropic-beta", "")
    if interleaved and sent.body.get("tools"):
        return
    if not sent.counting and budget >= sent.body["max_tokens"]:
        raise VendorError(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            "documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
        )


def thinking_the_model_knows(sent: Sent) -> None:
    """`adaptive` came with 4.6, `enabled` went with 4.7, `disabled` with 5.5 (1.5)."""
    kind = mapping(sent.body.get("thinking")).get("type")
    if "thinking" in sent.body and kind not in describe(sent.model).thinking:
        raise VendorError(f"thinking.type: '{kind}' thinking is not supported on this model")


def effort_the_model_knows(sent: Sent) -> None:
    """`output_config.effort` came with Opus 4.5 and its levels differ by model (1.5)."""
    effort = mapping(sent.body.get("output_config")).get("effort")
    efforts = describe(sent.model).efforts
    if effort is None:
        return
    if not efforts:
        raise VendorError("This model does not support the effort parameter.")
    if effort not in efforts:
        raise VendorError(f"output_config.effort: Input should be one of {', '.join(efforts)}")


def sampling_the_model_allows(sent: Sent) -> None:
    """Temperature is 0 to 1; from 4.5 on not with `top_p`; none at all on 4.7 and later, nor under
    version 2026-10-21 (1.3, 7)."""
    body, model = sent.body, describe(sent.model)
    given = [field for field in ("temperature", "top_p", "top_k") if body.get(field) is not None]
    for field in given:
        if not model.samples or sent.headers.get("anthropic-version", "") >= _NO_SAMPLING:
            raise VendorError(f"`{field}` is deprecated for this model.")
    if not 0 <= body.get("temperature", 1) <= 1:
        raise VendorError("temperature: range: 0..1")
    if model.samples_one and {"temperature", "top_p"} <= set(given):
        raise VendorError(
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        )


def sampling_while_thinking(sent: Sent) -> None:
    """Thinking allows no temperature but 1, no `top_k`, and `top_p` from 0.95 (1.3)."""
    body = sent.body
    if not _thinks(body):
        return
    if body.get("temperature", 1) != 1:
        raise VendorError("`temperature` may only be set to 1 when thinking is enabled.")
    if "top_k" in body:
        raise VendorError("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p", 1) < 0.95:
        raise VendorError("`top_p` must be greater than or equal to 0.95 with thinking.")


def no_forced_tool_while_thinking(sent: Sent) -> None:
    """With `thinking: enabled` the choice of tool is the model's (1.3, tool_choice)."""
    choice = mapping(sent.body.get("tool_choice")).get("type")
    if _thinks(sent.body) and choice in ("any", "tool"):
        raise VendorError("Thinking may not be enabled when tool_choice forces tool use.")


def tools_are_well_formed(sent: Sent) -> None:
    """Names match [a-zA-Z0-9_-]{1,128} and differ; schemas are objects (1.3, 1.7)."""
    seen: set[object] = set()
    for n, tool in enumerate(objects(sent.body.get("tools"))):
        name = tool.get("name")
        if name in seen:
            raise VendorError("tools: Tool names must be unique.")
        seen.add(name)
        if tool.get("type") in (None, "custom"):
            _own_tool(n, tool)
        elif not re.search(r"_\d{8}$", str(tool["type"])):
            raise VendorError(f"tools.{n}: Input tag '{tool['type']}' found using 'type'")


def _own_tool(n: int, tool: Json) -> None:
    if extra := sorted(set(tool) - _TOOL_FIELDS):
        raise VendorError(f"tools.{n}.custom.{extra[0]}: Extra inputs are not permitted")
    if not isinstance(tool.get("name"), str) or not _NAME.fullmatch(tool["name"]):
        pattern = "^[a-zA-Z0-9_-]{1,128}$"
        raise VendorError(f"tools.{n}.custom.name: String should match pattern '{pattern}'")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise VendorError(f"tools.{n}.custom.input_schema.type: Field required")
    for field in ("oneOf", "allOf", "anyOf"):
        if field in schema:
            raise VendorError(
                f"tools.{n}.custom.input_schema: input_schema does not support oneOf, allOf, or "
                "anyOf at the top level"
            )
    if any("#/definitions/" in str(part.get("$ref")) for part in walk(schema)):
        raise VendorError(
            f"tools.{n}.custom.input_schema: JSON schema is invalid: unresolved $ref"
        )


def tool_choice_is_possible(sent: Sent) -> None:
    """A tool choice is an object, needs tools, and names one of them (1.3)."""
    choice = sent.body.get("tool_choice")
    if choice is None:
        return
    kind = mapping(choice).get("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise VendorError("tool_choice: Input should be a valid dictionary")
    tools = objects(sent.body.get("tools"))
    if not tools and kind != "none":
        raise VendorError("tool_choice may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in {tool.get("name") for tool in tools}:
        raise VendorError(f"Tool '{choice.get('name')}' not found in provided tools")


def structured_output_is_possible(sent: Sent) -> None:
    """Sonnet 4 has no structured output; schemas carry no limits on numbers, lengths or counts,
    and every object is closed (1.3)."""
    config = mapping(sent.body.get("output_config")).get("format") or sent.body.get(
        "output_format"
    )
    form = mapping(config)
    if not form:
        return
    if not describe(sent.model).structured:
        raise VendorError("This model does not support output_config.format.")
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise VendorError("output_config.format.schema: Field required")
    for _, part in subschemas(form["schema"]):
        anthropic_schema.check(part)


def cache_marks_are_allowed(sent: Sent) -> None:
    """At most four breakpoints, of 5m or 1h, the longer ones first (1.3, prompt cache)."""
    marks = list(_marks(sent.body))
    if len(marks) > 4:
        raise VendorError(
            f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."
        )
    ttls = [mapping(mark).get("ttl") or "5m" for mark in marks]
    if any(ttl not in ("5m", "1h") for ttl in ttls):
        raise VendorError("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    if ttls != sorted(ttls):  # "1h" sorts before "5m"
        raise VendorError(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block"
        )


def _marks(body: Json) -> Iterator[object]:
    parts = [*objects(body.get("tools")), *objects(body.get("system"))]
    for message in objects(body.get("messages")):
        for block in objects(message.get("content")):
            parts += [block, *objects(block.get("content"))]
    yield from (part["cache_control"] for part in (*parts, body) if part.get("cache_control"))


def stop_sequences_say_something(sent: Sent) -> None:
    """A stop sequence is not only white space (vendor's 400)."""
    stops = sent.body.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(s, str) and s.strip() for s in stops):
        raise VendorError("stop_sequences: each stop sequence must contain non-whitespace")


def metadata_is_the_user(sent: Sent) -> None:
    """`metadata` holds `user_id` and nothing else (vendor's 400)."""
    for field in mapping(sent.body.get("metadata")):
        if field != "user_id":
            raise VendorError(f"metadata.{field}: Extra inputs are not permitted")


def system_is_text(sent: Sent) -> None:
    """`system` is a string or text blocks that are not empty (1.3)."""
    system = sent.body.get("system")
    if system is not None and not isinstance(system, str | list):
        raise VendorError("system: Input should be a valid string or list")
    for n, block in enumerate(objects(system)):
        if block.get("type") != "text":
            raise VendorError(f"system.{n}.type: Input should be 'text'")
        if not block.get("text"):
            raise VendorError(f"system.{n}: text content blocks must be non-empty")


def _thinks(body: Json) -> bool:
    return mapping(body.get("thinking")).get("type") == "enabled"


def the_service_exists(sent: Sent) -> None:
    """A tier is one of two words; geography came with 4.6; fast mode is Opus 4.6's, by its beta
    (the vendor's pages on data residency and fast mode)."""
    body = sent.body
    if body.get("service_tier") not in (None, "auto", "standard_only"):
        raise VendorError("service_tier: Input should be 'auto' or 'standard_only'")
    geo = body.get("inference_geo")
    if geo not in (None, "us", "global"):
        raise VendorError("inference_geo: Input should be 'us' or 'global'")
    if geo is not None and version_of(sent.model) < 4.6:
        raise VendorError("inference_geo is not supported on this model.")
    if body.get("speed") not in (None, "standard", "fast"):
        raise VendorError("speed: Input should be 'standard' or 'fast'")
    fast = "opus-4-6" in sent.model and "fast-mode-" in sent.headers.get("anthropic-beta", "")
    if body.get("speed") == "fast" and not fast:
        raise VendorError("speed: fast mode is not supported on this model")


def advisors_need_their_beta(sent: Sent) -> None:
    """The advisor tool names its model, and is switched on by a beta (vendor's page on it)."""
    for n, tool in enumerate(objects(sent.body.get("tools"))):
        if not str(tool.get("type")).startswith("advisor_"):
            continue
        if "advisor-tool-" not in sent.headers.get("anthropic-beta", ""):
            raise VendorError(f"tools.{n}: Input tag '{tool['type']}' found using 'type'")
        if not isinstance(tool.get("model"), str):
            raise VendorError(f"tools.{n}.{tool['type']}.model: Field required")


def members_stand_together(sent: Sent) -> None:
    """What the vendor takes only beside another member (`together.ANTHROPIC`)."""
    together.check(sent.body, together.ANTHROPIC)


def a_tool_is_there_from_the_beginning(sent: Sent) -> None:
    """Not every tool is loaded later (the vendor's page on tool search)."""
    tools = objects(sent.body.get("tools"))
    if tools and all(tool.get("defer_loading") for tool in tools):
        raise VendorError("At least one tool must have defer_loading=false.")


RULES = (
    required_fields,
    fields_have_their_types,
    only_known_fields,
    max_tokens_in_range,
    no_threads,
    budget_fits,
    thinking_the_model_knows,
    effort_the_model_knows,
    sampling_the_model_allows,
    sampling_while_thinking,
    no_forced_tool_while_thinking,
    the_service_exists,
    advisors_need_their_beta,
    tools_are_well_formed,
    tool_choice_is_possible,
    structured_output_is_possible,
    cache_marks_are_allowed,
    stop_sequences_say_something,
    metadata_is_the_user,
    system_is_text,
    members_stand_together,
    a_tool_is_there_from_the_beginning,
)
