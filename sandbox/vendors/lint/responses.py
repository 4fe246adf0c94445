"""What OpenAI refuses in the parameters on /v1/responses. The items have a module of their own."""

from sandbox.vendors import compaction
from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.dialect import texts
from sandbox.vendors.lint import openai, responses_items, together
from sandbox.vendors.lint.openai import fits as fits
from sandbox.vendors.lint.shapes import NUMBER, names
from sandbox.vendors.vendors import VendorError, describe

_FIELDS = names(
    "access_programs background background_options client_metadata context_management "
    "conversation image include input instructions max_output_tokens max_tool_calls metadata "
    "model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key "
    "prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store "
    "stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user"
)
_COUNTED = names(
    "conversation input instructions model parallel_tool_calls previous_response_id reasoning "
    "text tool_choice tools truncation"
)
_COMPACTED = names(
    "image input instructions model previous_response_id prompt_cache_key prompt_cache_options "
    "prompt_cache_retention service_tier"
)
_MOVED = {
    "response_format": "In the Responses API, this parameter has moved to 'text.format'.",
    "max_tokens": "In the Responses API, this parameter has moved to 'max_output_tokens'.",
    "reasoning_effort": "In the Responses API, this parameter has moved to 'reasoning.effort'.",
    "messages": "In the Responses API, this parameter has moved to 'input'.",
}
_INCLUDES = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)
    responses_items.check(sent)


def required_fields(sent: Sent) -> None:
    """`model`, and an `input` that is not empty (1.3)."""
    if "model" not in sent.body:
        raise openai.missing("model")
    given = sent.body.get("input")
    if given is not None and not isinstance(given, str | list):
        raise VendorError("Invalid type for 'input'.", param="input", code="invalid_type")
    if not given:
        raise VendorError(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be "
            "provided.",
            param="input",
            code="missing_required_parameter",
        )


def only_known_fields(sent: Sent) -> None:
    """A field the API does not know is refused; Chat's are told where they went (1.3)."""
    for field in sent.body:
        if hint := _MOVED.get(field):
            raise VendorError(
                f"Unsupported parameter: '{field}'. {hint}",
                param=field,
                code="unsupported_parameter",
            )
        if field not in _known(sent):
            raise openai.unknown(field)


def _known(sent: Sent) -> frozenset[str]:
    if compaction.at_its_door(sent):
        return _COMPACTED
    return _COUNTED if sent.counting else _FIELDS


def fields_have_their_types(sent: Sent) -> None:
    """Numbers are numbers and flags are flags."""
    kinds = {"temperature": NUMBER, "top_p": NUMBER, "max_output_tokens": int, "stream": bool}
    kinds |= {"reasoning": dict, "text": dict, "tools": list, "include": list, "store": bool}
    kinds |= {"instructions": str, "metadata": dict, "stream_options": dict}
    openai.types(sent.body, kinds)


def nothing_is_remembered(sent: Sent) -> None:
    """The sandbox keeps no conversation: the code is the vendor's for one it has lost (1.10)."""
    previous = sent.body.get("previous_response_id")
    if previous is not None:
        raise VendorError(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )


def the_limit_is_in_range(sent: Sent) -> None:
    """`max_output_tokens` is at least 16 and at most what the model can write (vendor's 400)."""
    limit = sent.body.get("max_output_tokens")
    if limit is not None and not 16 <= limit <= describe(sent.model).max_output:
        raise VendorError(
            f"Invalid 'max_output_tokens': expected a value from 16 to "
            f"{describe(sent.model).max_output}, but got {limit} instead.",
            param="max_output_tokens",
            code="integer_below_min_value" if limit < 16 else "integer_above_max_value",
        )


def reasoning_is_known(sent: Sent) -> None:
    """gpt-4o and gpt-4.1 do not reason; the others have their own efforts (1.5)."""
    reasoning, model = mapping(sent.body.get("reasoning")), describe(sent.model)
    for field, value in reasoning.items():
        if field not in ("effort", "summary", "generate_summary", "context", "mode"):
            raise openai.unknown(f"reasoning.{field}")
        if value is not None and not model.reasons:
            raise openai.unsupported(f"reasoning.{field}")
    openai.effort("reasoning.effort", reasoning.get("effort"), model)
    if reasoning.get("summary") not in (None, "auto", "concise", "detailed"):
        allowed = "'auto', 'concise', and 'detailed'"
        raise openai.invalid("reasoning.summary", reasoning["summary"], allowed)


