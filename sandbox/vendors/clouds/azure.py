"""Azure OpenAI: deployments in place of models, a key or an Entra token, a version of the API.

* `/openai/deployments/{name}/chat/completions?api-version=…`, and Responses beside it
* `/openai/v1/…`: the deployment is the body's model, and no version is needed
"""

from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors import chat, responses
from sandbox.vendors.clouds.door import Door, Serve
from sandbox.vendors.clouds.identities import Identities
from sandbox.vendors.conversation import Json, Sent
from sandbox.vendors.dialect import Dialect, bearer
from sandbox.vendors.vendors import VendorError

VERSIONS = frozenset(
    ("2024-10-21", "2025-01-01-preview", "2025-03-01-preview", "2025-04-01-preview")
)
_V1_VERSIONS = (None, "v1", "preview", "latest")


class Azure(Door):
    """`deployment` as the path has it; "" where the body does."""

    def __init__(self, dialect: Dialect, known: Identities, deployment: str = "") -> None:
        super().__init__(dialect)
        self.known, self.deployment, self.v1 = known, deployment, True

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        self._version(query.get("api-version"))
        if key := headers.get("api-key"):
            if not self.known.knows_key(key):
                raise _denied()
            return key
        if not (token := bearer(headers)):
            raise _denied()
        if not self.known.knows_token(token):
            raise VendorError(
                "Unauthorized. Access token is missing, invalid, audience is incorrect "
                "(https://cognitiveservices.azure.com), or have expired.",
                status=401,
                code="401",
            )
        return token

    def _version(self, given: str | None) -> None:
        if self.v1 and given not in _V1_VERSIONS:
            raise VendorError("API version not supported", code="BadRequest")
        if not self.v1 and given not in VERSIONS:
            raise VendorError("Resource not found", status=404, code="404")

    def understood(self, sent: Sent) -> Sent:
        name = self.deployment or str(sent.body.get("model") or "")
        self.model = self.known.deployments.get(name, "")
        if not self.model:
            raise VendorError(
                "The API deployment for this resource does not exist. If you created the "
                "deployment within the last 5 minutes, please wait a moment and try again.",
                status=404,
                code="DeploymentNotFound",
            )
        return super().understood(sent)

    def error(self, error: VendorError, request_id: str) -> Json:
        if error.code or error.status == 429:
            code = error.code or "429"
            return {"error": {"code": code, "message": error.message}}
        return super().error(error, request_id)

    def headers(self, request_id: str) -> dict[str, str]:
        return {"apim-request-id": request_id, "x-ms-region": "Sweden Central"}


def _denied() -> VendorError:
    return VendorError(
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
        "provide a valid key for an active subscription and use a correct regional API endpoint "
        "for your resource.",
        status=401,
        code="401",
    )


def routes(serve: Serve, known: Identities) -> Iterator[Route]:
    def post(path: str, dialect: Dialect, *, v1: bool) -> Route:
        async def endpoint(request: Request) -> Response:
            door = Azure(dialect, known, request.path_params.get("deployment", ""))
            door.v1 = v1
            return await serve(door, request)

        return Route(path, endpoint, methods=["POST"])

    yield post("/openai/deployments/{deployment}/chat/completions", chat, v1=False)
    yield post("/openai/responses", responses, v1=False)
    yield post("/openai/v1/chat/completions", chat, v1=True)
    yield post("/openai/v1/responses", responses, v1=True)
