"""Google Vertex AI: publishers' models in a project and a region, for an OAuth token.

Gemini as Google's own API has it; Claude with its version in the body and its model in the path.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors import anthropic, gemini
from sandbox.vendors.clouds.door import Door, Serve, without
from sandbox.vendors.clouds.identities import Identities
from sandbox.vendors.conversation import Sent
from sandbox.vendors.dialect import bearer
from sandbox.vendors.vendors import MODELS, Vendor, VendorError

VERSION = "vertex-2023-10-16"
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_PUBLISHERS: dict[str, tuple[Any, Vendor, tuple[str, ...]]] = {
    "google": (gemini, "google", ("generateContent", "streamGenerateContent")),
    "anthropic": (anthropic, "anthropic", ("rawPredict", "streamRawPredict")),
}


class Vertex(Door):
    """`place` is what the path says: project, region, publisher, model and verb."""

    def __init__(self, dialect: Any, known: Identities, place: Mapping[str, str]) -> None:
        super().__init__(dialect, place["model"])
        self.known, self.place = known, place

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        token = bearer(headers)
        if token and self.known.knows_token(token):
            self._place()
            return token
        reason = "ACCESS_TOKEN_TYPE_UNSUPPORTED" if token in self.known.tokens else "UNKNOWN"
        raise VendorError(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, "
            "login cookie or other valid authentication credential.",
            status=401,
            details=[{"@type": _INFO, "reason": reason, "domain": "googleapis.com"}],
        )

    def _place(self) -> None:
        place = self.place
        if place["project"] != self.known.project:
            raise VendorError(
                "Permission 'aiplatform.endpoints.predict' denied on resource "
                f"'//aiplatform.googleapis.com/projects/{place['project']}' (or it may not "
                "exist).",
                status=403,
            )
        vendor = _PUBLISHERS[place["publisher"]][1]
        if place["region"] not in ("global", self.known.region) or (
            self.model not in MODELS[vendor]
        ):
            raise VendorError(
                f"Publisher Model `projects/{place['project']}/locations/{place['region']}/"
                f"publishers/{place['publisher']}/models/{self.model}` was not found or your "
                "project does not have access to it. Please ensure you are using a valid model "
                "version.",
                status=404,
            )

    def understood(self, sent: Sent) -> Sent:
        if self.place["publisher"] == "google":
            return sent
        if sent.body.get("anthropic_version") != VERSION:
            raise VendorError("anthropic_version: Field required")
        if "model" in sent.body:
            raise VendorError("model: Extra inputs are not permitted")
        return super().understood(without(sent, "anthropic_version"))

    def error(self, error: VendorError, request_id: str) -> Any:
        """What Google itself refuses is in its shape, whoever's model it is."""
        if error.status in (401, 403, 404, 429):
            return gemini.error(error, request_id)
        return self.dialect.error(error, request_id)


def routes(serve: Serve, known: Identities) -> Iterator[Route]:
    async def endpoint(request: Request) -> Response:
        place = request.path_params
        dialect, _, _ = _PUBLISHERS[place["publisher"]]
        return await serve(Vertex(dialect, known, place), request)

    for publisher, (_, _, verbs) in _PUBLISHERS.items():
        for verb in verbs:
            path = f"/v1/projects/{{project}}/locations/{{region}}/publishers/{publisher}"
            yield Route(
                f"{path}/models/{{model}}:{verb}", _named(endpoint, publisher), methods=["POST"]
            )


def _named(endpoint: Any, publisher: str) -> Any:
    async def named(request: Request) -> Response:
        request.path_params["publisher"] = publisher
        response: Response = await endpoint(request)
        return response

    return named
