"""What a receipt keeps as codes, in the reader's language: as its page, its paper and a stranger
who was sent it show it. A code without words here is shown as it is.
"""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from gateway.catalogue.features.models import Kind
from hontoni.money import dollars
from hontoni.templatetags.money import counted, in_words

# docs/70-fair-billing.md says more of each.
RULES: dict[str, Promise] = {
    "": gettext_lazy("as the vendor reported it"),
    "drained": gettext_lazy("heard to its end after the client left"),
    "left": gettext_lazy("stopped when the client left"),
    "estimated": gettext_lazy("our estimate"),
    "stop": gettext_lazy("ended by a stop sequence"),
    "given": gettext_lazy("nothing is charged"),
    "bound": gettext_lazy("charged in full: the day's allowance was used up"),
    "capped": gettext_lazy("charged what was held"),
    "quarantined": gettext_lazy("charged what was held"),
}
SPANS: dict[str, Promise] = {  # of windows, in a sentence
    "5h": gettext_lazy("5-hour"),
    "daily": pgettext_lazy("a window", "daily"),
    "weekly": pgettext_lazy("a window", "weekly"),
    "monthly": gettext_lazy("30-day"),
}
TURNS: dict[str, Promise] = {  # the kinds of lines; of a plain message nothing is said
    "message": gettext_lazy("a turn"),
    "compaction": gettext_lazy("a summary"),
    "advisor_message": gettext_lazy("advice"),
}
BOUNDS: dict[str, Promise] = {
    "model": gettext_lazy("the model's bound"),
    "plan": gettext_lazy("your plan's bound"),
    "balance": gettext_lazy("what your balance covers"),
    "spend-cap": gettext_lazy("the key's spend cap"),
    "hold": gettext_lazy("what was held"),
    "tools": gettext_lazy("the tools of the request"),
}
_CLAMPED: dict[str, Promise] = {
    "charge": gettext_lazy("Charged"),
    "max_tokens": gettext_lazy("Output tokens"),
    "thinking": gettext_lazy("Thinking tokens"),
    "context": gettext_lazy("Context"),
}
_KINDS: dict[str, Promise] = {
    Kind.TOOL: pgettext_lazy("left out", "tool"),
    Kind.MEMBER: pgettext_lazy("left out", "member"),
    Kind.VALUE: pgettext_lazy("left out", "value"),
    Kind.BETA: pgettext_lazy("left out", "beta flag"),
    Kind.HEADER: pgettext_lazy("left out", "header"),
    Kind.BLOCK: pgettext_lazy("left out", "content block"),
}
_BALANCE = " (balance)"  # as gateway/usage/left_out_counts.py has it


def left_out(each: str) -> tuple[str, str, str]:
    """Of `tool:web_search (balance)`: what kind of thing, its name, and why if that is known."""
    kind, _colon, name = each.partition(":")
    if kind not in _KINDS:
        return "", each, ""
    why = _("your balance did not cover it") if name.endswith(_BALANCE) else ""
    return str(_KINDS[kind]), name.removesuffix(_BALANCE), why


def limited(name: str, clamp: dict[str, Any]) -> tuple[str, str]:
    """Of a clamp: what it is about, and what was applied in place of what was asked for."""
    about = str(_CLAMPED.get(name, name))
    applied, wanted = (_number(name, clamp[each]) for each in ("applied", "asked"))
    if "by" not in clamp or applied == wanted:
        return about, applied
    by = BOUNDS.get(clamp["by"], clamp["by"])
    said = _("%(applied)s instead of %(asked)s, by %(by)s")
    return about, said % {"applied": applied, "asked": wanted, "by": by}


def _number(name: str, given: Any) -> str:
    if name == "charge":
        return in_words(dollars(given))
    return counted(given) if isinstance(given, int) else str(given)
