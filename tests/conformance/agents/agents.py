"""How each agent is told where the product is, and which of its tools do the task.

The task is the same for all: write a file, read it back, say what was read. The sandbox plays the
model, and is told the agent's own tools by directives in the prompt (sandbox/vendors/script.py).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.agents.product import directive

Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where an agent runs: `home` and `project` are its alone. `model` may be none."""

    home: Path
    project: Path
    root: str
    key: str
    model: str

    @property
    def v1(self) -> str:
        return f"{self.root}/v1"

    def write(self, name: str, text: str) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@dataclass(frozen=True)
class Agent:
    """`command` is what is typed, without the prompt, which comes last or on stdin."""

    name: str
    install: str
    command: Callable[[Place], list[str]]
    steps: Callable[[str, str], str]
    env: Callable[[Place], Mapping[str, str]] = lambda place: {}
    set_up: Callable[[Place], list[list[str]]] = lambda place: []
    tear_down: list[list[str]] = field(default_factory=list)
    by_stdin: bool = False


def _claude_code(place: Place) -> list[str]:
    model = ["--model", place.model] if place.model else []
    permitted = ["--permission-mode", "acceptEdits", "--allowedTools", "Write,Read"]
    return ["claude", *model, *permitted, "-p"]


def _claude_code_env(place: Place) -> dict[str, str]:
    """The two lines of the documentation; the rest keeps it from calling home."""
    return {
        "ANTHROPIC_BASE_URL": place.root,
        "ANTHROPIC_API_KEY": place.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def _codex(place: Place) -> list[list[str]]:
    place.write(
        ".codex/config.toml",
        f'model = "{place.model}"\nmodel_provider = "hontoni"\n'
        'model_reasoning_effort = "high"\nmodel_reasoning_summary = "detailed"\n'
        f'[model_providers.hontoni]\nname = "Hontoni"\nbase_url = "{place.v1}"\n'
        'env_key = "HONTONI_API_KEY"\nwire_api = "responses"\n',
    )
    return []


def _opencode(place: Place) -> list[list[str]]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Hontoni",
        "options": {"baseURL": place.v1, "apiKey": place.key},
        "models": {place.model: {}},
    }
    config = {"provider": {"hontoni": provider}, "model": f"hontoni/{place.model}"}
    place.write(".config/opencode/opencode.json", json.dumps(config))
    return []


def _continue(place: Place) -> list[list[str]]:
    place.write(
        "config.yaml",
        "name: Hontoni\nversion: 1.0.0\nschema: v1\nmodels:\n"
        f"  - name: Model\n    provider: openai\n    model: {place.model}\n"
        f"    apiBase: {place.v1}\n    apiKey: {place.key}\n",
    )
    return []


def _cline(place: Place) -> list[list[str]]:
    told = ["-p", "openai", "-b", place.v1, "-k", place.key, "-m", place.model]
    return [["cline", "auth", *told]]


def _gemini(place: Place) -> list[list[str]]:
    """Nothing but how it signs in; the rest keeps it from calling home."""
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }
    place.write(".gemini/settings.json", json.dumps(settings))
    return []


def _aider(place: Place) -> list[str]:
    quiet = ["--no-check-update", "--analytics-disable", "--no-show-release-notes"]
    plain = ["--no-pretty", "--no-gitignore", "--no-show-model-warnings", "--yes-always"]
    model = ["--model", f"openai/{place.model}", "--edit-format", "whole"]
    return ["aider", *quiet, *plain, *model, "--no-suggest-shell-commands", "--message"]


def _write_and_read(writes: str, path: str, content: str, reads: str) -> Callable[[str, str], str]:
    """The steps of an agent whose two tools take these names and arguments."""
    return lambda file, text: (
        directive(writes, **{path: file, content: text}) + directive(reads, **{path: file})
    )


AGENTS = (
    Agent(
        "Claude Code",
        "claude-code",
        command=_claude_code,
        env=_claude_code_env,
        steps=_write_and_read("Write", "file_path", "content", "Read"),
    ),
    Agent(
        "Codex",
        "codex",
        command=lambda place: [
            *("codex", "exec", "--skip-git-repo-check"),
            "--dangerously-bypass-approvals-and-sandbox",
        ],
        env=lambda place: {"HONTONI_API_KEY": place.key},
        set_up=_codex,
        steps=lambda file, text: (
            directive("exec_command", cmd=f"printf %s {text} > {file}")
            + directive("exec_command", cmd=f"cat {file}")
        ),
    ),
    Agent(
        "Gemini CLI",
        "gemini-cli",
        command=lambda place: ["gemini", "--model", place.model, "--yolo", "--prompt"],
        env=lambda place: {
            "GOOGLE_GEMINI_BASE_URL": place.root,
            "GEMINI_API_KEY": place.key,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        },
        set_up=_gemini,
        steps=_write_and_read("write_file", "file_path", "content", "read_file"),
    ),
    Agent(
        "aider",
        "aider",
        command=_aider,
        env=lambda place: {
            "OPENAI_API_BASE": place.v1,
            "OPENAI_API_KEY": place.key,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        # It has no tools: it edits by what the answer says, and reads nothing back.
        steps=lambda file, text: f"[[say: {Path(file).name}\n```\n{text}\n```\n]]",
    ),
    Agent(
        "OpenCode",
        "opencode",
        command=lambda place: ["opencode", "run", "--auto"],
        set_up=_opencode,
        # Which tool edits depends on the model; these two are always there.
        steps=lambda file, text: (
            directive("bash", command=f"printf %s {text} > {file}")
            + directive("read", filePath=file)
        ),
        by_stdin=True,  # it would put the prompt between quotes, and escape those of the JSON
    ),
    Agent(
        "Continue",
        "continue",
        command=lambda place: ["cn", "--auto", "--config", f"{place.home}/config.yaml", "-p"],
        set_up=_continue,
        steps=_write_and_read("Write", "filepath", "content", "Read"),
    ),
    Agent(
        "Cline",
        "cline",
        command=lambda place: ["cline"],
        set_up=_cline,
        tear_down=[["cline", "hub", "stop"]],
        steps=lambda file, text: (
            directive("run_commands", commands=[f"printf %s {text} > {file}"])
            + directive("read_files", files=[{"path": file}])
        ),
    ),
)
