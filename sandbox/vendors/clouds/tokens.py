"""Who issues tokens: Google for a signed assertion, Entra for an application's secret."""

import base64
import binascii
import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.vendors.clouds.identities import Identities

GOOGLE = "/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def routes(known: Identities) -> Iterator[Route]:
    yield Route(GOOGLE, partial(_google, known), methods=["POST"])
    yield Route("/{tenant}/oauth2/v2.0/token", partial(_entra, known), methods=["POST"])


async def _google(known: Identities, request: Request) -> JSONResponse:
    form = await _form(request)
    claims = _claims(form.get("assertion", ""), known)
    now = time.time()
    sound = (
        form.get("grant_type") == _GRANT
        and claims.get("aud", "").endswith(GOOGLE)
        and _GOOGLE_SCOPE in str(claims.get("scope"))
        and claims.get("iat", now) - 60 < now < claims.get("exp", 0)
    )
    if not sound:
        told = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        return JSONResponse(told, 400)
    return JSONResponse(_issued(known))


def _claims(assertion: str, known: Identities) -> dict[str, Any]:
    """What it says, if an account that is known signed it (RS256)."""
    try:
        head, body, signature = (_bytes(part) for part in assertion.split("."))
        claims = orjson.loads(body)
        header, modulus = orjson.loads(head), known.accounts[claims["iss"]]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return {}
    signed = assertion.rpartition(".")[0].encode()
    if header.get("alg") != "RS256" or not _verifies(signed, signature, *modulus):
        return {}
    return dict(claims)


def _verifies(signed: bytes, signature: bytes, modulus: int, exponent: int) -> bool:
    """RSASSA-PKCS1-v1_5."""
    size = (modulus.bit_length() + 7) // 8
    found = pow(int.from_bytes(signature), exponent, modulus).to_bytes(size)
    tail = _SHA256 + hashlib.sha256(signed).digest()
    return found == b"\x00\x01" + b"\xff" * (size - len(tail) - 3) + b"\x00" + tail


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


async def _entra(known: Identities, request: Request) -> JSONResponse:
    form = await _form(request)
    if form.get("grant_type") != "client_credentials" or form.get("scope") != _AZURE_SCOPE:
        return JSONResponse({"error": "invalid_scope"}, 400)
    if not (form.get("client_id") and known.knows_key(form.get("client_secret", ""))):
        told = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."}
        return JSONResponse(told, 401)
    return JSONResponse(_issued(known))


async def _form(request: Request) -> dict[str, str]:
    given = parse_qs((await request.body()).decode())
    return {name: values[-1] for name, values in given.items()}


def _issued(known: Identities) -> dict[str, Any]:
    token = known.issue()
    return {"access_token": token, "expires_in": int(known.token_seconds), "token_type": "Bearer"}
