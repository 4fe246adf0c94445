"""Numbers that strangers write in a query or a form."""

_LONGEST = 18  # digits: what every database keeps


def whole(text: str) -> int | None:
    """The whole number that a text is; None where it is none, or longer than any here may be. A
    superscript is a digit to Python, and no number of thousands of digits is read."""
    fine = text.isascii() and text.isdecimal() and len(text) <= _LONGEST
    return int(text) if fine else None
