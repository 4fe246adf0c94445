"""What the vendors sell and how they refuse: model ids, what each can do, and error shapes.

Capabilities follow protocols.md sections 1.3, 1.5 and 1.9.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

Vendor = Literal["anthropic", "openai", "google", "amazon"]

MODELS: dict[Vendor, tuple[str, ...]] = {
    "anthropic": (
        "claude-sonnet-4-20250514",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-6",
        "claude-opus-4-5-20251101",
        "claude-opus-4-6",
        "claude-haiku-4-5-20251001",
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-haiku-5-5",
        "claude-fable-5-2",
    ),
    "openai": (
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-5-mini",
        "gpt-5.1",
        "gpt-5.2",
        "gpt-5.2-codex",
        "gpt-5.3-codex",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-6-astra",
        "gpt-6-luna",
        "gpt-6.1-sol",
        "gpt-6.1-terra",
    ),
    "google": (
        "gemini-2.5-pro",
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview",
        "gemini-3.8-flash",
    ),
}


class VendorError(Exception):
    """A refusal. Each dialect gives it the vendor's shape."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.details = details or []


@dataclass(frozen=True, slots=True)
class Model:
    """What a model accepts. `window` and `max_output` in tokens."""

    id: str
    window: int
    max_output: int
    efforts: tuple[str, ...] = ()
    default_effort: str = "none"
    thinking: tuple[str, ...] = ()
    level_only: bool = False
    samples: bool = True
    samples_one: bool = False
    prefill: bool = True
    system_messages: bool = False
    structured: bool = True
    chat: bool = True

    @property
    def reasons(self) -> bool:
        return bool(self.efforts or self.thinking)


def describe(model: str) -> Model:
    """The model behind an id, known or of a known family."""
    if model.startswith("claude-"):
        return _claude(model)
    if model.startswith("gemini-"):
        return _gemini(model)
    return _gpt(model)


def version_of(model: str) -> float:
    """gpt-5.4-mini → 5.4; claude-sonnet-4-5-20250929 → 4.5; claude-opus-4-20250514 → 4.0."""
    found = re.search(r"-(\d+)(?:[.-](\d))?(?!\d)", model)
    return float(f"{found[1]}.{found[2] or 0}") if found else 0.0


def _claude(model: str) -> Model:
    version = version_of(model)
    opus = "opus" in model
    common: dict[str, Any] = {
        "window": 1_000_000 if version >= 4.6 else 200_000,
        "max_output": 128_000 if version > 4.6 or (opus and version == 4.6) else 64_000,
        "samples_one": version >= 4.5,
    }
    if version < 4.6:
        efforts = ("low", "medium", "high") if opus and version == 4.5 else ()
        thinking: tuple[str, ...] = ("enabled", "disabled")
        return Model(
            model, efforts=efforts, thinking=thinking, structured=version >= 4.5, **common
        )
    if version == 4.6:
        levels = ("low", "medium", "high", "max")
        return Model(model, efforts=levels, thinking=("adaptive", "enabled", "disabled"), **common)
    thinking = ("adaptive", "disabled") if version < 5.5 else ("adaptive", "between_tools")
    return Model(
        model,
        efforts=("low", "medium", "high", "xhigh", "max"),
        thinking=thinking,
        samples=False,
        prefill=version < 5,
        system_messages=True,
        **common,
    )


def _gpt(model: str) -> Model:
    version = version_of(model)
    if version < 5:
        wide = model.startswith("gpt-4.1")
        return Model(model, 1_047_576 if wide else 128_000, 32_768 if wide else 16_384)
    efforts: tuple[str, ...] = ("none", "low", "medium", "high", "xhigh")
    if version < 5.1:
        efforts = ("minimal", "low", "medium", "high")
    elif version < 5.2:
        efforts = ("none", "low", "medium", "high")
    elif version > 5.5:
        efforts = (*efforts, "max")
    return Model(
        model,
        1_050_000 if version == 5.4 and "mini" not in model else 400_000,
        128_000,
        efforts=efforts,
        default_effort="medium" if version < 5.1 else "none",
        chat="codex" not in model,
    )


def _gemini(model: str) -> Model:
    version = version_of(model)
    levels: tuple[str, ...] = ()
    if version >= 3:
        levels = ("low", "medium", "high")
    if version >= 3 and "flash" in model and version < 3.7:
        levels = ("minimal", *levels)
    return Model(
        model, 1_048_576, 65_536, efforts=levels, thinking=("budget",), level_only=version >= 3
    )
