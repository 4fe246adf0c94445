"""The sandbox beside the product: its own thread, event loop and loopback port."""

import asyncio
import secrets
import socket
import threading

import uvicorn

from sandbox.vendors.app import make_app


class _Keys(frozenset[str]):
    """The product's own, and whatever a customer of a sandbox calls one."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or str(key).startswith("sandbox-")


class _Endless(uvicorn.Server):
    """It ends with its process, so it need not look ten times a second whether it should."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await asyncio.Event().wait()


def serve_in_background() -> tuple[str, str]:
    """Start a sandbox that lives as long as this process. Returns its base URL and its key."""
    key = secrets.token_urlsafe(24)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_app(strict=True, keys=_Keys({key}), history=0),
        lifespan="off",
        ws="none",
        access_log=False,
        date_header=False,
        log_level="warning",
    )
    # Off the main thread uvicorn leaves signals to whoever runs the product.
    server = _Endless(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", key
