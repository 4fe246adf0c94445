"""Somebody who receives webhooks, as Slack does; and Telegram's Bot API, played as strictly."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "1234:secret"


class Receiver(ThreadingHTTPServer):
    """Answers with `status`, and keeps what came: path, headers, body."""

    status, location = 204, ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, dict[str, str], str]] = []
        self.updates: list[dict[str, Any]] = []
        self.blocked = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.taken]

    # -- As Telegram -----------------------------------------------------------------------------

    def wrote(self, text: str, chat: int = 77) -> None:
        """Somebody wrote to the bot."""
        at = len(self.updates) + 100
        message = {"message_id": at, "chat": {"id": chat, "type": "private"}, "text": text}
        self.updates.append({"update_id": at, "message": message})

    def telegram(self, method: str, about: dict[str, Any]) -> tuple[int, Any]:
        if method == "getMe":
            return 200, {"id": 1234, "is_bot": True, "username": "hontoni_bot"}
        if method == "getUpdates":
            first = about.get("offset", 0)
            self.updates = [each for each in self.updates if each["update_id"] >= first]
            return 200, self.updates[: about.get("limit", 100)]
        if method == "sendMessage" and about["chat_id"] == "77" and 0 < len(about["text"]) <= 4096:
            if self.blocked:
                return 403, "Forbidden: bot was blocked by the user"
            self.taken.append((method, {}, json.dumps(about)))
            return 200, {"message_id": 1}
        return 400, "Bad Request: chat not found"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path.startswith("/bot"):
            _, token, method = self.path.split("/")
            known = token == f"bot{TOKEN}"
            status, result = (
                self.server.telegram(method, json.loads(body)) if known else (401, "Unauthorized")
            )
            ok = {"ok": True, "result": result}
            told = ok if status == 200 else {"ok": False, "description": result}
            self._answer(status, json.dumps(told).encode())
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((self.path, headers, body))
        self._answer(self.server.status, b"no" if self.server.status >= 400 else b"")

    def do_GET(self) -> None:
        self.server.taken.append((self.path, {}, "{}"))
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.send_header("content-length", str(0 if status == 204 else len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def receiving() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
