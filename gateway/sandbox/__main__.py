"""Run the sandbox by itself: `python -m gateway.sandbox --port 0 [--key K]` prints its URL."""

import argparse
import socket
import sys

import uvicorn

from gateway.sandbox.app import make_app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--key", action="append", help="a key to accept (default: any)")
    parser.add_argument("--pace", type=float, default=0.015, help="seconds before each word")
    parser.add_argument("--lenient", action="store_true", help="refuse nothing")
    options = parser.parse_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.host, options.port))
    sys.stdout.write(f"http://{options.host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = make_app(not options.lenient, options.key, pace=options.pace, history=0)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


main()
