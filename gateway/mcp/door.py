"""/mcp: who may come in, and what the rest of the world is told about it.

* A caller shows an API key or a personal access token, in `Authorization: Bearer`; a session of a
  browser or of /api opens nothing here. Who has neither is told where one is had (RFC 9728).
* A Host that is not ours and an Origin that is not ours are refused: a page of somebody else's,
  by whatever name it reaches this machine, asks nothing (DNS rebinding).
* Every POST is counted by address, by token and by account. It is one message and one answer;
  there are no sessions, so any node answers the next one.
"""

import asyncio
import hashlib
import importlib
import math
import uuid
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.keys import api_keys, scopes
from accounts.sign_in import grants
from gateway.mcp.inner import Answer, Doors
from hontoni import addresses, errors, origins
from ratelimits import scripts

PATH, METADATA = "/mcp", "/.well-known/oauth-protected-resource"
PATHS = frozenset((PATH, f"{PATH}/", METADATA, f"{METADATA}{PATH}"))
# Loaded by the first who speaks the protocol, and in a thread, so that the traffic goes on.
SERVER = "gateway.mcp.server"
# So many messages in so many seconds; what an account may in a day bounds its audit.
BY_TOKEN, BY_ADDRESS, BY_ACCOUNT = (120, 60), (600, 60), (5_000, 86_400)


class Door:
    """The endpoint, in front of the product that it asks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.loading = app, asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(METADATA):
            await _metadata()(scope, receive, send)
            return
        try:
            caller = await self._let_in(scope)
        except errors.ApiError as error:
            await _refusal(error)(scope, receive, send)
            return
        async with self.loading:
            server = await asyncio.to_thread(importlib.import_module, SERVER)
        await server.answer(caller, scope, receive, send)

    async def _let_in(self, scope: Scope) -> "Caller":
        """Who it is, and that they may ask. Raises ApiError."""
        headers = Headers(scope=scope)
        _known_place(scope, headers)
        if scope["method"] != "POST":
            raise _NotHere(
                "Send JSON-RPC by POST: there is no stream to GET.", headers={"Allow": "POST"}
            )
        scheme, _, token = headers.get("authorization", "").partition(" ")
        address = addresses.client(scope, settings.TRUSTED_PROXIES)
        await _count(f"address {addresses.network(address)}", *BY_ADDRESS)
        token = token.strip()
        if scheme.lower() != "bearer" or not grants.is_grant(token):
            raise errors.Unauthenticated(
                "Send an API key or a personal access token as Authorization: Bearer."
            )
        doors = Doors(self.app, scope)
        who = await doors.get("/api/auth/me")
        if not who.good:
            raise _same(who)
        caller = Caller(doors, who.content, address)
        await _count(f"token {token}", *BY_TOKEN)
        await _count(f"account {caller.account}", *BY_ACCOUNT)
        return caller


class Caller:
    """Whose token it is, and the doors it is shown at."""

    def __init__(self, doors: Doors, who: dict[str, Any], address: str) -> None:
        self.doors, self.address = doors, address
        self.person: int = who["id"]
        self.account: int = who.get("account", who)["id"]

    @property
    def by_key(self) -> bool:
        """Whether it is an API key, which /v1 knows, too."""
        token = Headers(scope=self.doors.scope)["authorization"].split()[-1]
        return token.startswith(api_keys.PREFIX)


class _NotHere(errors.BadRequest):
    status, code = 405, "method_not_allowed"


class _Misaddressed(errors.BadRequest):
    status, code = 421, "unknown_host"


def _known_place(scope: Scope, headers: Headers) -> None:
    """Raises for a Host that is not ours, or an Origin that is not."""
    host = headers.get("host", "")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        raise _Misaddressed("This host is not served here.")
    origin = headers.get("origin")
    if origin is not None and not origins.is_ours(origin, scope["scheme"], host):
        raise errors.Forbidden("Pages of other sites may not ask here.", code="unknown_origin")


async def _count(who: str, limit: int, seconds: int) -> None:
    """Raises RateLimited, or Unavailable."""
    key = f"throttle:mcp:{hashlib.sha256(who.encode()).hexdigest()}"
    waiting = await scripts.run(scripts.HIT, (key,), (limit, seconds * 1000, uuid.uuid4().hex))
    if waiting:
        wait = str(math.ceil(int(waiting) / 1000))
        raise errors.RateLimited(
            f"Too many messages. Try again in {wait} seconds.", headers={"Retry-After": wait}
        )


def _same(who: Answer) -> errors.ApiError:
    """What the door of /api refused the token with."""
    kind = {401: errors.Unauthenticated, 403: errors.Forbidden}.get(who.status, errors.Unavailable)
    error = who.content.get("error", {}) if isinstance(who.content, dict) else {}
    return kind(who.words, code=error.get("code"))


def _refusal(error: errors.ApiError) -> Response:
    headers = dict(error.headers)
    if error.status == 401:
        shown = ', error="invalid_token"' if error.code == "invalid_token" else ""
        where = f"{settings.PUBLIC_URL}{METADATA}{PATH}"
        headers["WWW-Authenticate"] = f'Bearer realm="mcp"{shown}, resource_metadata="{where}"'
    return JSONResponse(error.body(f"req_{uuid.uuid4().hex}"), error.status, headers)


def _metadata() -> Response:
    """What RFC 9728 says of a resource: where its tokens come from, and what they may be for."""
    return JSONResponse(
        {
            "resource": f"{settings.PUBLIC_URL}{PATH}",
            "resource_name": "Hontoni",
            "authorization_servers": [settings.PUBLIC_URL],
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(scopes.OF_TOKENS),
            "resource_documentation": f"{settings.PUBLIC_URL}/docs/agents",
        },
        headers={"Access-Control-Allow-Origin": "*"},
    )
