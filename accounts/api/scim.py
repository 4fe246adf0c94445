"""SCIM 2.0 as it is spoken here (RFC 7643, RFC 7644): the doors' base, filters, pages, errors, and
what a directory asks about us.

As some directories do, `active` may come as text, and attributes nobody here keeps may come at
all.
"""

import re
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q, QuerySet
from django.http import Http404
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, ParseError
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import SignOn, User
from accounts.sign_on import directory
from hontoni import errors, strict_json
from hontoni.drf import JSONParser

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_MOST = 200
_FILTER = re.compile(
    r'\s*([\w.:]+(?:\[[^\]]*\])?(?:\.\w+)?)\s+eq\s+("(?:[^"\\]|\\.)*"|true|false)\s*', re.I
)


class Plain(JSONParser):
    """As /api reads JSON, and without a NUL, which Postgres keeps in no text."""

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        parsed = super().parse(stream)
        if strict_json.has_nul(parsed):
            raise ParseError("There is a NUL in a text.")
        return parsed


class Parser(Plain):
    media_type = "application/scim+json"


class Renderer(JSONRenderer):
    media_type = "application/scim+json"


class Directory(BaseAuthentication):
    """`Authorization: Bearer scim-gw-…`, the token a team's owner made for it."""

    def authenticate(self, request: Request) -> tuple[User, SignOn] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        found = directory.of_token(token.strip()) if scheme.lower() == "bearer" else None
        return None if found is None else (found.account, found)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="scim"'


