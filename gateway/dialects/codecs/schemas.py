"""JSON Schemas, cut to what each vendor understands. The schema given is never changed.

What a vendor takes is a list of the words it knows (`Words`), as its own SDK and its page on
schemas have it: vendors grow, and a word that is not listed is refused by some. A union is told in
the word that the vendor has for one; what cannot be told otherwise goes into the description, so
that the model may heed it.

Keywords are put in alphabetical order, so that a client whose parser shuffles them still sends
the same prefix every turn. The members of `properties` stay as they came: models write their
arguments in that order.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

Schema = dict[str, Any]

_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_LONGEST_ABOUT = 2_000  # letters of what a description is told beside its own
_NOISE = ("$schema", "$id", "$comment")  # say nothing about a value
_TYPES = ("string", "number", "boolean", "null")


class Words(NamedTuple):
    """The words of JSON Schema that a vendor knows. `formats`: the only ones, of strings; None for
    any. `closed`: every object says so. `least`: what `minItems` may say, if not anything."""

    known: frozenset[str]
    formats: frozenset[str] | None = None
    closed: bool = False
    least: tuple[int, ...] = ()


_COMMON = """
    $ref $defs type title description enum properties required additionalProperties items anyOf
    minItems format
"""
_FORMATS = "date-time time date duration email hostname uri ipv4 ipv6 uuid"
# anthropic 2.12, lib/_parse/_transform.py
CLAUDE_OUTPUT = Words(
    frozenset(f"{_COMMON} const allOf".split()), frozenset(_FORMATS.split()), True, (0, 1)
)
# openai 3.54, lib/_pydantic.py, and "Supported schemas" of the page on structured outputs
OPENAI_STRICT = Words(
    frozenset(
        f"""{_COMMON} const definitions pattern minimum maximum exclusiveMinimum exclusiveMaximum
        multipleOf maxItems""".split()
    ),
    frozenset(_FORMATS.split()) - {"uri"},
)
# ai.google.dev, `responseJsonSchema`
GEMINI = Words(frozenset(f"{_COMMON} prefixItems maxItems minimum maximum".split()))


def ordered(schema: Mapping[str, Any] | None) -> Schema:
    """The schema itself, keywords in order. An object's, when there is none."""
    return _walk(schema or {"type": "object", "properties": {}}, dict)


def for_openai(
    schema: Mapping[str, Any] | None, strict: bool | None = None
) -> tuple[Schema, bool | None]:
    """What a function takes, and whether strictly: an object says its `properties`, an array its
    `items`."""

    def complete(node: Schema) -> Schema:
        if node.get("type") == "object":
            node.setdefault("properties", {})
        if node.get("type") == "array":
            node.setdefault("items", {})
        return node

    raw, strict = strictly(schema, strict)
    return _as_object(_walk(raw, complete)), strict


def for_anthropic(schema: Mapping[str, Any] | None) -> Schema:
    """An object at the top, and references through `$defs` only."""
    return _as_object(_walk(schema or {}, _definitions))


def for_gemini(schema: Mapping[str, Any] | None) -> Schema:
    """`parametersJsonSchema` knows `$ref`, `anyOf` and the like; only the dialect's name goes."""

    def undialected(node: Schema) -> Schema:
        node.pop("$schema", None)
        return _definitions(node)

    return _as_object(_walk(schema or {}, undialected))


def for_gemini_output(schema: Mapping[str, Any] | None) -> Schema:
    """The shape of an answer."""
    return _limited(schema or {"type": "object"}, GEMINI)


def for_claude_output(schema: Mapping[str, Any] | None) -> Schema:
    """The shape of an answer; objects are closed, as Claude requires."""
    return _limited(schema or {"type": "object"}, CLAUDE_OUTPUT)


def is_claude_output(schema: Mapping[str, Any]) -> bool:
    """Whether Claude takes it as it is, whatever the order of its words."""
    return for_claude_output(schema) == schema


def strictly(schema: Mapping[str, Any] | None, strict: bool | None) -> tuple[Schema, bool | None]:
    """A schema for OpenAI, and whether it can be a strict one: as the client wants it, where
    objects are closed and need all their properties."""
    if strict and qualifies(limited := _limited(schema or {}, OPENAI_STRICT)):
        return limited, True
    return ordered(schema), False if strict else strict


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


