"""Agents of the command line."""

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hontoni_cli.clients.client import (
    CHAT,
    ENV,
    GENERATE,
    JSON,
    MESSAGES,
    RESPONSES,
    TOML,
    YAML,
    Client,
    File,
    Place,
    at,
    config_folder,
    root_of,
    table,
)

_CLAUDE = ("claude-sonnet-4.6", "claude-sonnet-4.5", "claude-sonnet-4", "claude-opus-4.6")
_GPT = ("gpt-5.3-codex", "gpt-5.2-codex", "gpt-5.4", "gpt-5.2", "gpt-4o")
_GOOGLE = ("gemini-3.1-pro-preview", "gemini-3-flash-preview", "gemini-2.5-pro")
NAME = "Hontoni"


def _found(url: Any, key: Any, model: Any) -> Place | None:
    return Place(root_of(url), str(key), str(model or "")) if url and key else None


# -- Claude Code ---------------------------------------------------------------------------------


def _claude_code() -> Path:
    named = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(named) if named else Path.home() / ".claude") / "settings.json"


def _claude_code_files(place: Place) -> Sequence[File]:
    env = {
        "ANTHROPIC_BASE_URL": place.url,
        "ANTHROPIC_AUTH_TOKEN": place.key,
        "ANTHROPIC_MODEL": place.model,
    }
    puts = tuple((("env", name), value) for name, value in env.items())
    return [File(_claude_code(), JSON, puts)]


def _claude_code_read() -> Place | None:
    env = table(JSON, _claude_code(), "env")
    return _found(
        env.get("ANTHROPIC_BASE_URL"), env.get("ANTHROPIC_AUTH_TOKEN"), env.get("ANTHROPIC_MODEL")
    )


CLAUDE_CODE = Client(
    "claude-code",
    "Claude Code",
    MESSAGES,
    _CLAUDE,
    _claude_code_files,
    _claude_code_read,
    shell=("ANTHROPIC_API_KEY",),
)


# -- Codex ---------------------------------------------------------------------------------------


def _codex() -> Path:
    named = os.environ.get("CODEX_HOME")
    return (Path(named) if named else Path.home() / ".codex") / "config.toml"


def _codex_files(place: Place) -> Sequence[File]:
    given = {
        "name": NAME,
        "base_url": place.v1,
        "wire_api": "responses",
        "experimental_bearer_token": place.key,
    }
    provider = tuple(
        (("model_providers", "hontoni", name), value) for name, value in given.items()
    )
    chosen = ((("model",), place.model), (("model_provider",), "hontoni"))
    return [File(_codex(), TOML, (*chosen, *provider))]


def _codex_read() -> Place | None:
    if at(TOML, _codex(), "model_provider") != "hontoni":
        return None
    given = table(TOML, _codex(), "model_providers", "hontoni")
    model = at(TOML, _codex(), "model")
    return _found(given.get("base_url"), given.get("experimental_bearer_token"), model)


CODEX = Client("codex", "Codex", RESPONSES, _GPT, _codex_files, _codex_read)


# -- Cline ---------------------------------------------------------------------------------------

_CLINE = "openai-compatible"


def _cline() -> Path:
    return Path.home() / ".cline" / "data" / "settings" / "providers.json"


def _cline_files(place: Place) -> Sequence[File]:
    settings = {
        "provider": _CLINE,
        "apiKey": place.key,
        "model": place.model,
        "baseUrl": place.v1,
    }
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    provider = {
        "settings": settings,
        "updatedAt": now.replace("+00:00", "Z"),
        "tokenSource": "manual",
    }
    fresh: tuple[Any, ...] = () if _cline().exists() else ((("version",), 1), (("modes",), {}))
    puts = ((("lastUsedProvider",), _CLINE), (("providers", _CLINE), provider))
    return [File(_cline(), JSON, (*fresh, *puts))]


def _cline_read() -> Place | None:
    given = table(JSON, _cline(), "providers", _CLINE, "settings")
    return _found(given.get("baseUrl"), given.get("apiKey"), given.get("model"))


CLINE = Client("cline", "Cline", CHAT, _CLAUDE, _cline_files, _cline_read)


# -- Continue ------------------------------------------------------------------------------------


def _continue() -> Path:
    named = os.environ.get("CONTINUE_GLOBAL_DIR")
    return (Path(named) if named else Path.home() / ".continue") / "config.yaml"


