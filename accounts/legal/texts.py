"""The legal pages: which version holds, and how it reads here.

A new installation begins with version 1, the shipped one (`seed`). Staff write the next one in the
admin, from when on it holds, and can change it until then. `{seller}`, `{email}` and `{site}` in a
text are this installation's: SELLER_NAME, SELLER_EMAIL, PUBLIC_URL.
"""

from datetime import datetime
from functools import cache
from pathlib import Path

import markdown
from django.conf import settings
from django.db.models import Max

from accounts.models import LegalText

Page = LegalText.Page
AGREED = (Page.TERMS, Page.PRIVACY)  # what opening an account agrees to
_FOLDER = Path(__file__).parent / "shipped"


def current(page: str, now: datetime) -> LegalText:
    """The version that holds. Where nothing was seeded yet, the shipped one, unsaved."""
    holding = LegalText.objects.filter(page=page, effective_at__lte=now)
    return holding.order_by("-version").first() or _shipped(page)


def version(page: str, number: int, now: datetime) -> LegalText | None:
    """One that holds or held; None if there is none such."""
    return LegalText.objects.filter(page=page, version=number, effective_at__lte=now).first()


def versions(page: str, now: datetime) -> list[LegalText]:
    """All that hold or held, the newest first; without their texts."""
    found = LegalText.objects.filter(page=page, effective_at__lte=now)
    return list(found.order_by("-version").defer("english", "vietnamese"))


def coming(page: str, now: datetime) -> LegalText | None:
    """What will hold next, if that is written already."""
    later = LegalText.objects.filter(page=page, effective_at__gt=now)
    return later.order_by("effective_at").defer("english", "vietnamese").first()


def next_version(page: str) -> int:
    last = LegalText.objects.filter(page=page).aggregate(last=Max("version"))["last"]
    return (last or 0) + 1


def seed() -> None:
    """Version 1 of every page that has none: what was agreed to stays readable when a later
    release ships other words."""
    known = set(LegalText.objects.values_list("page", flat=True))
    LegalText.objects.bulk_create(
        (_shipped(page) for page in Page.values if page not in known), ignore_conflicts=True
    )


def _shipped(page: str) -> LegalText:
    return LegalText(page=page, version=1, english=_read(page, "en"), vietnamese=_read(page, "vi"))


@cache
def _read(page: str, language: str) -> str:
    return (_FOLDER / f"{page}.{language}.md").read_text()


def render(text: LegalText, language: str) -> str:
    """The page as HTML. Tags in it are shown as text: what staff edit here is words."""
    words = text.vietnamese if language == "vi" and text.vietnamese else text.english
    for name, value in _facts().items():
        words = words.replace(f"{{{name}}}", value)
    writer = markdown.Markdown(extensions=["tables", "toc"])
    writer.preprocessors.deregister("html_block")
    writer.inlinePatterns.deregister("html")
    return str(writer.convert(words))


def _facts() -> dict[str, str]:
    site: str = settings.PUBLIC_URL
    return {"seller": settings.SELLER_NAME, "site": site, "email": settings.SELLER_EMAIL or site}
