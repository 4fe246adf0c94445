"""The tools. Each asks one of our own doors; what it may do is what its caller's token may there.

What a tool is called, its docstring and the names of its parameters are what an agent reads.
"""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from gateway.catalogue.models import BUCKETS
from gateway.mcp.door import Caller
from gateway.mcp.inner import Answer

Json = dict[str, Any]
CALLER: ContextVar[Caller] = ContextVar("CALLER")
_REQUEST = re.compile(r"req_[0-9a-f]{32}")
_ASKS_MODELS = ["inference"]
_LATE = (0.6, 1.2)  # seconds until the books have what has just happened
Dollars = Annotated[str, Field(pattern=r"^\d{1,7}(\.\d{1,2})?$", description="Dollars: 5.00")]


def _doors() -> Any:
    return CALLER.get().doors


def _content(answer: Answer) -> Json:
    """Raises ToolError, in the words of the door."""
    if not answer.good:
        raise ToolError(answer.words)
    found = answer.content
    return found if isinstance(found, dict) else {"results": found}


async def balance() -> Json:
    """What there is to spend, in dollars, and what running requests hold. Scope: billing:read."""
    return _content(await _doors().get("/api/billing/balance"))


async def limits() -> Json:
    """The limits that requests meet. With an API key: its windows, caps and when they reset, its
    models and scopes. With a personal access token (billing:read): the account's plan."""
    by_key = CALLER.get().by_key
    return _content(await _doors().get("/v1/key" if by_key else "/api/subscription"))


async def usage(
    group_by: Literal["day", "model", "key", "member"] = "day",
    first_day: Annotated[str | None, Field(description="UTC, such as 2026-11-01")] = None,
    last_day: Annotated[str | None, Field(description="UTC; today")] = None,
) -> Json:
    """What the account used and paid, added up by day, model, key or member; without days, the
    last 30. Scope: usage:read."""
    query = {"group_by": group_by, "from": first_day, "to": last_day}
    return _content(await _doors().get("/api/usage/summary", query))


async def recent_requests(
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    model: Annotated[str | None, Field(description="Only of this model")] = None,
) -> Json:
    """The latest requests with their ids, tokens and cost, newest first. Scope: usage:read."""
    return _content(await _doors().get("/api/usage", {"limit": limit, "model": model}))


async def recent_refusals(limit: Annotated[int, Field(ge=1, le=100)] = 20) -> Json:
    """What was refused lately, why, which limit bound and when it frees. Scope: usage:read."""
    return _content(await _doors().get("/api/usage/refusals", {"limit": limit}))


async def explain_request(
    request_id: Annotated[str, Field(description="req_…, from x-request-id or an error's body")],
) -> Json:
    """Why a request was charged what it was (its receipt, line by line), or why it was refused:
    the limit that bound, when it frees, and what to do. Scope: usage:read."""
    if not _REQUEST.fullmatch(request_id):
        raise ToolError("A request's id is req_ and 32 hexadecimal digits.")
    for late in (*_LATE, 0.0):
        receipt = await _doors().get(f"/api/usage/{request_id}")
        if receipt.status != 404:
            return {"outcome": "charged", "receipt": _content(receipt)}
        refusal = await _doors().get(f"/api/usage/refusals/{request_id}")
        if refusal.status != 404:
            return {"outcome": "refused", **_content(refusal)}
        await asyncio.sleep(late)
    raise ToolError("This account has no such request. Refusals are kept for 30 days.")


async def estimate_cost(
    model: Annotated[str | None, Field(description="With the tokens below")] = None,
    input_tokens: Annotated[int, Field(ge=0)] = 0,
    output_tokens: Annotated[int, Field(ge=0)] = 0,
    cache_read_tokens: Annotated[int, Field(ge=0)] = 0,
    reasoning_tokens: Annotated[int, Field(ge=0)] = 0,
    request: Annotated[
        Json | None, Field(description="Or the body as it would be sent, in any dialect")
    ] = None,
) -> Json:
    """What a request would cost at the account's prices, without sending it: of a model and
    tokens, or of a whole request. With an API key that may ask models, a request is looked at as
    it would be when sent: what is clamped, what is held, and whether it would be admitted now."""
    if request is not None and model is None and CALLER.get().by_key:
        estimate = await _doors().post("/v1/estimate", request)
        if estimate.status != 403:  # a key that may not ask models
            return _content(estimate)
    tokens = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": cache_read_tokens,
        "reasoning_tokens": reasoning_tokens,
    }
    named = {"model": model, "request": request}
    body = {name: value for name, value in named.items() if value is not None}
    return _content(await _doors().post("/api/cost", {**body, **tokens}))


