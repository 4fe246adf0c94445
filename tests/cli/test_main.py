"""The command beside the product: a person signs in, sets tools up, asks, and undoes it all."""

import json
import re
import socketserver
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from django.conf import settings
from django.test import Client as Browser

from accounts.keys import api_keys
from accounts.models import ApiKey, PersonalToken, TeamEvent
from accounts.sign_in import device_codes
from hontoni.money import nanos
from hontoni_cli import gateway as gateways
from hontoni_cli import login
from hontoni_cli.clients import CLIENTS
from hontoni_cli.main import main
from tests.gateway_server import Gateway, fund
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database
CLI = Path(settings.BASE_DIR) / "cli"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("XDG_CONFIG_HOME", "HONTONI_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield


def sign_in(gateway: Gateway, person: Person, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command waits; meanwhile the person types the code."""
    lines: list[str] = []
    monkeypatch.setattr(device_codes, "_wait", lambda digest: None)

    def type_it(_: float) -> None:
        (code,) = re.findall(r"\b[A-Z]{4}-[A-Z]{4}\b", "\n".join(lines))
        page = Browser()
        page.post("/account/login/", {"login": person.user.email, "password": PASSWORD})
        page.post("/account/reauthenticate/", {"password": PASSWORD})
        page.post("/device", {"code": code.lower(), "deed": "allow"})

    login.login(gateway.url, lines.append, type_it)
    return lines


def test_somebody_signs_in_sets_tools_up_asks_and_undoes_it_all(
    gateway: Gateway,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    fund(alice, "10")
    assert main(["usage"]) == 2  # nobody is signed in yet
    assert "Signed in" in sign_in(gateway, alice, monkeypatch)[-1]
    sign_in(gateway, alice, monkeypatch)  # once more, and the first token is over
    assert PersonalToken.objects.filter(revoked_at=None).count() == 1
    kept = tmp_path / ".config" / "hontoni" / "login.json"
    assert kept.stat().st_mode & 0o777 == 0o600

    for name in ("codex", "claude-code", "gemini", "cursor"):
        assert main(["setup", name, "--yes"]) == 0
    keys = ApiKey.objects.filter(user=alice.user).exclude(pk=alice.key.pk)
    assert {tuple(key.scopes) for key in keys} == {("inference", "usage:read")}
    assert "nothing to change" in _said(capsys, "setup", "codex", "--yes")
    assert keys.count() == 4
    assert main(["setup", "aider", "--yes"]) == 2  # the plan allows no more keys
    assert "--key" in capsys.readouterr().err and CLIENTS["aider"].read() is None
    sixth = ["--key", alice.raw, "--url", gateway.url]
    assert main(["setup", "aider", "--yes", *sixth]) == 0
    assert main(["undo", "aider"]) == 0

    shown = _said(capsys, "doctor")
    assert "BAD" not in shown and shown.count("A request went end to end") == 3
    assert "tools of the account's" in shown
    (request_id, *_) = re.findall(r"req_[0-9a-f]{32}", shown)
    events = gateway.books()
    assert len(events) == 3 and {event.api_key.user for event in events} == {alice.user}

    total = _said(capsys, "usage", "--by", "model").split()[-1]
    assert nanos(total) == sum(event.cost for event in events)
    file = tmp_path / "receipt.json"
    assert "charged" in _said(capsys, "receipt", request_id, "--save", str(file))
    document = json.loads(file.read_text())
    document["issuer"] = gateway.url
    keys_file = tmp_path / "keys.json"
    found = gateways.Gateway(gateway.url).get("/.well-known/hontoni-receipts.json")
    keys_file.write_text(json.dumps(found))
    assert main(["verify", str(file), "--keys", str(keys_file)]) == 0
    document["receipt"]["total"] = "9"
    file.write_text(json.dumps(document))
    assert main(["verify", str(file), "--keys", str(keys_file)]) == 1

    for name in ("codex", "claude-code", "gemini", "cursor"):
        assert main(["undo", name]) == 0
    assert not keys.filter(revoked_at=None).exists()
    assert [each.read() for each in CLIENTS.values()] == [None] * 10
    assert main(["logout"]) == 0
    assert not PersonalToken.objects.filter(revoked_at=None).exists() and not kept.exists()
    assert TeamEvent.objects.filter(action="device_allowed").count() == 2


def test_a_receipt_of_somebody_else_is_not_shown(
    gateway: Gateway, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(bob, "5")
    request_id = gateway.chat(bob).headers["x-request-id"]
    gateway.books()
    sign_in(gateway, alice, monkeypatch)
    assert main(["receipt", request_id]) == 2


def test_doctor_says_what_is_wrong(
    gateway: Gateway,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sign_in(gateway, alice, monkeypatch)
    assert main(["doctor", "codex"]) == 1
    assert "It is not set up" in capsys.readouterr().out
    main(["setup", "codex", "--yes"])
    assert main(["doctor", "codex"]) == 1  # nothing to pay with
    assert "balance" in capsys.readouterr().out.lower()
    api_keys.revoke(ApiKey.objects.exclude(pk=alice.key.pk).get())
    assert main(["doctor", "codex"]) == 1
    assert "BAD   key" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>", "sign in"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://portal.example/\r\n\r\n", "portal.example"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}', "not as a gateway"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "not as a gateway"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "does not answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer"),
        (b"", "does not answer"),
    ],
)
def test_what_is_no_gateway_is_said_to_be_none(
    capsys: pytest.CaptureFixture[str], answer: bytes, word: str
) -> None:
    with listening(answer) as url:
        assert main(["login", url]) == 2
        assert word in capsys.readouterr().err
        key = ["--key", "sk-gw-" + "k" * 49, "--url", url, "--model", "gpt-4o"]
        assert main(["setup", "claude-code", "--yes", *key]) == 0
        capsys.readouterr()
        assert main(["doctor"]) == 1
        assert word in capsys.readouterr().out
    assert main(["doctor"]) == 1
    assert "does not answer" in capsys.readouterr().out


@contextmanager
def listening(answer: bytes) -> Iterator[str]:
    """Whoever connects is answered that."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        ((0, 503, "authorization_pending", "slow_down", None), 5),
        (("access_denied",), 1),
        (("authorization_pending", "expired_token"), 2),
        ((0,) * 99, 7),  # 7 x 10 seconds: the code has ended
    ],
)
def test_who_waits_for_a_person_waits_as_long_as_the_code_is_good(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[str | int | None, ...], tries: int
) -> None:
    waiting, slept = iter(answers), list[float]()

    def form(_: object, path: str, **__: str) -> dict[str, str | int]:
        if path == "/oauth/device":
            codes = {"device_code": "d", "user_code": "U", "verification_uri": "v"}
            return {**codes, "interval": 10, "expires_in": 60}
        match next(waiting):
            case None:
                return {"access_token": "t", "scope": "usage:read"}
            case int(status):
                raise gateways.Failed("It is away.", status=status)
            case str(code):
                raise gateways.Failed(code, code, 400)

    monkeypatch.setattr(gateways.Gateway, "form", form)
    if answers[-1] is None:
        login.login("https://g.example", lambda _: None, slept.append)
        assert slept[-1] == slept[0] + 5
    else:
        with pytest.raises(gateways.Failed):
            login.login("https://g.example", lambda _: None, slept.append)
    assert len(slept) == tries


