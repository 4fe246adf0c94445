"""Anthropic's tools that a client runs, for models that were not trained on them.

Claude knows `bash`, the text editor, the memory directory and the computer by their types alone;
any other model is told what they take, as of a function. The client runs the call all the same:
its names and members are Anthropic's.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_TEXT: Mapping[str, Any] = {"type": "string"}
_WHOLE: Mapping[str, Any] = {"type": "integer"}
_POINT: Mapping[str, Any] = {"type": "array", "items": _WHOLE, "description": "x and y in pixels"}


class ClientTool(NamedTuple):
    """What a model is told of such a tool."""

    name: str
    about: str
    schema: dict[str, Any]


def told(tool: Mapping[str, Any]) -> ClientTool | None:
    """What a tool of that type is; None if it is none of them."""
    kind = str(tool.get("type"))
    found = next((make for begins, make in _KINDS if _is_dated(kind, begins)), None)
    return found(tool) if found is not None else None


def _is_dated(kind: str, begins: str) -> bool:
    """Whether it is that tool, as of a day: bash_20250124."""
    day = kind.removeprefix(begins)
    return day != kind and len(day) == 8 and day.isdecimal()


def _object(members: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(members), "required": list(required)}


def _bash(tool: Mapping[str, Any]) -> ClientTool:
    members = {
        "command": {**_TEXT, "description": "The command to run; not with `restart`"},
        "restart": {"type": "boolean", "description": "Start the shell anew"},
    }
    about = "Runs a command in a bash shell that stays open between calls."
    return ClientTool("bash", about, _object(members))


_OF_FILES: Mapping[str, Any] = {
    "path": {**_TEXT, "description": "Absolute path of the file or directory"},
    "file_text": {**_TEXT, "description": "For create: all of the file"},
    "old_str": {**_TEXT, "description": "For str_replace: the text, which must occur once"},
    "insert_line": {**_WHOLE, "description": "For insert: the line after which, 0 for the top"},
    "view_range": {
        "type": "array",
        "items": _WHOLE,
        "description": "For view: first and last line, -1 for the end",
    },
}


def _text_editor(tool: Mapping[str, Any]) -> ClientTool:
    day = str(tool.get("type"))[-8:]
    old = day < "20250429"
    commands = ["view", "create", "str_replace", "insert", *(["undo_edit"] if old else [])]
    inserted = "new_str" if old else "insert_text"
    also = "; for str_replace what takes its place" if old else ""
    members = {
        "command": {**_TEXT, "enum": commands},
        **_OF_FILES,
        "new_str": {**_TEXT, "description": "For str_replace: what takes its place"},
        inserted: {**_TEXT, "description": "For insert: the new text" + also},
    }
    about = "Views, creates and edits text files on the user's machine."
    name = "str_replace_editor" if old else "str_replace_based_edit_tool"
    return ClientTool(name, about, _object(members, "command", "path"))


def _memory(tool: Mapping[str, Any]) -> ClientTool:
    commands = ["view", "create", "str_replace", "insert", "delete", "rename"]
    members = {
        "command": {**_TEXT, "enum": commands},
        **_OF_FILES,
        "path": {**_TEXT, "description": "Below /memories; not for rename"},
        "new_str": {**_TEXT, "description": "For str_replace: what takes its place"},
        "insert_text": {**_TEXT, "description": "For insert: the new text"},
        "old_path": {**_TEXT, "description": "For rename"},
        "new_path": {**_TEXT, "description": "For rename"},
    }
    about = (
        "Files below /memories that last from one conversation to the next. View that directory "
        "before you begin, and write down there what later work needs."
    )
    return ClientTool("memory", about, _object(members, "command"))


_ACTIONS = (
    *("key", "type", "mouse_move", "left_click", "left_click_drag", "right_click"),
    *("middle_click", "double_click", "triple_click", "left_mouse_down", "left_mouse_up"),
    *("scroll", "hold_key", "wait", "screenshot", "cursor_position", "zoom"),
)


def _computer(tool: Mapping[str, Any]) -> ClientTool:
    members = {
        "action": {**_TEXT, "enum": list(_ACTIONS)},
        "coordinate": _POINT,
        "start_coordinate": _POINT,
        "text": {**_TEXT, "description": "To type, or the keys to press or hold"},
        "duration": {"type": "number", "description": "Seconds, for hold_key and wait"},
        "scroll_direction": {**_TEXT, "enum": ["up", "down", "left", "right"]},
        "scroll_amount": _WHOLE,
        "region": {**_POINT, "description": "For zoom: x0, y0, x1, y1"},
    }
    size = f"{tool.get('display_width_px')} x {tool.get('display_height_px')} pixels"
    about = (
        f"Works the user's screen ({size}), mouse and keyboard. Take a screenshot before you "
        "click, and after it to see what happened."
    )
    return ClientTool("computer", about, _object(members, "action"))


_KINDS: tuple[tuple[str, Callable[[Mapping[str, Any]], ClientTool]], ...] = (
    ("bash_", _bash),
    ("text_editor_", _text_editor),
    ("memory_", _memory),
    ("computer_", _computer),
)
