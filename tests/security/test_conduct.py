"""What is said of a connection, without one: the rules of hontoni/connections.py."""

import asyncio
from collections.abc import Iterator

import pytest

from hontoni import connections
from hontoni.connections import ANSWER, BODY, HEAD, IDLE, REFUSED, Bounds, Conduct, Lobby
from hontoni.errors import ApiError, BadRequest, HeadersTooLarge, RequestTimeout

BOUNDS = Bounds(
    connections=6,
    by_address=3,
    head_bytes=1000,
    headers=10,
    head_seconds=10,
    body_seconds=5,
    body_rate=100,
    answer_seconds=30,
    idle_seconds=5,
)


class Guest:
    """A connection that does what is said of it."""

    def __init__(self, lobby: Lobby, address: str = "10.0.0.1") -> None:
        self.lobby, self.address, self.conduct = lobby, address, Conduct(lobby)
        self.open, self.unsent, self.excused = True, 0, False
        self.heard: ApiError | None = None

    def look(self, now: int) -> None:
        verdict = self.conduct.look(now, self.unsent, self.excused)
        if isinstance(verdict, ApiError):
            self.heard = verdict
            self.conduct.refused()
        elif verdict is not None:
            self.end()

    def end(self) -> None:
        self.lobby.leave(self)
        self.open = False

    def send(self, size: int) -> ApiError | None:
        self.conduct.sent(size)
        return self.conduct.read()

    def ask(self, *, body: int = 0) -> None:
        """A whole head, and so many bytes of a body that is longer."""
        self.conduct.sent(100 + body)
        self.conduct.begins()
        assert self.conduct.may_ask(b"/v1", [(b"a", b"b")], 0) is None
        self.conduct.owed += 1
        if body:
            self.conduct.embodies(body)

    def ask_in_full(self) -> None:
        self.ask()
        self.conduct.ends()


@pytest.fixture
def lobby() -> Iterator[Lobby]:
    loop = asyncio.new_event_loop()
    yield Lobby(loop, BOUNDS)
    loop.close()


@pytest.fixture
def guest(lobby: Lobby) -> Guest:
    found = Guest(lobby)
    assert lobby.enter(found)
    return found


def wait(lobby: Lobby, seconds: int) -> None:
    for _ in range(seconds):
        lobby.look()


def test_the_silent_go_first_and_then_the_idle_and_who_works_never(lobby: Lobby) -> None:
    silent, idle, working = (Guest(lobby) for _ in range(3))
    for each in (working, idle, silent):
        assert lobby.enter(each)
    idle.ask_in_full()
    idle.conduct.answered()
    working.ask_in_full()
    first, second, third = (Guest(lobby) for _ in range(3))
    for each in (first, second):
        assert lobby.enter(each)
        each.ask_in_full()
    assert (silent.open, idle.open, working.open) == (False, False, True)
    assert not lobby.enter(third)
    assert lobby.enter(Guest(lobby, "10.0.0.2"))  # its neighbours are not kept out


def test_whoever_has_most_makes_room_for_others(lobby: Lobby) -> None:
    greedy = [Guest(lobby) for _ in range(3)]
    for each in (*greedy, *(Guest(lobby, f"10.0.1.{n}") for n in range(3))):
        assert lobby.enter(each)
    assert lobby.size == BOUNDS.connections
    assert lobby.enter(Guest(lobby, "10.0.2.1"))
    assert [each.open for each in greedy] == [False, True, True]
    assert lobby.size == BOUNDS.connections


def test_who_leaves_is_counted_no_more(lobby: Lobby, guest: Guest) -> None:
    lobby.leave(guest)
    lobby.leave(guest)
    assert (lobby.size, lobby.by_address) == (0, {})


