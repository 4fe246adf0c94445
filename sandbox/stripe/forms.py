"""What Stripe's form encoding means: nested brackets in, typed values out.

`items[0][price]=p`, `expand[]=a`, `metadata[k]=v`; an empty string unsets a value
(https://docs.stripe.com/api: "form-encoded request bodies").
"""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.stripe.errors import Object, invalid, malformed, missing

NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
DEPTH = 8
METADATA_KEYS, METADATA_KEY, METADATA_VALUE = 50, 40, 500


def parse(pairs: Iterable[tuple[str, str]]) -> Object:
    """Nest the pairs of a query string or a form body."""
    tree: Object = {}
    for name, value in pairs:
        match = NAME.match(name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else []
        if not path or len(path) > DEPTH:
            raise malformed(f"Invalid parameter name: {name[:80]}", name[:80])
        _plant(tree, path, value)
    return {name: _lists(name, value) for name, value in tree.items()}


def _plant(tree: Object, path: list[str], value: str) -> None:
    *branches, leaf = path
    for branch in branches:
        tree = tree.setdefault(branch or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise malformed(f"Invalid parameter: {branch} is both a value and a hash", branch)
    tree[leaf or str(len(tree))] = value


def _lists(name: str, value: Any) -> Any:
    """A hash whose keys are numbers is a list; metadata never is."""
    if not isinstance(value, dict):
        return value
    nested = {key: _lists(key, inner) for key, inner in value.items()}
    if name != "metadata" and nested and all(key.isdecimal() for key in nested):
        return [nested[key] for key in sorted(nested, key=int)]
    return nested


class Params:
    """Typed, named access to one hash of parameters; every refusal names the parameter."""

    def __init__(self, data: Object, prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def name(self, name: str) -> str:
        """The full name, as the error reports it: `items[0][price]`."""
        return f"{self.prefix}[{name}]" if self.prefix else name

    def only(self, names: Iterable[str]) -> None:
        """Refuse what is not among `names`, as Stripe refuses an unknown parameter."""
        for name in self.data:
            if name not in names:
                full = self.name(name)
                raise malformed(f"Received unknown parameter: {full}", full, "parameter_unknown")

    def unset(self, name: str) -> bool:
        """The parameter is there and empty: the caller clears the value."""
        return self.data.get(name) == ""

    def text(self, name: str) -> str | None:
        """A string, or None where it is absent or empty."""
        value = self.data.get(name)
        if isinstance(value, dict | list):
            raise malformed(f"Invalid string: {value}", self.name(name))
        return value or None

    def need(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise missing(self.name(name))
        return value

    def choice(self, name: str, options: tuple[str, ...], default: str) -> str:
        """One of `options`."""
        value = self.text(name) or default
        if value not in options:
            listed = ", ".join(options)
            raise malformed(f"Invalid {name}: must be one of {listed}", self.name(name))
        return value

    def integer(self, name: str) -> int | None:
        """A whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            full = self.name(name)
            raise malformed(f"Invalid integer: {value}", full, "parameter_invalid_integer")
        return int(value)

    def need_integer(self, name: str) -> int:
        """A whole number that must be there."""
        value = self.integer(name)
        if value is None:
            raise missing(self.name(name))
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """`true` or `false`."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise malformed(f"Invalid boolean: {value}", self.name(name))
        return value.lower() == "true"

    def hash(self, name: str) -> "Params":
        """A nested hash; an absent one is empty."""
        value = self.data.get(name) or {}
        if not isinstance(value, dict):
            raise malformed("Invalid object", self.name(name))
        return Params(value, self.name(name))

    def each(self, name: str) -> "list[Params]":
        """A list of hashes."""
        return [
            Params(item, f"{self.name(name)}[{index}]")
            for index, item in enumerate(self._list(name))
            if isinstance(item, dict)
        ]

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        return [str(item) for item in self._list(name)]

    def _list(self, name: str) -> list[Any]:
        value = self.data.get(name) or []
        if not isinstance(value, list):
            raise malformed("Invalid array", self.name(name))
        return value

    def metadata(self, old: Object | None = None) -> dict[str, str]:
        """The metadata after this call: given keys are merged, empty ones removed.

        At most 50 keys of 40 characters with values of 500 (https://docs.stripe.com/api/metadata).
        """
        merged = {} if self.unset("metadata") else dict(old or {})
        for key, value in self.hash("metadata").data.items():
            if len(key) > METADATA_KEY or len(str(value)) > METADATA_VALUE:
                raise malformed(f"Metadata too long: {key[:40]}", f"metadata[{key[:40]}]")
            merged[key] = str(value)
        merged = {key: value for key, value in merged.items() if value != ""}
        if len(merged) > METADATA_KEYS:
            raise invalid("You can have up to 50 metadata keys.", "metadata")
        return merged


def copy_texts(target: Object, params: Params, names: str) -> None:
    """Set the named text fields that were given; an empty string clears one."""
    for name in names.split():
        if name in params:
            target[name] = params.text(name)
