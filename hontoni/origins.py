"""Which address is ours: for links we give away, for the pages that may speak to us, and for what
those pages may load.

Links lead to PUBLIC_URL, never to the Host that a request names: whoever asks for somebody else's
password reset chooses that.
"""

import logging
from typing import Any
from urllib.parse import urljoin, urlsplit

from channels.security.websocket import WebsocketDenier
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.encoding import iri_to_uri
from starlette.types import ASGIApp, Receive, Scope, Send

from hontoni import drf
from hontoni.errors import BadRequest

logger = logging.getLogger(__name__)

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE = {"wss": "https", "ws": "http"}


class Public(MiddlewareMixin):
    """`build_absolute_uri`, whoever calls it (allauth's mails and callbacks, DRF's pages of a
    list, Stripe's return URLs), answers an address below PUBLIC_URL. A Host that is none of ours
    is refused before anything asks for it."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        try:
            request.get_host()
        except DisallowedHost:
            return _misaddressed(request)

        def build_absolute_uri(location: str | None = None) -> str:
            return absolute(
                request.get_full_path() if location is None else location, request.path
            )

        request.build_absolute_uri = build_absolute_uri  # type: ignore[method-assign]
        return None


def _misaddressed(request: HttpRequest) -> HttpResponse:
    """400, and one line in the log."""
    logger.warning("host.refused %r %s", request.META.get("HTTP_HOST", "")[:100], request.path)
    known = BadRequest("This host is not served here.", code="unknown_host")
    answer = HttpResponse(known.message, "text/plain", 400)
    if request.path.startswith("/api/"):
        answer = JsonResponse(known.body(drf.request_id(request)), status=400)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # or Django says it once more
    return answer


def absolute(location: str, beside: str = "/") -> str:
    """The URL of a path of ours. A whole URL is left as it is."""
    if urlsplit(location).scheme:
        return iri_to_uri(location)
    if not location.startswith("/"):
        location = urljoin(beside, location)
    return iri_to_uri(f"{settings.PUBLIC_URL}/{location.lstrip('/')}")


class ContentPolicy(CSPMiddleware):
    """The admin has a policy of its own."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if request.path.startswith(reverse("admin:index")):
            response._csp_replace = settings.ADMIN_CONTENT_SECURITY_POLICY
        return super().process_response(request, response)


class Same:
    """A websocket opens from our own pages only: scheme, host and port are all compared."""

    def __init__(self, app: Any) -> None:
        self.app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if is_ours(origin, scope["scheme"], headers.get(b"host", b"").decode("latin-1")):
            await self.app(scope, receive, send)
        else:
            denier: Any = WebsocketDenier()
            await denier(scope, receive, send)


def is_ours(origin: str, scheme: str, host: str) -> bool:
    """Whether a page from there is one of ours, as asked for by that Host."""
    found = _origin(origin)
    return found is not None and found in _ours(scheme, host)


def _ours(scheme: str, host: str) -> set[tuple[str, str, int] | None]:
    found = [settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS]
    if validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        found.append(f"{_SECURE.get(scheme, scheme)}://{host}")
    return {_origin(each) for each in found}


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None
