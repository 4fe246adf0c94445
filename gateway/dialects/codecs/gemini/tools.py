"""Gemini's tools, the choice among them, and its schemas, read."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import hosted, wire
from gateway.dialects.codecs.gemini.spelling import SCHEMA
from gateway.dialects.ir import Tool, ToolChoice
from hontoni import digits

_MODES = {"": "", "AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
_HOSTED = {theirs: ours for ours, theirs in hosted.GEMINI.items()}
_INNER = ("properties", "$defs", "definitions")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def decode_tools(tools: Any) -> Iterator[Tool]:
    """Each function; and what runs at Google by our word for it, if there is one."""
    for at, tool in enumerate(wire.objects(tools, "tools")):
        for name, value in tool.items():
            if name == "functionDeclarations":
                declared = wire.objects(value, f"tools[{at}].{name}")
                for n, each in enumerate(declared):
                    yield _function(each, f"tools[{at}].{name}[{n}]")
            elif value is not None:
                raw = value if isinstance(value, dict) else {}
                kind = _HOSTED.get(name, name)
                yield Tool(kind, kind="hosted", raw={"type": kind, **raw})


def _function(given: Mapping[str, Any], where: str) -> Tool:
    name = wire.text(given.get("name"), f"{where}.name") or wire.refuse(where, "has no name")
    about = wire.text(given.get("description"), f"{where}.description")
    schema = given.get("parametersJsonSchema") or given.get("parameters")
    return Tool(name, about, decode_schema(wire.obj(schema, f"{where}.parameters")))


def decode_choice(config: Any) -> ToolChoice:
    """`toolConfig`."""
    inner = wire.obj(config, "toolConfig").get("functionCallingConfig")
    raw = wire.obj(inner, "toolConfig.functionCallingConfig")
    word = wire.text(raw.get("mode"), "toolConfig.functionCallingConfig.mode").upper()
    mode = _MODES.get("" if word == "MODE_UNSPECIFIED" else word)
    if mode is None:
        wire.refuse("toolConfig.functionCallingConfig.mode", f"{word[:40]!r} is no mode")
    names = wire.strings(raw.get("allowedFunctionNames"), "allowedFunctionNames")
    allowed = tuple(("", name) for name in names) if mode == "required" or names else ()
    return ToolChoice(mode or ("auto" if allowed else ""), allowed)


def decode_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of OpenAPI's as Google writes it, or JSON Schema already: as JSON Schema."""
    made: dict[str, Any] = {}
    for spelled, value in schema.items():
        name = SCHEMA.get(spelled, spelled)
        if name in _INNER and isinstance(value, dict):
            value = {key: _schema(each) for key, each in value.items()}
        elif name == "type" and isinstance(value, str):
            value = value.lower()
        elif name in _COUNTS and isinstance(value, str):
            value = value if (count := digits.whole(value)) is None else count  # 64 bits
        elif isinstance(value, list) and name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            value = [_schema(each) for each in value]
        elif isinstance(value, dict) and name in ("items", "additionalProperties", "not"):
            value = _schema(value)
        made[name] = value
    made.pop("propertyOrdering", None)
    return _nullable(made)


def _schema(value: Any) -> Any:
    return decode_schema(value) if isinstance(value, dict) else value


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.pop("nullable", None) is not True:
        return schema
    if isinstance(kind := schema.get("type"), str):
        schema["type"] = [kind, "null"]
    if isinstance(values := schema.get("enum"), list) and None not in values:
        schema["enum"] = [*values, None]
    return schema
