"""How /api answers: our envelope for every error, keyset pages for every list.

* Every answer under /api carries its request id, as `X-Request-Id` and as `request-id`.
* Every error under /api has the envelope of `hontoni.errors`, whoever noticed it: a view, DRF,
  the URL resolver or nobody (a bug).
"""

import difflib
import uuid
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults
from drf_spectacular.utils import OpenApiResponse
from rest_framework import exceptions, pagination, parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from hontoni import errors, logs, strict_json

if TYPE_CHECKING:
    from rest_framework.views import APIView

_REQUEST_ID = "hontoni.request_id"


class RequestIds(MiddlewareMixin):
    """Names every request to /api, and its answer after it; the log names them all. What is asked
    in a query of /api and nobody there reads is refused: ignored, it would look granted."""

    def process_request(self, request: HttpRequest) -> None:
        about = _Web(request)
        logs.about.set(lambda: about)

    def process_view(
        self, request: HttpRequest, view: Any, args: object, kwargs: object
    ) -> HttpResponse | None:
        door = getattr(view, "cls", None)
        ours = door is not None and not door.__module__.startswith("drf_spectacular")
        if not ours or not request.GET or not request.path.startswith("/api/"):
            return None
        error = _unasked(request, door)
        if error is None:
            return None
        return JsonResponse(error.body(request_id(request)), status=error.status)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path.startswith("/api/"):
            response["X-Request-Id"] = response["request-id"] = request_id(request)
        return response


class _Web:
    """A request of the control plane, as the log names it: it has no key."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @property
    def request_id(self) -> str:
        return request_id(self.request)

    @property
    def owner(self) -> tuple[int, int] | None:
        # Only if somebody has looked already: the log asks no database.
        user = getattr(self.request, "_cached_user", None)
        return (user.pk, 0) if user is not None and user.pk else None


def request_id(request: HttpRequest) -> str:
    """`req_` and 32 hexadecimal digits, the same for as long as the request lasts."""
    found: str = request.META.setdefault(_REQUEST_ID, f"req_{uuid.uuid4().hex}")
    return found


def _unasked(request: HttpRequest, door: Any) -> errors.ApiError | None:
    """What is wrong with the names in a query: known are those of the view's `filters`, and of a
    page where it gives pages."""
    query: Strict = getattr(door, "filters", Query)(data=request.GET)
    beside = query.BESIDE if getattr(door, "pagination_class", None) else {"format"}
    unknown = [str(name) for name in request.GET if name not in {*query.fields, *beside}]
    if not unknown:
        return None
    return _translate(serializers.ValidationError({n: [query.unknown(n)] for n in unknown}))


# -- Errors --------------------------------------------------------------------------------------


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. A bug stays one: Django logs it and `server_error` answers."""
    known = _translate(error)
    if known is None:
        return None
    headers = dict(known.headers)
    if known.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="api"')
    return Response(known.body(request_id(context["request"])), known.status, headers=headers)


def _translate(error: Exception) -> errors.ApiError | None:
    """Django's and DRF's exceptions as ours."""
    match error:
        case errors.ApiError():
            return error
        case exceptions.ValidationError():
            return _invalid(error.get_full_details())
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.Unauthenticated(str(error.detail), code=str(error.get_codes()))
        case exceptions.PermissionDenied():
            return errors.Forbidden(str(error.detail))
        case PermissionDenied():
            return errors.Forbidden("You may not do this.")
        case exceptions.NotFound() | Http404():
            return errors.NotFound("There is no such object.")
        case exceptions.Throttled():
            wait = str(getattr(error, "wait", None) or 1)
            return errors.RateLimited(
                f"Too many attempts. Try again in {wait} seconds.", headers={"Retry-After": wait}
            )
        case exceptions.APIException():
            translated = errors.BadRequest(str(error.detail), code=str(error.get_codes()))
            translated.status = error.status_code
            return translated
    return None


def _invalid(details: Any) -> errors.BadRequest:
    """One sentence for people, the first field as `param`, and every field under `details`."""
    path, message = _first(details)
    fields = details if isinstance(details, Mapping) else {"non_field_errors": details}
    return errors.BadRequest(
        f"{path}: {message}" if path else message,
        param=path or None,
        details={"fields": fields},
    )


