"""A team's directory adds people, takes them out and groups them: SCIM 2.0."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.models import DirectoryGroup, Membership, TeamDomain, User
from accounts.sign_on import directory, domains, setting_up
from billing.books import ledger
from tests.accounts.teams.world import Member, joined, team_of
from tests.confirmed import confirm
from tests.world import PASSWORD, Person, person

pytestmark = pytest.mark.any_database
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Scim:
    """A directory with a token."""

    def __init__(self, raw: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {raw}"})

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        more: dict[str, Any] = {}
        if body is not None:
            more = {"data": body, "content_type": "application/json"}
        answer = getattr(self.client, method)(f"/scim/v2{path}", **more)
        return answer.status_code, answer.json() if answer.content else None

    def patch(self, path: str, *operations: dict[str, Any]) -> tuple[int, Any]:
        return self("patch", path, {"schemas": [PATCH], "Operations": list(operations)})

    def made(self, email: str, **more: Any) -> str:
        status, body = self("post", "/Users", {"userName": email, "active": True, **more})
        assert status == 201, body
        return str(body["id"])


def scim_of(team: Member, domain: str) -> Scim:
    made = domains.add(team.now(), domain)
    TeamDomain.objects.filter(pk=made.pk).update(proven_at=timezone.now())
    return Scim(directory.make_token(setting_up.of_team(team.now()), team.now()))


@pytest.fixture
def team(alice: Person) -> Member:
    return team_of(alice)


@pytest.fixture
def scim(team: Member) -> Scim:
    return scim_of(team, "acme.test")


def member(pk: str) -> Member:
    return Member(Membership.objects.get(pk=int(pk)))


def test_whoever_is_added_is_a_member_and_whoever_is_taken_out_has_no_keys(
    team: Member, scim: Scim
) -> None:
    pk = scim.made(
        "Dora@acme.test", externalId="42", name={"givenName": "Dora", "familyName": "D"}
    )
    dora = member(pk)
    assert (dora.person.email, dora.person.name) == ("dora@acme.test", "Dora D")
    assert (dora.now().role, ledger.balance(dora.person.pk)) == ("developer", 0)
    key = dora.key()
    status, body = scim.patch(
        f"/Users/{pk}", {"op": "Replace", "path": "active", "value": "False"}
    )
    assert (status, body["active"]) == (200, False)
    key.key.refresh_from_db()
    assert key.key.revoked_at is not None
    assert scim("get", f"/Users/{pk}")[1]["active"] is False  # still known
    status, body = scim.patch(f"/Users/{pk}", {"op": "replace", "value": {"active": True}})
    assert body["active"] is True
    key.key.refresh_from_db()
    assert key.key.revoked_at is not None
    assert scim("delete", f"/Users/{pk}") == (204, None)
    assert scim("get", f"/Users/{pk}")[0] == 404
    assert dora.now().ended_at is not None
    assert scim.made("dora@acme.test") == pk


def test_what_directories_ask(scim: Scim) -> None:
    pk = scim.made("dora@acme.test", externalId="42")
    for query in (
        'userName eq "DORA@acme.test"',
        'externalId eq "42"',
        'emails[type eq "work"].value eq "dora@acme.test" and active eq true',
        f'id eq "{pk}"',
    ):
        status, found = scim("get", f"/Users?filter={query}")
        assert (status, found["totalResults"]) == (200, 1), query
        assert found["Resources"][0]["id"] == pk
    assert scim("get", '/Users?filter=userName eq "nobody@acme.test"')[1]["totalResults"] == 0
    for query in (
        'userName co "d"',
        "nonsense",
        'password eq "x"',
        'userName eq "a" or id eq "1"',
    ):
        status, body = scim("get", f"/Users?filter={query}")
        assert (status, body["scimType"]) == (400, "invalidFilter"), query
    status, page = scim("get", "/Users?startIndex=2&count=1")
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (2, 2, 1)
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"):
        assert scim("get", path)[0] == 200


def test_it_answers_errors_as_scim_does(scim: Scim) -> None:
    scim.made("dora@acme.test")
    status, body = scim("post", "/Users", {"userName": "dora@acme.test"})
    assert (status, body["scimType"], body["status"]) == (409, "uniqueness", "409")
    wrongs: list[Any] = [{}, {"userName": 7}, {"userName": "x@acme.test", "active": "?"}, []]
    for wrong in wrongs:
        assert scim("post", "/Users", wrong)[0] == 400, wrong
    for name in ("@acme.test", "a b@acme.test", "acme.test"):
        assert scim("post", "/Users", {"userName": name})[0] == 400, name
    for odd in ("a\0b", {"a": 1}):
        refused = {"userName": "y@acme.test", "externalId": odd}
        assert scim("post", "/Users", refused)[1]["scimType"] == "invalidValue"
    assert scim("get", '/Users?filter=userName eq "a%00b"')[1]["scimType"] == "invalidFilter"
    assert scim("get", '/Users?filter=userName eq "a\\u0000b"')[1]["totalResults"] == 0
    _, group = scim("post", "/Groups", {"displayName": "dev"})
    assert scim("get", '/Groups?filter=displayName eq "DEV"')[1]["totalResults"] == 1
    status, body = scim.patch(f"/Groups/{group['id']}", {"op": "replace", "value": "x"})
    assert (status, body["scimType"]) == (400, "invalidValue")
    assert scim("get", "/Users/none")[0] == 404
    assert scim.patch("/Users/none", {"op": "add"})[0] == 404
    answer = scim.client.get("/scim/v2/Users")
    assert answer["Content-Type"].startswith("application/scim+json")


def test_only_people_of_proven_domains_are_added(team: Member, scim: Scim, bob: Person) -> None:
    confirm(bob.user)
    assert scim("post", "/Users", {"userName": "bob@example.com"})[0] == 400
    assert scim("post", "/Users", {"userName": "x@sub.acme.test"})[0] == 400
    User.objects.create_user("eve@acme.test", PASSWORD)  # whose mailbox has not answered
    assert scim("post", "/Users", {"userName": "eve@acme.test"})[0] == 409
    assert Membership.objects.count() == 1


def test_another_team_s_directory_reaches_nobody(team: Member, scim: Scim, bob: Person) -> None:
    pk = scim.made("dora@acme.test")
    group = scim("post", "/Groups", {"displayName": "Devs"})[1]["id"]
    rivals = scim_of(team_of(bob, "Rivals"), "rivals.test")
    assert rivals("get", f"/Users/{pk}")[0] == 404
    assert (
        rivals.patch(f"/Users/{pk}", {"op": "replace", "path": "active", "value": False})[0] == 404
    )
    assert rivals("delete", f"/Users/{pk}")[0] == 404
    assert rivals("delete", f"/Groups/{group}")[0] == 404
    body = {"displayName": "Ours", "members": [{"value": pk}]}
    assert rivals("post", "/Groups", body)[0] == 400
    assert rivals("get", '/Users?filter=userName eq "dora@acme.test"')[1]["totalResults"] == 0
    assert member(pk).now().ended_at is None


def test_no_other_secret_is_a_directory_s(team: Member, scim: Scim) -> None:
    for raw in ("", "scim-gw-made-up", team.key().raw):
        answer = Client(headers={"Authorization": f"Bearer {raw}"}).get("/scim/v2/Users")
        assert answer.status_code == 401, raw
    sign_on = setting_up.of_team(team.now())
    directory.end_token(sign_on, team.now())
    assert scim("get", "/Users")[0] == 401
    api = team.api()
    path = f"/api/teams/{team.account.pk}/scim-token"
    raw = api.post(path, {"password": PASSWORD}, format="json").json()["token"]
    assert Scim(raw)("get", "/Users")[0] == 200
    assert Client(headers={"Authorization": f"Bearer {raw}"}).get("/api/keys").status_code == 401
    assert api.delete(path).status_code == 204
    assert Scim(raw)("get", "/Users")[0] == 401


def test_the_owner_is_not_the_directory_s(team: Member, scim: Scim) -> None:
    pk = team.place.pk
    off = {"op": "replace", "path": "active", "value": False}
    assert scim.patch(f"/Users/{pk}", off)[0] == 403
    assert scim("delete", f"/Users/{pk}")[0] == 403
    named = {"op": "replace", "path": "userName", "value": "x@acme.test"}
    assert scim.patch(f"/Users/{pk}", named)[0] == 400
    assert team.now().role == "owner"


def test_groups_make_roles(team: Member, scim: Scim) -> None:
    dora, finn = scim.made("dora@acme.test"), scim.made("finn@acme.test")
    status, group = scim("post", "/Groups", {"displayName": "Money", "members": [{"value": dora}]})
    assert (status, [m["value"] for m in group["members"]]) == (201, [dora])
    assert member(dora).now().role == "developer"  # a group means nothing until the owner says so
    path = f"/api/teams/{team.account.pk}/groups/{group['id']}"
    key = member(dora).key()
    assert team.api().patch(path, {"role": "billing"}, format="json").status_code == 200
    key.key.refresh_from_db()
    assert (member(dora).now().role, key.key.revoked_at is None) == ("billing", False)
    assert team.api().patch(path, {"role": "owner"}, format="json").status_code == 400
    where = f"/Groups/{group['id']}"
    scim.patch(where, {"op": "add", "path": "members", "value": [{"value": finn}]})
    assert member(finn).now().role == "billing"
    scim.patch(where, {"op": "remove", "path": f'members[value eq "{dora}"]'})
    assert (member(dora).now().role, member(finn).now().role) == ("developer", "billing")
    scim.patch(where, {"op": "replace", "path": "members", "value": [{"value": dora}]})
    assert (member(dora).now().role, member(finn).now().role) == ("billing", "developer")
    scim.patch(where, {"op": "replace", "value": {"displayName": "Finance"}})
    assert DirectoryGroup.objects.get().name == "Finance"
    assert scim("get", '/Groups?filter=displayName eq "Finance"')[1]["totalResults"] == 1
    assert scim("delete", where) == (204, None)
    assert member(dora).now().role == "developer"


def test_whom_a_person_invited_is_not_the_directory_s_to_regroup(team: Member, scim: Scim) -> None:
    admin = joined(team, "carol", "admin")
    body = {"displayName": "All", "members": [{"value": str(admin.place.pk)}]}
    group = scim("post", "/Groups", body)[1]
    directory.give_role(DirectoryGroup.objects.get(pk=group["id"]), "viewer", team.now())
    assert admin.now().role == "admin"


def test_a_new_address_is_for_whom_the_directory_brought(team: Member, scim: Scim) -> None:
    pk = scim.made("dora@acme.test")
    scim.patch(f"/Users/{pk}", {"op": "replace", "path": "userName", "value": "dora.b@acme.test"})
    assert member(pk).person.email == "dora.b@acme.test"
    other = {"op": "replace", "path": "userName", "value": "dora@example.com"}
    assert scim.patch(f"/Users/{pk}", other)[0] == 400
    own = confirm(person("finn").user)
    User.objects.filter(pk=own.pk).update(email="finn@acme.test")
    EmailAddress.objects.filter(user=own).update(email="finn@acme.test")
    pk = scim.made("finn@acme.test")  # who had an account of their own
    mine = {"op": "replace", "path": "userName", "value": "taken@acme.test"}
    assert scim.patch(f"/Users/{pk}", mine)[0] == 400
    full = {"userName": "finn@acme.test", "active": False}
    assert scim("put", f"/Users/{pk}", full)[1]["active"] is False
