"""/api/teams: accounts that several people share. An account is named in the path; whoever asks
acts in it as what they are there."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import valid
from accounts.api.team_serializers import (
    Deletion,
    EventSerializer,
    InvitationSerializer,
    JoinSerializer,
    MemberSerializer,
    NewTeam,
    TeamChange,
    TeamSerializer,
    Transfer,
)
from accounts.models import Invitation, Membership, TeamEvent, User
from accounts.sign_in import callers, deletion, factors
from accounts.teams import (
    acting,
    events,
    forming,
    invitations,
    memberships,
    ownership,
    roles,
)
from accounts.teams.acting import Acting
from hontoni import errors
from hontoni.drf import problems, takes_nothing
from ratelimits.throttle import Throttle

_FAILS = problems(400, 401, 403, 404, 409)


def work_in(request: Request, account_id: int, permission: str) -> Acting:
    """The caller at work in the account that the path names. Raises NotFound for an account that
    is none of theirs, Forbidden where their role does not suffice."""
    found = acting.choose(acting.at_door(request).person, account_id)
    if found is None or found.membership is None:
        raise errors.NotFound("There is no such team, or you are not in it.")
    found.check(permission)
    return found


def place_of(work: Acting) -> Membership:
    """The caller's own, in a team."""
    assert work.membership is not None
    return work.membership


def confirmed_once_more(request: Request, person: User, body: dict[str, Any]) -> None:
    """Raises Unauthenticated unless the caller has just shown to be it, RateLimited for who
    guesses."""
    throttle = ConfirmationsByPerson()
    if not throttle.allow_request(request):
        seconds = str(int(throttle.wait()) + 1)
        raise errors.RateLimited("Too many attempts.", headers={"Retry-After": seconds})
    if not person.check_password(body["password"]):
        raise errors.Unauthenticated("The password is wrong.", code="invalid_credentials")
    factors.check(person, body["code"])


class ConfirmationsByPerson(Throttle):
    """Guessing the password of a session that was left open."""

    scope, limit, seconds = "team-confirmation", 10, 300

    def identify(self, request: Request) -> str | None:
        return str(acting.at_door(request).person.pk)


