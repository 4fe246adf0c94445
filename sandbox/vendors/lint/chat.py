"""What OpenAI refuses on /v1/chat/completions."""

from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.dialect import texts
from sandbox.vendors.lint import openai, together
from sandbox.vendors.lint.openai import fits as fits
from sandbox.vendors.lint.shapes import NUMBER, names
from sandbox.vendors.vendors import VendorError, describe

_FIELDS = names(
    "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens "
    "max_tokens messages metadata modalities model moderation n parallel_tool_calls prediction "
    "presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream "
    "stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options"
)
_MESSAGE_FIELDS = names(
    "role content name tool_calls tool_call_id refusal audio function_call annotations"
)
_PARTS = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "system": ("text",),
    "developer": ("text",),
}
_SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "logit_bias",
)


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)


def _messages(sent: Sent) -> list[Json]:
    return objects(sent.body.get("messages"))


def the_service_exists(sent: Sent) -> None:
    """A tier the model has; only the search models search on Chat (vendor's page on search)."""
    openai.tier(sent)
    if sent.body.get("web_search_options") is not None:
        raise openai.bare(
            "web_search_options", "Web search options not supported with this model."
        )


def required_fields(sent: Sent) -> None:
    """`model`, and `messages` with at least one in it (1.3)."""
    for field in ("model", "messages"):
        if field not in sent.body:
            raise openai.missing(field)
    found = sent.body["messages"]
    if not isinstance(found, list) or not all(isinstance(m, dict) for m in found):
        raise VendorError(
            "Invalid type for 'messages': expected an array of objects.",
            param="messages",
            code="invalid_type",
        )
    if not found:
        raise VendorError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
            param="messages",
            code="empty_array",
        )


def the_model_chats(sent: Sent) -> None:
    """Codex models are on /v1/responses only (0.4)."""
    if not describe(sent.model).chat:
        raise VendorError(
            "This model is only supported in v1/responses and not in v1/chat/completions.",
            status=404,
            param="model",
        )


def only_known_fields(sent: Sent) -> None:
    """A field the API does not know is refused, in messages too: `cache_control` (1.3)."""
    for field in sent.body:
        if field not in _FIELDS:
            raise openai.unknown(field)
    for n, message in enumerate(_messages(sent)):
        for field in message:
            if field not in _MESSAGE_FIELDS:
                raise openai.unknown(f"messages[{n}].{field}")
        for m, part in enumerate(objects(message.get("content"))):
            if "cache_control" in part:
                raise openai.unknown(f"messages[{n}].content[{m}].cache_control")


def fields_have_their_types(sent: Sent) -> None:
    """Numbers are numbers and flags are flags."""
    kinds = {"temperature": NUMBER, "top_p": NUMBER, "n": int, "stream": bool, "tools": list}
    kinds |= {"max_tokens": int, "max_completion_tokens": int, "response_format": dict}
    kinds |= {"stream_options": dict, "seed": int, "stop": (str, list), "logprobs": bool}
    openai.types(sent.body, kinds)


def limits_are_in_range(sent: Sent) -> None:
    """gpt-5 takes `max_completion_tokens` only; both at once, 0 and too much are refused (1.3)."""
    body, model = sent.body, describe(sent.model)
    old, new = body.get("max_tokens"), body.get("max_completion_tokens")
    if old is not None and model.reasons:
        raise openai.unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    if old is not None and new is not None:
        raise openai.bare(
            "max_tokens", "Setting 'max_tokens' and 'max_completion_tokens' is not supported."
        )
    limit = new if old is None else old
    if limit is not None and limit < 1:
        raise openai.bare("max_tokens", "Invalid 'max_tokens': integer below minimum value 1.")
    if limit is not None and limit > model.max_output:
        raise openai.bare(
            "max_tokens",
            f"max_tokens is too large: {limit}. This model supports at most {model.max_output} "
            "completion tokens, whereas you provided more.",
        )
    if not 1 <= (body.get("n") or 1) <= 128:
        raise openai.bare("n", "Invalid 'n': expected a value from 1 to 128.")


