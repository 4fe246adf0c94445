"""For which account a request is: who is there (the person), and what they may do in it.

On a page `request.user` is the account, as everywhere below; `request.acting` tells the person.
Pages about the person (roles.PERSONAL) have the person as the user, as before. On /api a session
acts for the account it began with, or the one that X-Account names; keys and tokens for their own.

Nobody acts for an account they are no longer a member of: it is looked up with every request.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts.keys import api_keys, scopes, stopping
from accounts.models import ApiKey, Membership, Role, User
from accounts.sign_in import callers, grants
from accounts.sign_in.grants import Grant
from accounts.sign_in.tokens import AccessTokenAuthentication
from accounts.teams import events, memberships, roles
from hontoni import errors

SESSION = "account"
HEADER = "X-Account"
FIELD = "of_account"  # of a form: whose page it is on (pages/form_tags.py)
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
# What the room writes down itself, with more to say.
_TOLD_BETTER = ("team", "api-team", "sign-on")


@dataclass(frozen=True, slots=True)
class Acting:
    """Somebody at work for an account: their own, or one they are a member of."""

    person: User
    account: User
    membership: Membership | None = None

    @property
    def role(self) -> str:
        return Role.OWNER.value if self.membership is None else self.membership.role

    def may(self, permission: str) -> bool:
        return roles.may(self.role, permission)

    def switch(self, keys: Iterable[ApiKey], *, stopped: bool) -> int:
        """The kill switch (keys/stopping.py); how many keys changed."""
        manages = self.may(roles.MEMBERS)
        return stopping.switch(
            keys, stopped=stopped, by=self.person, manages=manages, now=timezone.now()
        )

    def switch_all(self, keys: Iterable[ApiKey], *, stopped: bool) -> int:
        """The same of all keys one sees; who manages members stops or starts these, too: nobody
        makes another instead."""
        changed, now = self.switch(keys, stopped=stopped), timezone.now()
        if self.membership is None or not self.may(roles.MEMBERS):
            return changed
        others = memberships.active(self.account.pk).filter(role__in=roles.GIVEN_BY[self.role])
        found = stopping.switch_members(others, stopped=stopped, by=self.person, now=now)
        return changed + len(found)

    def revoke(self, key: ApiKey) -> bool:
        """End a key for good; whether this was the first time."""
        ended = api_keys.revoke(key)
        if self.may(roles.MEMBERS):
            stopping.settled(key)
        return ended

    def check(self, permission: str) -> None:
        """Raises Forbidden, in words, unless the role may."""
        if not self.may(permission):
            raise missing(self.role, permission)


def missing(role: str, permission: str) -> errors.Forbidden:
    """What somebody is told whose role does not suffice."""
    return errors.Forbidden(
        f"Your role in this team ({role}) does not allow this. An admin can give you another one.",
        code="role_missing",
        details={"role": role, "needed": permission},
    )


def choose(person: User, account_id: int | None) -> Acting | None:
    """Somebody acting for that account (None: their own); None if they may not."""
    if account_id is None or account_id == person.pk:
        return Acting(person, person)
    found = memberships.find(account_id, person.pk)
    return None if found is None else Acting(person, found.account, found)


def on_page(request: HttpRequest) -> Acting:
    """Who works for which account on this page. Of a page that nobody put them on: their own."""
    found = getattr(request, "acting", None)
    if found is None:
        assert isinstance(request.user, User)
        found = Acting(request.user, request.user)
    return found


def of_session(person: User, session: Any) -> Acting:
    """Whom a browser's session is for: as chosen in it, or last; their own if that is over."""
    chosen = session.get(SESSION, person.acts_for_id)
    return choose(person, chosen) or Acting(person, person)


