"""The account's own pages. Signing up and in, e-mail, passwords, second factors and sessions are
allauth's, under /account/."""

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.keys import api_keys, scopes
from accounts.models import ApiKey
from accounts.pages.account_forms import (
    DeletionForm,
    KeyForm,
    KeyLimitsForm,
    LimitsForm,
    PrivacyForm,
    ProfileForm,
    RenameForm,
    RotateForm,
)
from accounts.pages.visitors import at_work, customer, reauthenticated
from accounts.people import privacy
from accounts.sign_in import callers, deletion
from accounts.teams import memberships
from hontoni import errors
from hontoni.pages import zones
from hontoni.translated_errors import translated

_pages = require_http_methods(["GET", "HEAD", "POST"])


@login_required
@_pages
def profile(request: HttpRequest) -> HttpResponse:
    """Name and time zone, and the way to export or delete everything: the person's, whatever
    account they act for."""
    form = ProfileForm(request.POST or None, instance=customer(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("account")
    user = customer(request)
    allowed = {
        "vendors_may_store": user.vendors_may_store,
        "keeps_responses": user.keeps_responses,
    }
    context = {
        "form": form,
        "in_team": at_work(request).membership is not None,
        "privacy": PrivacyForm(initial=allowed),
        "zones": zones(),
        "chosen_zone": timezone.get_current_timezone_name(),
    }
    return render(request, "accounts/profile.html", context)


@login_required
@require_POST
def change_privacy(request: HttpRequest) -> HttpResponse:
    """What vendors, and we, may do with requests, from the next one on."""
    form = PrivacyForm(request.POST)
    if form.is_valid():
        privacy.let_vendors_store(customer(request), form.cleaned_data["vendors_may_store"])
        privacy.keep_responses(customer(request), form.cleaned_data["keeps_responses"])
        messages.success(request, _("Saved. It holds from the next request on."))
    return redirect("team" if at_work(request).membership else "account")


@login_required
@reauthenticated
@_pages
def delete(request: HttpRequest) -> HttpResponse:
    """Close the account, once its address is typed and the password asked for again."""
    form = DeletionForm(request.POST or None, user=customer(request))
    if request.method == "POST" and form.is_valid():
        try:
            deletion.delete(customer(request))
        except errors.Conflict as error:
            form.add_error(None, translated(error))
            return render(request, "accounts/delete.html", {"form": form})
        logout(request)
        messages.success(request, _("Your account is deleted."))
        return redirect("home")
    return render(request, "accounts/delete.html", {"form": form})


# -- Keys ----------------------------------------------------------------------------------------


@login_required
@never_cache
@_pages
def keys(request: HttpRequest) -> HttpResponse:
    """All keys, and the form for another. The new key is in the answer, this once."""
    user, work = customer(request), at_work(request)
    form, limits = KeyForm(request.POST or None), LimitsForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and limits.is_valid():
        if not cache.add(f"once:{form.cleaned_data['once']}", 1, 3600):
            messages.info(request, _("This form was sent already: the key is made."))
            return redirect("keys")
        try:
            data = form.cleaned_data
            restricted, ip = limits.restrictions(), callers.address(request)
            made = api_keys.mint(
                user, data["name"], data["expires"], restricted, ip, work.membership
            )
            return _show(request, *made)
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    rows = _visible(request).select_related("replaced_by", "member__person").order_by("-pk")
    active = ApiKey.objects.active(timezone.now()).filter(user=user)
    used = active.values("slot").distinct().count()
    now = timezone.now()
    shown = {"form": form, "limits": limits, "keys": rows[:200], "now": now, "used": used}
    makes = work.may(scopes.KEYS)
    return render(request, "accounts/keys.html", shown | {"work": work, "makes": makes})


def _show(request: HttpRequest, key: ApiKey, raw: str) -> HttpResponse:
    answer = render(request, "accounts/key_made.html", {"key": key, "raw": raw})
    answer.done = True  # type: ignore[attr-defined]  # for the team's audit
    return answer


def _visible(request: HttpRequest) -> QuerySet[ApiKey]:
    work = at_work(request)
    return memberships.keys_of(work.account, work.membership, work.role)


def _own_key(request: HttpRequest, pk: int) -> ApiKey:
    return get_object_or_404(_visible(request).select_related("member__person", "user"), pk=pk)


@login_required
@_pages
def key(request: HttpRequest, pk: int) -> HttpResponse:
    """One key: rename it, restrict it, rotate it, revoke it."""
    found = _own_key(request, pk)
    form = RenameForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        found.save(update_fields=["name"])
        messages.success(request, _("Saved."))
        return redirect("key", pk=pk)
    return _key_page(request, found, form=form)


def _key_page(request: HttpRequest, found: ApiKey, **forms: object) -> HttpResponse:
    """The page with its forms, of which one may come back with what is wrong with it."""
    fresh = {
        "form": RenameForm(instance=found),
        "limits": KeyLimitsForm.of(found),
        "rotation": RotateForm(),
    }
    work = at_work(request)
    shown = {
        "key": found,
        "now": timezone.now(),
        "work": work,
        "makes": work.may(scopes.KEYS),
        "rotates": memberships.may_rotate(work.membership, found),
    }
    return render(request, "accounts/key.html", {**fresh, **forms, **shown})


@login_required
@require_POST
def limits(request: HttpRequest, pk: int) -> HttpResponse:
    """Restrict a key, or lift what it was restricted to, from the next request on."""
    found = _own_key(request, pk)
    form = KeyLimitsForm.of(found, request.POST)
    if form.is_valid():
        try:
            api_keys.change(found, **form.changes())
            messages.success(request, _("Saved. It holds from the next request on."))
            return redirect("key", pk=pk)
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    return _key_page(request, found, limits=form)


@login_required
@never_cache
@require_POST
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """A successor, shown once; the old key ends after the overlap. Sent twice, it makes one."""
    found, form = _own_key(request, pk), RotateForm(request.POST)
    if not memberships.may_rotate(at_work(request).membership, found):
        raise Http404
    if form.is_valid():
        try:
            overlap = form.cleaned_data["overlap"]
            return _show(request, *api_keys.rotate(found, overlap, callers.address(request)))
        except errors.Conflict as error:
            form.add_error(None, translated(error))
    return _key_page(request, found, rotation=form)


@login_required
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a key, or start it again."""
    found, stopped = _own_key(request, pk), "stop" in request.POST
    _tell_switched(request, stopped, at_work(request).switch([found], stopped=stopped))
    return redirect("key", pk=pk)


@login_required
@require_POST
def switch_all(request: HttpRequest) -> HttpResponse:
    """The same of all keys one sees: an account's, or one's own in a team."""
    stopped = "stop" in request.POST
    mine = _visible(request).filter(revoked_at=None)
    _tell_switched(request, stopped, at_work(request).switch_all(mine, stopped=stopped))
    return redirect("keys")


def _tell_switched(request: HttpRequest, stopped: bool, changed: int) -> None:
    if not changed and not stopped:
        messages.error(request, _("Nothing was started: who stopped it has to start it."))
    elif stopped:
        messages.success(request, _("Stopped. What has begun ends well; nothing else does."))
    else:
        messages.success(request, _("Started. It holds from the next request on."))


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a key for good. Twice is once."""
    found = _own_key(request, pk)
    at_work(request).revoke(found)
    messages.success(request, _("%(name)s is revoked.") % {"name": found.name})
    return redirect("keys")
