"""A receipt's codes in words, on its page."""

from typing import Any

from django import template

from gateway.dashboard import receipt_words

register = template.Library()
register.filter("left_out", receipt_words.left_out)


@register.filter
def turn(kind: str) -> Any:
    """What a line of tokens is for."""
    return receipt_words.TURNS.get(kind, kind)


@register.filter
def span(window: str) -> Any:
    """How long a window is."""
    return receipt_words.SPANS.get(window, window)


@register.simple_tag
def limited(name: str, clamp: dict[str, Any]) -> tuple[str, str]:
    """What was limited, and how: see receipt_words."""
    return receipt_words.limited(name, clamp)
