"""HTTPS, origins and policies follow PUBLIC_URL."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.security.conftest import ROOT, Process, process
from tests.world import Person

pytestmark = pytest.mark.any_database
ASKED = (
    *("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_SSL_HOST"),
    *("SECURE_HSTS_SECONDS", "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN", "ALLOWED_HOSTS"),
    "CSRF_TRUSTED_ORIGINS",
)


def installed(home: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A management command of another installation."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(home), **settings},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_an_https_address_secures_everything(tmp_path: Path, scheme: str) -> None:
    told = f"json.dumps([getattr(settings, name) for name in {ASKED}])"
    code = f"import json; from django.conf import settings; print({told})"
    secured = installed(
        tmp_path, "shell", "-v", "0", "-c", code, PUBLIC_URL=f"{scheme}://gw.example.com/"
    )
    plain = installed(tmp_path, "shell", "-v", "0", "-c", code)
    found = dict(zip(ASKED, json.loads(secured.stdout), strict=True))
    assert found == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_SSL_HOST": "gw.example.com",
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600,
        "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN": False,
        "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]", "127.0.0.1", "gw.example.com"],
        "CSRF_TRUSTED_ORIGINS": ["https://gw.example.com"],
    }
    assert dict(zip(ASKED, json.loads(plain.stdout), strict=True))["SECURE_SSL_REDIRECT"] is False


def test_its_deployment_is_clean(tmp_path: Path) -> None:
    told = installed(tmp_path, "check", "--deploy", PUBLIC_URL="https://gw.example.com")
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
    assert "no issues" in told.stdout


def test_live_cards_need_a_secure_address(tmp_path: Path) -> None:
    keys = {"STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_x"}
    keys["OPENAI_API_KEY"] = "x"
    told = installed(tmp_path, "check", **keys)
    assert told.returncode == 1 and "PUBLIC_URL is no https address" in told.stderr
    assert installed(tmp_path, "check", PUBLIC_URL="https://a.example", **keys).returncode == 0


@pytest.fixture(scope="module")
def secured(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory, _valkey: None
) -> Iterator[Process]:
    home = tmp_path_factory.mktemp("secured")
    with process(home, PUBLIC_URL="https://gw.example.com", TRUSTED_PROXIES="1") as running:
        yield running


def test_who_comes_by_http_is_sent_to_https(secured: Process, transactional_db: None) -> None:
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    with secured.http() as proxy:
        told = proxy.get("/models?a=b", headers={"X-Forwarded-Proto": "http"})
        assert told.status_code == 301
        assert told.headers["location"] == "https://gw.example.com/models?a=b"
        told = proxy.get("/models", headers={"X-Forwarded-Proto": "https"})
        assert told.status_code == 200
        assert told.headers["strict-transport-security"].startswith("max-age=31536000")
        assert proxy.get("/healthz").status_code == 200  # of the balancer, which asks by http
        signing_in = proxy.get("/account/login/", headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in signing_in.headers["set-cookie"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", b"101"),
        ("http://127.0.0.1:1", b"403"),
        ("https://127.0.0.1:{port}", b"403"),
        ("http://localhost:{port}", b"403"),
        ("http://127.0.0.1", b"403"),
        ("http://evil.example", b"403"),
        ("null", b"403"),
        ("", b"403"),
    ],
)
def test_a_socket_opens_from_our_own_origin(
    hasty: Process, alice: Person, origin: str, status: bytes
) -> None:
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    name = django_settings.SESSION_COOKIE_NAME
    lines = [
        "GET /live HTTP/1.1",
        f"Host: 127.0.0.1:{hasty.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Cookie: {name}={client.cookies[name].value}",
    ]
    if origin:
        lines.append(f"Origin: {origin.format(port=hasty.port)}")
    opened = hasty.connect("\r\n".join([*lines, "", ""]).encode())
    opened.settimeout(20)
    assert opened.recv(100).split(b" ")[1] == status


def test_a_socket_that_there_is_not_is_refused(hasty: Process) -> None:
    lines = [
        "GET /nothing HTTP/1.1",
        f"Host: 127.0.0.1:{hasty.port}",
        f"Origin: http://127.0.0.1:{hasty.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    opened = hasty.connect("\r\n".join([*lines, "", ""]).encode())
    opened.settimeout(20)
    assert opened.recv(100).split(b" ")[1] == b"403"


def test_the_admin_has_a_policy(hasty: Process) -> None:
    with hasty.http() as visitor:
        told = visitor.get("/admin/login/").headers["content-security-policy"]
        pages = visitor.get("/account/login/").headers["content-security-policy"]
    assert "script-src 'self' 'unsafe-eval'" in told and "frame-ancestors 'none'" in told
    assert "form-action 'self'" in told and "unsafe" not in pages
