"""An exchange whose client has gone to do something else."""

import asyncio

from starlette.types import Message, Scope

from gateway.plane.exchange import Config, Exchange


class Detached(Exchange):
    """What is answered is kept in `status`, `heads` and `reply`; once `left` is set its client has
    left."""

    __slots__ = ("_body", "heads", "left", "reply", "status")

    def __init__(self, scope: Scope, body: bytes, config: Config) -> None:
        self.left = asyncio.Event()
        self._body: bytes | None = body
        self.status, self.reply = 0, b""
        self.heads: list[tuple[bytes, bytes]] = []
        super().__init__(scope, self._receive, self._answered, config)

    async def _receive(self) -> Message:
        if (body := self._body) is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _answered(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.heads = message["status"], list(message["headers"])
        else:
            self.reply += message.get("body", b"")
