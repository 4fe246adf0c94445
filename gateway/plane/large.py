"""Large requests, which are prepared in a process beside the gateway (preparer.py).

What is large is a matter of work, not of bytes alone: a message of three hundred thousand costs as
much as a picture of megabytes. Whoever prepares a request asks here; a request that is not large
goes the way it always went.
"""

import itertools
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar, cast

from django.conf import settings

from gateway.catalogue import snapshot
from gateway.catalogue.features.snapshot import Features
from gateway.catalogue.snapshot import Catalogue, Snapshot
from gateway.catalogue.sold import Book, learnt
from gateway.dialects.ir import Failed, Item
from gateway.plane import adapters, callers
from gateway.plane.adapters import Lane, PassThrough, Translation
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import DIALECTS
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.preparation import Drawn, Edit, Kind, Question, Understood, Unpermitted
from gateway.plane.preparer import Order, Preparer, Refused
from gateway.plane.upstream import Upstream
from gateway.vendors.routes import EMPTY
from hontoni.errors import BadRequest, NotFound

T = TypeVar("T")

LARGE_BYTES = 2 * 1024 * 1024
_FEW_BYTES = 65_536
# A message costs some 25 µs to translate, another object a tenth of that, bytes next to nothing.
# An agent with eighty tools and a long day behind it has some five thousand objects.
LARGE_MESSAGES, LARGE_OBJECTS = 1_500, 8_000
_numbers = itertools.count(1)


def is_large(body: bytes) -> bool:
    """Whether it would keep the event loop from everybody else for longer than a few hundredths of
    a second."""
    size = len(body)
    if size <= _FEW_BYTES or not settings.PREPARERS:
        return False
    return (
        size > LARGE_BYTES
        or body.count(b'"role"') > LARGE_MESSAGES
        or body.count(b"{") + body.count(b"[") > LARGE_OBJECTS
    )


# -- The processes -------------------------------------------------------------------------------


@cache
def _preparers() -> tuple[Preparer, ...]:
    return tuple(Preparer() for _ in range(settings.PREPARERS))


def stop() -> None:
    """End them; blocking for a moment."""
    for each in _preparers():
        each.stop()


def processes() -> list[int]:
    """Those that there are, by their ids."""
    return [each.pid for each in _preparers() if each.pid is not None]


class _Shipped:
    """The catalogue as it was sent last, and its number."""

    of: Catalogue | None = None
    number = 0
    pickled = b""


def _shipped(catalogue: Catalogue) -> int:
    """Its number; without what only the gateway knows, the ways to each model."""
    if _Shipped.of is not catalogue:
        _Shipped.pickled, _Shipped.of = pickle.dumps(_bare(catalogue)), catalogue
        _Shipped.number = next(_numbers)
    return _Shipped.number


def _bare(catalogue: Catalogue) -> Catalogue:
    books: dict[int, Book] = {}
    models = {}
    for name, model in catalogue.models.items():
        book = books.setdefault(id(model.book), _book(model.book))
        models[name] = replace(model, pool=EMPTY, book=book, **learnt())
    for book in books.values():
        book.write(models, catalogue.aliases)
    return replace(catalogue, models=models, listed={}, of=Snapshot(0.0, [], {}, Features()))


def _book(book: Book) -> Book:
    return Book(book.features, book.own, book.fees)


class Reading:
    """One large request, and who has the whole of it."""

    def __init__(self, question: Question, catalogue: Catalogue) -> None:
        self.question, self.number = question, next(_numbers)
        self.catalogue, self.pickled = _shipped(catalogue), _Shipped.pickled
        preparers = _preparers()
        self.preparer = preparers[self.number % len(preparers)]
        self.session, self.prompt_bytes, self.may_store = b"", 0, question.caller.may_store

    def _order(self, work: str, *args: Any) -> Order:
        return Order(work, self.number, self.catalogue, args)

    def _send(self, what: str) -> bytes:
        if what == "catalogue":
            return self.pickled
        if what == "body":
            return self.question.body
        return pickle.dumps(self.question._replace(body=b""))

    async def ask(self, work: str, *args: Any) -> Any:
        """The answer or a Refused. Raises Unavailable."""
        return await self.preparer.ask(self._order(work, *args), self._send)

    def ask_now(self, work: str, *args: Any) -> Any:
        """The answer, blocking. Raises ApiError."""
        answer = self.preparer.ask_now(self._order(work, *args), self._send)
        if isinstance(answer, Refused):
            raise answer.error()
        return answer


# -- Understanding -------------------------------------------------------------------------------


