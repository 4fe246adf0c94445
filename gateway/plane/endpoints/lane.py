"""How one of these requests travels: one body to one endpoint of its vendor, answered whole."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gateway.catalogue.features.sift import Sifted
from gateway.dialects.ir import Failed, Tally, Thinking, Usage
from gateway.dialects.json_patch import parse
from gateway.plane import members
from gateway.plane.adapters import Stream
from gateway.vendors.manners import Named

JSON = b"application/json"


class Answered(NamedTuple):
    """An answer as it is passed on, and what the vendor counted; `guessed` where it told nothing
    and the numbers are our estimate."""

    body: bytes
    usage: Usage = Usage()
    tally: Tally = Tally()
    media_type: bytes = JSON
    guessed: bool = False


# The vendor's body and its content type, read. Raises UpstreamFailed.
Reading = Callable[[bytes, str], Answered]


class Job(NamedTuple):
    """What a request comes to at one model: what is sent where, how the answer is read, and what
    it can cost at most: tokens, and units of counters by their names."""

    path: str
    body: bytes
    reading: Reading
    input: int = 0
    output: int = 0
    heard: int = 0
    units: Mapping[str, int] = {}
    left_out: tuple[str, ...] = ()
    sent_as: bytes = JSON


class Forward:
    """A lane (adapters.py) of which nothing can be asked for less, and nothing streams."""

    streams = False
    thinks: Thinking | None = None

    def __init__(
        self, dialect: str, job: Job, sifted: Sifted, at: Callable[[Named], "Forward"]
    ) -> None:
        """`at` makes the same for who has the model under another name. Raises BadRequest."""
        self.dialect, self.job, self.sifted, self.at = dialect, job, sifted, at
        self.path, self.body, self.read = job.path, job.body, job.reading

    def headers(self, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        sent_as = self.job.sent_as
        return {} if sent_as == JSON else {b"content-type": sent_as}

    def limit_output(self, tokens: int) -> None:
        pass  # all of it is held

    def spare(self, calls: int) -> None:
        pass

    def let_store(self, allowed: bool) -> None:
        pass  # nobody can ask these to store

    def compact(self) -> None:
        pass  # there is no conversation

    def stream(self, reply_id: str, created: int) -> Stream | None:
        return None

    def repair(self, failed: Failed) -> bool:
        return False


async def understood(body: bytes) -> dict[str, Any]:
    """The members of a JSON body. Raises BadRequest."""
    parsed = parse(body)
    await members.agreed(body, parsed)
    return parsed


def without_unknown(
    parsed: Mapping[str, Any], known: frozenset[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The members that are known, and the names of the others, as they are told."""
    kept = {name: value for name, value in parsed.items() if name in known and value is not None}
    return kept, tuple(f"member:{name[:80]}" for name in parsed if name not in known)[:20]
