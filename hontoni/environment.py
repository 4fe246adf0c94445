"""The environment, of which nothing is read that `options.py` does not declare."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from hontoni.options import OPTIONS

_NAMES = frozenset(option.name for option in OPTIONS)


class Environment(environ.Env):  # type: ignore[misc]  # it is untyped
    """django-environ's reader, for the options above. Another name raises KeyError."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        if var not in _NAMES:
            raise KeyError(f"{var} is read, but hontoni/options.py does not say what it means")
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:  # said without a word of the value: it may be a secret
            raise ImproperlyConfigured(
                f"{var} cannot be read: see docs/configuration.md"
            ) from error


_HEAD = """# Configuration

Environment variables only; a `.env` file is read if present. This page is printed from
`hontoni/options.py` (`make docs`).

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    """docs/configuration.md."""
    rows = (f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in OPTIONS)
    return _HEAD + "".join(rows)
