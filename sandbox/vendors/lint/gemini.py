"""What Google refuses in the parameters of a request. The contents have a module of their own."""

import re
from collections.abc import Iterator

from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.lint import gemini_contents
from sandbox.vendors.lint.shapes import NUMBER, mistyped, names, subschemas
from sandbox.vendors.vendors import VendorError, describe, version_of

_FIELDS = names(
    "contents tools toolConfig systemInstruction generationConfig safetySettings cachedContent "
    "labels serviceTier store model generateContentRequest"
)
_CONFIG = names(
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities "
    "candidateCount maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty "
    "responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig thinkingConfig imageConfig "
    "mediaResolution"
)
_SCHEMA = names(
    "type format title description nullable enum maxItems minItems properties required "
    "minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering "
    "items minimum maximum"
)
_TOOLS = names(
    "functionDeclarations googleSearch codeExecution urlContext googleSearchRetrieval "
    "googleMaps fileSearch computerUse"
)
_FUNCTION = names(
    "name description parameters parametersJsonSchema response responseJsonSchema behavior"
)
_FORMATS = {
    "string": ("enum", "date-time"),
    "number": ("float", "double"),
    "integer": ("int32", "int64"),
}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")


def check(sent: Sent) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(sent)
    gemini_contents.check(sent)


def fits(sent: Sent, used: int) -> None:
    """The prompt fits the model's window (4.2)."""
    window = describe(sent.model).window
    if used > window:
        raise VendorError(
            f"The input token count ({used}) exceeds the maximum number of tokens allowed "
            f"({window})."
        )


def unknown(name: str, where: str = "") -> VendorError:
    """What the parser says of a field that is not in the message."""
    at = f" at '{where}'" if where else ""
    text = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
    violation = {"field": where, "description": text}
    kind = "type.googleapis.com/google.rpc.BadRequest"
    return VendorError(text, details=[{"@type": kind, "fieldViolations": [violation]}])


def _config(sent: Sent) -> Json:
    return mapping(sent.body.get("generationConfig"))


def _functions(sent: Sent) -> Iterator[tuple[str, Json]]:
    for n, tool in enumerate(objects(sent.body.get("tools"))):
        for m, function in enumerate(objects(tool.get("functionDeclarations"))):
            yield f"tools[{n}].function_declarations[{m}]", function


def only_known_fields(sent: Sent) -> None:
    """The parser refuses every field it does not know (1.7). The snake_case spelling, which the
    vendor takes too, is refused here: the gateway has one spelling."""
    for field in sent.body:
        if field not in _FIELDS:
            raise unknown(field)
    for field in _config(sent):
        if field not in _CONFIG:
            raise unknown(field, "generation_config")
    for n, tool in enumerate(objects(sent.body.get("tools"))):
        for field in tool:
            if field not in _TOOLS:
                raise unknown(field, f"tools[{n}]")


def fields_have_their_types(sent: Sent) -> None:
    """Numbers are numbers and lists are lists."""
    kinds = {"temperature": NUMBER, "topP": NUMBER, "topK": NUMBER, "maxOutputTokens": int}
    kinds |= {"stopSequences": list, "candidateCount": int, "thinkingConfig": dict}
    if field := mistyped(_config(sent), kinds):
        raise VendorError(f"Invalid value at 'generation_config.{field}'")
    body = {"tools": list, "systemInstruction": dict, "generationConfig": dict, "toolConfig": dict}
    if field := mistyped(sent.body, body):
        raise VendorError(f"Invalid value at '{field}'")


def thinking_the_model_knows(sent: Sent) -> None:
    """A level is for Gemini 3, a budget of 128 to 32,768 for 2.5 Pro, never both (1.5)."""
    thinking, model = mapping(_config(sent).get("thinkingConfig")), describe(sent.model)
    for field in thinking:
        if field not in ("thinkingBudget", "thinkingLevel", "includeThoughts"):
            raise unknown(field, "generation_config.thinking_config")
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level is not None and budget is not None:
        raise VendorError("You can only set only one of thinking budget and thinking level.")
    if level is not None and str(level).lower() not in model.efforts:
        raise VendorError(f"Thinking level {str(level).upper()} is not supported for this model.")
    if budget is None:
        return
    low = 128 if "pro" in sent.model else 0
    if not isinstance(budget, int) or (budget != -1 and not low <= budget <= 32_768):
        raise VendorError(
            f"The thinking budget {budget} is invalid. Please choose a value between {low} and "
            "32768."
        )