async def understand(
    http: Exchange, dialect: str, body: bytes, caller: Caller, upstream: Upstream, kind: Kind
) -> InboundRequest:
    """As inbound.understand, of a body that is large. Raises ApiError."""
    address, looked_again = http.client_ip(), False
    catalogue = await snapshot.current()
    while True:
        reading = _reading(http, dialect, body, caller, upstream, kind, catalogue)
        answer = await reading.ask("understand")
        if not isinstance(answer, Refused):
            return _inbound(answer, reading, catalogue)
        http.parsed = {"model": answer.model}
        error = answer.error()
        if isinstance(error, Unpermitted):
            caller = await callers.permit(caller, address, error.message)
        elif isinstance(error, NotFound | BadRequest) and not looked_again:
            looked_again, before = True, catalogue
            catalogue = await snapshot.newest()
            if catalogue is before:
                raise error
        else:
            raise error


def _reading(
    http: Exchange,
    dialect: str,
    body: bytes,
    caller: Caller,
    upstream: Upstream,
    kind: Kind,
    catalogue: Catalogue,
) -> Reading:
    available = frozenset(
        name for name, model in catalogue.models.items() if upstream.serves(model, caller)
    )
    headers, bare = dict(http.headers), replace(caller, own_keys=())  # nobody's business there
    question = Question(kind, dialect, body, bare, headers, http.client_ip(), available)
    return Reading(question, catalogue)


def _inbound(found: Understood, reading: Reading, catalogue: Catalogue) -> InboundRequest:
    """As it is here: of this process's catalogue, and with the body as it came."""
    reading.session, reading.prompt_bytes = found.session, found.prompt_bytes
    model = catalogue.models[found.model].owned(reading.question.caller.account)
    return found.request._replace(
        dialect=DIALECTS[found.dialect],
        body=reading.question.body,
        model=model,
        target=model.capped(reading.question.caller.thinking_budget),
        beside=reading,
    )


async def counted(request: InboundRequest, parsed: dict[str, Any]) -> bytes:
    """As adapters.counted, of a request of any size."""
    reading = request.beside
    if not isinstance(reading, Reading):
        return adapters.counted(request, parsed)
    return await reading.preparer.run(reading.ask_now, "count", request.model.named)


# -- Lanes ---------------------------------------------------------------------------------------


async def choose(request: InboundRequest) -> Lane:
    """As adapters.choose, of a request of any size."""
    reading = request.beside
    if not isinstance(reading, Reading):
        return adapters.choose(request)
    edits: tuple[Edit, ...] = ()
    if request.may_store is not reading.may_store:
        edits = (("let_store", (request.may_store,)),)
    drawn = await reading.preparer.run(reading.ask_now, "draw", request.model.named, edits)
    kind: type[_Large] = _LargeTranslation if drawn.translated else _LargePassThrough
    lane = object.__new__(kind)  # made of what was drawn, not of the request
    lane.begin(request, reading, edits, drawn)
    return cast(Lane, lane)


async def beside(lane: Lane, work: Callable[..., T], *args: Any) -> T:
    """Do what may change this lane, away from the event loop if that is much work."""
    if isinstance(lane, _Large):
        return await lane.reading.preparer.run(work, *args)
    return work(*args)


class _Large:
    """Before a lane: who has the whole request changes it, and says what became of it."""

    _inbound: InboundRequest
    reading: Reading
    _edits: tuple[Edit, ...]

    def begin(
        self, request: InboundRequest, reading: Reading, edits: tuple[Edit, ...], drawn: Drawn
    ) -> None:
        self._inbound, self.reading, self._edits = request, reading, edits
        self._take(drawn)

    def _take(self, drawn: Drawn) -> None:
        streams = drawn.translated or bool(self._inbound.parsed.get("stream"))
        vars(self).update(drawn._asdict(), streams=streams)

    def _edit(self, name: str, *args: Any) -> Any:
        edits = (*self._edits, (name, args))
        drawn = self.reading.ask_now("draw", self._inbound.model.named, edits)
        self._edits = edits
        self._take(drawn)
        return drawn.answer

    def limit_output(self, tokens: int) -> None:
        self._edit("limit_output", tokens)

    def spare(self, calls: int) -> None:
        self._edit("spare", calls)

    def let_store(self, allowed: bool) -> None:
        self._edit("let_store", allowed)

    def compact(self) -> None:
        self._edit("compact")

    def repair(self, failed: Failed) -> bool:
        return bool(self._edit("repair", failed))


class _LargePassThrough(_Large, PassThrough):
    pass


class _LargeTranslation(_Large, Translation):
    urls: list[str]

    def to_fetch(self) -> list[str]:
        return self.urls

    def onward(self, said: tuple[Item, ...], most: int, spent: bool) -> None:
        self._edit("onward", said, most, spent)

    def inline(self, fetched: Mapping[str, tuple[str, str]]) -> None:
        self._edit("inline", dict(fetched))