def reasoning_is_known(sent: Sent) -> None:
    """gpt-4o and gpt-4.1 know no `reasoning_effort`; the others have their own levels (1.5)."""
    effort, model = sent.body.get("reasoning_effort"), describe(sent.model)
    if effort is not None and not model.reasons:
        raise VendorError("Unrecognized request argument supplied: reasoning_effort")
    openai.effort("reasoning_effort", effort, model)


def no_tools_beside_reasoning(sent: Sent) -> None:
    """From gpt-5.6 on Chat refuses function tools together with reasoning (0.4)."""
    model, effort = describe(sent.model), sent.body.get("reasoning_effort")
    if "max" in model.efforts and sent.body.get("tools") and effort not in (None, "none"):
        raise VendorError(
            "Function tools with reasoning are not supported for this model in "
            "/v1/chat/completions. Please use /v1/responses instead.",
            param="reasoning_effort",
        )


def sampling_is_allowed(sent: Sent) -> None:
    """No sampling fields while a model reasons (1.3)."""
    effort = sent.body.get("reasoning_effort")
    openai.sampling(sent.body, describe(sent.model), effort, _SAMPLING)


def stops_are_allowed(sent: Sent) -> None:
    """At most four stop sequences, and none for a reasoning model (1.3)."""
    stop = sent.body.get("stop")
    if stop is not None and describe(sent.model).reasons:
        raise openai.unsupported("stop")
    if isinstance(stop, list) and len(stop) > 4:
        raise openai.bare("stop", "Invalid 'stop': array too long. Expected at most 4.")


