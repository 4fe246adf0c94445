"""Tools by their User-Agent, from the request to the chart."""

import csv
import io

import pytest
from django.test import Client

from gateway.usage.clients import NAMES, tool_of
from gateway.usage.models import UsageHour
from tests.gateway_server import Gateway, fund
from tests.world import Person

AGENTS = {
    "claude-cli/2.1.8 (external, cli)": "Claude Code",
    "codex_cli_rs/0.63.0 (Debian 12; x86_64) unknown": "Codex",
    "Cursor/2.4.21": "Cursor",
    "Cline/3.40.0": "Cline",
    "Continue/1.3.22 (vscode) OpenAI/JS 6.1.0": "Continue",
    "aider/0.86.1 litellm/1.80": "Aider",
    "opencode/1.0.12 ai-sdk/openai-compatible/1.0.27": "OpenCode",
    "Windsurf/1.12": "Windsurf",
    "AsyncOpenAI/Python 2.8.1": "OpenAI SDK, Python",
    "OpenAI/JS 6.9.1": "OpenAI SDK, Node",
    "Anthropic/Python 0.75.0": "Anthropic SDK, Python",
    "Anthropic/JS 0.71.0": "Anthropic SDK, Node",
    "curl/8.5.0": "curl",
    "": "Other",
    "python-httpx/0.28": "Other",
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_tool_is_known_by_its_user_agent(agent: str) -> None:
    assert tool_of(agent) == AGENTS[agent]
    assert tool_of(agent) in NAMES


def test_usage_is_split_and_filtered_by_tool(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    with gateway.http(alice) as client:
        for agent in ("claude-cli/2.1.8", "curl/8.5.0", "curl/8.5.0"):
            client.post("/v1/chat/completions", json=body, headers={"user-agent": agent})
    events = gateway.books()
    assert [event.tool for event in events] == ["Claude Code", "curl", "curl"]
    rows = UsageHour.objects.order_by("tool").values_list("tool", "requests")
    assert dict(rows) == {"Claude Code": 1, "curl": 2}
    browser = Client()
    browser.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = browser.get("/usage?by=tool&days=1&measure=requests").content.decode()
    assert 'Claude Code <span class="note">1</span>' in page
    assert page.count('class="number tight desk"') == 3, "a row for each request"
    narrowed = browser.get("/usage?tool=Claude+Code").content.decode()
    assert narrowed.count('hx-target="#drawer-body"') == 1
    listed = alice.client().get("/api/usage", {"tool": "curl"}).json()["results"]
    assert [each["client"] for each in listed] == ["curl/8.5.0", "curl/8.5.0"]
    assert browser.get("/usage?tool=Nonsense").status_code == 404
    with gateway.http() as web:
        web.cookies.update({name: morsel.value for name, morsel in browser.cookies.items()})
        exported = web.get("/usage.csv?tool=curl").text
    found = list(csv.DictReader(io.StringIO(exported)))
    assert [row["tool"] for row in found] == ["curl", "curl"]
