"""What a request would cost by the prices of now, without a key and without asking anybody.

`/v1/estimate` says more of the key it is asked with: what is clamped, and whether it would be
admitted. This is for who has an account, and perhaps no key at hand.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.sold import Model
from gateway.catalogue.variants import Variant
from gateway.dialects.ir import Usage
from gateway.metering import documents, estimates
from hontoni.errors import BadRequest
from hontoni.money import dollars, per_million

_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def of_tokens(account: int, name: str, usage: Usage) -> dict[str, Any]:
    """The cost of so many tokens. Dollars are decimal strings. Raises NotFound for a model that is
    not sold, BadRequest for a prompt that is longer than its context."""
    model, variant = _sold(account, name)
    prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    if prompt > (most := model.window(variant.long_context)):
        raise BadRequest(f"A prompt of {model.id} has at most {most:,} tokens.")
    rates = model.price.rates_for(usage)
    used = [
        (bucket, getattr(usage, bucket), rate) for bucket, rate in zip(BUCKETS, rates, strict=True)
    ]
    return {
        **_about(model, name),
        "cost": dollars(model.price.cost(usage)),
        "lines": [
            {
                "bucket": bucket,
                "tokens": tokens,
                "price_per_million_tokens": dollars(rate),
                "cost": dollars(per_million(tokens * rate)),
            }
            for bucket, tokens, rate in used
            if tokens
        ],
    }


def of_request(account: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Between what and what a request with this body (of any dialect) would cost, from the bytes
    of its prompt and the most it may answer. Raises as `of_tokens`, and BadRequest for what bytes
    do not tell: pictures, documents and sound."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise BadRequest("The request names no model.", param="model")
    model, _ = _sold(account, name)
    raw = orjson.dumps(body)
    spelled = documents.spelled(raw)
    if not documents.attaches_nothing(raw, spelled):
        raise BadRequest(
            "Pictures, documents and sound are estimated by POST /v1/estimate, with an API key."
        )
    given = (body.get(limit) for limit in _LIMITS)
    limit = next((n for n in given if type(n) is int and n > 0), model.max_output)
    bounds = estimates.estimate(model, raw, min(limit, model.max_output), spelled=spelled)
    least = model.price.cost(Usage(input=bounds.likely))
    return {
        **_about(model, name),
        "input_tokens": bounds.likely,
        "max_input_tokens": bounds.most,
        "max_output_tokens": bounds.output,
        "least_cost": dollars(least),
        "most_cost": dollars(estimates.hold(model, bounds).full),
    }


def _sold(account: int, name: str) -> tuple[Model, Variant]:
    """The model that would answer, at the account's own price if it has one."""
    model, variant = snapshot.load().resolve(name)
    if not model.chats:
        raise BadRequest(f"{model.id} is not paid by the token of a prompt.", param="model")
    return model.owned(account), variant


def _about(model: Model, name: str) -> dict[str, Any]:
    return {
        "model": model.id,
        "requested_model": name,
        "currency": "USD",
        "prices": "own" if model.price.own else "list",
    }
