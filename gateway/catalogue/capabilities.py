"""What a model can do, in the words that the product knows.

Staff may sell a model by other words, too: those are shown as they are written.
"""

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

NAMES: dict[str, Promise] = {
    "reasoning": _("reasoning"),
    "tools": _("tools"),
    "vision": _("vision"),
    "code": _("code"),
    "chat": _("chat"),
    "embeddings": _("embeddings"),
    "moderation": _("moderation"),
    "images": _("images"),
    "transcription": _("transcription"),
    "speech": _("speech"),
}


def name(capability: str) -> str:
    return str(NAMES.get(capability, capability))


def others(capabilities: Iterable[str]) -> list[str]:
    """Those that the product has no word of its own for."""
    return [each for each in capabilities if each not in NAMES]
