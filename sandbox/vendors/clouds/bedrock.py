"""Amazon Bedrock: a signature or an API key, models by AWS's names, and a binary stream.

`InvokeModel` takes Claude's own body, `Converse` takes everybody's. What is refused is told in a
header and one line of JSON.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors import anthropic
from sandbox.vendors.clouds import converse, frames, signature
from sandbox.vendors.clouds.door import Door, Serve, without
from sandbox.vendors.clouds.identities import Identities
from sandbox.vendors.conversation import Json, Sent
from sandbox.vendors.dialect import bearer
from sandbox.vendors.vendors import MODELS, VendorError
from sandbox.vendors.wire import Answer, Frame

VERSION = "bedrock-2023-05-31"
OWN = ("amazon.nova-pro-v1:0", "deepseek.v3-v1:0", "openai.gpt-oss-120b-1:0")
BETAS = ("interleaved-thinking-", "context-1m-", "computer-use-", "token-efficient-tools-",
         "context-management-", "output-128k-", "fine-grained-tool-streaming-")  # fmt: skip
_GEOGRAPHIES = ("us.", "eu.", "apac.", "global.")
_KINDS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_THROTTLED = "Too many requests, please wait before trying again."


class Bedrock(Door):
    def __init__(self, dialect: Any, known: Identities, request: Request, raw: bytes) -> None:
        streams = request.url.path.endswith("-stream")
        super().__init__(dialect, streams=streams)
        self.known, self.request, self.raw = known, request, raw
        self.kind = ""

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        if token := bearer(headers):
            if not self.known.knows_key(token):
                raise VendorError("Authentication failed: Please make sure your API Key is valid.",
                                  status=403, code="AccessDeniedException")  # fmt: skip
            return token
        return signature.check(self.request, self.raw, self.known)

    def understood(self, sent: Sent) -> Sent:
        self.model = _model(self.request.path_params["model"], claude=self.dialect is anthropic)
        if self.dialect is not anthropic:
            return replace(super().understood(sent), path=sent.path)
        body = sent.body
        if body.get("anthropic_version") != VERSION:
            raise VendorError("anthropic_version: Field required")
        for name in ("model", "stream"):
            if name in body:
                raise VendorError(f"{name}: Extra inputs are not permitted")
        betas = body.get("anthropic_beta") or []
        if not isinstance(betas, list) or any(not str(b).startswith(BETAS) for b in betas):
            raise VendorError("invalid beta flag")
        inside = without(sent, "anthropic_version", "anthropic_beta")
        headers = {k: v for k, v in sent.headers.items() if k != "anthropic-beta"}
        headers |= {"anthropic-beta": ",".join(betas)} if betas else {}
        return super().understood(replace(inside, headers=headers))

    def framed(self, answer: Answer) -> Answer:
        if not answer.stream:
            return answer
        made = [frame for each in answer.frames if (frame := self._frame(each)) is not None]
        return replace(
            answer, frames=made, headers={"content-type": "application/vnd.amazon.eventstream"}
        )

    def _frame(self, frame: Frame) -> Frame | None:
        name, data = _event(frame.data)
        if name == "ping":
            return None
        if name == "error":
            return frame._replace(
                data=frames.exception("throttlingException", {"message": _THROTTLED})
            )
        if self.dialect is anthropic:
            told = {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}
            return frame._replace(data=frames.event("chunk", told))
        return frame._replace(data=frames.event(name, orjson.loads(data)))

    def error(self, error: VendorError, request_id: str) -> Json:
        self.kind = error.code if error.code in signature.KINDS else _KINDS.get(error.status, "")
        return {"message": _THROTTLED if error.status == 429 else error.message}

    def headers(self, request_id: str) -> dict[str, str]:
        told = {"x-amzn-requestid": request_id}
        return told | ({"x-amzn-errortype": f"{self.kind}:http://internal/"} if self.kind else {})


def _model(name: str, *, claude: bool) -> str:
    """The vendor's own name of what AWS calls so."""
    bare = next((name.removeprefix(g) for g in _GEOGRAPHIES if name.startswith(g)), name)
    if bare in OWN and not claude:
        return bare
    model = bare.removeprefix("anthropic.").removesuffix("-v1:0")
    if not bare.startswith("anthropic.") or model not in MODELS["anthropic"]:
        raise VendorError("The provided model identifier is invalid.")
    if bare == name:
        raise VendorError(
            f"Invocation of model ID {name} with on-demand throughput "
            "isn\N{RIGHT SINGLE QUOTATION MARK}t supported. Retry your request with the ID or "
            "ARN of an inference profile that contains this model."
        )
    return model


def _event(data: bytes) -> tuple[str, bytes]:
    head, _, rest = data.partition(b"\ndata: ")
    return head.removeprefix(b"event: ").decode(), rest.rstrip()


def routes(serve: Serve, known: Identities) -> Iterator[Route]:
    def post(path: str, dialect: Any) -> Route:
        async def endpoint(request: Request) -> Response:
            return await serve(Bedrock(dialect, known, request, await request.body()), request)

        return Route(path, endpoint, methods=["POST"])

    for verb in ("invoke", "invoke-with-response-stream"):
        yield post(f"/model/{{model}}/{verb}", anthropic)
    for verb in ("converse", "converse-stream"):
        yield post(f"/model/{{model}}/{verb}", converse)
