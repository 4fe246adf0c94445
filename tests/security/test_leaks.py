"""A key that leaked ends at once, by GitHub's word or anybody's who has it; its owner is told."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.keys import api_keys, shape
from accounts.leaks import ended
from accounts.sign_on import directory, setting_up
from billing.books.models import AuditEntry
from billing.mails import sending
from billing.mails.models import Notice
from tests.accounts.teams.world import team_of
from tests.gateway_server import Gateway
from tests.world import Person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

PATH = "/api/leaks/github"


class Published(HTTPServer):
    """GitHub: its keys, how often they were asked for, and whether it is away."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.secret = ec.generate_private_key(ec.SECP256R1())
        self.asked, self.away = 0, False
        self.before_answering: Callable[[], None] | None = None

    def sign(self, body: bytes) -> str:
        return base64.b64encode(self.secret.sign(body, ec.ECDSA(SHA256()))).decode()


class Answer(BaseHTTPRequestHandler):
    server: Published

    def do_GET(self) -> None:
        self.server.asked += 1
        if told := self.server.before_answering:
            told()
        public = self.server.secret.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        named = {"key_identifier": "a1", "key": pem, "is_current": True}
        self.send_response(503 if self.server.away else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"public_keys": [named]}).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def github(settings: Settings) -> Iterator[Published]:
    with Published() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings.GITHUB_SCANNING_KEYS_URL = f"http://127.0.0.1:{server.server_port}/"
        yield server
        server.shutdown()


def tell(github: Published, *raws: str, **headers: str) -> Any:
    found = [
        {
            "token": raw,
            "type": "hontoni_api_key",
            "url": "https://github.com/a/b",
            "source": "content",
        }
        for raw in raws
    ]
    body = json.dumps(found).encode()
    signed = {
        "Github-Public-Key-Identifier": "a1",
        "Github-Public-Key-Signature": github.sign(body),
        **headers,
    }
    return Client().post(PATH, body, "application/json", headers=signed)


def is_live(person: Person) -> bool:
    person.key.refresh_from_db()
    return person.key.revoked_at is None


def mailed(person: Person) -> list[str]:
    now = timezone.now()
    sending.collect()
    for mail_id in sending.due(now):
        sending.send(mail_id, now)
    mine = [str(sent.body) for sent in mail.outbox if sent.to == [person.user.email]]
    return [text for text in mine if "found in public" in text]


def test_what_github_finds_is_revoked_and_its_owner_told(
    github: Published, alice: Person, bob: Person
) -> None:
    other = "x" if alice.raw[-1] != "x" else "y"
    stranger, garbage = shape.generate(api_keys.PREFIX), alice.raw[:-1] + other
    answer = tell(github, alice.raw, stranger, garbage)
    assert answer.status_code == 200
    assert [each["label"] for each in answer.json()] == [
        "true_positive",
        "false_positive",
        "false_positive",
    ]
    assert answer.json()[0] == {
        "token_raw": alice.raw,
        "token_type": "hontoni_api_key",
        "label": "true_positive",
    }
    assert not is_live(alice) and is_live(bob)
    (entry,) = AuditEntry.objects.all()
    assert (entry.actor, entry.subject) == ("leak:github", f"apikey:{alice.key.pk}")
    assert alice.raw not in json.dumps([entry.after, *Notice.objects.values_list("facts")])
    (letter,) = mailed(alice)
    assert "https://github.com/a/b" in letter and alice.raw not in letter


def test_reported_again_it_is_still_a_key_and_no_news(github: Published, alice: Person) -> None:
    for _ in range(2):
        assert tell(github, alice.raw).json()[0]["label"] == "true_positive"
    assert AuditEntry.objects.count() == Notice.objects.filter(kind="key_leaked").count() == 1
    assert github.asked == 1


def test_nobody_else_speaks_for_github(github: Published, alice: Person) -> None:
    other = Published()
    body = json.dumps([{"token": alice.raw, "type": "t", "url": "", "source": ""}]).encode()
    signatures = ["", "!", "é", "MEUCIQ=", github.sign(body + b" "), other.sign(body)]
    other.server_close()
    for signature in signatures:
        answer = tell(github, alice.raw, **{"Github-Public-Key-Signature": signature})
        assert answer.status_code == 401, signature
    assert tell(github, alice.raw, **{"Github-Public-Key-Identifier": "b2"}).status_code == 401
    assert Client().post(PATH, body, "application/json").status_code == 401
    assert is_live(alice)


def test_names_that_are_made_up_do_not_make_us_ask_again_and_again(github: Published) -> None:
    for n in range(5):
        tell(github, **{"Github-Public-Key-Identifier": f"made-up-{n}"})
    assert github.asked == 1


