"""The live dashboard's socket: it pushes the same fragment the page was made of.

A page is sent its account's fragment at most twice a second, however busy the account. Who is
signed out, or deactivated, is cut off with the next push. After a break the page comes back by
itself (htmx), and is brought up to date.
"""

import asyncio
import zoneinfo
from contextlib import suppress
from typing import Any

from channels.auth import get_user
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone, translation

from accounts.keys import scopes
from accounts.models import User
from accounts.teams import acting
from gateway.dashboard.overview import render_live
from gateway.usage import live
from hontoni.db import in_thread
from hontoni.pages import ZONE_COOKIE

QUIET_SECONDS = 0.5
TOGETHER_SECONDS = 0.05
_SIGNED_OUT = 4401


class Dashboard(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels is untyped
    async def connect(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        user = await _account(self.scope, self.scope["user"])
        if user is None:
            await self.close(_SIGNED_OUT)
            return
        self.account: int = user.pk
        self.news = asyncio.Event()
        self.news.set()  # what finished between the page and now
        await self.channel_layer.group_add(live.group(self.account), self.channel_name)
        await self.accept()
        self.tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._push())]

    async def disconnect(self, code: int) -> None:
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await self.channel_layer.group_discard(live.group(self.account), self.channel_name)

    async def changed(self, message: dict[str, Any]) -> None:
        """A request of this account is in the books."""
        self.news.set()

    async def _watch(self) -> None:
        while True:
            with suppress(Exception):  # without Redis nothing is announced anyway
                await live.watch(self.account)
            await asyncio.sleep(live.WATCH_SECONDS / 3)

    async def _push(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            user = await _account(self.scope, await get_user(self.scope))
            if user is None or user.pk != self.account:
                await self.close(_SIGNED_OUT)
                return
            await self.send(await _rendered(user, *_taste(self.scope)))
            await asyncio.sleep(QUIET_SECONDS)


async def _account(scope: dict[str, Any], person: Any) -> User | None:
    """The account that whoever is signed in acts for, if their role there may see its usage."""
    if not person.is_authenticated:
        return None
    found = await in_thread(acting.of_session, person, scope["session"])
    return found.account if found.may(scopes.USAGE) else None


_soon: dict[tuple[int, str, str], asyncio.Task[str]] = {}


async def _rendered(user: User, language: str, zone: str) -> str:
    """The fragment, rendered once for all who see it alike and were told within TOGETHER_SECONDS:
    an account with many open pages costs little more than one with one."""
    taste = (user.pk, language, zone)
    task = _soon.get(taste)
    if task is None:
        task = _soon[taste] = asyncio.create_task(_render_soon(user, language, zone))
    return await asyncio.shield(task)


async def _render_soon(user: User, language: str, zone: str) -> str:
    try:
        await asyncio.sleep(TOGETHER_SECONDS)
    finally:
        del _soon[user.pk, language, zone]  # who comes now may know of something newer
    return await in_thread(_render, user, language, zone)


def _render(user: User, language: str, zone: str) -> str:
    with translation.override(language), timezone.override(_zone(zone)):
        return render_live(user, push=True)


def _taste(scope: dict[str, Any]) -> tuple[str, str]:
    """The visitor's own language and time zone, found as they are for the page itself."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    handshake = HttpRequest()
    handshake.COOKIES = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    handshake.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", b"").decode("latin-1")
    return translation.get_language_from_request(handshake), handshake.COOKIES.get(ZONE_COOKIE, "")


def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    with suppress(ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return zoneinfo.ZoneInfo(name)
    return None
