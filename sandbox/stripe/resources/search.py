"""Search (https://docs.stripe.com/search): `metadata["order"]:"7" AND status:"succeeded"`.

Exact matches and comparisons of numbers, all of which must hold; no OR and no substrings.
"""

import re
from functools import partial

from sandbox.stripe.errors import Object, invalid
from sandbox.stripe.simulator import Call, Route, Simulator

CLAUSE = re.compile(
    r"""(?P<not>-?)(?P<field>\w+)(?:\[["'](?P<key>[^"']+)["']\])?\s*(?P<op>:|>=|<=|>|<)\s*"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>\w+))(?:\s+AND\s+|\s*$|\s+)"""
)
KINDS = {
    "charges": "charge",
    "customers": "customer",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "prices": "price",
    "products": "product",
    "subscriptions": "subscription",
}


def search(sim: Simulator, call: Call, kind: str) -> Object:
    """The matching objects, newest first; `page` is the `next_page` of the answer before."""
    query, at = call.params.need("query"), call.params.integer("page") or 0
    limit, clauses = call.params.integer("limit") or 10, _clauses(query)
    found = [
        obj
        for obj in reversed(sim.store.all(kind))
        if not obj.get("deleted") and all(_holds(obj, clause) for clause in clauses)
    ]
    more = len(found) > at + limit
    return {
        "object": "search_result",
        "data": found[at : at + limit],
        "has_more": more,
        "next_page": str(at + limit) if more else None,
        "url": call.url,
    }


def _clauses(query: str) -> list[dict[str, str | None]]:
    clauses, position = [], 0
    while position < len(query.rstrip()):
        match = CLAUSE.match(query, position)
        if match is None:
            raise invalid(f"We were unable to parse your search query: {query}", "query")
        clauses.append(match.groupdict())
        position = match.end()
    return clauses


def _holds(obj: Object, clause: dict[str, str | None]) -> bool:
    value = obj.get(clause["field"] or "")
    if clause["key"] is not None:
        value = (value or {}).get(clause["key"])
    texts = (clause["double"], clause["single"], clause["plain"])
    wanted = next(text for text in texts if text is not None)
    if clause["op"] == ":":
        holds = value is not None and str(value).lower() == wanted.lower()
    else:
        holds = wanted.isdecimal() and _compares(value, clause["op"], int(wanted))
    return holds != bool(clause["not"])


def _compares(value: object, op: str | None, wanted: int) -> bool:
    if not isinstance(value, int):
        return False
    answers = {">": value > wanted, ">=": value >= wanted, "<": value < wanted}
    return answers.get(op or "", value <= wanted)


ROUTES = tuple(
    Route("GET", f"/v1/{path}/search", partial(search, kind=kind), "query page")
    for path, kind in KINDS.items()
)
