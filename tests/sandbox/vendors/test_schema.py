"""Values made from schemas."""

from typing import Any

import pytest

from sandbox.vendors.schema import sample

NODE: Any = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "INTEGER", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 0, "multipleOf": 4}, 4),
        ({"type": "number", "maximum": 0.5}, 0),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "string", "minLength": 9}, "sandboxxx"),
        ({"type": "string", "maxLength": 4}, "sand"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array", "items": {"type": "boolean"}}, []),
        ({"properties": {"a": {"const": 1}, "b": {}}, "required": ["a"]}, {"a": 1}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"const": 7}}}, 7),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["a"]}]}, {"a": 1}),
        ({"anyOf": [{"type": "null"}, {"const": 2}]}, 2),
    ],
)
def test_a_value_satisfies_its_schema(schema: Any, value: Any) -> None:
    assert sample(schema) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    value = sample({"$ref": "#/$defs/node", "$defs": {"node": NODE}})
    assert isinstance(value["next"], dict)
