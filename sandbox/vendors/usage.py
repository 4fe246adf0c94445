"""Token numbers a test can work out by hand, and the vendors' prompt caches.

The whole tokenizer is `count`. A prompt is a sequence of pieces (a system block, a message part,
a tool definition) and costs the sum of its pieces; an answer costs `count` of its text, plus
`count(name) + count(arguments)` for each tool call, plus `count` of its thinking.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

IMAGE_TOKENS = 256
"""What an image or a document costs, whatever its size."""

_REMEMBERED = 20_000
_BLOCK = 128
_IMPLICIT_MINIMUM = 1024


def count(text: str) -> int:
    """Tokens of a text: a quarter of its UTF-8 bytes, rounded up."""
    return -(-len(text.encode()) // 4)


def dumps(value: Any) -> str:
    """Compact JSON text, the form in which arguments and schemas are counted."""
    return orjson.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a prompt; `ttl` ("5m" or "1h") where a cache breakpoint follows it."""

    text: str
    tokens: int
    ttl: str = ""


def piece(text: str, ttl: str = "") -> Piece:
    return Piece(text, count(text), ttl)


def image(source: str, ttl: str = "") -> Piece:
    return Piece(source, IMAGE_TOKENS, ttl)


def total(prompt: Iterable[Piece]) -> int:
    """Tokens of a prompt."""
    return sum(part.tokens for part in prompt)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Disjoint buckets; each dialect nests them its own way (protocols.md section 3.1)."""

    input: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def written(self) -> int:
        return self.write_5m + self.write_1h

    @property
    def prompt(self) -> int:
        return self.input + self.read + self.written


@dataclass(frozen=True, slots=True)
class CacheUse:
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0


class PromptCache:
    """What this process has seen. Nothing expires but by age of use; `clear` empties it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def clear(self) -> None:
        self._seen.clear()

    def explicit(self, scope: str, prompt: Sequence[Piece]) -> CacheUse:
        """Anthropic: what lies before a breakpoint is written once and read from then on.

        The vendor's minimum length is left out, so that a short test can use the cache.
        """
        marks = [(n, part.ttl) for n, part in enumerate(prompt) if part.ttl]
        if not marks:
            return CacheUse()
        prefixes = list(_prefixes(scope, prompt))
        last, hour = marks[-1][0], max((n for n, ttl in marks if ttl == "1h"), default=-1)
        known = max((n for n in range(last + 1) if prefixes[n] in self._seen), default=-1)
        read = total(prompt[: known + 1])
        write_1h = max(0, total(prompt[: hour + 1]) - read)
        write_5m = max(0, total(prompt[: last + 1]) - read - write_1h)
        for n, _ in marks:
            self._remember(prefixes[n])
        return CacheUse(read, write_5m, write_1h)

    def implicit(self, scope: str, prompt: Sequence[Piece]) -> CacheUse:
        """OpenAI and Google: a repeated beginning of 1,024 tokens or more, in steps of 128."""
        text = "\x00".join(part.text for part in prompt).encode()
        blocks = min(len(text) // 4, total(prompt)) // _BLOCK
        if blocks * _BLOCK < _IMPLICIT_MINIMUM:
            return CacheUse()
        digest, known, fresh = hashlib.sha256(scope.encode()), 0, []
        for n in range(1, blocks + 1):
            digest.update(text[(n - 1) * _BLOCK * 4 : n * _BLOCK * 4])
            if (key := digest.digest()) in self._seen:
                known = n
            fresh.append(key)
        for key in fresh:
            self._remember(key)
        read = known * _BLOCK
        return CacheUse(read if read >= _IMPLICIT_MINIMUM else 0)

    def _remember(self, key: bytes) -> None:
        self._seen[key] = None
        self._seen.move_to_end(key)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def _prefixes(scope: str, prompt: Sequence[Piece]) -> Iterator[bytes]:
    digest = hashlib.sha256(scope.encode())
    for part in prompt:
        digest.update(b"\x00" + part.text.encode())
        yield digest.digest()
