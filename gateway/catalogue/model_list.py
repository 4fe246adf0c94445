"""GET /v1/models, in the shape and with the pages that the asking SDK family knows.

Anthropic's SDKs send `anthropic-version` and page by `limit`, `after_id` and `before_id`; OpenAI's
read the list once. `has_more` is always a boolean: with null one SDK pages for ever.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.catalogue.features import offers
from gateway.catalogue.sold import Model
from hontoni import digits
from hontoni.errors import BadRequest

_PAGE, _MOST = 20, 1000


def shape(model: Model, *, anthropic: bool) -> dict[str, Any]:
    """One model, as that family has it; what the other one would look for is left out."""
    about = {
        "id": model.id,
        "display_name": model.name,
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output,
        "available_from": _moment(model.life.available_from),
        "ends_at": _moment(model.life.ends_at),
        "successor": model.life.successor or None,
    }
    if anthropic:
        return about | {"type": "model", "created_at": _isoformat(model.released_at)}
    return about | {
        "object": "model",
        "created": model.released_at,
        "owned_by": model.vendor,
        "capabilities": list(model.capabilities),
        "features": offers.shapes(model.rules()),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _isoformat(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat().replace("+00:00", "Z")


def page(models: Iterable[Model], query: Mapping[str, str], *, anthropic: bool) -> dict[str, Any]:
    """The list, or that page of it. Raises BadRequest."""
    data = [shape(model, anthropic=anthropic) for model in models]
    if not anthropic:
        return {"object": "list", "data": data, "has_more": False}
    limit = _limit(query.get("limit"))
    if before := query.get("before_id"):
        data = data[: _place(data, before, "before_id")]
        kept = data[-limit:]
    else:
        if after := query.get("after_id"):
            data = data[_place(data, after, "after_id") + 1 :]
        kept = data[:limit]
    ends = {"first_id": kept[0]["id"], "last_id": kept[-1]["id"]} if kept else {}
    nothing = {"first_id": None, "last_id": None}
    return {"data": kept, "has_more": len(kept) < len(data), **nothing, **ends}


def _limit(raw: str | None) -> int:
    if raw is None:
        return _PAGE
    number = digits.whole(raw)
    if number is None or not 1 <= number <= _MOST:
        raise BadRequest(f"limit is a number from 1 to {_MOST}.", param="limit")
    return number


def _place(data: list[dict[str, Any]], name: str, param: str) -> int:
    found = next((at for at, model in enumerate(data) if model["id"] == name), None)
    if found is None:
        raise BadRequest(f"{param}: there is no such model.", param=param)
    return found
