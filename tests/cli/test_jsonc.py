"""JSON with comments is changed where it is told, and nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hontoni_cli.documents import jsonc

COMMENTED = """// mine
{
    // the font
    "font": 12, /* large */
    "env": {
        "A": "1", // first
    },
    "list": [1, 2,],
}
"""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("font",), 14),
        (("env", "A"), "2"),
        (("env", "B"), "x"),
        (("env",), {"C": "y"}),
        (("new", "deep", "er"), {"a": [1]}),
        (("list", "under"), True),
    ],
)
def test_a_value_is_put_and_every_comment_stays(path: tuple[str, ...], value: Any) -> None:
    changed = jsonc.put(COMMENTED, path, value)
    found = jsonc.read(changed)
    for name in path:
        found = found[name]
    assert found == value
    assert "// mine" in changed and "// the font" in changed and "/* large */" in changed
    lost = [line for line in COMMENTED.splitlines() if line not in changed.splitlines()]
    assert len(lost) <= (3 if path in {("env",)} else 1)
    assert jsonc.put(changed, path, value) == changed  # twice is once


@pytest.mark.parametrize("text", ["", "\n", "// nothing yet\n", "{}", "{ }", "{ // here\n}"])
def test_the_first_value_is_put_into_nothing(text: str) -> None:
    changed = jsonc.put(text, ("a", "b"), 1)
    assert jsonc.read(changed) == {"a": {"b": 1}}
    assert "//" not in text or text.split("//")[1].split("\n")[0] in changed


@pytest.mark.parametrize("text", ["[]", "{", '{"a" 1}', '{"a": 1} x', '{"a": nope}', "{a: 1}"])
def test_what_is_no_json_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError):
        jsonc.put(text, ("a",), 1)


KEYS = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.lists(KEYS, min_size=1, max_size=3).map(tuple),
    VALUES,
    st.sampled_from([None, 2, 4, "\t"]),
)
def test_it_says_what_a_dict_would(
    document: dict[str, Any], path: tuple[str, ...], value: Any, indent: Any
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    changed = jsonc.put(text, path, value)
    here = document
    for name in path[:-1]:
        if not isinstance(here.get(name), dict):
            here[name] = {}
        here = here[name]
    here[path[-1]] = value
    assert jsonc.read(changed) == json.loads(changed) == document


@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.lists(KEYS, min_size=1, max_size=3).map(tuple),
    VALUES,
    st.sampled_from([None, 2, "\t"]),
)
def test_what_was_put_is_removed_again(
    document: dict[str, Any], path: tuple[str, ...], value: Any, indent: Any
) -> None:
    text = jsonc.put(json.dumps(document, indent=indent, ensure_ascii=False), path, value)
    here = expected = json.loads(text)
    for name in path[:-1]:
        here = here[name]
    del here[path[-1]]
    assert json.loads(jsonc.remove(text, path)) == expected


def test_a_member_goes_with_its_line_and_nobody_elses() -> None:
    assert jsonc.remove(COMMENTED, ("font",)) == COMMENTED.replace(
        '    "font": 12, /* large */\n', "     /* large */\n"
    )
    assert jsonc.remove('{"a": 1, "b": 2}', ("b",)) == '{"a": 1 }'
    assert jsonc.remove(COMMENTED, ("nowhere", "at all")) == COMMENTED
