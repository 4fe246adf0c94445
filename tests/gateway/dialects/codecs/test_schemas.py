import copy
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
        schemas.for_openai,
        schemas.for_anthropic,
        schemas.for_gemini,
        schemas.for_claude_output,
    ],
    ids=lambda cut: cut.__name__,
)
def test_a_clients_schema_is_never_changed_and_its_properties_keep_their_order(cut: Any) -> None:
    before = copy.deepcopy(SCHEMA)
    assert list(cut(SCHEMA)["properties"]) == ["z", "a"]
    assert before == SCHEMA


def test_openai_is_told_every_items_and_properties() -> None:
    told = schemas.for_openai(SCHEMA)["properties"]
    assert told["z"] == {"items": {}, "type": "array"}
    assert told["a"]["properties"] == {}
    assert schemas.for_openai(None) == {"properties": {}, "type": "object"}


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