@pytest.mark.parametrize(
    "content", ["[]", "1", "null", '{"type":"hontoni.receipt","proof":[]}', ""]
)
@pytest.mark.parametrize("more", [[], ["--issuer", "http://127.0.0.1:1/"], ["--keys", "keys"]])
def test_what_is_no_receipt_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, more: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.json").write_text(content)
    (tmp_path / "keys").write_text('{"keys": []}')
    assert main(["verify", "r.json", *more]) == 2


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_it_runs_in_a_checkout() -> None:
    said = subprocess.check_output([sys.executable, str(CLI), "--help"], text=True)
    assert all(word in said for word in ("login", "setup", "undo", "receipt", "doctor"))


def build(target: str, source: Path, into: Path) -> Path:
    """The one file that comes of it."""
    arguments = ["-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run([sys.executable, *arguments], cwd=source, check=True, capture_output=True)
    (made,) = into.iterdir()
    return made


def test_it_is_a_wheel_that_runs_by_itself_and_so_is_one_of_the_source_archive(
    tmp_path: Path,
) -> None:
    archive = build("sdist", CLI, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    contents = []
    for n, place in enumerate((CLI, source)):
        with zipfile.ZipFile(build("wheel", place, tmp_path / f"wheel{n}")) as wheel:
            contents.append({name: wheel.read(name) for name in wheel.namelist()})
            wheel.extractall(tmp_path / "there")
    assert contents[0] == contents[1]
    assert {"hontoni/verify.py", "hontoni_cli/main.py"} <= contents[0].keys()
    assert not [name for name in contents[0] if name.startswith(("hontoni/settings", "tests"))]
    receipt = tmp_path / "none.json"
    receipt.write_text("{}")
    ran = subprocess.run(
        [sys.executable, "-m", "hontoni_cli", "verify", str(receipt)],
        cwd=tmp_path / "there",
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2 and "names no issuer" in ran.stderr
