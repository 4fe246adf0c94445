"""Two search engines, played: SearXNG (`/search`) and Brave (`/res/v1/web/search`).

They check what the real ones check: the token, the number of results and the length of the query
at Brave, the format at SearXNG. Both find the same pages for a query, and overlook what is said of
sites now and then, as engines do: one of their pages is always elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

_SITE = re.compile(r"(?<![\w-])site:([\w.-]+)")
_STOPS = re.compile(r"-?site:[\w./-]+|[()]|\bOR\b")
_SITES = ("example.com", "docs.example.org", "news.example.net")
_MOST_QUERY, _MOST_WORDS, _MOST_COUNT = 400, 50, 20
_COUNTRY = re.compile(r"ALL|[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Search:
    """What was asked of which of them, and the status of the answer."""

    engine: str
    query: str
    token: str
    status: int


def _pages(query: str, count: int) -> list[dict[str, str]]:
    words = " ".join(_STOPS.sub(" ", query).split())
    slug = "-".join(re.findall(r"\w+", words.lower())) or "page"
    sites = [*_SITE.findall(query), *_SITES] if "site:" in query else list(_SITES)
    if "nothing" in words:
        return []
    return [
        {
            "url": f"https://{site}/{slug}/{at}",
            "title": f"{words.capitalize()} on {site}",
            "text": f"What {site} has to say about {words}, number {at}.",
        }
        for at, site in enumerate(sites[:count], 1)
    ]


async def searxng(sandbox: Any, request: Request) -> Response:
    """As an instance with the format json switched on, and its limiter off."""
    query, form = request.query_params.get("q", ""), request.query_params.get("format", "html")
    token = request.headers.get("authorization", "")
    status = 200 if query else 400
    fault = sandbox.fault("/search")
    if fault is not None and fault.status:
        status = fault.status
    sandbox.searches.append(Search("searxng", query, token, status))
    if status != 200:
        return JSONResponse({"error": "No query" if status == 400 else "too busy"}, status)
    if form != "json":
        return HTMLResponse("<html><title>SearXNG</title></html>", 200)
    results = [
        {
            "url": page["url"],
            "title": page["title"],
            "content": page["text"],
            "publishedDate": "2026-11-01T00:00:00",
            "engine": "duckduckgo",
            "category": "general",
        }
        for page in _pages(query, 10)
    ]
    beside: dict[str, Any] = {"answers": [], "suggestions": [], "unresponsive_engines": []}
    return JSONResponse({"query": query, "number_of_results": 0, "results": results} | beside)


async def brave(sandbox: Any, request: Request) -> Response:
    """As api.search.brave.com."""
    params, token = request.query_params, request.headers.get("x-subscription-token", "")
    query = params.get("q", "")
    problem = _refusal(sandbox, params, token)
    fault = sandbox.fault("/web/search")
    if fault is not None and fault.status:
        problem = (fault.status, "RATE_LIMITED", "Request rate limit exceeded for plan")
    sandbox.searches.append(Search("brave", query, token, problem[0] if problem else 200))
    if problem:
        error = {"id": "e1", "status": problem[0], "code": problem[1], "detail": problem[2]}
        return JSONResponse({"type": "ErrorResponse", "error": error}, problem[0])
    results = [
        {
            "type": "search_result",
            "url": page["url"],
            "title": page["title"],
            "description": page["text"].replace("about", "about <strong>all</strong> &amp;"),
            "age": "November 1, 2026",
            "page_age": "2026-11-01T00:00:00",
        }
        for page in _pages(query, int(params.get("count", _MOST_COUNT)))
    ]
    whole = {"type": "search", "query": {"original": query}}
    return JSONResponse(
        whole | ({"web": {"type": "search", "results": results}} if results else {})
    )


def _refusal(sandbox: Any, params: Any, token: str) -> tuple[int, str, str] | None:
    if not token:
        return 422, "VALIDATION", "Unable to validate request parameter(s): x-subscription-token"
    if sandbox.keys is not None and token not in sandbox.keys:
        detail = "The provided subscription token is invalid."
        return 422, "SUBSCRIPTION_TOKEN_INVALID", detail
    query, count, country = params.get("q", ""), params.get("count", "20"), params.get("country")
    sound = 0 < len(query) <= _MOST_QUERY and len(query.split()) <= _MOST_WORDS
    sound = sound and count.isdecimal() and 0 < int(count) <= _MOST_COUNT
    if not sound or (country is not None and not _COUNTRY.fullmatch(country)):
        return 422, "VALIDATION", "Unable to validate request parameter(s)"
    return None
