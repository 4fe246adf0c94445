"""To whom a weakness of this deployment is told: /.well-known/security.txt (RFC 9116)."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from hontoni import origins

_GOOD = timedelta(days=90)  # RFC 9116, 2.5.5: less than a year; whoever reads it later asks again


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Contact, Expires, Preferred-Languages and Canonical, each below PUBLIC_URL whoever asks."""
    report = origins.absolute(reverse("leaked-key"))
    contacts = [_uri(each) for each in settings.SECURITY_CONTACT] or [report]
    lines = [
        *(f"Contact: {contact}" for contact in contacts),
        f"Expires: {timezone.now() + _GOOD:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(code for code, _ in settings.LANGUAGES)}",
        f"Canonical: {origins.absolute(reverse('security-txt'))}",
    ]
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _uri(contact: str) -> str:
    """RFC 9116 wants a URI, and a bare address is what people write."""
    return contact if ":" in contact else f"mailto:{contact}"