def includes_are_known(sent: Sent) -> None:
    """`include` names what exists; a model that does not reason encrypts nothing (1.5)."""
    for n, name in enumerate(sent.body.get("include") or []):
        if name not in _INCLUDES:
            raise openai.invalid(f"include[{n}]", name, ", ".join(_INCLUDES))
        if name == "reasoning.encrypted_content" and not describe(sent.model).reasons:
            raise VendorError(
                "Encrypted content is not supported with this model.", param="include"
            )


def sampling_is_allowed(sent: Sent) -> None:
    """No sampling fields while a model reasons (1.3)."""
    effort = mapping(sent.body.get("reasoning")).get("effort")
    openai.sampling(sent.body, describe(sent.model), effort, ("temperature", "top_p"))


def stream_options_need_a_stream(sent: Sent) -> None:
    """`stream_options` only with `stream`; there is no `include_usage` here (2.4)."""
    options = sent.body.get("stream_options")
    if options is None:
        return
    if sent.body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise openai.bare("stream_options", message)
    for field in options:
        if field != "include_obfuscation":
            raise openai.unknown(f"stream_options.{field}")


def tools_are_well_formed(sent: Sent) -> None:
    """Functions are flat, with a name and a sound schema; namespaces hold tools (1.3, 1.7)."""
    for n, tool in enumerate(objects(sent.body.get("tools"))):
        _tool(f"tools[{n}]", tool)


def _tool(where: str, tool: Json) -> None:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise openai.missing(f"{where}.type")
    if kind == "function":
        if "function" in tool or "name" not in tool:
            raise openai.missing(f"{where}.name")
        openai.function(where, tool)
    elif kind in ("custom", "namespace"):
        openai.tool_name(where, tool.get("name"))
        for n, inner in enumerate(objects(tool.get("tools"))):
            _tool(f"{where}.tools[{n}]", inner)


def tool_choice_is_possible(sent: Sent) -> None:
    """A choice other than none or auto needs tools, and a named one is among them (1.3)."""
    choice = sent.body.get("tool_choice")
    tools = objects(sent.body.get("tools"))
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise openai.invalid("tool_choice", choice, "'none', 'auto', and 'required'")
        if choice == "required" and not tools:
            raise openai.bare(
                "tool_choice", "Tool choice 'required' must be specified with tools."
            )
    if mapping(choice).get("type") not in ("function", "custom"):
        return
    name = mapping(choice).get("name")
    if name is None:
        raise openai.missing("tool_choice.name")
    inner = [tool for group in tools for tool in objects(group.get("tools"))]
    if name not in {tool.get("name") for tool in (*tools, *inner)}:
        raise openai.bare("tool_choice", f"Tool choice '{name}' not found in 'tools' parameter.")


def the_format_is_possible(sent: Sent) -> None:
    """A JSON schema format is flat, named and sound; `json_object` wants the word JSON (1.3)."""
    form = mapping(mapping(sent.body.get("text")).get("format"))
    kind = form.get("type")
    if form and kind not in ("text", "json_object", "json_schema"):
        raise openai.invalid("text.format.type", kind, "'text', 'json_object', 'json_schema'")
    if kind == "json_schema":
        openai.json_schema("text.format", form)
    if kind == "json_object":
        given = sent.body["input"]
        said = given if isinstance(given, str) else ""
        said += "".join(texts(item.get("content"), "input_text") for item in objects(given))
        openai.mentions_json("input", said)


def members_stand_together(sent: Sent) -> None:
    """What the vendor takes only beside another member (`together.RESPONSES`)."""
    together.check(sent.body, together.RESPONSES)


RULES = (
    required_fields,
    openai.tier,
    only_known_fields,
    fields_have_their_types,
    nothing_is_remembered,
    the_limit_is_in_range,
    reasoning_is_known,
    includes_are_known,
    sampling_is_allowed,
    stream_options_need_a_stream,
    tools_are_well_formed,
    tool_choice_is_possible,
    the_format_is_possible,
    members_stand_together,
)
