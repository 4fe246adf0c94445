"""A server with a copy of each source of models and prices."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from gateway.catalogue.seed import seed
from gateway.pricing import published
from gateway.pricing.sources import source_reading


@pytest.fixture
def mirror(db: None, settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A server with a copy of each source, which tests edit."""
    for source in source_reading.sources():
        (tmp_path / source.file).write_bytes((source_reading.COPIES / source.file).read_bytes())

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = tmp_path / self.path.lstrip("/")
            self.send_response(200 if file.exists() else 404)
            self.end_headers()
            self.wfile.write(file.read_bytes() if file.exists() else b"gone")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.CATALOGUE_MIRROR = f"http://127.0.0.1:{server.server_port}"
    seed()
    published.seed()
    yield tmp_path
    server.shutdown()
    server.server_close()
