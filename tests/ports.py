"""Ports for processes that a test starts, and for addresses where nobody is.

None is given out twice in a run, and none is of those that the system gives to whoever dials out:
such a one may be somebody's by the time the process listens that it was meant for.
"""

import os
import random
import socket
from pathlib import Path

from tests.prepared import SHARED, alone

LOWEST, HIGHEST = 20_000, 32_000  # below what Linux and macOS take for outgoing connections


def free_port() -> int:
    """One nobody listens on."""
    last = Path(os.environ[SHARED]) / "port"
    with alone(last):
        port = int(last.read_text()) if last.exists() else random.randrange(LOWEST, HIGHEST)
        while True:
            port = port + 1 if port < HIGHEST else LOWEST
            if _is_free(port):
                last.write_text(str(port))
                return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
