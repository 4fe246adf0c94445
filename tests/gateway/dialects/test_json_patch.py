"""Editing a few members of a JSON object, and not one byte more."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.json_patch import parse, patch
from hontoni.errors import BadRequest

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from(["model", "max_tokens", "x", 'a"b', "é"]), _VALUES)
_CHANGES = st.dictionaries(st.sampled_from(["model", "max_tokens", "new"]), _VALUES)
_INDENT = st.sampled_from([None, 0, 2])


@given(_OBJECTS, _CHANGES, _INDENT, st.booleans())
def test_it_changes_exactly_what_it_is_told(
    body: dict[str, Any], changes: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    wire = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode()
    expected = {**body, **changes}
    expected = {name: value for name, value in expected.items() if value is not None or
                (name in body and name not in changes)}  # fmt: skip
    assert json.loads(patch(wire, parse(wire), changes)) == expected


@pytest.mark.parametrize(
    ("wire", "patched"),
    [
        (b'{"model":"a","n":1e5}', b'{"model":"b","n":1e5}'),
        (b'{ "model" :\t"a", "n": 1.00}', b'{ "model":"b", "n": 1.00}'),
        (b'{"model":"a","tool":{"model":"a"}}', b'{"model":"b","tool":{"model":"a"}}'),
        (b'{"model":"x","model":"a"}', b'{"model":"x","model":"b"}'),
        (b'{"t":"\\"model\\":\\"a\\"","model":"a"}', b'{"t":"\\"model\\":\\"a\\"","model":"b"}'),
        (b'{"model":"a","text":"\\ud83d"}', b'{"model":"b","text":"\\ud83d"}'),
    ],
)  # fmt: skip
def test_every_other_byte_stays(wire: bytes, patched: bytes) -> None:
    assert patch(wire, parse(wire), {"model": "b"}) == patched


@pytest.mark.parametrize("wire", [b"", b"[]", b"{", b'"x"', b"null", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_a_clear_error(wire: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(wire)


def test_a_new_member_goes_in_front() -> None:
    assert patch(b'{"a":1}', {"a": 1}, {"b": 2}) == b'{"b":2,"a":1}'
    assert patch(b" {} ", {}, {"b": orjson.Fragment(b"2")}) == b' {"b":2} '
