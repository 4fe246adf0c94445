"""/scim/v2/Users and /Groups: a team's directory keeps its members and groups.

A user is a place in the team, by its id; what else a directory knows of somebody is not kept.
"""

import re
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.scim import (
    GROUP,
    USER,
    Door,
    Wrong,
    address,
    body_of,
    filtered,
    label,
    lowered,
    operations,
    page,
    text,
    truth,
)
from accounts.models import DirectoryGroup, Membership
from accounts.sign_on import directory
from hontoni import origins

_MEMBER = re.compile(r'members\[\s*value\s+eq\s+"([^"]*)"\s*\]', re.I)


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
        return str(body["displayname"]).replace("\0", "")
    name = body.get("name")
    parts = lowered(name) if isinstance(name, dict) else {}
    whole = parts.get("formatted") or " ".join(
        str(parts[each]) for each in ("givenname", "familyname") if parts.get(each)
    )
    return str(whole).replace("\0", "")


class Users(Door):
    def get(self, request: Request) -> Response:
        found = directory.people(self.sign_on)
        if query := request.query_params.get("filter", "").strip():
            found = found.filter(filtered(query, _USER_COLUMNS))
        return page(request, found, user)

    def post(self, request: Request) -> Response:
        body = lowered(body_of(request))
        made = directory.provision(
            self.sign_on,
            address(body.get("username")),
            name=_name(body),
            external_id=label(body.get("externalid"), "externalId"),
            active=truth(body.get("active", True)),
        )
        answer = Response(user(made), status=201)
        answer["Location"] = origins.absolute(f"/scim/v2/Users/{made.pk}")
        return answer


class OneUser(Door):
    def _found(self, pk: str) -> Membership:
        found = directory.people(self.sign_on)
        place = found.filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 19 else None
        if place is None:
            raise Wrong(404, "There is no such user.")
        return place

    def get(self, request: Request, pk: str) -> Response:
        return Response(user(self._found(pk)))

    def put(self, request: Request, pk: str) -> Response:
        place, body = self._found(pk), lowered(body_of(request))
        body.setdefault("active", True)
        self._apply(place, body)
        return Response(user(self._found(pk)))

    def patch(self, request: Request, pk: str) -> Response:
        place = self._found(pk)
        for op, path, value in operations(request):
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
                self._apply(place, lowered(value))
            else:
                raise Wrong(400, "There is no value.", "invalidValue")
        return Response(user(self._found(pk)))

    def delete(self, request: Request, pk: str) -> Response:
        directory.forget(self._found(pk))
        return Response(status=204)

    def _apply(self, place: Membership, body: dict[str, Any]) -> None:
        if "externalid" in body:
            directory.identify(place, label(body["externalid"], "externalId"))
        if "username" in body:
            directory.rename(self.sign_on, place, address(body["username"]))
        if "active" in body:
            directory.set_active(place, truth(body["active"]))


def _plain(value: Any) -> Any:
    """The one value in a list of values, as `emails` has them."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.get("value") if isinstance(value, dict) and "value" in value else value


# -- Groups --------------------------------------------------------------------------------------

_GROUP_COLUMNS = {"displayname": "name__iexact", "externalid": "external_id", "id": "pk"}


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


class _GroupDoor(Door):
    def members(self, value: Any) -> list[Membership]:
        """Of this team, by what SCIM names them. Raises Wrong for any other."""
        listed = value if isinstance(value, list) else [value]
        ids = [str(lowered(e).get("value", "")) if isinstance(e, dict) else str(e) for e in listed]
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
            found = found.filter(filtered(query, _GROUP_COLUMNS))
        return page(request, found, group)

    def post(self, request: Request) -> Response:
        body = lowered(body_of(request))
        members = self.members(body.get("members") or [])
        name = text(body.get("displayname"), "displayName")
        made = directory.make_group(
            self.sign_on, name, label(body.get("externalid"), "externalId")
        )
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
        found, body = self._found(pk), lowered(body_of(request))
        self._apply(found, body | {"members": body.get("members") or []})
        return Response(group(self._found(pk)))

    def patch(self, request: Request, pk: str) -> Response:
        for op, path, value in operations(request):
            self._step(self._found(pk), op, path, value)
        return Response(group(self._found(pk)))

    def _step(self, found: DirectoryGroup, op: str, path: str, value: Any) -> None:
        if one := _MEMBER.fullmatch(path):
            path, value = "members", [{"value": one[1]}]
        if path.lower() != "members":
            if op == "remove":
                raise Wrong(400, f"{path or 'Everything'} cannot be removed.", "mutability")
            if not path and not isinstance(value, dict):
                raise Wrong(400, "There is no value.", "invalidValue")
            self._apply(found, {path.lower(): value} if path else lowered(value))
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
            found.name = text(body["displayname"], "displayName")[:200]
            taken = directory.groups(self.sign_on).filter(name=found.name).exclude(pk=found.pk)
            if taken.exists():
                raise Wrong(409, "This group is there already.", "uniqueness")
            found.save(update_fields=["name"])
        if "externalid" in body:
            found.external_id = label(body["externalid"], "externalId")[:200]
            found.save(update_fields=["external_id"])
        if "members" in body:
            directory.set_members(found, self.members(body["members"]))
