"""A team's own sign-in: its owner sets it up, and its members come in by it."""

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import DirectoryGroup, Membership, Role, SignOn, TeamDomain, User
from accounts.pages.team_forms import ROLE_WORDS
from accounts.pages.visitors import at_work, reauthenticated
from accounts.sign_in import callers
from accounts.sign_on import directory, domains, entering, provider, setting_up
from accounts.teams import acting
from hontoni import digits, errors, origins
from hontoni.translated_errors import translated

_ATTEMPT = "sign_on"
_JOINS = [(r.value, ROLE_WORDS[r]) for r in (Role.DEVELOPER, Role.BILLING, Role.VIEWER)]
_GROUP_ROLES = [("", gettext_lazy("No role")), (Role.ADMIN.value, ROLE_WORDS[Role.ADMIN]), *_JOINS]


class SignOnForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("Empty: as it is."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    joins_as = forms.ChoiceField(label=gettext_lazy("New people join as"), choices=_JOINS)

    class Meta:
        model = SignOn
        fields = ("issuer", "client_id", "secret", "joins_as", "enforced")
        labels = {
            "issuer": gettext_lazy("Issuer"),
            "client_id": gettext_lazy("Client ID"),
            "enforced": gettext_lazy("People of our domains sign in there, and in no other way"),
        }
        help_texts = {
            "issuer": gettext_lazy(
                "The https address under which /.well-known/openid-configuration is."
            )
        }


def _mine(request: HttpRequest) -> Membership:
    found = at_work(request).membership
    if found is None:
        raise Http404
    return found


# -- By the owner --------------------------------------------------------------------------------


@login_required
@reauthenticated
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Provider, domains, directory and groups."""
    mine = _mine(request)
    sign_on = setting_up.of_team(mine)
    form = SignOnForm(request.POST or None, instance=sign_on)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            setting_up.change(mine, **chosen, ip=callers.address(request))
            messages.success(request, _("Saved."))
            return redirect("team-sign-on")
        except errors.BadRequest as error:
            form.add_error(error.param or "issuer", translated(error))
    return _page(request, mine, setting_up.of_team(mine), form=form)


def _page(request: HttpRequest, mine: Membership, sign_on: SignOn, **more: object) -> HttpResponse:
    context = {
        "sign_on": sign_on,
        "form": SignOnForm(instance=sign_on),
        "callback": origins.absolute(reverse("sign-on-callback")),
        "entrance": origins.absolute(reverse("sign-on", args=(sign_on.slug,))),
        "scim": f"{settings.PUBLIC_URL}/scim/v2",
        "domains": TeamDomain.objects.filter(account=mine.account_id).order_by("name"),
        "record": domains.RECORD,
        "mailboxes": domains.MAILBOXES,
        "groups": directory.groups(sign_on),
        "group_roles": _GROUP_ROLES,
        **more,
    }
    return render(request, "accounts/team_sign_on.html", context)


@login_required
@reauthenticated
@require_POST
def domain(request: HttpRequest) -> HttpResponse:
    """Claim a domain, prove it, or give it up."""
    mine, ip, deed = _mine(request), callers.address(request), request.POST.get("deed", "add")
    try:
        if deed == "add":
            domains.add(mine, request.POST.get("name", ""), ip=ip)
        else:
            pk = request.POST.get("domain", "")
            found = get_object_or_404(
                TeamDomain, pk=digits.whole(pk) or 0, account=mine.account_id
            )
            _do(request, mine, found, deed, ip)
    except errors.ApiError as error:
        messages.error(request, translated(error))
    return redirect("team-sign-on")


def _do(
    request: HttpRequest, mine: Membership, found: TeamDomain, deed: str, ip: str | None
) -> None:
    if deed == "record":
        domains.prove_by_record(mine, found, ip=ip)
        messages.success(request, _("Proven: the domain is the team's."))
    elif deed == "mail":
        domains.send_proof(mine, found, request.POST.get("mailbox", ""))
        messages.success(request, _("Sent: whoever reads that mailbox opens the link in it."))
    elif deed == "remove":
        domains.remove(mine, found, ip=ip)
    else:
        raise Http404


@login_required
@reauthenticated
@never_cache
@require_POST
def scim_token(request: HttpRequest) -> HttpResponse:
    """The directory's token, shown once; or its end."""
    mine, ip = _mine(request), callers.address(request)
    sign_on = setting_up.of_team(mine)
    if request.POST.get("deed") == "end":
        directory.end_token(sign_on, mine, ip=ip)
        return redirect("team-sign-on")
    return _page(request, mine, sign_on, raw=directory.make_token(sign_on, mine, ip=ip))


@login_required
@reauthenticated
@require_POST
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """What a group of the directory makes of its members."""
    mine = _mine(request)
    found = get_object_or_404(DirectoryGroup, pk=pk, account=mine.account_id)
    role = request.POST.get("role", "")
    if role not in dict(_GROUP_ROLES):
        raise Http404
    directory.give_role(found, role, mine, ip=callers.address(request))
    messages.success(request, _("Saved."))
    return redirect("team-sign-on")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def prove(request: HttpRequest, pk: int, secret: str) -> HttpResponse:
    """The link in a domain's mailbox: a button, for mail scanners open links, too."""
    found = TeamDomain.objects.select_related("account").filter(pk=pk, secret=secret).first()
    if found is None:
        raise Http404
    if request.method == "POST":
        try:
            domains.prove_by_mail(pk, secret)
        except errors.ApiError as error:
            messages.error(request, translated(error))
        else:
            return render(request, "accounts/domain_proof.html", {"domain": found, "done": True})
    return render(request, "accounts/domain_proof.html", {"domain": found})


# -- By the members ------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """Which team's provider it is, by an address. Whether that has an account is not told."""
    email = request.POST.get("email", "")
    if request.method == "POST":
        owned = TeamDomain.objects.filter(name=domains.of(email.strip()), proven_at__isnull=False)
        found = SignOn.objects.filter(account__in=owned.values("account")).exclude(issuer="")
        if (one := found.first()) is not None:
            return redirect("sign-on", slug=one.slug)
        messages.error(request, _("No team signs in with its own provider at this domain."))
    return render(request, "accounts/sign_on_find.html", {"email": email})


@never_cache
@require_safe
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """Off to the team's provider."""
    sign_on = SignOn.objects.exclude(issuer="").filter(slug=slug, account__is_active=True).first()
    if sign_on is None:
        raise Http404
    try:
        attempt, url = provider.begin(sign_on, origins.absolute(reverse("sign-on-callback")))
    except errors.ApiError as error:
        return _failed(request, error)
    request.session[_ATTEMPT] = {
        "team": sign_on.pk,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "verifier": attempt.verifier,
    }
    return redirect(url)


@never_cache
@require_safe
def callback(request: HttpRequest) -> HttpResponse:
    """Back from there: whoever the provider means is signed in, once a second factor of their own
    is asked for, if they have one."""
    begun, query = request.session.pop(_ATTEMPT, None), request.GET
    try:
        if begun is None or query.get("state", "") != begun["state"] or not query.get("code"):
            raise errors.BadRequest("This sign-in has ended: begin again.", code="provider_failed")
        sign_on = SignOn.objects.exclude(issuer="").get(pk=begun["team"])
        attempt = provider.Attempt(begun["state"], begun["nonce"], begun["verifier"])
        back = origins.absolute(reverse("sign-on-callback"))
        claims = provider.finish(sign_on, attempt, query["code"], back)
        place = entering.enter(sign_on, claims, ip=callers.address(request))
    except SignOn.DoesNotExist:
        raise Http404 from None
    except errors.ApiError as error:
        return _failed(request, error)
    return _sign_in(request, place)


def _sign_in(request: HttpRequest, place: Membership) -> HttpResponse:
    person = User.objects.get(pk=place.person_id)
    request.signed_on = place.account_id  # type: ignore[attr-defined]  # for the gate
    User.objects.filter(pk=person.pk).update(acts_for=place.account_id)
    record_authentication(request, person, method="sign_on", team=place.account_id)
    login = Login(user=person, redirect_url=reverse("overview"), email_verification="none")
    answer: HttpResponse = perform_login(request, login)
    request.session[acting.SESSION] = place.account_id
    return answer


def _failed(request: HttpRequest, error: errors.ApiError) -> HttpResponse:
    words = translated(error)
    return render(request, "accounts/sign_on_failed.html", {"words": words}, status=error.status)


def elsewhere(request: HttpRequest, user: User) -> HttpResponse | None:
    """Whoever has to sign in with their team's provider is sent there."""
    if getattr(request, "signed_on", None) is not None:
        return None
    found = entering.required_of(user)
    if found is None:
        return None
    messages.info(request, _("Your team signs in with its own provider."))
    return redirect("sign-on", slug=found.slug)
