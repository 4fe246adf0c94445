"""A client's headers that switch something on at the vendor, without what the allow-list does not
know (sift.py does the same for the body)."""

from collections.abc import Mapping

from gateway.catalogue.features.sift import AND_MORE, LONGEST, MOST_NAMES
from gateway.catalogue.features.snapshot import Rules

_SWITCHES = (b"anthropic-", b"openai-")  # how the vendors' own headers begin


def headers(
    sent: Mapping[bytes, bytes], rules: Rules
) -> tuple[dict[bytes, bytes], tuple[str, ...]]:
    """Those of a client's headers that the vendor shall see, and the names of the switches that
    were left out. Beta flags are looked at one by one."""
    kept: dict[bytes, bytes] = {}
    left: list[str] = []
    for name in [name for name in sent if name.startswith(_SWITCHES)]:
        value = sent[name]
        if name not in rules.headers:
            left.append(f"header:{name.decode('latin-1')[:LONGEST]}")
        elif name.endswith(b"-beta"):
            flags, gone = _flags(value, rules)
            left += gone
            if flags:
                kept[name] = flags
        else:
            kept[name] = value
    more = (AND_MORE,) if len(left) > MOST_NAMES else ()
    return kept, (*left[:MOST_NAMES], *more)


def _flags(value: bytes, rules: Rules) -> tuple[bytes, tuple[str, ...]]:
    """The same few lists come again and again."""
    if (known := rules.flags.get(value)) is not None:
        return known
    raw = [flag for part in value.decode("latin-1").split(",") if (flag := part.strip())]
    left = tuple(f"beta:{flag[:LONGEST]}" for flag in raw if rules.betas.find(flag) is None)
    kept = value
    if left:
        kept = ",".join(flag for flag in raw if rules.betas.find(flag)).encode("latin-1")
    if len(rules.flags) < 1_000:
        rules.flags[value] = kept, left
    return kept, left
