"""Run the sandbox by itself: `python -m sandbox.vendors --port 0 [--key K]` prints its URL."""

import argparse
import socket
import sys

import uvicorn

from sandbox.vendors.app import make_app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--key", action="append", help="a key to accept (default: any)")
    parser.add_argument("--pace", type=float, default=0.015, help="seconds before each word")
    parser.add_argument("--lenient", action="store_true", help="refuse nothing")
    parser.add_argument("--control", action="store_true", help="serve the recorder and the faults")
    options = parser.parse_args()
    listener = socket.create_server((options.host, options.port))
    sys.stdout.write(f"http://{options.host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = make_app(
        not options.lenient,
        options.key,
        pace=options.pace,
        history=1000 if options.control else 0,
        controlled=options.control,
    )
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
