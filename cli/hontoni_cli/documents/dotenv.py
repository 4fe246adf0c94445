"""NAME=value, a line each."""

import re

_LINE = re.compile(r"^(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def read(text: str) -> dict[str, str]:
    """What it says, without quotes."""
    return {name: value.strip("\"'") for name, value in _LINE.findall(text)}


def remove(text: str, path: tuple[str, ...], _: object = None) -> str:
    """Without the name's lines."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if path[0] not in read(line))


def put(text: str, path: tuple[str, ...], value: str) -> str:
    """With that value: in the place of the name's last line, or at the end."""
    (name,) = path
    lines = [found for found in _LINE.finditer(text) if found[1] == name]
    if lines:
        begins, ends = lines[-1].span()
        return f"{text[:begins]}{name}={value}{text[ends:]}"
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}{name}={value}\n"
