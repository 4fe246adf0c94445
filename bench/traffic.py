"""The requests that are measured. Every server is sent the same ones.

The prompt carries what the fake vendor is to do, because a prompt survives any gateway:
`[[chunks: N]]` pieces in a stream and `[[pace: MS]]` milliseconds between two of them.
"""

import json
import re
from dataclasses import dataclass

SYSTEM = "You are a careful assistant. Answer in one paragraph, without headings or lists. " * 8
QUESTION = "Explain what a reverse proxy does, to somebody who has written one web page. "


@dataclass(frozen=True)
class Dialect:
    """One way of asking: where, for which model, and where its system prompt goes."""

    path: str
    model: str
    system_apart: bool


CHAT = Dialect("/v1/chat/completions", "gpt-4o", system_apart=False)
MESSAGES = Dialect("/v1/messages", "claude-sonnet-4.5", system_apart=True)
# The other vendor's model: the reply has to be translated on its way.
CHAT_TO_CLAUDE = Dialect(CHAT.path, MESSAGES.model, system_apart=False)
MESSAGES_TO_GPT = Dialect(MESSAGES.path, CHAT.model, system_apart=True)


def body(dialect: Dialect, *, stream: bool = False, chunks: int = 40, pace: int = 0) -> str:
    """A request of about a kilobyte, as JSON. Pace in milliseconds."""
    question = f"{QUESTION}[[chunks: {chunks}]] [[pace: {pace}]]"
    messages = [{"role": "user", "content": question}]
    wire: dict[str, object] = {"model": dialect.model, "max_tokens": 1024, "stream": stream}
    if dialect.system_apart:
        wire["system"] = SYSTEM
    else:
        messages.insert(0, {"role": "system", "content": SYSTEM})
    return json.dumps({**wire, "messages": messages})


def piece(number: int) -> str:
    """The text of a stream's chunk: no two of a stream are alike, for there are gateways that end
    a stream which says the same thing again and again."""
    return f"word{number} "


def is_complete(stream: bytes, chunks: int) -> bool:
    """Whether the text of so many chunks arrived, each once and in their order."""
    return list(map(int, _PIECE.findall(stream))) == list(range(chunks))


_PIECE = re.compile(rb"word(\d+) ")
