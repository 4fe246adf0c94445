"""What is elsewhere: our own front door, mail, Stripe, vendors."""

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend

from billing.stripe import stripe_api
from gateway.plane.upstream import configured
from gateway.vendors import probing
from gateway.vendors.models import Credential
from gateway.vendors.verdicts import Verdict
from operations.doctor.findings import Finding, failing, ok, warning

SECONDS = 5.0
CERTIFICATE_WARNING, CERTIFICATE_FAILING = 21, 3  # days left


def tls() -> Iterator[Finding]:
    """That customers reach us by HTTPS, and for how long the certificate is good."""
    url = urlsplit(settings.PUBLIC_URL)
    if url.scheme != "https":
        local = _is_local(url.hostname or "")
        text = f"PUBLIC_URL is {settings.PUBLIC_URL}: keys and sessions travel in clear"
        yield warning(text) if local else failing(text)
        return
    days = (_expiry(url.hostname or "", url.port or 443) - datetime.now(UTC)).days
    text = f"the certificate of {url.hostname} is good for {days} days"
    if days < CERTIFICATE_FAILING:
        yield failing(text)
    else:
        yield warning(text) if days < CERTIFICATE_WARNING else ok(text)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _expiry(host: str, port: int) -> datetime:
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate = secure.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def front_door() -> Iterator[Finding]:
    """That PUBLIC_URL leads to a gateway of ours which can serve."""
    answer = httpx.get(f"{settings.PUBLIC_URL}/readyz", timeout=SECONDS)
    if answer.status_code == 200:
        yield ok("PUBLIC_URL leads to a gateway that can serve")
    else:
        yield failing(f"{settings.PUBLIC_URL}/readyz answers {answer.status_code}: {answer.text}")


def webhooks() -> Iterator[Finding]:
    """That Stripe's events would reach us: one without a signature is refused by us, with 400."""
    if not stripe_api.configured():
        yield warning("no Stripe key is set: nobody can pay by card")
        return
    url = f"{settings.PUBLIC_URL}/webhooks/stripe"
    answer = httpx.post(url, content=b"{}", timeout=SECONDS)
    if answer.status_code == 400:
        yield ok(f"{url} is reached, and refuses what Stripe did not sign")
    else:
        yield failing(f"{url} answers {answer.status_code} to what Stripe did not sign, not 400")


def mail() -> Iterator[Finding]:
    """That the mail server takes us."""
    backend = get_connection()
    if not isinstance(backend, EmailBackend):
        yield warning("mails are not sent but printed: set EMAIL_URL")
        return
    backend.timeout = SECONDS
    backend.open()
    backend.close()
    yield ok(f"{backend.host}:{backend.port} takes us")


def vendors() -> Iterator[Finding]:
    """That each answers, and takes our key."""
    if settings.SANDBOX:
        yield warning("the sandbox plays every vendor: set a vendor's key, or SANDBOX=false")
        return
    found = Credential.objects.filter(active=True, provider__active=True)
    accesses = configured()
    if not (accesses or found.exists()):
        yield failing("no vendor's key is set, here or in the admin")
    for vendor, access in accesses.items():
        path = "/v1beta/models" if vendor == "google" else "/v1/models"
        yield _said(vendor, probing.access(access, path))
    for credential in found.select_related("provider"):
        if credential.refused_at is not None:
            yield failing(f"{credential} is refused by its vendor: {credential.refusal}")
        else:
            yield _said(str(credential), probing.credential(credential))


def _said(who: str, verdict: Verdict) -> Finding:
    text = f"{who} {verdict.text}"
    return ok(text) if verdict.good else failing(text)