class Wrong(Exception):
    """Said as SCIM says it."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind


class Door(APIView):
    authentication_classes = (Directory,)
    permission_classes = (IsAuthenticated,)
    parser_classes = (Parser, Plain)
    renderer_classes = (Renderer, JSONRenderer)
    schema = None

    @property
    def sign_on(self) -> SignOn:
        found: SignOn = self.request.auth  # type: ignore[assignment]
        return found

    def handle_exception(self, exc: Exception) -> Response:
        status, detail, kind = told(exc)
        body: dict[str, Any] = {"schemas": [_ERROR], "status": str(status), "detail": detail}
        answer = Response(body | ({"scimType": kind} if kind else {}), status=status)
        if status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="scim"'
        answer.exception = True
        return answer


def told(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, Wrong):
        return error.status, error.detail, error.kind
    if isinstance(error, errors.ApiError):
        kinds = {"uniqueness": "uniqueness", "email_taken": "uniqueness"}
        fallback = "invalidValue" if error.status == 400 else ""
        return error.status, error.message, kinds.get(error.code, fallback)
    if isinstance(error, Http404):
        return 404, "There is no such resource.", ""
    if isinstance(error, APIException):
        kind = "invalidSyntax" if error.status_code == 400 else ""
        return error.status_code, str(error.detail), kind
    raise error


# -- What is asked -------------------------------------------------------------------------------


def body_of(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Wrong(400, "The body is no object.", "invalidSyntax")
    return {str(name): value for name, value in request.data.items()}


def lowered(body: dict[str, Any]) -> dict[str, Any]:
    """Names of attributes are the same in any case (RFC 7643, 2.1)."""
    return {name.lower(): value for name, value in body.items()}


def truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Wrong(400, "active is true or false.", "invalidValue")


def label(value: Any, name: str) -> str:
    """A text that may be left out."""
    return text(value, name) if value else ""


def address(value: Any) -> str:
    """A userName: an address of mail."""
    found = text(value, "userName")
    try:
        validate_email(found)
    except ValidationError:
        raise Wrong(400, "userName is an e-mail address.", "invalidValue") from None
    return found


def text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 254 or "\0" in value:
        raise Wrong(400, f"{name} is a text.", "invalidValue")
    return value.strip()


def filtered(query: str, columns: dict[str, str]) -> Q:
    """`userName eq "x" and active eq true`, which is all that directories ask."""
    found = Q()
    at = 0
    while at < len(query):
        match = _FILTER.match(query, at)
        if match is None:
            raise Wrong(400, "Only eq and and are understood.", "invalidFilter")
        name = match[1].lower().removeprefix(f"{USER.lower()}:").removeprefix(f"{GROUP.lower()}:")
        column = columns.get(name)
        value = _literal(match[2])
        if column is None:
            raise Wrong(400, f"Nothing is found by {match[1]}.", "invalidFilter")
        if column == "active":
            found &= Q(ended_at__isnull=truth(value))
        elif column == "pk":
            known = str(value).isdecimal() and len(str(value)) < 19
            found &= Q(pk=int(value)) if known else Q(pk=0)
        else:
            found &= Q(**{column: str(value)})
        at = match.end()
        if at < len(query):
            joined = re.compile(r"and\s+", re.I).match(query, at)
            if joined is None:
                raise Wrong(400, "Only eq and and are understood.", "invalidFilter")
            at = joined.end()
    return found


def _literal(text: str) -> Any:
    """A value of a filter, as JSON has it. Raises Wrong."""
    try:
        value = strict_json.parse(text if text[0] == '"' else text.lower())
    except strict_json.Unreadable as error:
        raise Wrong(400, f"{text[:60]}: {error}", "invalidFilter") from None
    if strict_json.has_nul(value):
        raise Wrong(400, "There is a NUL in a text.", "invalidFilter")
    return value


def page(request: Request, rows: QuerySet[Any], shown: Any) -> Response:
    def number(name: str, usual: int) -> int:
        text = request.query_params.get(name, "")
        return int(text) if re.fullmatch(r"-?\d{1,9}", text) else usual

    start = max(number("startIndex", 1), 1)
    count = min(max(number("count", 100), 0), _MOST)
    found = [shown(each) for each in rows[start - 1 : start - 1 + count]]
    return Response(
        {
            "schemas": [_LIST],
            "totalResults": rows.count(),
            "startIndex": start,
            "itemsPerPage": len(found),
            "Resources": found,
        }
    )


def operations(request: Request) -> list[tuple[str, str, Any]]:
    """op, path, value of each. Raises Wrong."""
    body = lowered(body_of(request))
    listed = body.get("operations")
    if not isinstance(listed, list) or not listed or len(listed) > 1000:
        raise Wrong(400, "Operations is a list.", "invalidSyntax")
    found = []
    for each in listed:
        each = lowered(each) if isinstance(each, dict) else {}
        op, path = str(each.get("op", "")).lower(), str(each.get("path") or "")
        if op not in ("add", "replace", "remove"):
            raise Wrong(400, "op is add, replace or remove.", "invalidSyntax")
        found.append((op, path, each.get("value")))
    return found


# -- What there is -------------------------------------------------------------------------------


class Config(Door):
    def get(self, request: Request) -> Response:
        no: dict[str, Any] = {"supported": False}
        return Response(
            {
                "schemas": [_CONFIG],
                "patch": {"supported": True},
                "bulk": {**no, "maxOperations": 0, "maxPayloadSize": 0},
                "filter": {"supported": True, "maxResults": _MOST},
                "changePassword": no,
                "sort": no,
                "etag": no,
                "authenticationSchemes": [
                    {
                        "type": "oauthbearertoken",
                        "name": "Bearer token",
                        "description": "The token that the team's owner made.",
                    }
                ],
            }
        )


def _types() -> list[dict[str, Any]]:
    return [
        {"schemas": [_TYPE], "id": name, "name": name, "endpoint": path, "schema": schema}
        for name, path, schema in (("User", "/Users", USER), ("Group", "/Groups", GROUP))
    ]


class Types(Door):
    def get(self, request: Request) -> Response:
        found = _types()
        return Response({"schemas": [_LIST], "totalResults": len(found), "Resources": found})


def _attribute(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    usual = {"multiValued": False, "required": False, "mutability": "readWrite"}
    return {"name": name, "type": kind, "returned": "default", **usual, **more}


_SCHEMAS = [
    {
        "id": USER,
        "name": "User",
        "attributes": [
            _attribute("userName", required=True, uniqueness="server"),
            _attribute("externalId"),
            _attribute("active", "boolean"),
            _attribute("displayName"),
            _attribute("emails", "complex", multiValued=True, mutability="readOnly"),
            _attribute("groups", "complex", multiValued=True, mutability="readOnly"),
        ],
    },
    {
        "id": GROUP,
        "name": "Group",
        "attributes": [
            _attribute("displayName", required=True),
            _attribute("externalId"),
            _attribute("members", "complex", multiValued=True),
        ],
    },
]


class Schemas(Door):
    def get(self, request: Request) -> Response:
        return Response({"schemas": [_LIST], "totalResults": len(_SCHEMAS), "Resources": _SCHEMAS})
