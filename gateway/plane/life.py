"""One request's life: what may happen next, and what is owed meanwhile.

A call (`Call.life`) is in one of these stages. `slot+hold`: Redis keeps a slot and money for it,
which settlement gives back. `place`: it counts in every window; without it settlement gives the
place back. `vendor`: a reply is open, which somebody must close (relay.py, or drains.py once the
client has left). "maybe" is what nobody here can know or need know.

    stage     slot+hold  place  vendor  then
    PREPARED  -          -      -       ASKED, REFUSED
    ASKED     maybe      -      -       ASKED, ADMITTED, REFUSED, FREED
    ADMITTED  owed       -      -       SENT, FREED
    SENT      owed       -      owed    ADMITTED, REACHED, FREED
    REACHED   owed       owed   owed    BROKEN, CLOSED
    BROKEN    owed       owed   -       REACHED, CLOSED
    FREED     owed       -      -       SETTLED
    CLOSED    owed       owed   maybe   SETTLED
    SETTLED   -          -      maybe   -
    REFUSED   -          -      -       -

* PREPARED: understood, its lane chosen. ASKED: Redis was asked to admit it, perhaps in vain.
* SENT: a vendor was asked. What it refuses, or never accepts, costs nothing, and another may be
  asked: ADMITTED once more. REACHED: it was accepted; from here on it counts, whatever comes.
* BROKEN: a vendor that had accepted it broke off before a word was passed on; another may be
  asked.
* CLOSED and FREED: what it costs is decided and will not change. Redis is being told, or is away
  and will be told (`admission.heartbeat`). SETTLED: it knows.

And its answer (`Exchange.answer`), on which the client waits:

    answer    owed to the client        then
    SILENT    an answer or an error     BEGUN, ENDED
    BEGUN     the end of a stream       ENDED
    ENDED     -                         -

Who hears what the vendor says (`Call.hearing`):

    hearing   who                                   then
    CLIENT    the client, as it comes               DRAIN
    DRAIN     drains.py: its client has left        DRAINED
    DRAINED   nobody any more: it was told whole    -

How it ended (`Call.end`): UNDERWAY, or whole; LEFT, by its client; OVERDUE, cut off by us; BROKE,
when there was no more money; FAILED, by the vendor or by us, and then nothing is charged.
"""

from enum import IntEnum

# What ended an answer that may well be empty; the hub's words (`ir.Finish`), and COMPLETE.
ENDS_WITH_A_REASON = frozenset(
    ("stop_sequence", "length", "context_window", "tool_calls", "pause", "compaction", "complete")
)


class Stage(IntEnum):
    """Of a call."""

    PREPARED, ASKED, ADMITTED, SENT, REACHED, BROKEN, FREED, CLOSED, SETTLED, REFUSED = range(10)


class Answer(IntEnum):
    """Of an exchange."""

    SILENT, BEGUN, ENDED = range(3)


class Hearing(IntEnum):
    """Who hears a call's answer."""

    CLIENT, DRAIN, DRAINED = range(3)


class End(IntEnum):
    """How a call ended."""

    UNDERWAY, LEFT, OVERDUE, BROKE, FAILED = range(5)


PREPARED, ASKED, ADMITTED, SENT, REACHED, BROKEN, FREED, CLOSED, SETTLED, REFUSED = Stage
SILENT, BEGUN, ENDED = Answer
CLIENT, DRAIN, DRAINED = Hearing

NEXT: dict[Stage, frozenset[Stage]] = {
    PREPARED: frozenset((ASKED, REFUSED)),
    ASKED: frozenset((ASKED, ADMITTED, REFUSED, FREED)),
    ADMITTED: frozenset((SENT, FREED)),
    SENT: frozenset((ADMITTED, REACHED, FREED)),
    REACHED: frozenset((BROKEN, CLOSED)),
    BROKEN: frozenset((REACHED, CLOSED)),
    FREED: frozenset((SETTLED,)),
    CLOSED: frozenset((SETTLED,)),
    SETTLED: frozenset(),
    REFUSED: frozenset(),
}
NEXT_ANSWER: dict[Answer, frozenset[Answer]] = {
    SILENT: frozenset((BEGUN, ENDED)),
    BEGUN: frozenset((ENDED,)),
    ENDED: frozenset(),
}
NEXT_HEARING: dict[Hearing, frozenset[Hearing]] = {
    CLIENT: frozenset((DRAIN,)),
    DRAIN: frozenset((DRAINED,)),
    DRAINED: frozenset(),
}

HOLDS = frozenset((ADMITTED, SENT, REACHED, BROKEN, FREED, CLOSED))  # slot and hold are owed
COUNTS = frozenset((REACHED, BROKEN, CLOSED))  # and its place in the windows is used
OPEN = frozenset((SENT, REACHED))  # a vendor's reply is
DECIDED = frozenset((FREED, CLOSED, SETTLED))  # what it costs


class Impossible(RuntimeError):
    """A step that the table does not have: a fault of ours."""


def step(now: Stage, then: Stage) -> Stage:
    """Where that step leads. Raises Impossible."""
    if then not in NEXT[now]:
        raise Impossible(f"{then.name} does not follow {now.name}")
    return then


def answer(now: Answer, then: Answer) -> Answer:
    """The same of an answer."""
    if then not in NEXT_ANSWER[now]:
        raise Impossible(f"an answer that is {now.name} cannot be {then.name}")
    return then


def hearing(now: Hearing, then: Hearing) -> Hearing:
    """The same of who hears it."""
    if then not in NEXT_HEARING[now]:
        raise Impossible(f"an answer heard by {now.name} is not heard by {then.name} next")
    return then
