"""The handshake of a WebSocket at /v1/responses: who is refused hears it in HTTP's words."""

from django.conf import settings
from starlette.types import Message, Receive, Scope, Send

from gateway.plane import admission, pipeline, sockets
from gateway.plane.client_dialects import RESPONSES
from gateway.plane.exchange import Config, Exchange
from gateway.plane.socket_wire import SocketWire
from gateway.plane.upstream import Upstream
from hontoni.errors import ApiError, RateLimited


async def open_socket(
    scope: Scope, receive: Receive, send: Send, config: Config, upstream: Upstream
) -> None:
    """A handshake, and what comes after it."""
    http = _handshake(scope, send, config)
    try:
        await receive()  # that it wants to be a socket
        await admission.enter(http)
        assert http.owner is not None
        if sockets.of_account(http.owner[0]) >= settings.SOCKETS_PER_ACCOUNT:
            raise RateLimited(
                f"There are {settings.SOCKETS_PER_ACCOUNT} open WebSockets of your account "
                "already. Close one, or use POST.",
                code="websocket_limit",
                headers={"Retry-After": "5"},
            )
    except ApiError as error:
        await pipeline.refuse(http, error)
        return
    line = SocketWire(receive, send)
    await line.accept(http.told())
    await sockets.Socket(http, line, upstream).serve()


def _handshake(scope: Scope, send: Send, config: Config) -> Exchange:
    """As an exchange: what refuses it is an answer of HTTP's."""

    async def answer(message: Message) -> None:
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close", "code": sockets.POLICY})

    async def never() -> Message:
        raise RuntimeError("A handshake has no body.")

    http = Exchange({**scope, "type": "http", "method": "GET"}, never, answer, config)
    http.dialect = RESPONSES.name
    return http
