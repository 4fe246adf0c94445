"""What is around the text of a stream's events: a vendor writes the same again and again, hundreds
of bytes for a word.

Of an event that was read to the end it is known what it says beside its text. One that differs in
its text alone says the same: to recognize it takes a tenth of reading it anew. An envelope is
learnt from an event, and whatever does not fit into it is read as ever.
"""

import re

_CHANGING = re.compile(rb'"obfuscation":"([^"\\]*)"|"sequence_number":(\d+)[,}]')
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')
_QUOTE, _BACKSLASH = b'"', 0x5C
LESSONS = 16  # in a row, none of which was of use: every event of this stream is another
Span = tuple[int, int]


class Envelope:
    """Bytes, with holes: the text, and what counts on or is random in each event."""

    __slots__ = ("_end", "_pieces")

    def __init__(self, event: bytes, text: Span, changing: list[Span]) -> None:
        self._pieces: list[tuple[bytes, bytes, bool]] = []  # before a hole, behind it, is text?
        at = 0
        for start, end in sorted([text, *changing]):
            self._pieces.append((event[at:start], event[end : end + 1], (start, end) == text))
            at = end
        self._end = event[at:]

    @property
    def around(self) -> bytes:
        """All but what is in the holes."""
        return b"".join([piece[0] for piece in self._pieces]) + self._end

    @classmethod
    def of(cls, event: bytes, text: re.Pattern[bytes]) -> "Envelope | None":
        """That of a whole event, whose text is what the pattern's group finds; None if it has no
        text or several."""
        if not event.startswith((b"data: ", b"event: ")) or b"\r" in event:
            return None
        spans = [found.span(1) for found in text.finditer(event)]
        if len(spans) != 1 or event.find(b"\n\n") != len(event) - 2:
            return None
        changing = [found.span(found.lastindex or 0) for found in _CHANGING.finditer(event)]
        return cls(event, spans[0], changing)

    def texts(self, data: bytes) -> list[Span]:
        """Where the texts are, if all of `data` is such events; else nothing."""
        found: list[Span] = []
        at, size = 0, len(data)
        while at < size:
            for before, behind, is_text in self._pieces:
                if not data.startswith(before, at):
                    return []
                start = at + len(before)
                at = data.find(behind, start)
                if at < 0 or (behind != _QUOTE and not data[start:at].isdigit()):
                    return []
                if data[at - 1] == _BACKSLASH:  # an escaped quote, or a backslash at the end
                    at = _STRING_END.match(data, start).end()  # type: ignore[union-attr]
                if is_text:
                    found.append((start, at))
            if not data.startswith(self._end, at):
                return []
            at += len(self._end)
        return found


def last_event(block: bytes) -> bytes:
    """The last of a block of whole events."""
    before = block.rfind(b"\n\n", 0, -2)
    return block if before < 0 else block[before + 2 :]
