"""/scim/v2: a team's directory keeps its members and groups (RFC 7643, RFC 7644).

A user is a place in the team, by its id; what else a directory knows of somebody is not kept. As
some directories do, `active` may come as text, and attributes nobody here keeps may come at all.
"""

import json
import re
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import DirectoryGroup, Membership, SignOn, User
from accounts.sign_on import directory
from hontoni import errors, origins

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
_MEMBER = re.compile(r'members\[\s*value\s+eq\s+"([^"]*)"\s*\]', re.I)


class Parser(JSONParser):
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


class _Door(APIView):
    authentication_classes = (Directory,)
    permission_classes = (IsAuthenticated,)
    parser_classes = (Parser, JSONParser)
    renderer_classes = (Renderer, JSONRenderer)
    schema = None

    @property
    def sign_on(self) -> SignOn:
        found: SignOn = self.request.auth  # type: ignore[assignment]
        return found

    def handle_exception(self, exc: Exception) -> Response:
        status, detail, kind = _told(exc)
        body: dict[str, Any] = {"schemas": [_ERROR], "status": str(status), "detail": detail}
        answer = Response(body | ({"scimType": kind} if kind else {}), status=status)
        if status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="scim"'
        answer.exception = True
        return answer


def _told(error: Exception) -> tuple[int, str, str]:
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