def _continue_files(place: Place) -> Sequence[File]:
    model = {
        "name": NAME,
        "provider": "openai",
        "model": place.model,
        "apiBase": place.v1,
        "apiKey": place.key,
        "roles": ["chat", "edit", "apply"],
    }
    head = {"name": "Local", "version": "1.0.0", "schema": "v1"}
    fresh = () if _continue().exists() else tuple(((n,), v) for n, v in head.items())
    return [File(_continue(), YAML, (*fresh, (("models",), model)))]


def _continue_read() -> Place | None:
    models = at(YAML, _continue(), "models")
    listed = models if isinstance(models, list) else []
    mine = [each for each in listed if isinstance(each, dict) and each.get("name") == NAME]
    given = mine[-1] if mine else {}
    return _found(given.get("apiBase"), given.get("apiKey"), given.get("model"))


CONTINUE = Client(
    "continue",
    "Continue",
    CHAT,
    _CLAUDE,
    _continue_files,
    _continue_read,
    after=f"Choose the model {NAME} in Continue, if another one is chosen.",
)


# -- aider ---------------------------------------------------------------------------------------


def _aider() -> Path:
    return Path.home() / ".aider.conf.yml"


def _aider_files(place: Place) -> Sequence[File]:
    given = {
        "model": f"openai/{place.model}",
        "openai-api-base": place.v1,
        "openai-api-key": place.key,
    }
    return [File(_aider(), YAML, tuple(((name,), value) for name, value in given.items()))]


def _aider_read() -> Place | None:
    given = table(YAML, _aider())
    model = str(given.get("model", "")).removeprefix("openai/")
    return _found(given.get("openai-api-base"), given.get("openai-api-key"), model)


AIDER = Client(
    "aider",
    "aider",
    CHAT,
    _CLAUDE,
    _aider_files,
    _aider_read,
    shell=("AIDER_MODEL", "AIDER_OPENAI_API_BASE", "AIDER_OPENAI_API_KEY"),
)


# -- OpenCode ------------------------------------------------------------------------------------


def _opencode() -> Path:
    """The one that is there: it reads both."""
    folder = config_folder() / "opencode"
    commented = folder / "opencode.jsonc"
    return commented if commented.exists() else folder / "opencode.json"


def _opencode_files(place: Place) -> Sequence[File]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": NAME,
        "options": {"baseURL": place.v1, "apiKey": place.key},
        "models": {place.model: {}},
    }
    schema = (("$schema",), "https://opencode.ai/config.json")
    fresh = () if _opencode().exists() else (schema,)
    puts = ((("provider", "hontoni"), provider), (("model",), f"hontoni/{place.model}"))
    return [File(_opencode(), JSON, (*fresh, *puts))]


def _opencode_read() -> Place | None:
    given = table(JSON, _opencode(), "provider", "hontoni", "options")
    model = str(at(JSON, _opencode(), "model") or "").removeprefix("hontoni/")
    return _found(given.get("baseURL"), given.get("apiKey"), model)


OPENCODE = Client("opencode", "OpenCode", CHAT, _CLAUDE, _opencode_files, _opencode_read)


# -- Gemini CLI ----------------------------------------------------------------------------------


def _gemini(name: str) -> Path:
    return Path.home() / ".gemini" / name


def _gemini_files(place: Place) -> Sequence[File]:
    env = {"GOOGLE_GEMINI_BASE_URL": place.url, "GEMINI_API_KEY": place.key}
    settings = (
        (("security", "auth", "selectedType"), "gemini-api-key"),
        (("model", "name"), place.model),
    )
    return [
        File(_gemini(".env"), ENV, tuple(((name,), value) for name, value in env.items())),
        File(_gemini("settings.json"), JSON, settings),
    ]


def _gemini_read() -> Place | None:
    env = table(ENV, _gemini(".env"))
    model = at(JSON, _gemini("settings.json"), "model", "name")
    return _found(env.get("GOOGLE_GEMINI_BASE_URL"), env.get("GEMINI_API_KEY"), model)


GEMINI = Client(
    "gemini",
    "Gemini CLI",
    GENERATE,
    _GOOGLE,
    _gemini_files,
    _gemini_read,
    shell=("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_API_KEY", "GEMINI_MODEL"),
)
