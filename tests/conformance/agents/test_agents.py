"""Real agents, headless, on a Claude, a GPT and a Gemini model, doing a real task with tools."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings

from tests.conformance.agents.agents import AGENTS, Agent, Place
from tests.conformance.agents.installation import NotInstallable, install, version
from tests.conformance.agents.product import Product, directive, running
from tests.conformance.sdks import NODE

MODELS = ("claude-sonnet-4.5", "gpt-5.2", "gemini-3.1-pro-preview")
BY_NAME = {f"{agent.name} {version(agent.install)}": agent for agent in AGENTS}
CLAUDE_CODE = next(name for name, agent in BY_NAME.items() if agent.install == "claude-code")
SECONDS = 180
NO_MODEL = "none chosen"
COMMAND = "hontoni setup"
CLI = Path(settings.BASE_DIR) / "cli"
# What the command calls it, and a model that its dialect is at home with.
SET_UP = {
    "claude-code": ("claude-code", MODELS[0]),
    "codex": ("codex", MODELS[1]),
    "gemini-cli": ("gemini", MODELS[2]),
    "aider": ("aider", MODELS[0]),
    "opencode": ("opencode", MODELS[0]),
    "continue": ("continue", MODELS[0]),
    "cline": ("cline", MODELS[0]),
}

pytestmark = pytest.mark.timeout(1200)  # installing one takes a while


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("agent", BY_NAME)
def test_an_agent_does_its_task(
    product: Product, agent: str, model: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    _do_the_task(BY_NAME[agent], model, product, tmp_path, pytestconfig)


@pytest.mark.parametrize("model", [NO_MODEL])
@pytest.mark.parametrize("agent", [CLAUDE_CODE])
def test_the_documented_two_lines_are_enough(
    product: Product, agent: str, model: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    _do_the_task(BY_NAME[agent], "", product, tmp_path, pytestconfig)


@pytest.mark.parametrize("model", [COMMAND])
@pytest.mark.parametrize("agent", BY_NAME)
def test_what_the_command_sets_up_is_enough_and_is_undone(
    product: Product, agent: str, model: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    known = BY_NAME[agent]
    _, model = SET_UP[known.install]
    _do_the_task(_by_command(known), model, product, tmp_path, pytestconfig)


@pytest.mark.parametrize("model", ["MCP"])
@pytest.mark.parametrize("agent", [CLAUDE_CODE])
def test_an_agent_asks_the_account_over_mcp(
    product: Product, agent: str, model: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    known, final = BY_NAME[agent], f"DONE-{secrets.token_hex(8)}"
    commands = _installed(known, pytestconfig)
    key = product.key(f"{agent} {model}")
    place = Place(tmp_path / "home", tmp_path / "project", product.url, key.raw, MODELS[0])
    place.home.mkdir()
    place.project.mkdir()
    bearer = {"Authorization": f"Bearer {key.raw}"}
    server = {"type": "http", "url": f"{product.url}/mcp", "headers": bearer}
    place.write("mcp.json", json.dumps({"mcpServers": {"hontoni": server}}))
    servers = ["--mcp-config", f"{place.home}/mcp.json", "--allowedTools", "mcp__hontoni__usage"]
    asking = replace(known, command=lambda _: ["claude", "--model", place.model, *servers, "-p"])
    asks = directive("mcp__hontoni__usage", group_by="model")
    said = _run(asking, place, f"Do it. {asks} [[say: {final} {{result}}]]", commands)
    assert '"group_by"' in said.split(final)[-1].replace("\\", "")


def _by_command(agent: Agent) -> Agent:
    """The same agent, that is told by its own files, and by nothing else, where we are."""
    name, _ = SET_UP[agent.install]

    def set_up(place: Place) -> list[list[str]]:
        where = ["--url", place.root, "--key", place.key, "--model", place.model]
        return [[sys.executable, str(CLI), "setup", name, "--yes", *where]]

    def env(place: Place) -> dict[str, str]:
        given = agent.env(place).items()
        return {n: v for n, v in given if v != place.key and place.root not in v}

    def command(place: Place) -> list[str]:
        theirs = f"{place.home}/config.yaml"
        return [
            v.replace(theirs, f"{place.home}/.continue/config.yaml") for v in agent.command(place)
        ]

    undo = [sys.executable, str(CLI), "undo", name]
    return replace(
        agent, set_up=set_up, env=env, command=command, tear_down=[*agent.tear_down, undo]
    )


def _do_the_task(
    agent: Agent, model: str, product: Product, folder: Path, config: pytest.Config
) -> None:
    commands = _installed(agent, config)
    key = product.key(f"{agent.name} {model}")
    place = Place(folder / "home", folder / "project", product.url, key.raw, model)
    place.home.mkdir()
    place.project.mkdir()
    content, final = secrets.token_hex(8), f"DONE-{secrets.token_hex(8)}"
    file = place.project / "made.txt"
    steps = agent.steps(str(file), content)
    prompt = f"Do it. [[think: Planning.]] {steps} [[say: {final} {{result}}]]"

    said = _run(agent, place, prompt, commands).replace(prompt, "")

    assert file.read_text().strip() == content
    assert final in said
    if "[[tool" in steps:
        assert content in said.split(final)[-1], "what the tool answered did not come back"
    asked = product.asked(key, least=3 if "[[tool" in steps else 1)
    assert {event["status"] for event in asked} == {200}
    assert product.refused(key) == []
    assert not model or model in {event["model"] for event in asked}  # and perhaps a small one
    assert "balance" in product.reconcile()


def _installed(agent: Agent, config: pytest.Config) -> Path:
    """The folder of its commands."""
    try:
        return install(agent.install, config.getoption("--agents"))
    except NotInstallable as reason:
        pytest.skip(str(reason))


def _run(agent: Agent, place: Place, prompt: str, commands: Path) -> str:
    """What the agent printed. It must end by itself, and well."""
    env = {
        "PATH": f"{commands}:{NODE.parent}:{os.environ['PATH']}",
        "HOME": str(place.home),
        "NO_PROXY": "127.0.0.1,localhost",
        **{"TERM": "dumb", "LANG": "C.UTF-8", "SHELL": "/bin/bash"},
        **agent.env(place),
    }
    try:
        for command in agent.set_up(place):
            _finished(command, place.project, env)
        asked = agent.command(place)
        if agent.by_stdin:
            return _finished(asked, place.project, env, prompt)
        return _finished([*asked, prompt], place.project, env)
    finally:
        for command in agent.tear_down:
            _finished(command, place.project, env)


def _finished(command: list[str], folder: Path, env: dict[str, str], typed: str = "") -> str:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complaint = process.communicate(typed, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, complaint = process.communicate()
        pytest.fail(f"{command[0]} did not end within {SECONDS} s:\n{said}\n{complaint}")
    assert process.returncode == 0, f"{said}\n{complaint}"
    return said