def _body(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Wrong(400, "The body is no object.", "invalidSyntax")
    return {str(name): value for name, value in request.data.items()}


def _lower(body: dict[str, Any]) -> dict[str, Any]:
    """Names of attributes are the same in any case (RFC 7643, 2.1)."""
    return {name.lower(): value for name, value in body.items()}


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Wrong(400, "active is true or false.", "invalidValue")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 254 or "\0" in value:
        raise Wrong(400, f"{name} is a text.", "invalidValue")
    return value.strip()


def _filtered(query: str, columns: dict[str, str]) -> Q:
    """`userName eq "x" and active eq true`, which is all that directories ask."""
    found = Q()
    at = 0
    while at < len(query):
        match = _FILTER.match(query, at)
        if match is None:
            raise Wrong(400, "Only eq and and are understood.", "invalidFilter")
        name = match[1].lower().removeprefix(f"{USER.lower()}:").removeprefix(f"{GROUP.lower()}:")
        column = columns.get(name)
        value = json.loads(match[2] if match[2][0] == '"' else match[2].lower())
        if column is None:
            raise Wrong(400, f"Nothing is found by {match[1]}.", "invalidFilter")
        if column == "active":
            found &= Q(ended_at__isnull=_truth(value))
        elif column == "pk":
            found &= Q(pk=int(value)) if str(value).isdecimal() else Q(pk=0)
        else:
            found &= Q(**{column: str(value)})
        at = match.end()
        if at < len(query):
            joined = re.compile(r"and\s+", re.I).match(query, at)
            if joined is None:
                raise Wrong(400, "Only eq and and are understood.", "invalidFilter")
            at = joined.end()
    return found


def _page(request: Request, rows: QuerySet[Any], shown: Any) -> Response:
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


def _operations(request: Request) -> list[tuple[str, str, Any]]:
    """op, path, value of each. Raises Wrong."""
    body = _lower(_body(request))
    listed = body.get("operations")
    if not isinstance(listed, list) or not listed or len(listed) > 1000:
        raise Wrong(400, "Operations is a list.", "invalidSyntax")
    found = []
    for each in listed:
        each = _lower(each) if isinstance(each, dict) else {}
        op, path = str(each.get("op", "")).lower(), str(each.get("path") or "")
        if op not in ("add", "replace", "remove"):
            raise Wrong(400, "op is add, replace or remove.", "invalidSyntax")
        found.append((op, path, each.get("value")))
    return found


# -- Users ---------------------------------------------------------------------------------------

_USER_COLUMNS = {
    "username": "person__email__iexact",
    "emails": "person__email__iexact",
    "emails.value": "person__email__iexact",
    'emails[type eq "work"].value': "person__email__iexact",
    "externalid": "external_id",
    "id": "pk",
    "active": "active",
}


def user(place: Membership) -> dict[str, Any]:
    """Somebody, as SCIM has it."""
    person = place.person
    return {
        "schemas": [USER],
        "id": str(place.pk),
        **({"externalId": place.external_id} if place.external_id else {}),
        "userName": person.email,
        "name": {"formatted": person.name},
        "displayName": person.name or person.email,
        "emails": [{"value": person.email, "type": "work", "primary": True}],
        "active": place.ended_at is None and person.is_active,
        "groups": [{"value": str(each.pk), "display": each.name} for each in place.groups.all()],
        "meta": {
            "resourceType": "User",
            "created": place.joined_at.isoformat(),
            "location": origins.absolute(f"/scim/v2/Users/{place.pk}"),
        },
    }


def _name(body: dict[str, Any]) -> str:
    if isinstance(body.get("displayname"), str) and body["displayname"]:
        return str(body["displayname"])
    name = body.get("name")
    parts = _lower(name) if isinstance(name, dict) else {}
    whole = parts.get("formatted") or " ".join(
        str(parts[each]) for each in ("givenname", "familyname") if parts.get(each)
    )
    return str(whole)


class Users(_Door):
    def get(self, request: Request) -> Response:
        found = directory.people(self.sign_on)
        if query := request.query_params.get("filter", "").strip():
            found = found.filter(_filtered(query, _USER_COLUMNS))
        return _page(request, found, user)

    def post(self, request: Request) -> Response:
        body = _lower(_body(request))
        made = directory.provision(
            self.sign_on,
            _text(body.get("username"), "userName"),
            name=_name(body),
            external_id=str(body.get("externalid") or ""),
            active=_truth(body.get("active", True)),
        )
        answer = Response(user(made), status=201)
        answer["Location"] = origins.absolute(f"/scim/v2/Users/{made.pk}")
        return answer


class OneUser(_Door):
    def _found(self, pk: str) -> Membership:
        found = directory.people(self.sign_on)
        place = found.filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 19 else None
        if place is None:
            raise Wrong(404, "There is no such user.")
        return place

    def get(self, request: Request, pk: str) -> Response:
        return Response(user(self._found(pk)))

    def put(self, request: Request, pk: str) -> Response:
        place, body = self._found(pk), _lower(_body(request))
        body.setdefault("active", True)
        self._apply(place, body)
        return Response(user(self._found(pk)))

    def patch(self, request: Request, pk: str) -> Response:
        place = self._found(pk)
        for op, path, value in _operations(request):
            if op == "remove":
                if path.lower() == "externalid":
                    directory.identify(place, "")
                elif path.lower() in ("active", "username", ""):
                    raise Wrong(400, f"{path or 'Everything'} cannot be removed.", "mutability")
            elif path:
                name = path.lower().removeprefix(f"{USER.lower()}:")
                known = _USER_COLUMNS.get(name) == "person__email__iexact"
                self._apply(place, {"username" if known else name: _plain(value)})
            elif isinstance(value, dict):
                self._apply(place, _lower(value))
            else:
                raise Wrong(400, "There is no value.", "invalidValue")
        return Response(user(self._found(pk)))

    def delete(self, request: Request, pk: str) -> Response:
        directory.forget(self._found(pk))
        return Response(status=204)

    def _apply(self, place: Membership, body: dict[str, Any]) -> None:
        if "externalid" in body:
            directory.identify(place, str(body["externalid"] or ""))
        if "username" in body:
            directory.rename(self.sign_on, place, _text(body["username"], "userName"))
        if "active" in body:
            directory.set_active(place, _truth(body["active"]))


def _plain(value: Any) -> Any:
    """The one value in a list of values, as `emails` has them."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.get("value") if isinstance(value, dict) and "value" in value else value


# -- Groups --------------------------------------------------------------------------------------

_GROUP_COLUMNS = {"displayname": "name", "externalid": "external_id", "id": "pk"}


def group(found: DirectoryGroup) -> dict[str, Any]:
    """A group, as SCIM has it."""
    return {
        "schemas": [GROUP],
        "id": str(found.pk),
        **({"externalId": found.external_id} if found.external_id else {}),
        "displayName": found.name,
        "members": [
            {"value": str(each.pk), "display": each.person.email} for each in found.members.all()
        ],
        "meta": {
            "resourceType": "Group",
            "created": found.created_at.isoformat(),
            "location": origins.absolute(f"/scim/v2/Groups/{found.pk}"),
        },
    }


class _GroupDoor(_Door):
    def members(self, value: Any) -> list[Membership]:
        """Of this team, by what SCIM names them. Raises Wrong for any other."""
        listed = value if isinstance(value, list) else [value]
        ids = [str(_lower(e).get("value", "")) if isinstance(e, dict) else str(e) for e in listed]
        if len(ids) > 1000 or not all(each.isdecimal() and len(each) < 19 for each in ids):
            raise Wrong(400, "members are users by their ids.", "invalidValue")
        found = list(directory.people(self.sign_on).filter(pk__in=ids))
        if len(found) != len(set(ids)):
            raise Wrong(400, "There is no such user.", "invalidValue")
        return found


class Groups(_GroupDoor):
    def get(self, request: Request) -> Response:
        found = directory.groups(self.sign_on)
        if query := request.query_params.get("filter", "").strip():
            found = found.filter(_filtered(query, _GROUP_COLUMNS))
        return _page(request, found, group)

    def post(self, request: Request) -> Response:
        body = _lower(_body(request))
        members = self.members(body.get("members") or [])
        name = _text(body.get("displayname"), "displayName")
        made = directory.make_group(self.sign_on, name, str(body.get("externalid") or ""))
        directory.set_members(made, members)
        return Response(group(directory.groups(self.sign_on).get(pk=made.pk)), status=201)


class OneGroup(_GroupDoor):
    def _found(self, pk: str) -> DirectoryGroup:
        found = directory.groups(self.sign_on)
        one = found.filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 19 else None
        if one is None:
            raise Wrong(404, "There is no such group.")
        return one

    def get(self, request: Request, pk: str) -> Response:
        return Response(group(self._found(pk)))

    def put(self, request: Request, pk: str) -> Response:
        found, body = self._found(pk), _lower(_body(request))
        self._apply(found, body | {"members": body.get("members") or []})
        return Response(group(self._found(pk)))

    def patch(self, request: Request, pk: str) -> Response:
        for op, path, value in _operations(request):
            self._step(self._found(pk), op, path, value)
        return Response(group(self._found(pk)))

    def _step(self, found: DirectoryGroup, op: str, path: str, value: Any) -> None:
        if one := _MEMBER.fullmatch(path):
            path, value = "members", [{"value": one[1]}]
        if path.lower() != "members":
            if op == "remove":
                raise Wrong(400, f"{path or 'Everything'} cannot be removed.", "mutability")
            self._apply(found, {path.lower(): value} if path else _lower(value or {}))
            return
        present = {each.pk: each for each in found.members.all()}
        named = {} if value is None else {each.pk: each for each in self.members(value)}
        if op == "add":
            directory.set_members(found, (present | named).values())
        elif op == "replace":
            directory.set_members(found, named.values())
        else:
            kept = {} if value is None else {k: v for k, v in present.items() if k not in named}
            directory.set_members(found, kept.values())

    def delete(self, request: Request, pk: str) -> Response:
        directory.drop_group(self._found(pk))
        return Response(status=204)

    def _apply(self, found: DirectoryGroup, body: dict[str, Any]) -> None:
        if "displayname" in body:
            found.name = _text(body["displayname"], "displayName")[:200]
            taken = directory.groups(self.sign_on).filter(name=found.name).exclude(pk=found.pk)
            if taken.exists():
                raise Wrong(409, "This group is there already.", "uniqueness")
            found.save(update_fields=["name"])
        if "externalid" in body:
            found.external_id = str(body["externalid"] or "")[:200]
            found.save(update_fields=["external_id"])
        if "members" in body:
            directory.set_members(found, self.members(body["members"]))


# -- What there is -------------------------------------------------------------------------------


class Config(_Door):
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


class Types(_Door):
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


class Schemas(_Door):
    def get(self, request: Request) -> Response:
        return Response({"schemas": [_LIST], "totalResults": len(_SCHEMAS), "Resources": _SCHEMAS})