def numbers_are_in_range(sent: Sent) -> None:
    """Output up to 65,536, temperature 0 to 2, five stop sequences, one candidate (1.3)."""
    config, model = _config(sent), describe(sent.model)
    limit = config.get("maxOutputTokens")
    if limit is not None and not 1 <= limit <= model.max_output:
        raise VendorError(
            f"Unable to submit request because it has a maxOutputTokens value of {limit} but the "
            f"supported range is from 1 (inclusive) to {model.max_output + 1} (exclusive)."
        )
    if not 0 <= (config.get("temperature") or 0) <= 2:
        raise VendorError("temperature must be in the range [0.0, 2.0].")
    if len(config.get("stopSequences") or []) > 5:
        raise VendorError("The number of stop sequences must be at most 5.")
    if (config.get("candidateCount") or 1) != 1:
        raise VendorError("Multiple candidates is not enabled for this model")


def the_format_is_possible(sent: Sent) -> None:
    """A schema needs the JSON MIME type; 2.5 takes no tools beside it (1.3)."""
    config = _config(sent)
    asks = config.get("responseMimeType") == "application/json"
    given = [f for f in ("responseSchema", "responseJsonSchema") if config.get(f)]
    if given and not asks:
        raise VendorError(
            "Invalid combination: a response schema needs response_mime_type 'application/json'."
        )
    if len(given) == 2:
        raise VendorError("response_json_schema and response_schema cannot both be set.")
    if asks and version_of(sent.model) < 3 and list(_functions(sent)):
        raise VendorError(
            "Function calling with a response mime type: 'application/json' is unsupported"
        )
    if isinstance(config.get("responseSchema"), dict):
        _schema("generation_config.response_schema", config["responseSchema"])


def functions_are_well_formed(sent: Sent) -> None:
    """Names begin with a letter and differ; one schema, in the OpenAPI subset if it is
    `parameters` (1.3, 1.7)."""
    seen: set[object] = set()
    for where, function in _functions(sent):
        for field in function:
            if field not in _FUNCTION:
                raise unknown(field, where)
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise VendorError(
                f"Invalid function name at {where}: {name}. Must start with a letter or an "
                "underscore, then letters, digits, underscores, dots, colons or dashes, at most "
                "128."
            )
        if name in seen:
            raise VendorError(f"Duplicate function declaration found: {name}")
        seen.add(name)
        if "parameters" in function and "parametersJsonSchema" in function:
            raise VendorError(
                f"{where}: parameters and parameters_json_schema cannot both be set."
            )
        if isinstance(function.get("parameters"), dict):
            _schema(f"{where}.parameters", function["parameters"])


def _schema(where: str, schema: Json) -> None:
    for path, part in subschemas(schema):
        at = ".".join((where, *path))
        for keyword in part:
            if keyword not in _SCHEMA:
                raise unknown(keyword, at)
        kind = part.get("type")
        if isinstance(kind, list):
            raise VendorError(f"{at}.type: Proto field is not repeating, cannot start list.")
        if "anyOf" in part and set(part) - {"anyOf"}:
            raise VendorError(f"{at}: when using any_of, it must be the only field set.")
        if "anyOf" not in part and not kind:
            raise VendorError(f"{at}.type: must be specified.")
        _typed_schema(at, str(kind).lower(), part)


def _typed_schema(at: str, kind: str, schema: Json) -> None:
    if kind == "array" and "items" not in schema:
        raise VendorError(f"{at}.items: missing field.")
    if "enum" in schema and (
        kind != "string" or not all(isinstance(v, str) for v in schema["enum"])
    ):
        raise VendorError(f"{at}.enum: only allowed for STRING type")
    if schema.get("format") and schema["format"] not in _FORMATS.get(kind, ()):
        raise VendorError(f"{at}.format: '{schema['format']}' is not supported for {kind} type")
    stray = set(schema.get("required") or []) - set(schema.get("properties") or {})
    if stray:
        raise VendorError(f"{at}.required[0]: property is not defined")


def the_calling_mode_is_possible(sent: Sent) -> None:
    """Names may be allowed only with mode ANY or VALIDATED, and only offered ones (1.3)."""
    config = mapping(mapping(sent.body.get("toolConfig")).get("functionCallingConfig"))
    mode, allowed = config.get("mode"), config.get("allowedFunctionNames") or []
    if mode is not None and mode not in _MODES:
        raise VendorError(f"Invalid value at 'tool_config.function_calling_config.mode': {mode}")
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise VendorError("allowed_function_names should only be set when mode is ANY.")
    offered = {function.get("name") for _, function in _functions(sent)}
    if mode == "ANY" and not offered:
        raise VendorError("Function calling mode ANY needs function declarations.")
    for name in allowed:
        if name not in offered:
            raise VendorError(f"allowed_function_names: {name} is not among the declarations.")


RULES = (
    only_known_fields,
    fields_have_their_types,
    thinking_the_model_knows,
    numbers_are_in_range,
    the_format_is_possible,
    functions_are_well_formed,
    the_calling_mode_is_possible,
)
