"""The bytes of a file as text, and back: with its own byte order mark and ends of lines."""

from dataclasses import dataclass

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Text:
    """What a file says, its lines ended by a newline each; how its bytes were."""

    content: str
    mark: bytes = b""
    windows: bool = False

    def bytes_of(self, content: str) -> bytes:
        """Another content, as this file is written."""
        ended = content.replace("\n", "\r\n") if self.windows else content
        return self.mark + ended.encode()


def read(raw: bytes) -> Text:
    """Raises UnicodeDecodeError, a ValueError. A file that mixes its ends of lines keeps them."""
    mark = _MARK if raw.startswith(_MARK) else b""
    content = raw.removeprefix(mark).decode()
    windows = "\r\n" in content and content.count("\r\n") == content.count("\n")
    return Text(content.replace("\r\n", "\n") if windows else content, mark, windows)
