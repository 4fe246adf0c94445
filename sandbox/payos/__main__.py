"""`python -m sandbox.payos`: serve one payment channel on loopback."""

import argparse

import uvicorn

from sandbox.payos.app import create_app


def main() -> None:
    """Serve until told to stop. Port 0 takes a free one; uvicorn prints which."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.payos", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12122)
    parser.add_argument("--client-id", default="payos-client")
    parser.add_argument("--api-key", default="payos-key")
    parser.add_argument("--checksum-key", default="payos-checksum")
    parser.add_argument("--webhook-url", default="", help="where callbacks go")
    given = parser.parse_args()
    app = create_app(
        client_id=given.client_id,
        api_key=given.api_key,
        checksum_key=given.checksum_key,
        webhook_url=given.webhook_url,
    )
    uvicorn.run(app, host=given.host, port=given.port, http="httptools")


main()
