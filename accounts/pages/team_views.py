"""The pages of a team: members, invitations, what each may spend, who did what; and for which
account one works."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.keys import stopping
from accounts.models import ApiKey, Invitation, Membership, TeamEvent, User
from accounts.pages.account_forms import PrivacyForm
from accounts.pages.team_forms import (
    InviteForm,
    MemberForm,
    SettingsForm,
    TeamDeletionForm,
    TeamForm,
    TransferForm,
)
from accounts.pages.visitors import at_work, customer, reauthenticated
from accounts.sign_in import callers, deletion
from accounts.teams import acting, events, forming, invitations, memberships, ownership, roles
from accounts.teams.acting import Acting
from hontoni import errors
from hontoni.translated_errors import translated

_pages = require_http_methods(["GET", "HEAD", "POST"])
_EVENTS = 50
_Page = Callable[..., HttpResponse]


def _told(view: _Page) -> _Page:
    """What a step refuses is said on the page one is sent back to."""

    @wraps(view)
    def told(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (errors.RateLimited, errors.Unavailable):
            raise
        except errors.ApiError as error:
            messages.error(request, translated(error))
            return redirect("team" if at_work(request).membership else "teams")

    return told


def _mine(request: HttpRequest) -> Membership:
    """One's place in the team that is open; 404 on an account that is none."""
    found = at_work(request).membership
    if found is None:
        raise Http404
    return found


# -- For which account ---------------------------------------------------------------------------


@login_required
@require_safe
def teams(request: HttpRequest) -> HttpResponse:
    """Every account one may work for, and how to have another."""
    work = at_work(request)
    mine = list(memberships.of(work.person))
    context = {"work": work, "mine": mine, "form": TeamForm()}
    return render(request, "accounts/teams.html", context)


@login_required
@require_POST
@_told
def new(request: HttpRequest) -> HttpResponse:
    """A team beside one's own account, or of it."""
    work, form = at_work(request), TeamForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("A team has a name."))
        return redirect("teams")
    name, of_mine = form.cleaned_data["name"], request.POST.get("of") == "mine"
    if of_mine:
        made = forming.part(work.person, name, request)
    else:
        made = forming.make(work.person, name, ip=callers.address(request))
    _open(request, made.person, made.account_id)
    messages.success(request, _("The team is made. Invite somebody."))
    return redirect("team")


def _open(request: HttpRequest, person: User, account_id: int) -> None:
    request.session[acting.SESSION] = account_id
    User.objects.filter(pk=person.pk).update(acts_for=account_id)


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Work for another account from now on, in this browser and wherever one signs in next."""
    work, wanted = at_work(request), request.POST.get("account", "")
    if not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 19):
        raise Http404
    found = acting.choose(work.person, int(wanted))
    if found is None:
        raise Http404
    _open(request, work.person, found.account.pk)
    return redirect("overview")


@never_cache
@_pages
def join(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation's link shows: to strangers how to sign in, to whom it is for a button."""
    found, now = invitations.find(token), timezone.now()
    if not request.user.is_authenticated:
        if found is None or found.status(now) != "open":
            return render(request, "accounts/join.html", {"ended": True}, status=404)
        return render(request, "accounts/join.html", {"invitation": found, "path": request.path})
    person = at_work(request).person
    problem = invitations.problem(found, person, now)
    if request.method == "POST" and problem is None:
        try:
            made = invitations.accept(token, person, ip=callers.address(request))
        except errors.ApiError as error:
            problem = error
        else:
            _open(request, person, made.account_id)
            messages.success(request, _("Welcome to %(team)s.") % {"team": made.account.name})
            return redirect("overview")
    context = {
        "invitation": found,
        "person": person,
        "problem": problem and translated(problem),
    }
    return render(
        request, "accounts/join.html", context, status=problem.status if problem else 200
    )


# -- The team ------------------------------------------------------------------------------------


@login_required
@never_cache
@require_safe
def team(request: HttpRequest) -> HttpResponse:
    """Who is in the account, who is invited, and what it is called."""
    work = at_work(request)
    if work.membership is None:
        return redirect("teams")
    return _team_page(request, work)


def _team_page(request: HttpRequest, work: Acting, **forms: object) -> HttpResponse:
    account, now = work.account, timezone.now()
    manages = work.may(roles.MEMBERS)
    given = roles.GIVEN_BY.get(work.role, frozenset())
    allowed = {
        "vendors_may_store": account.vendors_may_store,
        "keeps_responses": account.keeps_responses,
    }
    context = {
        "work": work,
        "team": account,
        "members": [
            (each, each.role in given or each.pk == getattr(work.membership, "pk", 0))
            for each in memberships.active(account.pk)
        ],
        "manages": manages,
        "owns": work.may(roles.OWNING),
        "invited": invitations.open_ones(account.pk, now) if manages else [],
        "invite": InviteForm(by=work.role),
        "settings": SettingsForm(instance=account),
        "privacy": PrivacyForm(initial=allowed),
        **forms,
    }
    return render(request, "accounts/team.html", context)