def _first(details: Any) -> tuple[str, str]:
    """Dotted path and message of the first error in DRF's tree of them."""
    if isinstance(details, list):
        return _first(next(item for item in details if item))
    if isinstance(details.get("message"), str):
        return "", str(details["message"])
    name, inner = next((name, inner) for name, inner in details.items() if inner)
    path, message = _first(inner)
    own = "" if name == "non_field_errors" else str(name)
    return ".".join(part for part in (own, path) if part), message


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a malformed Host header, a body over the limit and the like."""
    known: errors.ApiError = errors.BadRequest("This request is malformed.")
    if isinstance(exception, RequestDataTooBig):
        known = errors.TooLarge("The body is too large.")
    return _plain(request, known) or defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: no such route."""
    known = errors.NotFound(f"There is no {request.path}.", code="unknown_route")
    return _plain(request, known) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a bug, logged before we are called."""
    known = errors.ApiError("Something is broken on our side. It is logged under this id.")
    return _plain(request, known) or defaults.server_error(request)


def _plain(request: HttpRequest, known: errors.ApiError) -> JsonResponse | None:
    if not request.path.startswith("/api/"):
        return None
    return JsonResponse(known.body(request_id(request)), status=known.status)


# -- Bodies --------------------------------------------------------------------------------------


class JSONParser(parsers.JSONParser):
    """JSON in UTF-8, of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes, however it is sent."""

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise errors.TooLarge(f"The body is larger than {limit} bytes.")
        try:
            return strict_json.parse(body)
        except strict_json.Twice as error:
            raise errors.BadRequest(str(error), param=error.name) from None
        except strict_json.Unreadable as error:
            raise exceptions.ParseError(f"The body is not valid JSON: {error}") from None


class Strict(serializers.Serializer[Any]):
    """Base of everything that is asked of /api: a member that does not exist is a 400, by name.

    Ignoring it would grant what was meant to be forbidden: a misspelt cap, and there is none.
    What is only read may be sent back as it came. Nested bodies are Strict by themselves.
    """

    # What else may stand beside the fields: a filter of a list is in its query with the cursor.
    BESIDE: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in {*self.fields, *self.BESIDE}]
            if unknown:
                raise serializers.ValidationError({n: [self.unknown(n)] for n in unknown})
        return super().to_internal_value(data)

    def unknown(self, name: str) -> exceptions.ErrorDetail:
        """Says so, and which member was meant, if one looks like it."""
        names = [known for known, field in self.fields.items() if not field.read_only]
        near = difflib.get_close_matches(name, names, n=1)
        said = (
            f"There is no such member: did you mean {near[0]}?"
            if near
            else f"There is no such member. There are: {', '.join(names) or 'none'}."
        )
        return exceptions.ErrorDetail(said, code="unknown_member")


def takes_nothing(request: Request) -> None:
    """For doors without a body: ValidationError for a member of one. Ignoring it would do
    something else than was asked: `{"at": "now"}` on what cancels with the period."""
    Strict(data=request.data or {}).is_valid(raise_exception=True)


class Query(Strict):
    """Base of what a list is filtered by: in its query, beside its page."""

    BESIDE = frozenset({"cursor", "limit", "format"})


# -- Lists ---------------------------------------------------------------------------------------


class KeysetPagination(pagination.CursorPagination):
    """`{next, previous, results}`, newest first, by the primary key: inserts shift no page.

    A filter that does not exist is a 400: `filters` of the view says which there are.
    """

    ordering = "-pk"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"

    def paginate_queryset(
        self, queryset: Any, request: Request, view: "APIView | None" = None
    ) -> list[Any] | None:
        query = getattr(view, "filters", Query)(data=request.query_params)
        query.is_valid(raise_exception=True)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, ValueError, ValidationError):
            # A position that is no primary key is noticed only where the query is made.
            raise errors.BadRequest("cursor: not one of ours.", param="cursor") from None


# -- The OpenAPI document ------------------------------------------------------------------------

_WORDS: dict[int, tuple[str, str]] = {
    error.status: (error.type, meaning)
    for error, meaning in (
        (errors.BadRequest, "Malformed or invalid; `param` names the field."),
        (errors.Unauthenticated, "No access token, or not a valid one."),
        (errors.PaymentRequired, "The balance does not suffice."),
        (errors.Forbidden, "Not allowed."),
        (errors.NotFound, "There is no such object, or it is not yours."),
        (errors.Conflict, "It is there already, or no longer in the state for this."),
        (errors.RateLimited, "Too many attempts; `Retry-After` says how many seconds to wait."),
        (errors.Unavailable, "Something we need is down; try again."),
    )
}


class ProblemError(serializers.Serializer[Any]):
    type = serializers.CharField()
    message = serializers.CharField(help_text="For people.")
    code = serializers.CharField(help_text="For programs.")
    param = serializers.CharField(allow_null=True, help_text="The field at fault, if one is.")
    doc_url = serializers.URLField(required=False, help_text="The page of this code.")
    details = serializers.JSONField(required=False)


class Problem(serializers.Serializer[Any]):
    """The envelope of every error."""

    type = serializers.ChoiceField(["error"])
    error = ProblemError()
    request_id = serializers.CharField()


def problems(*statuses: int) -> dict[int, OpenApiResponse]:
    """The errors of an endpoint, for the `responses` of `extend_schema`."""
    return {
        status: OpenApiResponse(Problem, f"`{_WORDS[status][0]}`: {_WORDS[status][1]}")
        for status in statuses
    }