def test_while_githubs_keys_cannot_be_had_it_is_asked_to_come_back(
    github: Published, alice: Person
) -> None:
    github.away = True
    for _ in range(3):  # nor do strangers make us wait for it again and again
        answer = tell(github, alice.raw)
        assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert github.asked == 1
    github.away = False
    cache.delete("leaks.github.asked")  # a minute later
    assert tell(github, alice.raw).status_code == 200


def test_what_comes_while_its_keys_are_asked_for_is_not_called_forged(
    github: Published, alice: Person
) -> None:
    meanwhile = []
    github.before_answering = lambda: meanwhile.append(tell(github, alice.raw).status_code)
    assert tell(github).status_code == 200
    assert meanwhile == [503]


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[{"type": "t"}]', b"[" * 50])
def test_what_is_no_report_is_refused(github: Published, body: bytes) -> None:
    signed = {
        "Github-Public-Key-Identifier": "a1",
        "Github-Public-Key-Signature": github.sign(body),
    }
    assert Client().post(PATH, body, "application/json", headers=signed).status_code == 400


# -- By hand -------------------------------------------------------------------------------------


def test_anybody_who_has_a_key_can_end_it(alice: Person, bob: Person) -> None:
    text = f"I saw OPENAI_API_KEY={alice.raw}; in a gist, and {alice.raw} again"
    body = {"text": text, "where": "https://evil.example/click-me"}
    answer = Client().post("/leaked-key", body)
    assert "revoked" in answer.content.decode() and alice.raw not in answer.content.decode()
    assert not is_live(alice) and is_live(bob)
    (letter,) = mailed(alice)
    assert "evil.example" not in letter  # what strangers write is not mailed in our name
    assert AuditEntry.objects.get().after["where"] == "https://evil.example/click-me"


def test_a_leaked_key_is_refused_from_the_next_request_on(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        assert http.get("/v1/models").status_code == 200
        Client().post("/leaked-key", {"text": alice.raw})
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        assert http.post("/v1/chat/completions", json=body).status_code == 401


def test_a_text_without_a_key_ends_nothing(alice: Person) -> None:
    for text in (alice.raw[:-1], "sk-gw-" + "x" * 49, alice.raw + "more"):
        answer = Client().post("/leaked-key", {"text": text})
        assert "no key of ours" in answer.content.decode()
    assert is_live(alice)


def test_reports_are_bounded(alice: Person) -> None:
    for _ in range(20):
        Client().post("/leaked-key", {"text": shape.generate(api_keys.PREFIX)})
    answer = Client().post("/leaked-key", {"text": alice.raw})
    assert "Too many attempts" in answer.content.decode() and is_live(alice)


def test_keys_are_found_by_the_documented_pattern(alice: Person) -> None:
    assert ended.found_in(
        f"'{alice.raw}'\n{alice.raw}x {shape.generate(api_keys.PREFIX)[:-2]}00"
    ) == [alice.raw]


@pytest.mark.parametrize("page", ["20-authentication.md", "vi/20-authentication.md"])
def test_the_documented_checksum_is_ours(page: str, alice: Person) -> None:
    text = (Path(settings.BASE_DIR) / "docs" / page).read_text()
    code = text.partition("```python\nfrom zlib")[2].partition("```")[0]
    told: dict[str, Any] = {}
    exec(f"from zlib{code}", told)
    assert told["is_one_of_ours"](alice.raw) and not told["is_one_of_ours"](alice.raw[:-1] + "!")
    assert re.fullmatch(r"sk-gw-[0-9A-Za-z]{49}", alice.raw) and "`sk-gw-[0-9A-Za-z]{49}`" in text


def test_a_directorys_token_ends_by_anybodys_word(alice: Person) -> None:
    team = team_of(alice)
    sign_on = setting_up.of_team(team.now())
    first, raw = (directory.make_token(sign_on, team.now()) for _ in range(2))
    page = Client()
    for leaked in (first, raw, raw):  # the first is over already
        said = page.post("/leaked-key", {"text": f"token={leaked}, take it"})
        assert said.status_code == 200
    assert directory.of_token(raw) is None
    (entry,) = AuditEntry.objects.filter(action="revoke leaked key")
    assert entry.subject == f"directory:{sign_on.pk}"
    (notice,) = Notice.objects.filter(kind="key_leaked")
    assert notice.user_id == sign_on.account_id and "scim-gw-" in notice.facts["shown"]
    answer = page.get("/scim/v2/Users", headers={"Authorization": f"Bearer {raw}"})
    assert answer.status_code == 401
