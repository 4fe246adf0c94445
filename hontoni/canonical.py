"""One spelling of a JSON document, so that both sides sign and hash the same bytes.

Members sorted, no spaces, UTF-8, no fractions: what JCS (RFC 8785) makes of such a document. It
imports nothing of ours: `python -m hontoni.verify` runs without the rest.
"""

import json
from typing import Any


def encode(document: Any) -> bytes:
    """The bytes. Raises TypeError for a float: money is text, counts are integers."""
    _check(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _check(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a fraction has many spellings: {value!r}")
    if isinstance(value, dict):
        for member in value.values():
            _check(member)
    elif isinstance(value, list):
        for member in value:
            _check(member)
