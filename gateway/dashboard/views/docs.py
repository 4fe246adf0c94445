"""The documentation's pages and their search."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from gateway.catalogue import snapshot
from gateway.catalogue.features import offers
from gateway.dashboard import docs
from hontoni.pages import base_url


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The first page."""
    return redirect("docs-page", next(iter(docs.sources())))


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page, with this deployment's address and, of who is signed in, a key's prefix."""
    if slug not in docs.sources():
        raise Http404
    keys = _keys(request)
    chosen = next((key for key in keys if str(key.pk) == request.GET.get("key")), None)
    shown = f"{chosen.prefix}…{chosen.last4}" if chosen else docs.KEY
    language = get_language() or docs.ENGLISH
    found = docs.render(slug, base_url(request), shown, language)
    sources = docs.sources(language)
    slugs = list(sources)
    here = slugs.index(slug)
    context = {
        "page": found,
        "html": mark_safe(_with_names(found.html)),  # ours, from docs/
        "slug": slug,
        "sources": sources,
        "keys": keys,
        "chosen": chosen,
        "next": sources.get(slugs[here + 1]) if here + 1 < len(slugs) else None,
    }
    return render(request, "gateway/docs/page.html", context)


def _with_names(html: str) -> str:
    """The page, with the names and the features as they are served this minute."""
    if docs.NAMES in html:
        known = snapshot.load()
        rows = [(known.models[name], others) for name, others in known.other_names().items()]
        table = render_to_string("gateway/docs/_names.html", {"rows": rows})
        return html.replace(docs.NAMES, table)
    if docs.FEATURES in html:
        offered = {"rows": offers.table(snapshot.load())}
        return html.replace(
            docs.FEATURES, render_to_string("gateway/docs/_features.html", offered)
        )
    return html


def _keys(request: HttpRequest) -> list[ApiKey]:
    if not request.user.is_authenticated:
        return []
    return list(ApiKey.objects.filter(user_id=request.user.pk, revoked_at=None).order_by("-pk"))


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Sections with all the words."""
    query = request.GET.get("q", "")[:100]
    language = get_language() or docs.ENGLISH
    found = [(section, docs.excerpt(section, query)) for section in docs.search(query, language)]
    context = {"query": query, "found": found, "sources": docs.sources(language)}
    return render(request, "gateway/docs/search.html", context)
