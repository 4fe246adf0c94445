"""What OpenAI refuses in both of its dialects. `where` is how the dialect calls the field."""

import re
from typing import Any

from sandbox.vendors.conversation import Json, Sent, mapping
from sandbox.vendors.lint.shapes import media_type, mistyped, subschemas
from sandbox.vendors.vendors import Model, VendorError, describe

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_UNSTRICT = ("allOf", "not", "dependentRequired", "if", "then", "else", "patternProperties")


def unknown(field: str) -> VendorError:
    """A field that does not exist: 400, code unknown_parameter."""
    return VendorError(f"Unknown parameter: '{field}'.", param=field, code="unknown_parameter")


def unsupported(field: str, hint: str = "") -> VendorError:
    """A field that this model does not take: 400, code unsupported_parameter."""
    message = f"Unsupported parameter: '{field}' is not supported with this model.{hint}"
    return VendorError(message, param=field, code="unsupported_parameter")


def invalid(field: str, value: object, allowed: str) -> VendorError:
    """A value that the field does not take: 400, code invalid_value."""
    message = f"Invalid value: '{value}'. Supported values are: {allowed}."
    return VendorError(message, param=field, code="invalid_value")


def missing(field: str) -> VendorError:
    """A field that must be there: 400, code missing_required_parameter."""
    message = f"Missing required parameter: '{field}'."
    return VendorError(message, param=field, code="missing_required_parameter")


def bare(field: str, message: str) -> VendorError:
    """Any other 400, with the field at fault."""
    return VendorError(message, param=field, code="invalid_value")


def fits(sent: Sent, used: int) -> None:
    """The prompt fits the model's window (4.2)."""
    window = describe(sent.model).window
    if used > window:
        raise VendorError(
            f"This model's maximum context length is {window} tokens. However, your messages "
            f"resulted in {used} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )


def types(body: Json, kinds: dict[str, Any]) -> None:
    """Numbers are numbers, flags are flags."""
    if field := mistyped(body, kinds):
        raise VendorError(f"Invalid type for '{field}'.", param=field, code="invalid_type")


def sampling(body: Json, model: Model, effort: object, fields: tuple[str, ...]) -> None:
    """A model that reasons takes no sampling, unless its effort is none (1.3); else 0 to 2."""
    reasons = model.reasons and (effort or model.default_effort) != "none"
    for field in fields:
        value = body.get(field)
        if value is None or not (reasons or (model.reasons and model.default_effort != "none")):
            continue
        if field in ("temperature", "top_p") and value == 1:
            continue
        raise unsupported(field)
    if not 0 <= (body.get("temperature") or 0) <= 2:
        raise bare("temperature", "Invalid 'temperature': decimal out of range. Expected 0 to 2.")
    if not 0 <= (body.get("top_p") or 0) <= 1:
        raise bare("top_p", "Invalid 'top_p': decimal out of range. Expected 0 to 1.")


def tier(sent: Sent) -> None:
    """Flex is for the models that reason (the vendor's page on flex processing)."""
    asked = sent.body.get("service_tier")
    if asked not in (None, "auto", "default", "flex", "priority", "scale"):
        raise invalid("service_tier", asked, "'auto', 'default', 'flex' and 'priority'")
    if asked == "flex" and not describe(sent.model).reasons:
        raise bare("service_tier", "Flex is not available for this model.")


def effort(field: str, value: object, model: Model) -> None:
    """Each family of models has its own efforts (1.5)."""
    if value is not None and value not in model.efforts:
        allowed = ", ".join(f"'{effort}'" for effort in model.efforts)
        raise VendorError(
            f"Unsupported value: '{value}' is not supported with the '{model.id}' model. "
            f"Supported values are: {allowed}.",
            param=field,
            code="unsupported_value",
        )


def tool_name(where: str, name: object) -> None:
    """A name matches [a-zA-Z0-9_-]{1,64} (1.3, tool name limits)."""
    if name is None:
        raise missing(f"{where}.name")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise bare(
            f"{where}.name",
            f"Invalid '{where}.name': string does not match pattern. Expected a string that "
            "matches the pattern '^[a-zA-Z0-9_-]+$' of at most 64 characters.",
        )


def function(where: str, tool: Json) -> None:
    """A function has a name and an object schema whose arrays have items; if strict, closed."""
    tool_name(where, tool.get("name"))
    schema = tool.get("parameters")
    if schema is None:
        return
    problem = _unsound(schema) or (_unstrict(schema) if tool.get("strict") else None)
    if problem:
        raise VendorError(
            f"Invalid schema for function '{tool['name']}': {problem}",
            param=f"{where}.parameters",
            code="invalid_function_parameters",
        )


def json_schema(where: str, form: Json) -> None:
    """A JSON schema format has a name and a schema, closed if strict (1.3)."""
    tool_name(where, form.get("name"))
    if not isinstance(form.get("schema"), dict):
        raise missing(f"{where}.schema")
    schema = form["schema"]
    problem = _unsound(schema) or (_unstrict(schema) if form.get("strict") else None)
    if problem:
        raise VendorError(
            f"Invalid schema for response_format '{form['name']}': {problem}",
            param=where,
            code="invalid_json_schema",
        )


def _unsound(schema: object) -> str | None:
    if mapping(schema).get("type") != "object":
        found = mapping(schema).get("type")
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
    for where, part in subschemas(schema):
        if part.get("type") == "array" and "items" not in part and "prefixItems" not in part:
            return f"In context={where}, array schema missing items."
    return None


def _unstrict(schema: object) -> str | None:
    for where, part in subschemas(schema):
        for keyword in _UNSTRICT:
            if keyword in part:
                return f"In context={where}, '{keyword}' is not permitted."
        if part.get("type") != "object":
            continue
        if part.get("additionalProperties") is not False:
            return (
                f"In context={where}, 'additionalProperties' is required to be supplied and to "
                "be false."
            )
        absent = sorted(set(part.get("properties") or {}) - set(part.get("required") or []))
        if absent:
            return (
                f"In context={where}, 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing '{absent[0]}'."
            )
    return None


def picture(where: str, url: object) -> None:
    """An image is an https URL or a data URL of a picture whose base64 is sound (1.3)."""
    if not isinstance(url, str):
        raise missing(where)
    if url.startswith(("https://", "http://")):
        return
    head, _, data = url.partition(";base64,")
    found = media_type(data)
    if head.removeprefix("data:") not in _PICTURES or not found or not data:
        raise VendorError(
            "You uploaded an unsupported image. Please make sure your image has of one the "
            "following formats: ['png', 'jpeg', 'gif', 'webp'].",
            param=where,
            code="invalid_image_format" if found == "" else "invalid_image_url",
        )


def mentions_json(where: str, texts: str) -> None:
    """`json_object` wants the word JSON in the prompt (vendor's 400)."""
    if "json" not in texts.lower():
        raise VendorError(
            f"'{where}' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param=where,
        )
