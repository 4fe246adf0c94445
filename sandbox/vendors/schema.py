"""A value that satisfies a JSON schema: what a model answers when its output is constrained."""

from typing import Any

Json = dict[str, Any]

_DEEP = 12
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: object, root: Json | None = None, depth: int = 0) -> Any:
    """The least value that satisfies the schema; both JSON Schema and Google's spelling."""
    if not isinstance(schema, dict) or depth > _DEEP:
        return "sandbox"
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if options := schema.get(key):
            chosen = next((o for o in options if not _is_null(o)), options[0])
            return sample(chosen, root, depth + 1)
    if schema.get("allOf"):
        return sample(_merged(schema["allOf"], root), root, depth + 1)
    return _typed(_type(schema), schema, root, depth)


def _typed(kind: str, schema: Json, root: Json, depth: int) -> Any:
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            item = sample(schema.get("items"), root, depth + 1)
            return [item] * int(schema.get("minItems") or 0)
        case "integer" | "number":
            return _number(schema, kind)
        case "boolean":
            return True
        case "null":
            return None
    return _string(schema)


def _object(schema: Json, root: Json, depth: int) -> Json:
    properties = schema.get("properties") or {}
    wanted = schema.get("required") or list(properties)
    return {name: sample(properties.get(name), root, depth + 1) for name in wanted}


def _number(schema: Json, kind: str) -> float:
    """The first multiple of the step from 1, or from the minimum, that is not too much."""
    step = schema.get("multipleOf") or 1
    value = -(-schema.get("minimum", 1) // step) * step
    if "exclusiveMinimum" in schema:
        value = (schema["exclusiveMinimum"] // step + 1) * step
    if value > schema.get("maximum", value):
        value = schema["maximum"] // step * step
    if value >= schema.get("exclusiveMaximum", value + 1):
        value = (-(-schema["exclusiveMaximum"] // step) - 1) * step
    return int(value) if kind == "integer" else value


def _string(schema: Json) -> str:
    value = _FORMATS.get(str(schema.get("format")), "sandbox")
    value = value.ljust(int(schema.get("minLength") or 0), "x")
    return value[: schema["maxLength"]] if isinstance(schema.get("maxLength"), int) else value


def _type(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if not kind:
        kind = "object" if "properties" in schema else "string"
    return str(kind).lower()


def _is_null(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _merged(schemas: list[Json], root: Json) -> Json:
    whole: Json = {}
    for schema in schemas:
        part = _resolve(schema["$ref"], root) if "$ref" in schema else schema
        properties = {**whole.get("properties", {}), **part.get("properties", {})}
        required = [*whole.get("required", []), *part.get("required", [])]
        whole = {**whole, **part, "properties": properties, "required": required}
    return {key: value for key, value in whole.items() if value not in ({}, [])}


def _resolve(ref: object, root: Json) -> Any:
    node: Any = root
    for step in str(ref).removeprefix("#").strip("/").split("/"):
        node = node.get(step, {}) if isinstance(node, dict) and step else node
    return node
