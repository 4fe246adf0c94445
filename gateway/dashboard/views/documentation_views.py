"""The documentation's pages and their search."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from accounts.pages.visitors import at_work
from accounts.teams import memberships
from gateway.catalogue import snapshot
from gateway.catalogue.features import offers
from gateway.dashboard import docs
from gateway.dashboard import v1_schema as schema
from gateway.usage.explanations import EXPLANATIONS
from hontoni.pages import base_url
from hontoni.translated_errors import MESSAGES

_ABOUT = (
    "An LLM gateway: Claude, GPT and Gemini behind one base URL, in the APIs of OpenAI (Chat "
    "Completions, Responses), Anthropic (Messages) and Google (Gemini), prepaid, with a signed "
    "receipt a request."
)


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
    chosen = _chosen(request, keys)
    shown = f"{chosen.prefix}…{chosen.last4}" if chosen else docs.KEY
    language = get_language() or docs.ENGLISH
    found = docs.render(slug, base_url(request), shown, language)
    sources = docs.sources(language)
    slugs = list(sources)
    here = slugs.index(slug)
    context = {
        "page": found,
        "html": mark_safe(_with_tables(found.html)),  # ours, from docs/
        "slug": slug,
        "sources": sources,
        "keys": keys,
        "chosen": chosen,
        "next": sources.get(slugs[here + 1]) if here + 1 < len(slugs) else None,
    }
    return render(request, "gateway/docs/page.html", context)


def _with_tables(text: str, ending: str = "html") -> str:
    """The page, or its Markdown (`md`), with names and features as they are served this minute."""
    if docs.NAMES in text:
        known = snapshot.load()
        rows = [(known.models[name], others) for name, others in known.other_names().items()]
        table = render_to_string(f"gateway/docs/_names.{ending}", {"rows": rows})
        return text.replace(docs.NAMES, table)
    if docs.FEATURES in text:
        offered = {"rows": offers.table(snapshot.load())}
        table = render_to_string(f"gateway/docs/_features.{ending}", offered)
        return text.replace(docs.FEATURES, table)
    return text


def _keys(request: HttpRequest) -> list[ApiKey]:
    if not request.user.is_authenticated:
        return []
    work = at_work(request)
    mine = memberships.keys_of(work.account, work.membership, work.role)
    active = ApiKey.objects.active(timezone.now())
    return list(active.filter(pk__in=mine.values("pk")).order_by("-pk"))


def _chosen(request: HttpRequest, keys: list[ApiKey]) -> ApiKey | None:
    """The key that examples are for: the newest, or the one that was chosen, or none."""
    wanted = request.GET.get("key")
    if wanted is None:
        return keys[0] if keys else None
    return next((key for key in keys if str(key.pk) == wanted), None)


def example_key(request: HttpRequest) -> str:
    """How the reader's newest key begins and ends, for examples; else how every key begins."""
    chosen = _chosen(request, _keys(request))
    return f"{chosen.prefix}…{chosen.last4}" if chosen else "sk-gw-…"


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Sections with all the words."""
    query = request.GET.get("q", "")[:100]
    language = get_language() or docs.ENGLISH
    found = [(section, docs.excerpt(section, query)) for section in docs.search(query, language)]
    context = {"query": query, "found": found, "sources": docs.sources(language)}
    return render(request, "gateway/docs/search.html", context)


@require_safe
def markdown(request: HttpRequest, slug: str) -> HttpResponse:
    """A page as it is written, for programs that read."""
    language = get_language() or docs.ENGLISH
    if slug not in docs.sources():
        raise Http404
    text = _with_tables(docs.written(slug, base_url(request), language), "md")
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """What there is to read, for language models (llmstxt.org)."""
    site = base_url(request)
    pages = [
        f"- [{source.title}]({site}{reverse('docs-markdown', args=[slug])})"
        for slug, source in docs.sources().items()
    ]
    lines = [
        *("# Hontoni", "", f"> {_ABOUT}", "", f"The base URL is {site}/v1.", "", "## Docs", ""),
        *(*pages, "", "## API", ""),
        f"- [OpenAPI of /v1]({site}{reverse('v1-schema')}): the models",
        f"- [OpenAPI of /api]({site}{reverse('schema')}): accounts, keys, usage, billing",
        f"- [Models and prices]({site}{reverse('api-models')}): JSON, as charged this minute",
        *("", "## Optional", ""),
        f"- [Pricing]({site}{reverse('pricing')})",
        f"- [Proof]({site}{reverse('proof')}): the books, and the roots of the ledger",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


@require_safe
def v1_schema(request: HttpRequest) -> JsonResponse:
    """The OpenAPI document of /v1."""
    response = JsonResponse(schema.document(base_url(request)))
    response["Access-Control-Allow-Origin"] = "*"
    response["Content-Disposition"] = 'attachment; filename="hontoni-v1.json"'
    return response


@require_safe
def error(request: HttpRequest, code: str) -> HttpResponse:
    """What an error means and what to do about it: every error's `doc_url` leads here."""
    language = get_language() or docs.ENGLISH
    context = {
        "code": code,
        "html": mark_safe(docs.about_code(code, base_url(request), language)),  # ours, from docs/
        "explanation": EXPLANATIONS.get(code) or MESSAGES.get(code),
    }
    return render(request, "gateway/docs/error.html", context)
