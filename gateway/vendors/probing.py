"""Whether a provider is reached and takes a credential of ours: asked so that it costs nothing.

A plain host is asked for the list of its models. A cloud is asked, with an empty request, for a
model that nobody has: it looks at who asks before it looks at what.
"""

import asyncio
from urllib.parse import quote

import httpx

from gateway.vendors import verdicts
from gateway.vendors.access import Access
from gateway.vendors.manners import Hosting
from gateway.vendors.models import Credential, Provider
from gateway.vendors.routes import of
from gateway.vendors.verdicts import Verdict
from hontoni.errors import UpstreamFailed

SECONDS = 5.0
_NOBODYS = "hontoni.none"


def credential(tried: Credential) -> Verdict:
    """One of staff's. Reads its secret, and asks its provider."""
    if not tried.is_at_home:
        return Verdict(False, verdicts.ELSEWHERE, tried.entered_for)
    try:
        return access(of(tried), asking(tried.provider))
    except ValueError as error:
        return Verdict(False, verdicts.UNUSABLE, error)


def access(by: Access, path: str) -> Verdict:
    """Asks for `path`, behind the address."""
    headers = {k.decode(): v.decode() for k, v in by.headers.items()}
    posts = by.hosting in (Hosting.BEDROCK, Hosting.VERTEX)
    body = b"{}" if posts else b""
    try:
        if by.proof is not None:
            proven = asyncio.run(by.proof.headers(by.url(path), by.headers, body))
            headers |= {k.decode(): v.decode() for k, v in proven.items()}
        method = "POST" if posts else "GET"
        url = by.url(path)
        status = httpx.request(
            method, url, headers=headers, content=body, timeout=SECONDS
        ).status_code
    except UpstreamFailed:
        return Verdict(False, verdicts.NO_TOKEN)
    except httpx.HTTPError as error:
        return Verdict(False, verdicts.UNREACHED, type(error).__name__)
    if status < 300 or (posts and status in (400, 404)):
        return Verdict(True, verdicts.TAKES)
    if status == 404:
        return Verdict(True, verdicts.UNTRIED)
    return Verdict(False, verdicts.REFUSES, status)


def asking(provider: Provider) -> str:
    """The path to ask for."""
    dialect = provider.spoken[0]
    manners = provider.manners(dialect)
    if provider.hosting == Hosting.AZURE:
        return f"/openai/models?api-version={quote(provider.api_version)}"
    if provider.hosting == Hosting.AZURE_V1:
        return "/openai/v1/models"
    if provider.hosting:
        return manners.path(dialect, _NOBODYS, streams=False)
    if dialect == "gemini":
        return "/v1beta/models"
    return "/v1/models" if manners.versioned else "/models"
