"""A cloud's door before a vendor's dialect: the dialect, but for what the cloud does otherwise."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.vendors.conversation import Json, Sent
from sandbox.vendors.dialect import Dialect
from sandbox.vendors.vendors import VendorError
from sandbox.vendors.wire import Answer

Serve = Callable[["Door", Request], Awaitable[Response]]


class Door:
    """For one request. `model` is the vendor's own name of what is asked for; what is not said
    here is the dialect's."""

    def __init__(self, dialect: Any, model: str = "", streams: bool | None = None) -> None:
        self.dialect: Dialect = dialect
        self.model, self.streams = model, streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dialect, name)

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        """Who asks, as it is kept. Raises VendorError."""
        return self.dialect.authenticate(headers, query)

    def knows(self, key: str) -> bool:
        """Whether `authenticate` has seen to it; else it must be one of the sandbox's keys."""
        return True

    def understood(self, sent: Sent) -> Sent:
        """The request as the vendor itself would have got it. Raises VendorError for what the
        cloud does not take."""
        body = sent.body | ({"model": self.model} if self.model else {})
        if self.streams is not None:
            body |= {"stream": self.streams}
        return replace(sent, body=body, model=self.model or sent.model)

    def framed(self, answer: Answer) -> Answer:
        """The answer, as the cloud puts it on the wire."""
        return answer

    def error(self, error: VendorError, request_id: str) -> Json:
        return self.dialect.error(error, request_id)

    def headers(self, request_id: str) -> dict[str, str]:
        return self.dialect.headers(request_id)


def without(sent: Sent, *members: str) -> Sent:
    """The request without these members of its body."""
    return replace(sent, body={k: v for k, v in sent.body.items() if k not in members})