class Teams(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="list_teams",
        summary="The teams you are in",
        responses={200: TeamSerializer(many=True), **problems(400, 401)},
    )
    def get(self, request: Request) -> Response:
        person = acting.at_door(request).person
        return Response(TeamSerializer(memberships.of(person), many=True).data)

    @extend_schema(
        tags=["teams"],
        operation_id="create_team",
        summary="Make a team",
        request=NewTeam,
        responses={201: TeamSerializer, **_FAILS},
        examples=[OpenApiExample("Beside yours", {"name": "Acme"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body, person = valid(NewTeam, request.data), acting.at_door(request).person
        if body["of_this_account"]:
            made = forming.part(person, body["name"])
        else:
            made = forming.make(person, body["name"], ip=callers.address(request))
        return Response(TeamSerializer(made).data, status=status.HTTP_201_CREATED)


class Team(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="get_team",
        summary="One team",
        responses={200: TeamSerializer, **problems(400, 401, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(TeamSerializer(place_of(work_in(request, pk, roles.ANYBODY))).data)

    @extend_schema(
        tags=["teams"],
        operation_id="change_team",
        summary="Rename a team, or say where its mails go",
        request=TeamChange,
        responses={200: TeamSerializer, **_FAILS},
    )
    def patch(self, request: Request, pk: int) -> Response:
        work = work_in(request, pk, roles.ACCOUNT)
        body = valid(TeamChange, request.data)
        for name, value in body.items():
            setattr(work.account, name, value)
        if body:
            work.account.save(update_fields=list(body))
            ip = callers.address(request)
            events.record(pk, work.person, "renamed", work.account.name, ip=ip, **body)
        return Response(TeamSerializer(place_of(work)).data)

    @extend_schema(
        tags=["teams"],
        operation_id="delete_team",
        summary="Delete a team",
        description="For good: its keys stop with the next request.",
        request=Deletion,
        responses={204: None, **_FAILS},
    )
    def delete(self, request: Request, pk: int) -> Response:
        work = work_in(request, pk, roles.OWNING)
        body = valid(Deletion, request.data)
        confirmed_once_more(request, work.person, body)
        if body["name"].strip() != work.account.name:
            raise errors.BadRequest("This is not the name of the team.", param="name")
        deletion.delete(work.account)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(
    get=extend_schema(
        tags=["teams"],
        operation_id="list_members",
        summary="Who is in a team",
        responses={200: MemberSerializer(many=True), **problems(400, 401, 404)},
    )
)
class Members(generics.ListAPIView[Membership]):
    queryset = Membership.objects.none()
    serializer_class = MemberSerializer

    def get_queryset(self) -> QuerySet[Membership]:
        work = work_in(self.request, self.kwargs["pk"], roles.ANYBODY)
        return memberships.active(work.account.pk)


class Member(APIView):
    def _found(self, work: Acting, member: int) -> Membership:
        found = memberships.active(work.account.pk).filter(pk=member).first()
        if found is None:
            raise errors.NotFound("There is no such member.")
        return found

    @extend_schema(
        tags=["teams"],
        operation_id="get_member",
        summary="One member",
        responses={200: MemberSerializer, **problems(400, 401, 404)},
    )
    def get(self, request: Request, pk: int, member: int) -> Response:
        work = work_in(request, pk, roles.ANYBODY)
        return Response(MemberSerializer(self._found(work, member)).data)

    @extend_schema(
        tags=["teams"],
        operation_id="change_member",
        summary="Change a member's role or limits",
        description="It holds from the next request on. null and an empty list allow everything. "
        "Whose new role makes no keys loses those there are. `stopped` is the kill switch: every "
        "key of theirs is refused, and they make no other, until it is false again.",
        request=MemberSerializer(partial=True),
        responses={200: MemberSerializer, **_FAILS},
        examples=[
            OpenApiExample(
                "A cap", {"role": "developer", "daily_spend_cap": "5.00"}, request_only=True
            )
        ],
    )
    def patch(self, request: Request, pk: int, member: int) -> Response:
        work = work_in(request, pk, roles.MEMBERS)
        body = MemberSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        found = self._found(work, member)
        fields, ip = dict(body.validated_data), callers.address(request)
        stopped = fields.pop("stopped", None)
        with transaction.atomic():
            if fields or stopped is None:
                memberships.change(place_of(work), found, ip=ip, **fields)
            if stopped is not None:
                memberships.switch(place_of(work), found, stopped=stopped, ip=ip)
        return Response(MemberSerializer(found).data)

    @extend_schema(
        tags=["teams"],
        operation_id="remove_member",
        summary="Remove a member",
        description="Their keys and tokens end with the next request; what they used stays.",
        responses={204: None, **_FAILS},
    )
    def delete(self, request: Request, pk: int, member: int) -> Response:
        takes_nothing(request)
        work = work_in(request, pk, roles.MEMBERS)
        found = self._found(work, member)
        memberships.remove(place_of(work), found, ip=callers.address(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Invitations(generics.ListAPIView[Invitation]):
    queryset = Invitation.objects.none()
    serializer_class = InvitationSerializer

    def get_queryset(self) -> QuerySet[Invitation]:
        work = work_in(self.request, self.kwargs["pk"], roles.MEMBERS)
        found = invitations.open_ones(work.account.pk, timezone.now())
        return found.select_related("invited_by")

    @extend_schema(
        tags=["teams"],
        operation_id="list_invitations",
        summary="Invitations that can still be accepted",
        responses={200: InvitationSerializer(many=True), **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        tags=["teams"],
        operation_id="invite",
        summary="Invite somebody by mail",
        description="The link is good once, for a week, for who has confirmed that address.",
        request=InvitationSerializer,
        responses={201: InvitationSerializer, **_FAILS},
        examples=[
            OpenApiExample(
                "A developer", {"email": "bob@example.com", "role": "developer"}, request_only=True
            )
        ],
    )
    def post(self, request: Request, pk: int) -> Response:
        work = work_in(request, pk, roles.MEMBERS)
        body = valid(InvitationSerializer, request.data)
        ip = callers.address(request)
        made = invitations.invite(place_of(work), body["email"], body["role"], ip=ip)
        return Response(InvitationSerializer(made).data, status=status.HTTP_201_CREATED)


class OneInvitation(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="take_invitation_back",
        summary="Take an invitation back",
        responses={204: None, **_FAILS},
    )
    def delete(self, request: Request, pk: int, invitation: int) -> Response:
        takes_nothing(request)
        work = work_in(request, pk, roles.MEMBERS)
        found = Invitation.objects.filter(account=work.account, pk=invitation).first()
        if found is None:
            raise errors.NotFound("There is no such invitation.")
        invitations.revoke(place_of(work), found, ip=callers.address(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Join(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="join_team",
        summary="Accept an invitation",
        request=JoinSerializer,
        responses={201: TeamSerializer, **_FAILS},
        examples=[OpenApiExample("A link's end", {"token": "kT5…"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        token = valid(JoinSerializer, request.data)["token"]
        person = acting.at_door(request).person
        made = invitations.accept(token, person, ip=callers.address(request))
        return Response(TeamSerializer(made).data, status=status.HTTP_201_CREATED)


class Leave(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="leave_team",
        summary="Leave a team",
        request=None,
        responses={204: None, **_FAILS},
    )
    def post(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        work = work_in(request, pk, roles.ANYBODY)
        memberships.leave(place_of(work), ip=callers.address(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class HandOver(APIView):
    @extend_schema(
        tags=["teams"],
        operation_id="transfer_team",
        summary="Hand a team over",
        description="To one of its members; you become an admin. Both are told by mail.",
        request=Transfer,
        responses={200: TeamSerializer, **_FAILS},
    )
    def post(self, request: Request, pk: int) -> Response:
        work = work_in(request, pk, roles.OWNING)
        body = valid(Transfer, request.data)
        confirmed_once_more(request, work.person, body)
        to = memberships.active(pk).filter(pk=body["member"]).first()
        if to is None:
            raise errors.NotFound("There is no such member.")
        ownership.transfer(place_of(work), to, ip=callers.address(request))
        work = work_in(request, pk, roles.ANYBODY)
        return Response(TeamSerializer(place_of(work)).data)


@extend_schema_view(
    get=extend_schema(
        tags=["teams"],
        operation_id="team_events",
        summary="Who did what in a team",
        responses={200: EventSerializer(many=True), **problems(400, 401, 403, 404)},
    )
)
class Events(generics.ListAPIView[TeamEvent]):
    queryset = TeamEvent.objects.none()
    serializer_class = EventSerializer

    def get_queryset(self) -> QuerySet[TeamEvent]:
        work = work_in(self.request, self.kwargs["pk"], roles.OWNING)
        return TeamEvent.objects.filter(account=work.account)
