"""What a client may write behind (and before) a model's name.

    claude-sonnet-4:high     think hard: 32,768 tokens, or effort "high"
    claude-sonnet-4:max      think as hard as it can: 65,536 tokens, or effort "xhigh"
    claude-sonnet-4-1m       a million tokens of context; Claude Code writes it [1m]
    openai/gpt-4o            a vendor's prefix, as other gateways have it
    gpt-4o-2024-05-13        a dated id

In any order and case, combined. The literal id comes first: a model may be called like that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.catalogue.model_life import Retired
from gateway.dialects.ir import Target, Thinking

_PREFIX = re.compile(r"(?:models|openai|anthropic|google|gemini|vertex|hontoni)/", re.I)
_SUFFIX = re.compile(r"(?::(high|max)|(-1m|\[1m\]))$", re.I)
_DATE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d)$")


@dataclass(frozen=True, slots=True)
class Variant:
    """`effort` is "", high or max; `instead_of` the retired model that the name is of."""

    effort: str = ""
    long_context: bool = False
    instead_of: Retired | None = None

    def __str__(self) -> str:
        return (f":{self.effort}" if self.effort else "") + ("-1m" if self.long_context else "")

    def thinking(self, target: Target) -> Thinking:
        """What the suffix asks of this model, in the word its kind knows."""
        most = "xhigh" if target.thinking == "effort" else "max"
        return Thinking("effort", most if self.effort == "max" else self.effort)


PLAIN = Variant()


def undated(name: str) -> str:
    """A vendor's name without the date it may end in."""
    return _DATE.sub("", name)


def readings(name: str) -> Iterator[tuple[str, Variant]]:
    """What a name may mean, the most literal reading first."""
    yield name, PLAIN
    name = _PREFIX.sub("", name.strip(), count=1)
    yield name, PLAIN
    variant = PLAIN
    while found := _SUFFIX.search(name):
        name = name[: found.start()]
        if found[1]:
            variant = replace(variant, effort=variant.effort or found[1].lower())
        else:
            variant = replace(variant, long_context=True)
        yield name, variant
    if dated := _DATE.search(name):
        yield name[: dated.start()], variant
