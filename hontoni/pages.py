"""What every page may show, whichever app renders it."""

from django.conf import settings
from django.http import HttpRequest


def sandbox(request: HttpRequest) -> dict[str, bool]:
    """`sandbox` in every template: base.html shows the banner."""
    return {"sandbox": settings.SANDBOX}


def label(request: HttpRequest) -> list[str] | None:
    """What the admin shows beside its title."""
    return ["Sandbox", "warning"] if settings.SANDBOX else None
