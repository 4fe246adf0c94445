"""From stored objects to what goes over the wire: `expand[]`, lists, absolute URLs.

* Expansion: https://docs.stripe.com/api/expanding_objects (at most four levels deep).
* Pagination: https://docs.stripe.com/api/pagination (newest first, limit 1 to 100, default 10).
"""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.stripe.errors import Object, invalid, malformed, no_such
from sandbox.stripe.forms import Params
from sandbox.stripe.store import Store

HERE = "sim:/"  # the simulator's own address, which only the request or the runner knows
LIST = ("limit", "starting_after", "ending_before", "expand", "created")
# (object, field) -> function: fields Stripe leaves out unless asked for. None leaves them out.
INCLUDABLE: dict[tuple[str, str], Callable[[Store, Object], Any]] = {}


def blank(names: str) -> Object:
    """Fields that Stripe always sends and that are empty here."""
    return dict.fromkeys(names.split())


def render(value: Any, base_url: str) -> Any:
    """A deep copy without the simulator's own keys, its addresses made absolute."""
    if isinstance(value, dict):
        return {k: render(v, base_url) for k, v in value.items() if not k.startswith("_")}
    if isinstance(value, list):
        return [render(item, base_url) for item in value]
    if isinstance(value, str) and value.startswith(HERE):
        return base_url.rstrip("/") + "/" + value[len(HERE) :]
    return value


def listing(data: list[Object], url: str, has_more: bool = False) -> Object:
    """A list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def expand(store: Store, obj: Object, paths: Iterable[str]) -> Object:
    """Put the objects named by `paths` in the place of their ids. Changes `obj`."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > (5 if parts[0] == "data" else 4):
            raise malformed("You cannot expand more than 4 levels of a property", "expand")
        _expand(store, obj, parts, path)
    return obj


def _expand(store: Store, holder: Any, parts: list[str], path: str) -> None:
    if isinstance(holder, list):
        for item in holder:
            _expand(store, item, parts, path)
    elif isinstance(holder, dict) and parts:
        name, *rest = parts
        _fill(store, holder, name, path)
        _expand(store, holder.get(name), rest, path)


def _fill(store: Store, holder: Object, name: str, path: str) -> None:
    include = INCLUDABLE.get((holder.get("object", ""), name))
    if include is not None and name not in holder:
        if (value := include(store, holder)) is None:
            return
        holder[name] = value
    elif name not in holder:
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    found = store.find(holder[name])
    if found is not None and name not in ("id", "url"):
        holder[name] = render(found, HERE)


def paginate(params: Params, objects: list[Object], url: str) -> Object:
    """One page of `objects` (given oldest first), newest first."""
    limit = params.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= 100:
        raise malformed("Invalid limit: must be between 1 and 100", "limit")
    found = [obj for obj in reversed(objects) if _created_in_range(params, obj)]
    if after := params.text("starting_after"):
        rest = found[_position(found, after, "starting_after") + 1 :]
        return listing(rest[:limit], url, has_more=len(rest) > limit)
    if before := params.text("ending_before"):
        rest = found[: _position(found, before, "ending_before")]
        return listing(rest[-limit:], url, has_more=len(rest) > limit)
    return listing(found[:limit], url, has_more=len(found) > limit)


def _position(found: list[Object], id: str, param: str) -> int:
    for index, obj in enumerate(found):
        if obj["id"] == id:
            return index
    raise no_such("object", id, param)


def _created_in_range(params: Params, obj: Object) -> bool:
    created = obj.get("created", 0)
    if not isinstance(params.data.get("created"), dict):
        exact = params.integer("created")
        return exact is None or bool(created == exact)
    span = params.hash("created")
    bounds = {name: span.integer(name) for name in ("gt", "gte", "lt", "lte")}
    gt, gte, lt, lte = bounds.values()
    return (
        (gt is None or created > gt)
        and (gte is None or created >= gte)
        and (lt is None or created < lt)
        and (lte is None or created <= lte)
    )
