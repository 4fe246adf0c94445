"""What every page shows, whichever app renders it, and what visitors choose for all of them.

Language, colours and time zone are cookies: they hold before signing in and on every page, and
a form sets them without any JavaScript. The browser tells its time zone by static/js/base.js.
"""

import zoneinfo
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hontoni.errors import RateLimited, Unavailable
from hontoni.translated_errors import translated

YEAR_SECONDS = 365 * 24 * 3600
ZONE_COOKIE = "time_zone"
THEME_COOKIE = "theme"
THEMES = ("auto", "light", "dark")
CURRENCY_COOKIE = "currency"
CURRENCIES = ("usd", "both")  # dollars; or what they are in dong, too


def everywhere(request: HttpRequest) -> dict[str, Any]:
    """In every template: the sandbox's banner, the colours, and this deployment's own address."""
    theme = request.COOKIES.get(THEME_COOKIE)
    return {
        "sandbox": settings.SANDBOX,
        "theme": theme if theme in THEMES else "auto",
        "base_url": base_url(request),
        "zone": zone(),
        "dong_offered": bool(settings.VIETQR_ACCOUNT or settings.PAYOS_CLIENT_ID),
        "currency": currency(request),
    }


def currency(request: HttpRequest) -> str:
    """In what the reader wants to see prices."""
    chosen = request.COOKIES.get(CURRENCY_COOKIE)
    return chosen if chosen in CURRENCIES else "usd"


def zone() -> str:
    """The visitor's time zone, in which every page tells times: "Asia/Tokyo (UTC+09:00)"."""
    name = timezone.get_current_timezone_name()
    offset = f"{timezone.localtime():%z}"
    return name if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:]})"


def times(request: HttpRequest) -> str:
    """What the admin says of its times, under its title."""
    return _("Times are those of %(zone)s") % {"zone": zone()}


def at(moment: datetime) -> str:
    """A moment in a sentence to whoever reads it: "2026-11-30 15:00 +07"."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"


def base_url(request: HttpRequest) -> str:
    """Where this deployment is: `https://host`, without a slash. On a laptop, as the visitor
    reached it."""
    if settings.SECURE:
        return settings.PUBLIC_URL
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:  # it is an error page that asks
        return settings.PUBLIC_URL


def label(request: HttpRequest) -> list[str] | None:
    """What the admin shows beside its title."""
    return ["Sandbox", "warning"] if settings.SANDBOX else None


def icon(request: HttpRequest) -> str:
    """The admin's, which is the site's."""
    return static("favicon.svg")


def admin_style(request: HttpRequest) -> str:
    """What the admin's own styles lack."""
    return static("css/admin.css")


@cache
def zones() -> list[str]:
    """The names of the world's time zones."""
    return sorted(zoneinfo.available_timezones())


class TimeZone(MiddlewareMixin):
    """Dates are shown in the visitor's own time zone. In the admin that is what a member of staff
    chose, else UTC: every page names it."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(reverse("admin:index")):
            name = getattr(request.user, "time_zone", "")
        else:
            name = request.COOKIES.get(ZONE_COOKIE, "")
        try:
            timezone.activate(zoneinfo.ZoneInfo(name))
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            timezone.deactivate()


NOT_NOW = (Unavailable, RateLimited)


class Refusals(MiddlewareMixin):
    """What a page cannot do right now it says as a page, as /api says it as JSON."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return refused(request, exception) if isinstance(exception, NOT_NOW) else None


def refused(request: HttpRequest, exception: Unavailable | RateLimited) -> HttpResponse:
    """The page that says so, with when to try again."""
    context = {"words": translated(exception), "status": exception.status}
    response = render(request, "503.html", context, status=exception.status)
    for name, value in exception.headers.items():
        response[name] = value
    return response


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Set the language (of a customer's mails, too), the colours or the time zone, and go back to
    where the form was."""
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = "/"
    response = HttpResponseRedirect(target)
    choices = {
        settings.LANGUAGE_COOKIE_NAME: ("language", dict(settings.LANGUAGES)),
        THEME_COOKIE: ("theme", THEMES),
        CURRENCY_COOKIE: ("currency", CURRENCIES),
        ZONE_COOKIE: ("time_zone", zones()),
    }
    for cookie, (field, allowed) in choices.items():
        value = request.POST.get(field, "")
        if value in allowed:
            response.set_cookie(cookie, value, YEAR_SECONDS, samesite="Lax")
    language = request.POST.get("language")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        request.user.language = language
        request.user.save(update_fields=["language"])
    if "time_zone" in request.POST:
        messages.success(request, _("Dates are now shown in your time zone."))
    return response
