"""The banners of what is announced, on the pages of who is signed in."""

from typing import Any

from django import template
from django.template import RequestContext
from django.utils import timezone
from django.utils.translation import get_language

from billing.mails import announcements as announced

register = template.Library()


@register.inclusion_tag("billing/_announcements.html", takes_context=True)
def announcements(context: RequestContext) -> dict[str, Any]:
    """What this customer has not dismissed, in their language."""
    request: Any = context.get("request")
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"banners": []}
    found = announced.banners(user.pk, timezone.now())
    language = get_language() or "en"
    words = [(each.pk, *each.words(language), each.kind) for each in found]
    return {"banners": words, "path": request.get_full_path(), "request": request}