def stream_options_need_a_stream(sent: Sent) -> None:
    """`stream_options` only with `stream`, and only what exists (2.1)."""
    options = sent.body.get("stream_options")
    if options is None:
        return
    if sent.body.get("stream") is not True:
        raise openai.bare(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
    for field in options:
        if field not in ("include_usage", "include_obfuscation"):
            raise openai.unknown(f"stream_options.{field}")


def tools_are_well_formed(sent: Sent) -> None:
    """Tools are functions or custom ones, described inside; none is no empty list (1.3, 1.7)."""
    tools = sent.body.get("tools")
    if tools == []:
        raise openai.bare("tools", "Invalid 'tools': empty array. Expected at least 1.")
    for n, tool in enumerate(objects(tools)):
        kind = tool.get("type")
        if kind not in ("function", "custom"):
            raise openai.invalid(f"tools[{n}].type", kind, "'function' and 'custom'")
        if not isinstance(tool.get(kind), dict):
            raise openai.missing(f"tools[{n}].{kind}")
        if extra := sorted(set(tool) - {"type", kind}):
            raise openai.unknown(f"tools[{n}].{extra[0]}")
        if kind == "function":
            openai.function(f"tools[{n}].function", tool["function"])
        else:
            openai.tool_name(f"tools[{n}].custom", tool["custom"].get("name"))


def tool_choice_is_possible(sent: Sent) -> None:
    """`tool_choice` and `parallel_tool_calls` need tools; a named one is among them (1.3)."""
    body, tools = sent.body, objects(sent.body.get("tools"))
    for field in ("tool_choice", "parallel_tool_calls"):
        if body.get(field) is not None and not tools:
            raise openai.bare(field, f"'{field}' is only allowed when 'tools' are specified.")
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise openai.invalid("tool_choice", choice, "'none', 'auto', and 'required'")
    if not isinstance(choice, dict) or choice.get("type") == "allowed_tools":
        return
    name = mapping(choice.get("function") or choice.get("custom")).get("name")
    if name is None:
        raise openai.missing("tool_choice.function")
    if name not in {mapping(t.get("function") or t.get("custom")).get("name") for t in tools}:
        raise openai.bare("tool_choice", f"Tool choice '{name}' not found in 'tools' parameter.")


def the_format_is_possible(sent: Sent) -> None:
    """A JSON schema is named and sound; `json_object` wants the word JSON in the prompt (1.3)."""
    form = mapping(sent.body.get("response_format"))
    kind = form.get("type")
    if form and kind not in ("text", "json_object", "json_schema"):
        raise openai.invalid("response_format.type", kind, "'text', 'json_object', 'json_schema'")
    if kind == "json_schema":
        where = "response_format.json_schema"
        if not isinstance(form.get("json_schema"), dict):
            raise openai.missing(where)
        openai.json_schema(where, form["json_schema"])
    if kind == "json_object":
        said = "\n".join(texts(m.get("content"), "text") for m in _messages(sent))
        openai.mentions_json("messages", said)


def messages_are_well_formed(sent: Sent) -> None:
    """Each role takes its own parts; only a calling assistant may say nothing (1.3)."""
    for n, message in enumerate(_messages(sent)):
        role, content = message.get("role"), message.get("content")
        if role not in _PARTS:
            raise openai.invalid(f"messages[{n}].role", role, "'system', 'assistant', 'user' ...")
        excused = role == "assistant" and (message.get("tool_calls") or message.get("refusal"))
        if content == []:
            where = f"messages[{n}].content"
            raise openai.bare(where, f"Invalid '{where}': empty array. Expected at least 1.")
        if content is None and not excused:
            raise VendorError(
                f"Invalid value for 'content': expected a string, got null. messages[{n}]",
                param=f"messages.[{n}].content",
            )
        for m, part in enumerate(objects(content)):
            where = f"messages[{n}].content[{m}]"
            if part.get("type") not in _PARTS[role]:
                raise openai.invalid(where, part.get("type"), ", ".join(_PARTS[role]))
            if part.get("type") == "image_url":
                openai.picture(where, mapping(part.get("image_url")).get("url"))


def calls_are_well_formed(sent: Sent) -> None:
    """A call has an id of at most 64 characters and its arguments as text (1.3, tool call)."""
    for n, message in enumerate(_messages(sent)):
        if message.get("tool_calls") == []:
            raise openai.bare(f"messages[{n}].tool_calls", "empty array. Expected at least 1.")
        for m, call in enumerate(objects(message.get("tool_calls"))):
            where = f"messages[{n}].tool_calls[{m}]"
            if not isinstance(call.get("id"), str) or len(call["id"]) > 64:
                raise openai.bare(f"{where}.id", f"Invalid '{where}.id': at most 64 characters.")
            called = mapping(call.get("function") or call.get("custom"))
            if not isinstance(called.get("arguments", called.get("input")), str):
                raise openai.bare(where, f"Invalid type for '{where}.function.arguments'.")
            openai.tool_name(f"{where}.function", called.get("name"))


def results_answer_calls(sent: Sent) -> None:
    """Every call is answered by the `tool` messages right behind it, and nothing else is (1.3)."""
    pending: list[object] = []
    for n, message in enumerate(_messages(sent)):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in pending:
                raise VendorError(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    param=f"messages.[{n}].role",
                )
            pending.remove(message["tool_call_id"])
            continue
        _answered(n, pending)
        pending = [call.get("id") for call in objects(message.get("tool_calls"))]
    _answered(len(_messages(sent)), pending)


def _answered(n: int, missing: list[object]) -> None:
    if missing:
        raise VendorError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(map(str, missing)),
            param=f"messages.[{n}].role",
        )


def members_stand_together(sent: Sent) -> None:
    """What the vendor takes only beside another member (`together.CHAT`)."""
    together.check(sent.body, together.CHAT)


RULES = (
    required_fields,
    the_service_exists,
    the_model_chats,
    only_known_fields,
    fields_have_their_types,
    limits_are_in_range,
    reasoning_is_known,
    no_tools_beside_reasoning,
    sampling_is_allowed,
    stops_are_allowed,
    stream_options_need_a_stream,
    tools_are_well_formed,
    tool_choice_is_possible,
    the_format_is_possible,
    messages_are_well_formed,
    calls_are_well_formed,
    results_answer_calls,
    members_stand_together,
)
