"""Batches of the small world, as real SDKs send them."""

import json
from typing import Any

from accounts.models import User
from gateway.batches.models import Batch
from hontoni import redis
from ratelimits import keys, limiter
from tests.gateway_server import Gateway
from tests.waiting import until
from tests.world import Person

ENDED = ("completed", "failed", "expired", "cancelled")


def line(
    custom_id: str, text: str = "Hello", url: str = "/v1/chat/completions", **body: Any
) -> str:
    """A line of a file: a short chat request unless told otherwise."""
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 100,
    }
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": asked | body})


def upload(gateway: Gateway, person: Person, *lines: str) -> str:
    content = "\n".join(lines).encode()
    client = gateway.openai(person)
    return str(client.files.create(file=("lines.jsonl", content), purpose="batch").id)


def create(
    gateway: Gateway, person: Person, *lines: str, endpoint: str = "/v1/chat/completions"
) -> Any:
    return gateway.openai(person).batches.create(
        input_file_id=upload(gateway, person, *lines),
        endpoint=endpoint,
        completion_window="24h",
    )


def ended(gateway: Gateway, person: Person, batch_id: str) -> Any:
    """The batch, once it has ended."""
    over(batch_id)
    return gateway.openai(person).batches.retrieve(batch_id)


def over(batch_id: str) -> None:
    """Wait until it has ended, and nothing is set aside for it."""
    until(lambda: row(batch_id).status in ENDED)
    user = row(batch_id).user_id
    until(lambda: not redis.sync().exists(keys.request(user, batch_id)))


def results(gateway: Gateway, person: Person, file_id: str | None) -> dict[str, Any]:
    """The lines of a file of results, by their custom ids."""
    if file_id is None:
        return {}
    text = gateway.openai(person).files.content(file_id).text
    return {each["custom_id"]: each for each in map(json.loads, text.splitlines())}


def held(user: User) -> int:
    """Nano-dollars that the account cannot spend on anything else, as Valkey has it."""
    found = limiter.read_account_sync(user.pk)
    return 0 if found is None else found.held


def row(batch_id: str) -> Batch:
    return Batch.objects.get(pk=batch_id)


def wipe() -> None:
    """Valkey has lost everything."""
    redis.sync().flushall()