async def models(
    search: Annotated[str, Field(max_length=100, description="Part of a name or vendor")] = "",
) -> Json:
    """The models on sale: what each can, its context, and its list price in dollars per million
    tokens. A price of the account's own is in estimate_cost. Needs no scope."""
    found = _content(await _doors().get("/api/models"))["data"]
    wanted = search.strip().lower()
    rows = [row for row in found if wanted in f"{row['id']} {row['name']} {row['vendor']}".lower()]
    return {"currency": "USD", "models": [_brief(row) for row in rows]}


def _brief(row: Json) -> Json:
    shown = ("id", "name", "vendor", "context_window", "max_output", "capabilities", "aliases")
    more = {name: row[name] for name in ("ends_at", "successor") if row.get(name)}
    prices = row["prices_per_million_tokens"]
    priced = {bucket: prices[bucket] for bucket in BUCKETS}
    return {**{name: row[name] for name in shown}, "prices_per_million_tokens": priced, **more}


async def list_keys() -> Json:
    """The account's API keys, without what makes them keys. Scope: keys:manage."""
    return _content(await _doors().get("/api/keys", {"limit": 100}))


async def make_key(
    name: Annotated[str, Field(min_length=1, max_length=100)],
    scopes: Annotated[
        list[str], Field(description="Of inference, usage:read, keys:manage, billing:read")
    ] = _ASKS_MODELS,
    expires_at: Annotated[
        str | None, Field(description="ISO 8601, such as 2027-01-01T00:00Z")
    ] = None,
    daily_spend_cap: Dollars | None = None,
    monthly_spend_cap: Dollars | None = None,
    lifetime_spend_cap: Dollars | None = None,
    allowed_models: Annotated[list[str] | None, Field(description="None: all")] = None,
) -> Json:
    """Make an API key, without a word one that only asks models. The answer shows it in clear,
    this once. It gets no scope that the caller lacks, but for inference. Scope: keys:manage."""
    given = {
        "name": name,
        "scopes": scopes,
        "expires_at": expires_at,
        "daily_spend_cap": daily_spend_cap,
        "monthly_spend_cap": monthly_spend_cap,
        "lifetime_spend_cap": lifetime_spend_cap,
        "allowed_models": allowed_models,
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _content(await _doors().post("/api/keys", body))


async def revoke_key(key_id: Annotated[int, Field(ge=1, lt=2**63)]) -> Json:
    """End an API key at once, for good. Scope: keys:manage."""
    _content(await _doors().ask("DELETE", f"/api/keys/{key_id}"))
    return {"revoked": key_id}


async def plans() -> Json:
    """The plans and add-ons on sale, with what each allows and costs a month. Needs no scope."""
    return _content(await _doors().get("/api/subscription/plans"))


async def preview_plan(plan: Annotated[str, Field(description="Its id, from plans")]) -> Json:
    """What going to a plan would cost now, and when it would hold. Buys nothing. Scope:
    billing:read."""
    return _content(await _doors().get("/api/subscription/preview", {"plan": plan}))


async def buy_plan(
    plan: Annotated[str, Field(description="Its id, from plans")],
    at_most: Annotated[Dollars, Field(description="What the account's owner agreed to pay now")],
) -> Json:
    """Buy a plan from the balance, or go up to a dearer one, now. Ask the account's owner first.
    Scopes: billing:read and billing:write, which only a personal access token has."""
    quote = await preview_plan(plan)
    if quote["action"] not in _BUYS:
        raise ToolError("This begins when the period ends. Its owner can do it under Billing.")
    if Decimal(quote["due_now"]) > Decimal(at_most):
        raise ToolError(f"It costs ${quote['due_now']} now, and ${at_most} was agreed to.")
    once = {"Idempotency-Key": uuid.uuid4().hex}
    return _content(await _doors().post(_BUYS[quote["action"]], {"plan": plan}, once))


_BUYS = {"subscribe": "/api/subscription", "upgrade": "/api/subscription/upgrade"}
READ: tuple[Callable[..., Awaitable[Json]], ...] = (
    *(balance, limits, usage, recent_requests, recent_refusals, explain_request),
    *(estimate_cost, models, list_keys, plans, preview_plan),
)
CHANGE: tuple[Callable[..., Awaitable[Json]], ...] = (make_key, revoke_key, buy_plan)
