"""JSON Schemas, cut to what each vendor understands. The schema given is never changed.

Keywords are put in alphabetical order, so that a client whose parser shuffles them still sends
the same prefix every turn. The members of `properties` stay as they came: models write their
arguments in that order.
"""

from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]

_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
# Claude's structured output refuses these; told in the description instead.
_BOUNDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
)


def ordered(schema: Mapping[str, Any] | None) -> Schema:
    """The schema itself, keywords in order. An object's, when there is none."""
    return _walk(schema or {"type": "object", "properties": {}}, dict)


def for_openai(schema: Mapping[str, Any] | None) -> Schema:
    """An object says its `properties`, an array its `items`."""

    def complete(node: Schema) -> Schema:
        if node.get("type") == "object":
            node.setdefault("properties", {})
        if node.get("type") == "array":
            node.setdefault("items", {})
        return node

    return _as_object(_walk(schema or {}, complete))


def for_anthropic(schema: Mapping[str, Any] | None) -> Schema:
    """An object at the top, and references through `$defs` only."""
    return _as_object(_walk(schema or {}, _definitions))


def for_gemini(schema: Mapping[str, Any] | None) -> Schema:
    """`parametersJsonSchema` knows `$ref`, `anyOf` and the like; only the dialect's name goes."""

    def undialected(node: Schema) -> Schema:
        node.pop("$schema", None)
        return _definitions(node)

    return _as_object(_walk(schema or {}, undialected))


def for_claude_output(schema: Mapping[str, Any] | None) -> Schema:
    """Bounds become part of the description; objects are closed, as Claude requires."""

    def unbounded(node: Schema) -> Schema:
        said = [f"{name}: {node.pop(name)}" for name in _BOUNDS if name in node]
        if said:
            about = f"{node.get('description') or ''} ({', '.join(said)})"
            node["description"] = about.strip()
        if node.get("type") == "object" or "properties" in node:
            node["additionalProperties"] = False
        return _definitions(node)

    return _walk(schema or {"type": "object"}, unbounded)


def qualifies(schema: Mapping[str, Any] | None) -> bool:
    """Whether OpenAI takes it as strict: objects are closed and need all their properties."""
    closed = True

    def check(node: Schema) -> Schema:
        nonlocal closed
        if node.get("type") == "object" or "properties" in node:
            needed = sorted(map(str, _list(node.get("required"))))
            closed &= node.get("additionalProperties") is False
            closed &= needed == sorted(_dict(node.get("properties")))
        return node

    _walk(schema or {}, check)
    return closed and bool(schema)


def _walk(node: Mapping[str, Any], change: Callable[[Schema], Schema]) -> Schema:
    built: Schema = {}
    for name in sorted(node):
        value = node[name]
        if name in _MAPS and isinstance(value, dict):
            value = {k: _each(v, change) for k, v in value.items()}
        elif name in _LISTS and isinstance(value, list):
            value = [_each(each, change) for each in value]
        elif name in _SINGLE:
            value = _each(value, change)
        built[name] = value
    return dict(sorted(change(built).items()))


def _each(value: Any, change: Callable[[Schema], Schema]) -> Any:
    return _walk(value, change) if isinstance(value, dict) else value


def _definitions(node: Schema) -> Schema:
    if isinstance(node.get("definitions"), dict):
        node["$defs"] = node.pop("definitions") | _dict(node.get("$defs"))
    reference = node.get("$ref")
    if isinstance(reference, str):
        node["$ref"] = reference.replace("#/definitions/", "#/$defs/")
    return node


def _as_object(schema: Schema) -> Schema:
    """Vendors refuse a union or a reference at the top: its properties are offered together."""
    variants = [v for name in ("anyOf", "oneOf", "allOf") for v in _list(schema.pop(name, []))]
    if "$ref" in schema:
        variants.append({"$ref": schema.pop("$ref")})
    properties = dict(_dict(schema.get("properties")))
    for variant in variants:
        properties |= _dict(_resolved(variant, schema).get("properties"))
    whole = schema | {"properties": properties, "type": "object"}
    return dict(sorted(whole.items()))


def _resolved(variant: Any, schema: Schema) -> Schema:
    name = str(variant.get("$ref", "")) if isinstance(variant, dict) else ""
    for place in ("$defs", "definitions"):
        found = _dict(schema.get(place)).get(name.removeprefix(f"#/{place}/"))
        if isinstance(found, dict):
            return found
    return variant if isinstance(variant, dict) else {}


def _dict(value: Any) -> dict[str, Any]:
    """A client's schema may be anything: what is no object has no members."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
