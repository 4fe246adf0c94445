"""The first request that a model's page shows is one that works, as it was copied."""

import re
import shlex
from html import unescape
from pathlib import Path

import httpx
import pytest
from django.test import Client

from gateway.catalogue import snapshot
from tests.gateway.plane.endpoints.test_endpoints import recording
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


def shown(person: Person, model: str, gateway: Gateway) -> tuple[str, str]:
    """What the page of a model says to its reader, with the whole key in place of its ends."""
    client = Client()
    client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/models/{model}").content.decode()
    curl, python = (
        unescape(each)
        for each in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.DOTALL)
    )
    ends = f"{person.key.prefix}…{person.key.last4}"
    assert curl.count(ends) == python.count(ends) == 1
    assert curl.startswith("curl http://testserver/v1/")
    return tuple(
        each.replace(ends, person.raw).replace("http://testserver", gateway.url)
        for each in (curl, python)
    )  # type: ignore[return-value]


def sent(curl: str) -> httpx.Response:
    """As curl does what is written."""
    words = shlex.split(curl.replace("\\\n", " "))
    given = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ") for name, value in given if name == "-H")
    fields = dict(value.split("=") for name, value in given if name == "-F")
    files = {n: (p[1:], Path(p[1:]).read_bytes()) for n, p in fields.items() if p[0] == "@"}
    data = {name: value for name, value in fields.items() if name not in files}
    body = next((value.encode() for name, value in given if name == "-d"), None)
    if body is None:
        return httpx.post(words[1], headers=headers, data=data, files=files)
    return httpx.post(words[1], headers=headers, content=body)


@pytest.mark.parametrize(
    "model",
    [
        *("gpt-4o", "claude-sonnet-4", "text-embedding-3-small", "gemini-embedding-001"),
        *("omni-moderation-latest", "gpt-image-1", "dall-e-3", "whisper-1", "gpt-4o-transcribe"),
        "tts-1",
    ],
)
def test_it_works_as_it_is_copied(
    gateway: Gateway,
    alice: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    fund(alice, "10")
    monkeypatch.chdir(tmp_path)
    Path("talk.mp3").write_bytes(recording(2))
    curl, python = shown(alice, model, gateway)
    answer = sent(curl)
    assert answer.status_code == 200, answer.text
    exec(compile(python, model, "exec"), {})
    assert [event.model for event in gateway.books()] == [model] * 2
    for made in ("lighthouse.png", "hello.mp3"):
        assert (made in python) == Path(made).exists()


def test_every_model_has_one(gateway: Gateway, client: Client) -> None:
    for name in snapshot.load().listed:
        page = client.get(f"/models/{name}").content.decode()
        assert page.count('<pre tabindex="0">') == 2, name