def test_a_head_that_does_not_end_has_its_time_and_its_bytes(lobby: Lobby, guest: Guest) -> None:
    for _ in range(9):
        assert guest.send(100) is None  # a little now and then is no more than nothing
        wait(lobby, 1)
    assert guest.heard is None
    wait(lobby, 1)
    assert isinstance(guest.heard, RequestTimeout)
    wait(lobby, connections.LINGER_SECONDS)
    assert not guest.open
    other = Guest(lobby)
    assert [other.send(400) is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("headers", [[(b"a", b"b")] * 11, [(b"a", b"b" * 1000)]])
def test_a_head_that_ends_has_bounds(guest: Guest, headers: list[tuple[bytes, bytes]]) -> None:
    guest.conduct.sent(5000)
    guest.conduct.begins()
    assert isinstance(guest.conduct.may_ask(b"/v1", headers, 0), HeadersTooLarge)


def test_a_small_head_with_much_of_a_body_is_no_large_head(guest: Guest) -> None:
    guest.conduct.sent(5000)
    guest.conduct.begins()
    assert guest.conduct.may_ask(b"/v1", [(b"a", b"b")], 0) is None


def test_only_so_many_requests_wait_for_the_one_before(guest: Guest) -> None:
    guest.ask_in_full()
    queued = connections.MOST_QUEUED
    assert guest.conduct.may_ask(b"/v1", [], queued - 1) is None
    assert isinstance(guest.conduct.may_ask(b"/v1", [], queued), BadRequest)


def test_a_body_keeps_coming(lobby: Lobby, guest: Guest) -> None:
    guest.ask(body=1)
    for _ in range(10):
        guest.send(200)
        guest.conduct.embodies(100)
        wait(lobby, 1)
    assert guest.heard is None
    wait(lobby, BOUNDS.body_seconds)
    assert isinstance(guest.heard, RequestTimeout)


def test_a_body_that_we_do_not_read_need_not_come(lobby: Lobby, guest: Guest) -> None:
    guest.ask(body=1)
    guest.excused = True
    wait(lobby, 100)
    assert (guest.open, guest.heard) == (True, None)
    guest.excused = False
    wait(lobby, BOUNDS.body_seconds)
    assert isinstance(guest.heard, RequestTimeout)


def test_chunks_that_hold_next_to_nothing_are_no_body(guest: Guest) -> None:
    guest.ask()
    guest.conduct.embodies(10)
    assert guest.send(1000) is None
    assert isinstance(guest.send(1000), BadRequest)


def test_a_body_answered_before_it_was_there_is_not_read_for_ever(
    lobby: Lobby, guest: Guest
) -> None:
    guest.ask(body=1)
    guest.conduct.answered()
    assert guest.conduct.stage == BODY
    assert guest.conduct.embodies(connections.UNREAD_BYTES)
    assert not guest.conduct.embodies(1)
    slow = Guest(lobby)
    assert lobby.enter(slow)
    slow.ask(body=1)
    slow.conduct.answered()
    for _ in range(connections.UNREAD_SECONDS):
        slow.send(1000)
        slow.conduct.embodies(1000)
        wait(lobby, 1)
    assert (slow.open, slow.heard) == (False, None)


def test_an_answer_may_take_its_time_and_must_be_taken(lobby: Lobby, guest: Guest) -> None:
    guest.ask_in_full()
    wait(lobby, 1000)
    assert guest.open and guest.conduct.stage == ANSWER
    for unsent in range(60):  # slowly is as well
        guest.unsent = 1 + unsent
        wait(lobby, 1)
    assert guest.open
    wait(lobby, BOUNDS.answer_seconds)
    assert not guest.open


def test_who_is_idle_is_let_go_and_who_asks_again_is_not(lobby: Lobby, guest: Guest) -> None:
    for _ in range(3):
        guest.ask_in_full()
        guest.conduct.answered()
        assert guest.conduct.stage == IDLE
        wait(lobby, BOUNDS.idle_seconds)
    assert guest.open
    wait(lobby, 1)
    assert not guest.open


def test_an_answer_that_others_wait_behind_leaves_nobody_idle(lobby: Lobby, guest: Guest) -> None:
    guest.ask_in_full()
    guest.ask_in_full()
    guest.conduct.answered()
    wait(lobby, 100)
    assert guest.open and not guest.conduct.idle
    guest.conduct.answered()
    assert guest.conduct.idle


def test_line_feeds_are_not_the_start_of_a_request(lobby: Lobby, guest: Guest) -> None:
    guest.ask_in_full()
    guest.conduct.answered()
    for _ in range(BOUNDS.head_seconds):
        guest.send(2)
        wait(lobby, 1)
    assert guest.conduct.stage == REFUSED
    assert isinstance(guest.heard, RequestTimeout)


def test_a_request_that_begins_late_has_the_time_of_a_head(lobby: Lobby, guest: Guest) -> None:
    guest.ask_in_full()
    guest.conduct.answered()
    wait(lobby, 4)
    guest.send(100)
    guest.conduct.begins()
    assert guest.conduct.stage == HEAD
    wait(lobby, BOUNDS.head_seconds - 1)
    assert guest.heard is None
    wait(lobby, 1)
    assert isinstance(guest.heard, RequestTimeout)


def test_a_handshake_has_the_time_of_a_head_and_a_socket_all_it_wants(
    lobby: Lobby, guest: Guest
) -> None:
    other = Guest(lobby)
    assert lobby.enter(other)
    for each in (guest, other):
        each.conduct.opens()
    other.excused = True
    wait(lobby, 1000)
    assert (guest.open, other.open) == (False, True)


def test_who_is_refused_is_told_in_the_words_of_the_door() -> None:
    error = HeadersTooLarge("Too large.", headers={"Retry-After": "1"})
    told = [connections.farewell(error, url).split(b"\r\n\r\n") for url in (b"/v1/x", b"/pricing")]
    assert b'"code":"headers_too_large"' in told[0][1] and told[1][1] == b"Too large."
    for head, body in told:
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 431 Request Header Fields Too Large"
        assert b"content-length: %d" % len(body) in lines
        assert b"Retry-After: 1" in lines and b"connection: close" in lines
