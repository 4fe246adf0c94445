"""The sandbox beside the product: its own thread, event loop and loopback port."""

import secrets
import socket
import threading

import uvicorn

from sandbox.vendors.app import make_app


def serve_in_background() -> tuple[str, str]:
    """Start a sandbox that lives as long as this process. Returns its base URL and its key."""
    key = secrets.token_urlsafe(24)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_app(strict=True, keys={key}, history=0),
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
    )
    # Off the main thread uvicorn leaves signals to whoever runs the product.
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", key