class OnPages(MiddlewareMixin):
    """Puts the account in the place of the person, where their role opens the page."""

    def process_view(
        self, request: Any, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or _is_elsewhere(request):
            return None
        person = request.user
        if not person.is_authenticated or hasattr(request, "viewed_by"):
            return None
        acting = request.acting = of_session(person, request.session)
        chosen = request.session.get(SESSION, person.acts_for_id)
        name = _name(request)
        if acting.membership is None and chosen not in (None, person.pk):
            return _shown_out(request, name)
        if roles.is_personal(name):
            return None
        if _is_of_another(request, acting):
            return _switched(request, acting)
        if acting.membership is None:
            return redirect("teams") if name in roles.OF_TEAMS else None
        permission = roles.of_page(name, reads=request.method in ("GET", "HEAD"))
        if not acting.may(permission):
            request.user = acting.account
            return render(request, "accounts/role_missing.html", {"role": acting.role}, status=403)
        request.user = acting.account
        return None

    def process_response(self, request: Any, response: HttpResponse) -> HttpResponse:
        acting = getattr(request, "acting", None)
        if acting is not None and acting.membership is not None and request.method in _WRITES:
            _write_down(request, acting, response)
        return response


def _shown_out(request: Any, name: str) -> HttpResponse | None:
    """Who was a member a moment ago hears of it; nothing they sent is done elsewhere instead."""
    request.session.pop(SESSION, None)
    User.objects.filter(pk=request.user.pk).update(acts_for=request.user.pk)
    if roles.is_personal(name):
        return None
    messages.warning(request, _("You are no longer a member of that team."))
    return redirect("overview")


def _is_of_another(request: Any, acting: Acting) -> bool:
    """Whether a form is sent whose page was of another account: opened in a second tab since."""
    meant = request.POST.get(FIELD) if request.method in _WRITES else None
    return bool(meant) and meant != str(acting.account.pk)


def _switched(request: HttpRequest, acting: Acting) -> HttpResponse:
    words = _("Another account was opened meanwhile: nothing was done. This is %(account)s now.")
    messages.warning(request, words % {"account": acting.account.name or acting.account.email})
    return redirect("overview")


def _is_elsewhere(request: HttpRequest) -> bool:
    """The admin, whose staff are themselves, and /api, which has no browser's session."""
    return request.path.startswith((reverse("admin:index"), "/api/", "/scim/"))


def _name(request: Any) -> str:
    match = request.resolver_match
    return "" if match is None else str(match.url_name or "")


def _write_down(request: Any, acting: Acting, response: HttpResponse) -> None:
    """What somebody did in a team by a door that says nothing more of it."""
    name = _name(request)
    if response.status_code >= 400 or name.startswith(_TOLD_BETTER) or roles.is_personal(name):
        return
    if not request.path.startswith("/api/"):
        made = getattr(response, "done", False)  # it shows a secret, once (pages)
        elsewhere = response.get("Location", "").startswith("/account/")
        if not made and (response.status_code // 100 != 3 or elsewhere):
            return  # a form with errors
    events.record(
        acting.account.pk,
        acting.person,
        events.of_door(name, str(request.method)),
        "/".join(str(each) for each in request.resolver_match.kwargs.values()),
        ip=callers.address(request),
    )


class OnApi(AccessTokenAuthentication):
    """As its base; then for which account, and whether the role there opens the door."""

    def authenticate(self, request: Request) -> tuple[User, dict[str, Any] | Grant] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user, auth = found
        acting = (
            _by_grant(request, user, auth)
            if isinstance(auth, Grant)
            else _by_session(request, user, auth)
        )
        http: Any = request._request
        http.acting = acting
        if acting.membership is not None:
            view, method = request.parser_context["view"], str(request.method)
            scope = grants.needed(view, method)
            if method != "OPTIONS" and scope != scopes.ANY:
                acting.check(roles.of_door(_name(http), scope))
        return acting.account, auth


def _by_grant(request: Request, account: User, grant: Grant) -> Acting:
    """A key or token acts for its own account, and for as long as its person is a member."""
    wanted = request.headers.get(HEADER, "").strip()
    if wanted not in ("", str(account.pk)):
        raise errors.Forbidden(f"This {grant.holder} is of another account.", code="wrong_account")
    if grant.person is None or grant.person == account.pk:
        return Acting(account, account)
    found = memberships.find(account.pk, grant.person)
    if found is None:
        raise _not_a_member()
    return Acting(found.person, account, found)


def _by_session(request: Request, person: User, claims: dict[str, Any]) -> Acting:
    wanted = request.headers.get(HEADER, "").strip()
    if wanted and not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 19):
        raise errors.BadRequest(f"{HEADER} is the id of an account.", param=HEADER)
    found = choose(person, int(wanted) if wanted else claims.get("account"))
    if found is None:
        raise _not_a_member()
    return found


def _not_a_member() -> errors.Forbidden:
    return errors.Forbidden("You are not a member of this account.", code="not_a_member")


def at_door(request: Request) -> Acting:
    """Who works for which account at a door of /api that let them in."""
    found = getattr(request._request, "acting", None)
    assert isinstance(found, Acting)
    return found
