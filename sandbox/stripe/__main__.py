"""`python -m sandbox.stripe`: serve one account on loopback."""

import argparse
import asyncio
import socket

import uvicorn

from sandbox.stripe.app import create_app


class _Calm(uvicorn.Server):
    """It looks twice a second whether it should end, not ten times."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # noqa: ASYNC110  # a signal's handler sets a flag
            await asyncio.sleep(0.5)


def main() -> None:
    """Serve until told to stop. Port 0 takes a free one; uvicorn prints which."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--fd", type=int, help="a listening socket to serve, in their place")
    parser.add_argument("--state", help="file that keeps the account between starts")
    parser.add_argument("--public-url", help="address browsers reach the hosted pages at")
    parser.add_argument("--api-key", help="the only secret key accepted")
    parser.add_argument("--webhook-url", help="where all events are sent")
    parser.add_argument("--webhook-secret", help="what they are signed with")
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args()
    app = create_app(
        state_path=options.state,
        public_url=options.public_url,
        api_key=options.api_key,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
    )
    where = {"host": options.host, "port": options.port}
    config = uvicorn.Config(app, **where, http="httptools", log_level=options.log_level)
    handed_over = None if options.fd is None else [socket.socket(fileno=options.fd)]
    _Calm(config).run(handed_over)


main()
