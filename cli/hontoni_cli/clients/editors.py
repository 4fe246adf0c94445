"""Editors. Where one keeps its key in a store of its own that no program writes, its person is
given what to paste."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hontoni_cli.clients.agents import NAME
from hontoni_cli.clients.client import (
    CHAT,
    JSON,
    TOOLS,
    Client,
    File,
    Place,
    at,
    config_folder,
    root_of,
    settings_folder,
    table,
)

_MODELS = ("claude-sonnet-4.6", "claude-sonnet-4.5", "claude-sonnet-4", "gpt-4o")
_CONTEXT = 200_000


def _bearer(header: object) -> str:
    return str(header or "").removeprefix("Bearer ")


# -- Cursor --------------------------------------------------------------------------------------


def _cursor() -> Path:
    return Path.home() / ".cursor" / "mcp.json"


def _cursor_files(place: Place) -> Sequence[File]:
    server = {
        "url": f"{place.url}/mcp",
        "headers": {"Authorization": f"Bearer {place.key}"},
    }
    return [File(_cursor(), JSON, ((("mcpServers", "hontoni"), server),))]


def _cursor_read() -> Place | None:
    url = at(JSON, _cursor(), "mcpServers", "hontoni", "url")
    key = at(JSON, _cursor(), "mcpServers", "hontoni", "headers", "Authorization")
    return Place(str(url).removesuffix("/mcp"), _bearer(key), "") if url and key else None


CURSOR = Client(
    "cursor",
    "Cursor",
    TOOLS,
    _MODELS,
    _cursor_files,
    _cursor_read,
    after="Cursor keeps the key of its models in a store of its own. Under Settings > Models > "
    "OpenAI API Key paste\n    key       {key}\n    Override OpenAI Base URL  {v1}\n    and add "
    "the model  {model}",
)


# -- Windsurf ------------------------------------------------------------------------------------


def _windsurf() -> Path:
    return settings_folder("Windsurf") / "settings.json"


def _windsurf_files(place: Place) -> Sequence[File]:
    given = {
        "ai.provider": "openai",
        "ai.openai.baseUrl": place.v1,
        "ai.openai.apiKey": place.key,
        "ai.openai.model": place.model,
    }
    return [File(_windsurf(), JSON, tuple(((name,), value) for name, value in given.items()))]


def _windsurf_read() -> Place | None:
    given = table(JSON, _windsurf())
    url, key = given.get("ai.openai.baseUrl"), given.get("ai.openai.apiKey")
    return (
        Place(root_of(url), str(key), str(given.get("ai.openai.model"))) if url and key else None
    )


WINDSURF = Client("windsurf", "Windsurf", CHAT, _MODELS, _windsurf_files, _windsurf_read)


# -- Zed -----------------------------------------------------------------------------------------


def _zed() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / "Zed" / "settings.json"
    return config_folder() / "zed" / "settings.json"


def _zed_files(place: Place) -> Sequence[File]:
    model = {"name": place.model, "display_name": place.model, "max_tokens": _CONTEXT}
    provider = {"api_url": place.v1, "available_models": [model]}
    chosen = {"provider": NAME, "model": place.model}
    return [
        File(
            _zed(),
            JSON,
            (
                (("language_models", "openai_compatible", NAME), provider),
                (("agent", "default_model"), chosen),
            ),
        )
    ]


def _zed_read() -> Place | None:
    url = at(JSON, _zed(), "language_models", "openai_compatible", NAME, "api_url")
    model = at(JSON, _zed(), "agent", "default_model", "model")
    return Place(root_of(url), "", str(model)) if url else None


ZED = Client(
    "zed",
    "Zed",
    CHAT,
    _MODELS,
    _zed_files,
    _zed_read,
    after="Zed takes no key from its settings: paste it under agent: open settings > LLM "
    f"Providers > {NAME}, or start Zed with\n    HONTONI_API_KEY={{key}}",
)
