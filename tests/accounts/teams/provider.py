"""A sign-in provider and a DNS server of the tests' own, on real ports."""

import base64
import hashlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dns.message
import dns.rrset
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLIENT, SECRET = "hontoni", "client secret"


class Provider:
    """Speaks OpenID Connect: whoever comes is `who`; `lies` change what its tokens say."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.who: dict[str, Any] = {}
        self.lies: dict[str, Any] = {}
        self.head: dict[str, Any] = {}
        self.forged = False
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, location: str) -> str:
        """What a browser does there: the address it is sent back to."""
        query = {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = query
        back = urlsplit(query["redirect_uri"])
        return f"{back.path}?code={code}&state={query['state']}"

    def answer(self, path: str, form: dict[str, str], auth: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            ends = {
                "authorization_endpoint": "auth",
                "token_endpoint": "token",
                "jwks_uri": "keys",
            }
            return 200, {"issuer": self.url, **{k: f"{self.url}/{v}" for k, v in ends.items()}}
        if path == "/keys":
            key = json.loads(RSAAlgorithm.to_jwk(_KEY.public_key()))
            return 200, {"keys": [key | {"kid": "1", "use": "sig", "alg": "RS256"}]}
        if path == "/token":
            return self._token(form, auth)
        return 404, {}

    def _token(self, form: dict[str, str], auth: str) -> tuple[int, Any]:
        begun = self._codes.pop(form.get("code", ""), None)
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".replace(" ", " ").encode()).decode()
        if begun is None or auth != f"Basic {expected}":
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
            **self.who,
            **self.lies,
        }
        key = _OTHER if self.forged else _KEY
        token = jwt.encode(claims, key, "RS256", headers={"kid": "1", **self.head})
        return 200, {"id_token": token, "access_token": "x", "token_type": "Bearer"}


@contextmanager
def provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({k: v[0] for k, v in parse_qs(text).items()})

        def _answer(self, form: dict[str, str]) -> None:
            auth = self.headers.get("Authorization", "")
            status, body = found.answer(urlsplit(self.path).path, form, auth)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Provider(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@contextmanager
def name_server(records: dict[str, str]) -> Iterator[str]:
    """Answers TXT from `records`: its `address:port`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            if text := records.get(name.to_text().rstrip(".")):
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"'))
            socket.sendto(answer.to_wire(), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
