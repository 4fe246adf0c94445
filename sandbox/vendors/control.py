"""The recorder and the faults over HTTP, for tests that run the sandbox as a process of its own.

GET /__sandbox/requests?since=N · GET /__meter · POST /__sandbox/faults · POST /__sandbox/reset
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.vendors.faults import Fault

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox


def routes(sandbox: "Sandbox") -> Iterator[Route]:
    """The four routes. They know no key: serve them to tests only."""
    yield Route("/__sandbox/requests", partial(_requests, sandbox))
    yield Route("/__meter", partial(_meter, sandbox))
    yield Route("/__sandbox/faults", partial(_fault, sandbox), methods=["POST"])
    yield Route("/__sandbox/reset", partial(_reset, sandbox), methods=["POST"])


async def _requests(sandbox: "Sandbox", request: Request) -> JSONResponse:
    since = int(request.query_params.get("since", 0))
    return JSONResponse([kept.as_json() for kept in sandbox.requests[since:]])


async def _meter(sandbox: "Sandbox", request: Request) -> JSONResponse:
    """What the vendors bill, oldest first (`meter/`)."""
    return JSONResponse([bill.as_json() for bill in sandbox.meter.bills])


async def _fault(sandbox: "Sandbox", request: Request) -> JSONResponse:
    """The fields of a `Fault`; `body` and each of `without` as text, no `edit`."""
    fields = await request.json()
    if isinstance(fields.get("body"), str):
        fields["body"] = fields["body"].encode()
    fields["without"] = tuple(text.encode() for text in fields.get("without", ()))
    sandbox.faults.append(Fault(**fields))
    return JSONResponse({"queued": len(sandbox.faults)})


async def _reset(sandbox: "Sandbox", request: Request) -> JSONResponse:
    sandbox.reset()
    return JSONResponse({})
