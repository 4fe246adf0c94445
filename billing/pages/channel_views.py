"""The pages of notifications: one's own channels, the account's webhooks, and what was sent."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.keys import scopes
from accounts.pages.visitors import at_work
from billing.channels import deliveries, events, keeping, telegram
from billing.channels.keeping import SendsByAccount
from billing.channels.models import Channel, Delivery
from billing.pages.channel_forms import ChannelForm
from hontoni import errors, outbound
from hontoni.translated_errors import translated
from ratelimits import throttle

Kind = Channel.Kind
_PAGE = 50


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def channels(request: HttpRequest) -> HttpResponse:
    """All one may see, and a form for each kind of another. A webhook's secret is in the answer,
    this once."""
    work = at_work(request)
    kinds: list[str] = list(keeping.offered())
    if work.may(scopes.WEBHOOKS):
        kinds.insert(0, Kind.WEBHOOK)
    wanted = request.POST.get("kind", "")
    forms = [ChannelForm(request.POST if kind == wanted else None, kind=kind) for kind in kinds]
    form = next((each for each in forms if each.is_bound), None)
    if form is not None and form.is_valid():
        data = form.cleaned_data
        try:
            made, secret = keeping.add(
                *(work, wanted, data["name"]), url=data.get("url", ""), chosen=data["events"]
            )
        except errors.ApiError as error:
            _wrong(form, error)
        else:
            return _secret(request, made, secret) if secret else redirect("channel", pk=made.pk)
    rows = [(each, _state(each)) for each in keeping.of(work)]
    return render(request, "billing/channels.html", {"rows": rows, "forms": forms})


def _wrong(form: ChannelForm, error: errors.ApiError) -> None:
    form.add_error(error.param if error.param in form.fields else None, translated(error))


def _secret(request: HttpRequest, channel: Channel, secret: str) -> HttpResponse:
    answer = render(request, "billing/channel_secret.html", {"channel": channel, "secret": secret})
    answer.done = True  # type: ignore[attr-defined]  # for the team's audit
    return answer


def _state(channel: Channel) -> tuple[str, str]:
    """How it stands: the kind of badge, and the word."""
    if channel.disabled_at:
        return "bad", _("switched off: it failed")
    if channel.kind == Kind.TELEGRAM and not channel.chat:
        return "", _("not linked yet")
    if not channel.active:
        return "", _("off")
    return ("bad", _("failing")) if channel.failing_since else ("good", _("on"))


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Change it, and see what was sent."""
    found = _mine(request, pk)
    form = ChannelForm(request.POST or None, kind=found.kind, channel=found)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            keeping.change(
                found,
                name=data["name"],
                url=data.get("url"),
                chosen=data["events"],
                active=data.get("active"),
            )
            messages.success(request, _("Saved."))
            return redirect("channel", pk=pk)
        except errors.ApiError as error:
            _wrong(form, error)
    shown = {"channel": found, "form": form, "state": _state(found), **_linking(found)}
    return render(request, "billing/channel.html", shown | _log(found))


def _log(found: Channel) -> dict[str, Any]:
    """The newest of what was sent, each with its last try."""
    rows = found.deliveries.select_related("notice").order_by("-pk")[:_PAGE]
    return {
        "deliveries": [
            (each, events.type_of(each.notice), each.tries[-1] if each.tries else None)
            for each in rows
        ],
        "kept": deliveries.KEPT.days,
    }


def _linking(found: Channel) -> dict[str, Any]:
    """How a chat of Telegram is linked."""
    if found.kind != Kind.TELEGRAM or found.chat or not telegram.offered():
        return {}
    try:
        bot = telegram.bot()
    except (telegram.Refused, outbound.Failed):
        return {"bot_away": True}
    return {"bot": bot, "code": keeping.linking(found, timezone.now())}


def _mine(request: HttpRequest, pk: int) -> Channel:
    return get_object_or_404(keeping.of(at_work(request)), pk=pk)


@login_required
@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send something that is no event."""
    found = _mine(request, pk)
    throttle.count(request, SendsByAccount)
    if found.kind == Kind.TELEGRAM and not found.chat:
        messages.error(request, _("Link a chat first."))
    else:
        made = deliveries.test(found, timezone.now())
        if made.status == Delivery.Status.TAKEN:
            messages.success(request, _("It was taken."))
        else:
            last = made.tries[-1]
            why = {"status": last["status"] or "", "problem": _(last["problem"])}
            messages.error(request, _("It was not taken: %(status)s %(problem)s") % why)
    return redirect("channel", pk=pk)


@login_required
@never_cache
@require_POST
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    """A new secret for a webhook, shown once; both sign for a day."""
    found = get_object_or_404(keeping.of(at_work(request)), pk=pk, kind=Kind.WEBHOOK)
    return _secret(request, found, keeping.rotate(found, timezone.now()))


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    found = _mine(request, pk)
    keeping.remove(found)
    messages.success(request, _("%(name)s is removed.") % {"name": found.name})
    return redirect("channels")


@login_required
@require_POST
def replay(request: HttpRequest, pk: int, delivery: int) -> HttpResponse:
    """Send it once more, with the same id."""
    found = _mine(request, pk)
    throttle.count(request, SendsByAccount)
    row = get_object_or_404(Delivery, pk=delivery, channel=found)
    if deliveries.replay(row, timezone.now()):
        messages.success(request, _("It is sent again within seconds."))
    else:
        messages.info(request, _("It is on its way already."))
    return redirect("channel", pk=pk)
