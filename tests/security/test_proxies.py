"""Whom we believe: nobody by default, and as many proxies as we were told of."""

import base64
import json

import pytest
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.keys.restrictions import Restrictions
from hontoni import addresses, redis
from hontoni.vault import Vault
from tests.gateway_server import fund
from tests.security.conftest import Process
from tests.world import Person

pytestmark = pytest.mark.any_database
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.7",
    "X-Forwarded-Proto": "https",
}


def test_a_locked_key_is_not_opened_by_a_forged_address(hasty: Process, alice: Person) -> None:
    fund(alice, "5")
    _, locked = api_keys.mint(
        alice.user, "office", restrictions=Restrictions(allowed_ips=["203.0.113.7"])
    )
    with hasty.http() as thief:
        told = thief.get("/v1/models", headers={"x-api-key": locked, **FORGED})
    assert (told.status_code, told.json()["error"]["code"]) == (403, "ip_not_allowed")


def test_a_throttle_counts_the_true_address(hasty: Process, alice: Person) -> None:
    told = []
    with hasty.http() as guesser:
        for each in range(101):
            body = {"email": f"{each}@example.com", "password": "wrong"}
            forged = {**FORGED, "X-Forwarded-For": f"203.0.113.{each}"}
            answer = guesser.post("/api/auth/login", json=body, headers=forged)
            told.append(answer.status_code)
    assert told[-1] == 429 and told.count(401) == 100


@pytest.mark.parametrize(
    ("proxies", "told", "client"),
    [
        (0, ["203.0.113.7"], "192.0.2.1"),
        (1, [], "192.0.2.1"),
        (1, ["203.0.113.7"], "203.0.113.7"),
        (1, ["10.9.9.9, 203.0.113.7"], "203.0.113.7"),
        (1, ["10.9.9.9", "203.0.113.7"], "203.0.113.7"),  # one line each
        (2, ["10.9.9.9, 203.0.113.7, 198.51.100.1"], "203.0.113.7"),
        (2, ["198.51.100.1"], "198.51.100.1"),
        (1, ["203.0.113.7:4711"], "203.0.113.7"),
        (1, ["[2001:db8::7]:4711"], "2001:db8::7"),
        (1, ["2001:db8::7"], "2001:db8::7"),
        (1, ["<script>"], "192.0.2.1"),
        (1, ["unknown"], "192.0.2.1"),
    ],
)
def test_as_many_proxies_are_believed_as_there_are(
    settings: Settings, proxies: int, told: list[str], client: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    scope = {
        "type": "http",
        "scheme": "http",
        "client": ("192.0.2.1", 4711),
        "headers": [(b"x-forwarded-for", line.encode()) for line in told],
    }
    assert addresses.client(scope, proxies) == client
    known = addresses.believed(scope)
    assert known["client"][0] == client and known["headers"] == []
    assert known["scheme"] == "http"


@pytest.mark.parametrize(
    ("proxies", "told", "scheme"),
    [(0, "https", "http"), (1, "https", "https"), (1, "https, http", "http"), (1, "ftp", "http")],
)
def test_the_scheme_is_believed_likewise(
    settings: Settings, proxies: int, told: str, scheme: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = [(b"x-forwarded-proto", told.encode()), (b"x-forwarded-host", b"evil.example")]
    scope = {"type": "http", "scheme": "http", "client": ("192.0.2.1", 1), "headers": headers}
    assert addresses.believed(scope)["scheme"] == scheme
    socket = {**scope, "type": "websocket", "scheme": "ws"}
    assert addresses.believed(socket)["scheme"] == ("wss" if scheme == "https" else "ws")


@pytest.mark.parametrize("path", ["/", "/api/auth/me", "/admin/", "/account/login/", "/nowhere"])
def test_a_wrong_host_is_a_400_in_one_line(hasty: Process, path: str) -> None:
    before = hasty.log.read_text()
    with hasty.http() as stranger:
        told = stranger.get(path, headers={"Host": "evil.example"})
    assert told.status_code == 400
    assert "evil.example" not in told.text
    (line,) = hasty.log.read_text().removeprefix(before).strip().splitlines()
    assert "evil.example" in line


def test_links_in_mails_lead_to_us(hasty: Process, alice: Person, settings: Settings) -> None:
    """Whoever asks for the reset of somebody's password does not choose where its link leads."""
    with hasty.http() as stranger:
        page = stranger.get("/account/password/reset/", headers={"Host": "localhost:6666"})
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {"email": "alice@example.com", "csrfmiddlewaretoken": token}
        origin = {"Host": "localhost:6666", "Origin": "http://localhost:6666"}
        done = stranger.post("/account/password/reset/", data=form, headers=origin)
    assert done.status_code == 302, done.text
    (letter,) = redis.sync().lrange("celery:celery", 0, -1)
    _, sealed, _ = json.loads(base64.b64decode(json.loads(letter)["body"]))
    text = Vault("accounts.mails").unseal(sealed["sealed"])
    assert f"{settings.PUBLIC_URL}/account/password/reset/key/" in text
    assert "6666" not in text
