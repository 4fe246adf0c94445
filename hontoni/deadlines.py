"""A transport whose whole exchange ends at a moment: connection, TLS, head and body together.

A timeout of httpx is one operation's: who sends a byte now and then, be it of the head, would hold
its asker for as long as they like.
"""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class Transport(httpx.HTTPTransport):
    """For one exchange, within so many seconds from now. Nothing of the environment counts."""

    def __init__(self, seconds: float) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, network_backend=_Network(time.monotonic() + seconds)
        )


class _Network(httpcore.NetworkBackend):
    def __init__(self, until: float) -> None:
        self.until, self.inner = until, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self.until, httpcore.ConnectTimeout)
        made = self.inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(made, self.until)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self.inner, self.until = inner, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, _left(self.until, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, _left(self.until, httpcore.WriteTimeout))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self.until, httpcore.ConnectTimeout)
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, left), self.until)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def _left(until: float, late: type[Exception]) -> float:
    """Seconds. Raises `late` when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise late
    return left
