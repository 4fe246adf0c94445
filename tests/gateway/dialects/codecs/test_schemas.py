import copy
import json
from typing import Any

import pytest

from gateway.dialects.codecs import schemas

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"z": {"type": "array"}, "a": {"type": "object", "description": "A"}},
    "definitions": {"N": {"type": "integer", "maximum": 3}},
    "required": ["z"],
}


@pytest.mark.parametrize(
    "cut",
    [
        schemas.ordered,
        lambda schema: schemas.for_openai(schema)[0],
        schemas.for_anthropic,
        schemas.for_gemini,
        schemas.for_claude_output,
    ],
    ids=["ordered", "openai", "anthropic", "gemini", "claude"],
)
def test_a_clients_schema_is_never_changed_and_its_properties_keep_their_order(cut: Any) -> None:
    before = copy.deepcopy(SCHEMA)
    assert list(cut(SCHEMA)["properties"]) == ["z", "a"]
    assert before == SCHEMA


def test_openai_is_told_every_items_and_properties() -> None:
    told = schemas.for_openai(SCHEMA)[0]["properties"]
    assert told["z"] == {"items": {}, "type": "array"}
    assert told["a"]["properties"] == {}
    assert schemas.for_openai(None) == ({"properties": {}, "type": "object"}, None)


def test_a_union_at_the_top_offers_all_it_has() -> None:
    union = {
        "anyOf": [{"properties": {"a": {}}}, {"$ref": "#/$defs/B"}],
        "$defs": {"B": {"properties": {"b": {}}}},
    }
    assert set(schemas.for_anthropic(union)["properties"]) == {"a", "b"}
    recursive = {"$ref": "#/$defs/B", "$defs": union["$defs"]}
    assert set(schemas.for_gemini(recursive)["properties"]) == {"b"}


def test_a_property_may_be_named_like_a_keyword() -> None:
    odd = {"properties": {"definitions": {"type": "string"}, "$ref": {"type": "string"}}}
    assert schemas.for_anthropic(odd)["properties"] == odd["properties"]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "properties": {}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({}, False),
    ],
)
def test_strict_needs_every_object_closed_and_every_property(
    schema: dict[str, Any], strict: bool
) -> None:
    assert schemas.qualifies(schema) is strict


HARD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "pet": {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "title": "Pet"},
        "n": {"type": "integer", "minimum": 1, "description": "How many"},
        "when": {"type": "string", "format": "date-time"},
        "how": {"type": "string", "format": "int32"},
        "few": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3},
        "many": {"type": "array", "items": {"type": "string"}, "minItems": 4},
        "all": {"allOf": [{"type": "object", "properties": {}}]},
        "same": {"enum": ["a", "b"], "type": "string", "default": "a"},
    },
    "required": ["pet"],
    "$defs": {
        "Cat": {"type": "object", "properties": {"k": {"const": "cat"}}, "required": ["k"]},
        "Dog": {"type": "object", "properties": {"k": {"const": "dog"}}, "x-order": 3},
    },
}


def test_claude_is_told_what_its_own_sdk_would_tell_it() -> None:
    from anthropic.lib._parse._transform import transform_schema

    assert schemas.for_claude_output(HARD) == transform_schema(copy.deepcopy(HARD))
    assert schemas.is_claude_output(schemas.for_claude_output(HARD))


def test_a_list_of_types_is_a_union_and_a_reference_stands_alone() -> None:
    given = {
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"], "maxLength": 5, "description": "Whose"},
            "node": {"$ref": "#/$defs/N", "description": "the next"},
            "any": {},
        },
        "$defs": {"N": {"type": "string"}},
    }
    told = schemas.for_claude_output(given)["properties"]
    assert told["name"] == {
        "anyOf": [{"type": "string", "description": "{maxLength: 5}"}, {"type": "null"}],
        "description": "Whose",
    }
    assert told["node"] == {"anyOf": [{"$ref": "#/$defs/N"}], "description": "the next"}
    assert {each["type"] for each in told["any"]["anyOf"]} == {
        "string",
        "number",
        "boolean",
        "null",
    }


def test_a_strict_schema_stays_strict_where_openai_can_hold_to_it() -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}], "default": None}},
        "required": ["a"],
        "additionalProperties": False,
    }
    told, strict = schemas.strictly(closed, True)
    assert strict and told["properties"]["a"]["anyOf"] and "default" not in told["properties"]["a"]
    assert schemas.strictly({**closed, "required": []}, True)[1] is False
    assert schemas.strictly(closed, None) == (schemas.ordered(closed), None)


def test_gemini_is_told_no_word_it_does_not_know() -> None:
    told = schemas.for_gemini_output(
        {"type": "object", "properties": {"a": {"const": 1, "exclusiveMinimum": 0, "not": {}}}}
    )
    assert told["properties"]["a"] == {
        "description": "{exclusiveMinimum: 0, not: {}}",
        "enum": [1],
    }


def _nested(steps: int, around: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(steps):
        schema = around(schema)
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: {"type": ["array"] * 9, "items": inner},
        lambda inner: {"type": ["string", "number", "array"], "anyOf": [inner]},
        lambda inner: {"type": ["object", "array"], "properties": {"a": inner}, "items": inner},
        lambda inner: {"type": ["string", "null"], "$defs": {"a": inner, "b": inner}},
        lambda inner: {"type": "string", "not": inner},
        lambda inner: {"type": ["string", "null"], "not": inner},
    ],
    ids=["repeated", "union", "both", "defs", "not", "not of types"],
)
def test_no_schema_of_a_few_steps_becomes_a_mountain(around: Any) -> None:
    small = _nested(10, around)
    size = len(json.dumps(small))
    for cut in (
        schemas.for_gemini_output,
        schemas.for_claude_output,
        lambda schema: schemas.for_openai(schema, True)[0],
    ):
        assert len(json.dumps(cut(small))) < 8 * size + 60_000


def test_types_that_belong_together_with_a_union_are_told() -> None:
    given = {"type": ["string", "null"], "anyOf": [{"minLength": 2}], "description": "Who"}
    told = schemas.for_gemini_output({"type": "object", "properties": {"a": given}})
    assert told["properties"]["a"]["description"] == 'Who\n\n{type: ["string","null"]}'
