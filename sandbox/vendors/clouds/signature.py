"""AWS Signature Version 4, checked as AWS checks it: from the request as it came."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from starlette.requests import Request

from sandbox.vendors.clouds.identities import Identities
from sandbox.vendors.vendors import VendorError

SERVICE = "bedrock"
KINDS = (
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
)
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_SKEW = timedelta(minutes=5)


def check(request: Request, raw: bytes, known: Identities) -> str:
    """The access key that signed it. Raises VendorError for what AWS refuses."""
    headers = request.headers
    found = _HEADER.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise _refused("Missing Authentication Token", "MissingAuthenticationTokenException")
    access_key, day, region, service, signed, given = found.groups()
    if access_key != known.access_key_id:
        message = "The security token included in the request is invalid."
        raise _refused(message, "UnrecognizedClientException")
    if region != known.region or service != SERVICE:
        message = "Credential should be scoped to a valid region."
        raise _refused(message, "InvalidSignatureException")
    stamp = headers.get("x-amz-date", "")
    _fresh(stamp, day)
    if headers.get("x-amz-security-token") == "expired":
        message = "The security token included in the request is expired"
        raise _refused(message, "ExpiredTokenException")
    if "host" not in signed.split(";"):
        raise _refused("'Host' must be a signed header.", "InvalidSignatureException")
    told = _told(request, raw, stamp, signed, f"{day}/{region}/{service}/aws4_request")
    for secret in known.secrets():
        key = f"AWS4{secret}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        if hmac.compare_digest(hmac.digest(key, told.encode(), "sha256").hex(), given):
            return access_key
    raise _refused(
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method.",
        "InvalidSignatureException",
    )


def _fresh(stamp: str, day: str) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        signed_at = datetime.fromtimestamp(0, UTC)
    if abs(datetime.now(UTC) - signed_at) > _SKEW or not stamp.startswith(day):
        raise _refused(f"Signature expired: {stamp} is too old", "InvalidSignatureException")


def _told(request: Request, raw: bytes, stamp: str, signed: str, scope: str) -> str:
    path = request.scope["raw_path"].partition(b"?")[0].decode()
    lines = [f"{name}:{request.headers.get(name, '').strip()}" for name in signed.split(";")]
    canonical = "\n".join(
        (
            request.method,
            quote(path, safe="/~-._"),  # escaped once more, as all services but S3 want it
            request.url.query,
            *lines,
            "",
            signed,
            hashlib.sha256(raw).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"


def _refused(message: str, kind: str) -> VendorError:
    return VendorError(message, status=403, code=kind)