def _limited(schema: Mapping[str, Any], words: Words) -> Schema:
    return _walk(schema, lambda node: _in_words(_definitions(node), words))


def _in_words(node: Schema, words: Words) -> Schema:
    """The node in these words; its children are already."""
    kinds = node.get("type")
    if isinstance(kinds, list):
        return _of_types(node, kinds, words)
    if "oneOf" in node and "anyOf" not in node:
        node["anyOf"] = node.pop("oneOf")
    if "const" in node and "const" not in words.known:
        node["enum"] = [node.pop("const")]
    for name in _NOISE:
        node.pop(name, None)
    if words.closed and ("enum" in node or "const" in node):
        node.pop("type", None)  # the values say it
    raw = {name: node.pop(name) for name in [*node] if not _is_known(name, node, words)}
    if words.closed and (node.get("type") == "object" or "properties" in node):
        node = node | {"type": "object", "additionalProperties": False}
        node.setdefault("properties", {})
    if words.closed and not _says_what(node):
        node["anyOf"] = [{"type": each} for each in _TYPES]
    return _alone(_described(node, raw) if raw else node)


def _described(node: Schema, raw: Mapping[str, Any]) -> Schema:
    """With what cannot be told otherwise in its words, the beginning of it: told within what is
    told itself, its quotes are doubled at each step."""
    about = "{" + ", ".join(f"{name}: {_plain(raw[name])}" for name in raw) + "}"
    given = node.get("description")
    parts = (given if isinstance(given, str) else None, about[:_LONGEST_ABOUT])
    return node | {"description": "\n\n".join(filter(None, parts))}


def _is_known(name: str, node: Schema, words: Words) -> bool:
    if name == "format":
        return words.formats is None or (
            node.get("type") == "string" and node[name] in words.formats
        )
    if name == "minItems" and words.least:
        return node[name] in words.least
    return name in words.known


def _of_types(node: Schema, kinds: list[Any], words: Words) -> Schema:
    """A list of types is a union of them. What is within is said once, under one of them; where
    it belongs to all, the types are told in words: said under each of them, a short schema of a
    few steps would become gigabytes."""
    rest = {name: value for name, value in node.items() if name != "type"}
    kinds = list(dict.fromkeys(kind for kind in kinds if kind in _KINDS))
    if not kinds:
        return _in_words(rest, words)
    if not _OF_ALL.isdisjoint(rest):
        return _described(_in_words(rest, words), {"type": kinds})
    about = {name: rest.pop(name) for name in ("title", "description") if name in rest}
    each = [_in_words(_of_type(rest, kind), words) for kind in kinds]
    return about | (each[0] if len(each) == 1 else {"anyOf": each})


_KINDS = ("string", "number", "integer", "boolean", "object", "array", "null")
# Words that hold schemas, and belong to a value of any type.
_OF_ALL = frozenset((*_MAPS, *_LISTS, *_SINGLE, "$ref")) - {
    *("properties", "items", "additionalProperties", "prefixItems"),
}
_OF_OBJECTS = frozenset(("properties", "required", "additionalProperties", "minProperties"))
_OF_ARRAYS = frozenset(("items", "prefixItems", "minItems", "maxItems", "uniqueItems"))


def _of_type(rest: Schema, kind: Any) -> Schema:
    """The words that say something about that type."""
    strange = (frozenset() if kind == "object" else _OF_OBJECTS) | (
        frozenset() if kind == "array" else _OF_ARRAYS
    )
    kept = {name: value for name, value in rest.items() if name not in strange}
    if kind == "null":
        kept = {}
    return kept | {"type": kind}


def _says_what(node: Schema) -> bool:
    return any(name in node for name in ("type", "anyOf", "allOf", "enum", "const", "$ref"))


def _alone(node: Schema) -> Schema:
    """A reference stands alone: what is said beside it stands around it."""
    beside = node.keys() - {"$ref", "$defs"}
    if "$ref" not in node or not beside:
        return node
    around = {name: value for name, value in node.items() if name != "$ref"}
    return around | {"anyOf": [{"$ref": node["$ref"]}]}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


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
