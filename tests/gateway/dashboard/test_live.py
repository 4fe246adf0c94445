"""The socket: who may listen, to whom, and that a bell without listeners costs nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from accounts.models import User
from gateway.dashboard import consumers, overview
from gateway.usage import live, settlement
from hontoni import redis
from tests.gateway_server import Gateway, fund
from tests.world import Person


def listen(gateway: Gateway, person: Person | None, **headers: str) -> ClientConnection:
    if person is not None:
        client = Client()
        client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
        name = settings.SESSION_COOKIE_NAME
        headers["Cookie"] = f"{name}={client.cookies[name].value}; time_zone=Asia/Tokyo"
    headers = {"Origin": gateway.url, **headers}
    return connect(f"ws{gateway.url[4:]}/live", additional_headers=headers, open_timeout=10)


def ring() -> None:
    with ThreadPoolExecutor(1) as worker:  # as the worker does, in a thread without a loop
        worker.submit(settlement.drain, "tests").result()
        worker.submit(connections.close_all)


def test_a_finished_request_reaches_its_own_account_only(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "10")
    with listen(gateway, alice) as hers, listen(gateway, bob) as his:
        for socket in (hers, his):
            first = socket.recv(timeout=10)
            assert 'id="live" hx-swap-oob="true"' in str(first)
            assert "gpt-4o" not in str(first)
        gateway.chat(alice)
        ring()
        assert "gpt-4o" in str(hers.recv(timeout=10))
        with pytest.raises(TimeoutError):
            his.recv(timeout=1)


@pytest.mark.parametrize(
    ("language", "word"), [("vi,en;q=0.5", "Chi hôm nay"), ("de", "Spent today")]
)
def test_it_speaks_as_the_page_did_to_who_never_chose_a_language(
    gateway: Gateway, alice: Person, language: str, word: str
) -> None:
    with listen(gateway, alice, **{"Accept-Language": language}) as socket:
        assert word in str(socket.recv(timeout=10))


def test_a_stranger_is_turned_away(gateway: Gateway, alice: Person) -> None:
    with pytest.raises((InvalidStatus, ConnectionClosed)), listen(gateway, None) as socket:
        socket.recv(timeout=10)
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        elsewhere = listen(gateway, alice, Origin="https://evil.example")
        elsewhere.recv(timeout=10)


def test_who_is_deactivated_is_cut_off_with_the_next_news(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with listen(gateway, alice) as socket:
        socket.recv(timeout=10)
        gateway.chat(alice)
        type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=False)
        ring()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_nobody_is_rung_for_who_does_not_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    async def note(accounts: list[int]) -> None:
        sent.extend(accounts)

    monkeypatch.setattr(live, "_send", note)
    redis.sync().zadd(live.WATCHED, {1: 2**40, 2: 1})  # watched; watched once; never
    live.ring([1, 2, 3])
    assert sent == [1]
    live.ring([])
    assert sent == [1]


def test_many_pages_of_an_account_are_rendered_once(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    rendered: list[int] = []
    real = overview.render_live

    def counted(user: User, *, push: bool) -> str:
        rendered.append(user.pk)
        return real(user, push=push)

    with ExitStack() as stack:
        pages = [stack.enter_context(listen(gateway, alice)) for _ in range(5)]
        for page in pages:
            page.recv(timeout=10)
        time.sleep(2 * consumers.QUIET_SECONDS)
        monkeypatch.setattr(consumers, "render_live", counted)
        gateway.chat(alice)
        ring()
        assert all("gpt-4o" in str(page.recv(timeout=10)) for page in pages)
    assert 1 <= len(rendered) < len(pages)