@login_required
@require_POST
def settings(request: HttpRequest) -> HttpResponse:
    """What the team is called, and where its mails go."""
    work = at_work(request)
    _mine(request)
    form = SettingsForm(request.POST, instance=work.account)
    if not form.is_valid():
        return _team_page(request, work, settings=form)
    form.save()
    facts = {name: form.cleaned_data[name] for name in form.changed_data}
    ip = callers.address(request)
    events.record(work.account.pk, work.person, "renamed", work.account.name, ip=ip, **facts)
    messages.success(request, _("Saved."))
    return redirect("team")


@login_required
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Send somebody the link to join."""
    work, mine = at_work(request), _mine(request)
    form = InviteForm(request.POST, by=mine.role)
    if form.is_valid():
        data = form.cleaned_data
        try:
            invitations.invite(mine, data["email"], data["role"], ip=callers.address(request))
            messages.success(request, _("Invited: the link is in a mail to them."))
            return redirect("team")
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    return _team_page(request, work, invite=form)


@login_required
@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """An invitation. Twice is once."""
    mine = _mine(request)
    found = get_object_or_404(Invitation, pk=pk, account=mine.account_id)
    invitations.revoke(mine, found, ip=callers.address(request))
    messages.success(request, _("The invitation is taken back."))
    return redirect("team")


def _member(request: HttpRequest, pk: int) -> Membership:
    mine = _mine(request)
    return get_object_or_404(memberships.active(mine.account_id), pk=pk)


@login_required
@never_cache
@_pages
def member(request: HttpRequest, pk: int) -> HttpResponse:
    """A member's role, caps, models and addresses, and their keys."""
    mine, found = _mine(request), _member(request, pk)
    form = MemberForm(request.POST or None, by=mine.role, member=found)
    if request.method == "POST" and form.is_valid():
        try:
            memberships.change(mine, found, ip=callers.address(request), **form.changes())
            messages.success(request, _("Saved. It holds from the next request on."))
            return redirect("team")
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    theirs = ApiKey.objects.filter(member=found).order_by("-pk")[:100]
    context = {
        "member": found,
        "form": form,
        "keys": theirs,
        "now": timezone.now(),
        "changeable": _may_change(mine, found),
        "held": found.stopped_at is not None or stopping.holding(found) is not None,
    }
    return render(request, "accounts/team_member.html", context)


def _may_change(mine: Membership, found: Membership) -> bool:
    try:
        memberships.check_may(mine, found)
    except errors.Forbidden:
        return False
    return True


@login_required
@require_POST
@_told
def member_switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop all keys of a member, those to come included; or start them again."""
    found, stopped = _member(request, pk), "stop" in request.POST
    memberships.switch(_mine(request), found, stopped=stopped, ip=callers.address(request))
    if stopped:
        messages.success(request, _("Stopped. What has begun ends well; nothing else does."))
    else:
        messages.success(request, _("Started. It holds from the next request on."))
    return redirect("team-member", pk=pk)


@login_required
@require_POST
@_told
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody: their keys end with the next request."""
    found = _member(request, pk)
    memberships.remove(_mine(request), found, ip=callers.address(request))
    messages.success(request, _("Removed. Their keys and tokens have ended."))
    return redirect("team")


@login_required
@require_POST
@_told
def leave(request: HttpRequest) -> HttpResponse:
    """The team, by oneself."""
    mine = _mine(request)
    memberships.leave(mine, ip=callers.address(request))
    _open(request, mine.person, mine.person_id)
    messages.success(request, _("You have left %(team)s.") % {"team": mine.account.name})
    return redirect("teams")


@login_required
@reauthenticated
@_pages
def transfer(request: HttpRequest) -> HttpResponse:
    """Hand the team over, once the password or second factor is asked for again."""
    mine = _mine(request)
    form = TransferForm(request.POST or None, owner=mine)
    if request.method == "POST" and form.is_valid():
        try:
            ownership.transfer(mine, form.cleaned_data["to"], ip=callers.address(request))
            messages.success(request, _("The team has a new owner. You are one of its admins."))
            return redirect("team")
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    return render(request, "accounts/team_transfer.html", {"form": form, "team": mine.account})


@login_required
@reauthenticated
@_pages
def delete(request: HttpRequest) -> HttpResponse:
    """Close the team's account for good, once its name is typed and the password asked for."""
    mine = _mine(request)
    form = TeamDeletionForm(request.POST or None, team=mine.account)
    if request.method == "POST" and form.is_valid():
        deletion.delete(customer(request))
        _open(request, mine.person, mine.person_id)
        messages.success(request, _("The team is deleted."))
        return redirect("teams")
    return render(request, "accounts/team_delete.html", {"form": form, "team": mine.account})


@login_required
@never_cache
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Who did what, the latest first."""
    mine = _mine(request)
    found = TeamEvent.objects.filter(account=mine.account_id).order_by("-pk")
    page = Paginator(found, _EVENTS).get_page(request.GET.get("page"))
    rows = [(each, events.words(each)) for each in page]
    return render(request, "accounts/team_audit.html", {"page": page, "rows": rows})
