"""/api/teams/{id}/sign-on, domains and directory: its owner's alone, who shows once more to be it
where something opens a way in."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import valid
from accounts.api.team_api import confirmed_once_more, place_of, work_in
from accounts.api.team_serializers import GIVEN, Confirmation
from accounts.models import DirectoryGroup, Membership, Role, SignOn, TeamDomain
from accounts.sign_in import callers
from accounts.sign_on import directory, domains, setting_up
from accounts.teams import roles
from hontoni import errors
from hontoni.drf import Strict, problems, takes_nothing

_FAILS = problems(400, 401, 403, 404, 409)
_JOINS = [Role.DEVELOPER.value, Role.BILLING.value, Role.VIEWER.value]


class SignOnSerializer(serializers.ModelSerializer[SignOn]):
    domains = serializers.SerializerMethodField(help_text="Those that are proven.")
    scim = serializers.SerializerMethodField(help_text="Whether a directory has a token.")

    class Meta:
        model = SignOn
        fields = ["slug", "issuer", "client_id", "joins_as", "enforced", "domains", "scim"]

    def get_domains(self, found: SignOn) -> list[str]:
        return sorted(domains.proven(found.pk))

    def get_scim(self, found: SignOn) -> bool:
        return found.scim_digest is not None


class SignOnChange(Confirmation):
    issuer = serializers.CharField(max_length=300, allow_blank=True)
    client_id = serializers.CharField(max_length=300, allow_blank=True)
    client_secret = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="Empty: as it is."
    )
    joins_as = serializers.ChoiceField(_JOINS, default=Role.DEVELOPER.value)
    enforced = serializers.BooleanField(default=False)


class DomainSerializer(Strict, serializers.ModelSerializer[TeamDomain]):
    record = serializers.SerializerMethodField(help_text="The TXT record that proves it.")

    class Meta:
        model = TeamDomain
        fields = ["id", "name", "record", "created_at", "proven_at"]
        read_only_fields = ["id", "created_at", "proven_at"]
        validators: list[Any] = []

    def get_record(self, found: TeamDomain) -> str:
        return f"{domains.RECORD}{found.secret}"


class Proof(Strict):
    by = serializers.ChoiceField(["record", "mail"])
    mailbox = serializers.ChoiceField(list(domains.MAILBOXES), required=False)


class TokenShown(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="In clear, this once.")


class GroupSerializer(Strict, serializers.ModelSerializer[DirectoryGroup]):
    role = serializers.ChoiceField(GIVEN, allow_blank=True)
    members = serializers.SerializerMethodField()

    class Meta:
        model = DirectoryGroup
        fields = ["id", "name", "role", "members"]
        read_only_fields = ["id", "name"]

    def get_members(self, found: DirectoryGroup) -> list[str]:
        return [each.person.email for each in found.members.all()]


def _mine(request: Request, pk: int) -> Membership:
    return place_of(work_in(request, pk, roles.OWNING))


class TeamSignOn(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="get_sign_on",
        summary="How a team's members sign in",
        responses={200: SignOnSerializer, **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(SignOnSerializer(setting_up.of_team(_mine(request, pk))).data)

    @extend_schema(
        tags=["teams"],
        operation_id="change_sign_on",
        summary="Name the team's own provider (OpenID Connect)",
        request=SignOnChange,
        responses={200: SignOnSerializer, **_FAILS},
    )
    def put(self, request: Request, pk: int) -> Response:
        mine = _mine(request, pk)
        body = valid(SignOnChange, request.data)
        confirmed_once_more(request, mine.person, body)
        found = setting_up.change(
            mine,
            issuer=body["issuer"],
            client_id=body["client_id"],
            secret=body["client_secret"],
            joins_as=body["joins_as"],
            enforced=body["enforced"],
            ip=callers.address(request),
        )
        return Response(SignOnSerializer(found).data)


class Domains(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="list_domains",
        summary="The domains a team has claimed",
        responses={200: DomainSerializer(many=True), **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        found = TeamDomain.objects.filter(account=_mine(request, pk).account_id)
        return Response(DomainSerializer(found.order_by("name"), many=True).data)

    @extend_schema(
        tags=["teams"],
        operation_id="claim_domain",
        summary="Claim a domain",
        request=DomainSerializer,
        responses={201: DomainSerializer, **_FAILS},
    )
    def post(self, request: Request, pk: int) -> Response:
        mine = _mine(request, pk)
        body = valid(DomainSerializer, request.data)
        made = domains.add(mine, body["name"], ip=callers.address(request))
        return Response(DomainSerializer(made).data, status=status.HTTP_201_CREATED)


class Domain(APIView):
    def _found(self, mine: Membership, domain: int) -> TeamDomain:
        found = TeamDomain.objects.filter(account=mine.account_id, pk=domain).first()
        if found is None:
            raise errors.NotFound("There is no such domain.")
        return found

    @extend_schema(
        tags=["teams"],
        operation_id="prove_domain",
        summary="Prove a domain by its TXT record, or send the link to a mailbox of it",
        request=Proof,
        responses={200: DomainSerializer, **_FAILS},
    )
    def post(self, request: Request, pk: int, domain: int) -> Response:
        mine = _mine(request, pk)
        body = valid(Proof, request.data)
        found = self._found(mine, domain)
        if body["by"] == "record":
            domains.prove_by_record(mine, found, ip=callers.address(request))
        else:
            domains.send_proof(mine, found, body.get("mailbox", ""))
        return Response(DomainSerializer(found).data)

    @extend_schema(
        tags=["teams"],
        operation_id="give_domain_up",
        summary="Give a domain up",
        request=None,
        responses={204: None, **_FAILS},
    )
    def delete(self, request: Request, pk: int, domain: int) -> Response:
        takes_nothing(request)
        mine = _mine(request, pk)
        domains.remove(mine, self._found(mine, domain), ip=callers.address(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ScimToken(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="make_scim_token",
        summary="Make the directory's token; the one before ends",
        request=Confirmation,
        responses={201: TokenShown, **_FAILS},
    )
    def post(self, request: Request, pk: int) -> Response:
        mine = _mine(request, pk)
        body = valid(Confirmation, request.data)
        confirmed_once_more(request, mine.person, body)
        found = setting_up.of_team(mine)
        raw = directory.make_token(found, mine, ip=callers.address(request))
        return Response({"token": raw}, status=status.HTTP_201_CREATED)

    @extend_schema(
        tags=["teams"],
        operation_id="end_scim_token",
        summary="End the directory's token",
        request=None,
        responses={204: None, **_FAILS},
    )
    def delete(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        mine = _mine(request, pk)
        directory.end_token(setting_up.of_team(mine), mine, ip=callers.address(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TeamGroups(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="list_groups",
        summary="The directory's groups",
        responses={200: GroupSerializer(many=True), **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        found = directory.groups(setting_up.of_team(_mine(request, pk)))
        return Response(GroupSerializer(found, many=True).data)


class TeamGroup(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="give_group_role",
        summary="Say what a group makes of its members",
        request=GroupSerializer,
        responses={200: GroupSerializer, **_FAILS},
    )
    def patch(self, request: Request, pk: int, group: int) -> Response:
        mine = _mine(request, pk)
        body = valid(GroupSerializer, request.data)
        found = DirectoryGroup.objects.filter(account=mine.account_id, pk=group).first()
        if found is None:
            raise errors.NotFound("There is no such group.")
        directory.give_role(found, body["role"], mine, ip=callers.address(request))
        return Response(GroupSerializer(found).data)
