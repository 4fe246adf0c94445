"""The tools that can be set up, each by its own files: facts about it, and nothing that writes."""

from hontoni_cli.clients import agents, editors
from hontoni_cli.clients.client import Client

CLIENTS: dict[str, Client] = {
    each.name: each
    for each in (
        agents.CLAUDE_CODE,
        agents.CODEX,
        editors.CURSOR,
        agents.CLINE,
        agents.CONTINUE,
        agents.AIDER,
        agents.OPENCODE,
        editors.WINDSURF,
        editors.ZED,
        agents.GEMINI,
    )
}
