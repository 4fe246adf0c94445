"""A form with a file in it, read and written."""

import secrets
from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from hontoni.errors import BadRequest

_REFUSALS = (MultiPartParserError, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


class File(NamedTuple):
    name: str
    content: bytes


class Form(NamedTuple):
    """Fields by name; a name that ends in [] has several values."""

    fields: dict[str, list[str]]
    files: dict[str, File]

    def one(self, name: str) -> str:
        """The last value of a field, "" if there is none."""
        return self.fields.get(name, [""])[-1]


class _InMemory(MemoryFileUploadHandler):
    """The body is in memory already, and bounded."""

    def handle_raw_input(self, *args: object, **kwargs: object) -> None:
        self.activated = True


def read(body: bytes, content_type: str) -> Form:
    """Raises BadRequest."""
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    try:
        fields, files = MultiPartParser(meta, BytesIO(body), [_InMemory()], "utf-8").parse()
    except _REFUSALS as error:
        raise BadRequest(f"The body must be multipart/form-data: {error}") from None
    for given in (fields, files):
        for name in given:
            if len(given.getlist(name)) > 1 and not name.endswith("[]"):
                raise BadRequest(f"{name[:60]} occurs twice.", param=name[:60])
    held = {name: f for name, f in files.items() if isinstance(f, UploadedFile)}
    return Form(
        {name: list(map(str, fields.getlist(name))) for name in fields},
        {name: File(f.name or name, f.read()) for name, f in held.items()},
    )


def write(fields: Mapping[str, list[str]], files: Mapping[str, File]) -> tuple[bytes, bytes]:
    """A body, and its content type."""
    boundary = secrets.token_hex(16).encode()
    parts = []
    for name, values in fields.items():
        parts += [(f'name="{_quoted(name)}"', value.encode()) for value in values]
    for name, file in files.items():
        head = f'name="{_quoted(name)}"; filename="{_quoted(file.name)}"'
        parts.append((f"{head}\r\nContent-Type: application/octet-stream", file.content))
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n"
        % (boundary, head.encode(), data)
        for head, data in parts
    )
    return b"%b--%b--\r\n" % (body, boundary), b"multipart/form-data; boundary=" + boundary


def _quoted(name: str) -> str:
    """What may stand in a header, between quotes."""
    return "".join(c for c in name if c.isprintable() and c not in '"\\')[:200] or "file"
