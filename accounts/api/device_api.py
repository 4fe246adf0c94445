"""/oauth: a program signs in by a code (RFC 8628), and gives its token back (RFC 7009). Errors are
OAuth's; where all of it is stands in its metadata (RFC 8414)."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.keys import personal_tokens, scopes
from accounts.models import User
from accounts.sign_in import callers, device_codes, tokens
from accounts.sign_in.device_codes import Given, Refused
from accounts.teams import acting
from hontoni import errors
from ratelimits.throttle import AddressThrottle, count

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_View = Callable[[HttpRequest], JsonResponse]


class CodesByAddress(AddressThrottle):
    """Codes for nobody would only fill Redis."""

    scope, limit, seconds = "device-asked", 30, 600


class PolledByAddress(AddressThrottle):
    """An office behind one address must fit in."""

    scope, limit, seconds = "device-polled", 600, 300


def _oauth(view: _View) -> _View:
    """A door for programs: no cookie, no form of ours, and errors as OAuth has them."""

    @wraps(view)
    def answered(request: HttpRequest) -> JsonResponse:
        try:
            return view(request)
        except Refused as refused:
            shown = {"error": refused.code, "error_description": refused.words}
            return JsonResponse(shown, status=400)
        except errors.ApiError as error:
            code = "slow_down" if error.status == 429 else "temporarily_unavailable"
            shown = {"error": code, "error_description": error.message}
            return JsonResponse(shown, status=error.status, headers=error.headers)

    return csrf_exempt(never_cache(require_POST(answered)))


@_oauth
def authorize(request: HttpRequest) -> JsonResponse:
    """Codes for a program, and where its person types theirs."""
    count(request, CodesByAddress)
    _known(request)
    wanted = request.POST.get("scope", "").split()
    name = request.POST.get("device_name", "")
    codes = device_codes.ask(name, wanted, callers.address(request))
    return JsonResponse(
        {
            "device_code": codes.device,
            "user_code": codes.user,
            "verification_uri": f"{settings.PUBLIC_URL}/device",
            "expires_in": device_codes.LIFETIME_SECONDS,
            "interval": device_codes.INTERVAL_SECONDS,
        }
    )


@_oauth
def token(request: HttpRequest) -> JsonResponse:
    """The token, once it is allowed."""
    count(request, PolledByAddress)
    _known(request)
    if request.POST.get("grant_type") != GRANT:
        raise Refused("unsupported_grant_type", f"There is one: {GRANT}.")
    code = request.POST.get("device_code", "")
    name = device_codes.named(code)
    given = device_codes.redeem(code)
    account, person, granted = _still(given)
    raw = device_codes.token(granted, account, person, name, callers.address(request))
    return JsonResponse(
        {
            "access_token": raw,
            "token_type": "Bearer",
            "expires_in": math.floor(personal_tokens.BY_DEFAULT.total_seconds()),
            "scope": " ".join(granted.scopes),
        }
    )


def _known(request: HttpRequest) -> None:
    if request.POST.get("client_id") != device_codes.CLIENT:
        raise Refused("invalid_client", f"The client_id is {device_codes.CLIENT}.")


def _still(given: Given) -> tuple[User, User, Given]:
    """The account and the person, if they still belong together, with what the role may by now.
    Raises Refused."""
    person = User.objects.filter(pk=given.person).first()
    if person is not None and not tokens.alive(person, given.credentials):
        person = None  # their session has ended since
    work = person and acting.choose(person, given.account)
    may = tuple(each for each in given.scopes if work and work.may(each))
    if not (person and work and may):
        raise Refused("access_denied", "Who allowed it may not do so any more.")
    return work.account, person, replace(given, scopes=may)


@_oauth
def revoke(request: HttpRequest) -> JsonResponse:
    """End a token that is shown. Of what is none nothing is said (RFC 7009 section 2.2)."""
    count(request, PolledByAddress)
    found = personal_tokens.find(request.POST.get("token", ""))
    if found is not None and found.status(timezone.now()) == "active":
        personal_tokens.revoke(found)
    return JsonResponse({})


@require_safe
def metadata(request: HttpRequest) -> JsonResponse:
    """What RFC 8414 says of who gives tokens."""
    at = f"{settings.PUBLIC_URL}/oauth"
    answer = JsonResponse(
        {
            "issuer": settings.PUBLIC_URL,
            "device_authorization_endpoint": f"{at}/device",
            "token_endpoint": f"{at}/token",
            "revocation_endpoint": f"{at}/revoke",
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "grant_types_supported": [GRANT],
            "response_types_supported": [],
            "scopes_supported": list(scopes.OF_TOKENS),
            "service_documentation": f"{settings.PUBLIC_URL}/docs/agents",
        }
    )
    answer["Access-Control-Allow-Origin"] = "*"
    return answer
