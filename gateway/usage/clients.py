"""Which tool a request came from, by its User-Agent: what the usage page splits by.

What is no name of a tool is translated where it is shown.
"""

from functools import lru_cache

from django.utils.translation import gettext_noop as _

UNKNOWN = _("Other")

# The first that is part of the User-Agent (in lower case) names the tool; agents that are built
# on an SDK say so behind their own name, so SDKs come last.
_TOOLS = (
    ("claude-cli", "Claude Code"),
    ("claude-code", "Claude Code"),
    ("codex", "Codex"),
    ("cursor", "Cursor"),
    ("cline", "Cline"),
    ("roo-code", "Roo Code"),
    ("roocode", "Roo Code"),
    ("kilo-code", "Kilo Code"),
    ("kilocode", "Kilo Code"),
    ("continue", "Continue"),
    ("aider", "Aider"),
    ("opencode", "OpenCode"),
    ("windsurf", "Windsurf"),
    ("codeium", "Windsurf"),
    ("zed/", "Zed"),
    ("gemini-cli", "Gemini CLI"),
    ("geminicli", "Gemini CLI"),
    ("litellm", "LiteLLM"),
    ("openai/python", "OpenAI SDK, Python"),
    ("openai/js", "OpenAI SDK, Node"),
    ("anthropic/python", "Anthropic SDK, Python"),
    ("anthropic/js", "Anthropic SDK, Node"),
    ("ai-sdk", "Vercel AI SDK"),
    ("mozilla/", _("Browser")),
    ("curl/", "curl"),
)
NAMES = (*dict.fromkeys(name for _, name in _TOOLS), UNKNOWN)


@lru_cache(maxsize=4_096)
def tool_of(user_agent: str) -> str:
    """One of NAMES. "AsyncOpenAI/Python 2.1" is the OpenAI SDK."""
    said = user_agent.lower()
    return next((name for part, name in _TOOLS if part in said), UNKNOWN)
