"""Days asked for, in pages: what both vendors' report addresses have in common."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request

from sandbox.vendors.vendors import VendorError

Result = dict[str, Any]


def moment(text: str | None, name: str) -> datetime:
    """Unix seconds or RFC 3339. Raises VendorError."""
    try:
        if text and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text or "")
    except (ValueError, OverflowError):
        raise VendorError(f"{name}: a moment is required", param=name) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def asked_days(begins: datetime, ends: datetime | None) -> list[date]:
    """Days that begin within; until now if no end is given. Raises VendorError."""
    ends = ends or datetime.now(UTC)
    if ends <= begins:
        raise VendorError("The end must be after the begin.")
    first, last = begins.date(), (ends - timedelta(microseconds=1)).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def groups(request: Request, name: str, allowed: Sequence[str]) -> list[str]:
    """What is asked to group by. Raises VendorError for anything else."""
    found = request.query_params.getlist(name) + request.query_params.getlist(f"{name}[]")
    for group in found:
        if group not in allowed:
            choices = ", ".join(allowed)
            raise VendorError(f"{name}: {group!r} is not one of {choices}", param=name)
    return found


def limit(request: Request, most: int) -> int:
    """How many days a page has. Raises VendorError beyond what is documented."""
    text = request.query_params.get("limit", "7")
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise VendorError(f"limit: must be from 1 to {most} for bucket_width=1d", param="limit")
    return int(text)


def page(
    request: Request, days: Sequence[date], most: int, bucket: Callable[[date], Result]
) -> dict[str, Any]:
    """One page of these days, and where it goes on. Raises VendorError."""
    size, after = limit(request, most), request.query_params.get("page")
    begins = 0
    if after:
        if not after.removeprefix("page_").isdigit():
            raise VendorError("page: not one of ours", param="page")
        begins = int(after.removeprefix("page_"))
    shown = days[begins : begins + size]
    more = begins + size < len(days)
    return {
        "data": [bucket(day) for day in shown],
        "has_more": more,
        "next_page": f"page_{begins + size}" if more else None,
    }
