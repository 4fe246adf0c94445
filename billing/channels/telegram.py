"""Telegram's Bot API: what a bot of the operator's sends, and who wrote to it.

A chat is linked by a code: its owner sends `/start CODE` to the bot, by the link on the page. Who
writes is asked for (getUpdates) only while a code waits; nothing else that is written is kept.
"""

import json
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache

from hontoni import outbound

_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024
LONGEST = 4_000  # characters; Telegram takes 4,096
_BOT = "channels.telegram.bot"


class Refused(Exception):
    """Telegram said no: with which status, in its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Started(NamedTuple):
    """Somebody sent /start with a code to the bot."""

    chat: str
    code: str


def offered() -> bool:
    return bool(settings.TELEGRAM_BOT_TOKEN)


def send(chat: str, text: str) -> None:
    """Raises Refused, and outbound.Failed."""
    _call(
        "sendMessage",
        {"chat_id": chat, "text": text[:LONGEST], "link_preview_options": {"is_disabled": True}},
    )


def bot() -> str:
    """The bot's name, as its links have it; asked for once a day. Raises as `send`."""
    known: str = cache.get(_BOT, "")
    if not known:
        known = _call("getMe", {})["username"]
        cache.set(_BOT, known, 86_400)
    return known


def started() -> list[Started]:
    """Who has sent /start since it was last asked; what was read is not told again. Raises as
    `send`."""
    updates = _call("getUpdates", {"timeout": 0, "allowed_updates": ["message"]})
    if updates:
        last = max(int(each["update_id"]) for each in updates)
        _call("getUpdates", {"timeout": 0, "offset": last + 1, "limit": 1})
    return [found for each in updates if (found := _start(each)) is not None]


def _start(update: dict[str, Any]) -> Started | None:
    message = update.get("message") or {}
    command, _, code = str(message.get("text") or "").partition(" ")
    chat = (message.get("chat") or {}).get("id")
    if command.partition("@")[0] != "/start" or not code.strip() or chat is None:
        return None
    return Started(str(chat), code.strip())


def _call(method: str, about: dict[str, Any]) -> Any:
    """The operator chose where Telegram is, so it may be in our own network."""
    answer = outbound.ask(
        "POST",
        f"{settings.TELEGRAM_API_URL}/bot{settings.TELEGRAM_BOT_TOKEN}/{method}",
        private=True,
        seconds=_SECONDS,
        most_bytes=_MOST_BYTES,
        json=about,
    )
    try:
        told = json.loads(answer.body)
        if not told.get("ok"):
            raise Refused(answer.status, str(told.get("description", ""))[:200])
        return told["result"]
    except (ValueError, KeyError, AttributeError) as error:
        raise Refused(answer.status, "no answer of Telegram's") from error
