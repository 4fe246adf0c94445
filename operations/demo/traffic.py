"""What customers ask for: requests of a day, as gateways report them, written into the books by
settlement itself."""

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from gateway.catalogue.models import BUCKETS, Price
from gateway.usage import settlement
from gateway.usage.models import Refusal
from gateway.usage.request_ids import first_id
from hontoni.money import per_million
from operations.demo.people import Customer

# How busy each hour of the day (UTC) is, and each day of the week.
_HOURS = (2, 2, 3, 4, 5, 6, 8, 10, 11, 11, 10, 10, 11, 12, 13, 12, 10, 8, 6, 5, 4, 3, 3, 2)
_WEEKDAYS = (10, 11, 11, 11, 9, 4, 4)
_FAILURES = ((502, "upstream_error"), (529, "overloaded"), (504, "upstream_timeout"))
FAILED = 0.025
REFUSED = (
    ("rpm_limit_exceeded", 429, "Rate limit reached: requests a minute."),
    ("insufficient_balance", 402, "The balance does not cover this request."),
    ("model_not_found", 404, "There is no such model."),
)
_DIALECT = {"claude": "anthropic_messages", "gemini": "gemini"}


def spread(total: int, begin: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """How many requests each day has: growing by half over the time, fewer at weekends."""
    days = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
    days = [day for day in days if day < end]
    weights = [
        _WEEKDAYS[day.weekday()] * (1 + n / (2 * len(days))) * _part(day, end)
        for n, day in enumerate(days)
    ]
    counts = [int(total * weight / sum(weights)) for weight in weights]
    counts[0] += total - sum(counts)
    return list(zip(days, counts, strict=True))


def _part(day: datetime, end: datetime) -> float:
    return min((end - day) / timedelta(days=1), 1.0)


class Traffic:
    """Makes requests at the prices that are in force."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        prices = Price.objects.filter(effective_at__lte=timezone.now()).order_by("effective_at")
        self.prices = {price.model_id: price for price in prices}

    def of_day(
        self, people: Sequence[Customer], day: datetime, end: datetime, count: int
    ) -> list[dict[str, Any]]:
        """So many requests of those who are there, by when they were sent."""
        there = [each for each in people if each.keys and each.since < day < each.until]
        if not there or not count:
            return []
        who = self.chance.choices(there, [each.weight for each in there], k=count)
        open_hours = min(int((end - day) / timedelta(hours=1)), 24) or 1
        hours = self.chance.choices(range(open_hours), _HOURS[:open_hours], k=count)
        begin, last = day.timestamp(), end.timestamp()
        events = [
            self._request(customer, min(begin + (hour + self.chance.random()) * 3600, last))
            for customer, hour in zip(who, hours, strict=True)
        ]
        return sorted(events, key=lambda event: event["began"])

    def _request(self, customer: Customer, sent: float) -> dict[str, Any]:
        chance = self.chance
        model = chance.choices(customer.habit.models, (3, 1))[0]
        price, failed = self.prices[model], chance.random() < FAILED
        status, error = chance.choice(_FAILURES) if failed else (200, "")
        usage = dict.fromkeys(BUCKETS, 0) if failed else self._usage(model)
        took = int(400 + usage["output"] * 9 * chance.uniform(0.7, 1.4))
        id = _id(chance, sent)
        return {
            "id": id,
            "user_id": customer.user.pk,
            "api_key_id": chance.choice(customer.keys),
            "model": model,
            "requested_model": model,
            "price_id": price.pk,
            "dialect": _dialect(model),
            "stream": chance.random() < 0.8,
            "began": sent,
            "error": error,
            "ip": customer.address,
            "details": {"attempts": [{"credential": "sandbox", "status": status, "ms": took}]},
            **usage,
            "cost": _cost(price, usage),
            "hold": 0,
            "estimated": False,
            "aborted": not failed and chance.random() < 0.02,
            "status": status,
            "upstream_status": status,
            "upstream_request_id": f"req_{id.hex[8:]}",
            "first_byte_ms": None if failed else int(chance.uniform(250, 1400)),
            "duration_ms": took,
            "client": chance.choice(customer.habit.agents),
        }

    def _usage(self, model: str) -> dict[str, int]:
        chance = self.chance
        prompt = int(chance.lognormvariate(7.2, 0.7))
        cached = int(prompt * chance.uniform(0.4, 0.9)) if chance.random() < 0.5 else 0
        written = prompt // 8 if cached and model.startswith("claude") else 0
        return {
            "input": prompt - cached - written if prompt > cached + written else 1,
            "cache_read": cached,
            "cache_write_5m": written,
            "cache_write_1h": 0,
            "output": int(chance.lognormvariate(5.4, 0.6)),
            "reasoning": int(chance.lognormvariate(4.5, 0.6)) if model > "gpt-5" else 0,
        }

    def refusals(self, people: Sequence[Customer], day: datetime) -> list[Refusal]:
        """A few an hour, of the kinds there are."""
        there = [each for each in people if each.keys and each.since < day < each.until]
        found = []
        for customer in self.chance.sample(there, len(there) // 12):
            code, status, message = self.chance.choices(REFUSED, (6, 2, 1))[0]
            last = day + timedelta(seconds=self.chance.uniform(0, 86_000))
            found.append(
                Refusal(
                    user=customer.user,
                    hour=last.replace(minute=0, second=0, microsecond=0),
                    api_key_id=customer.keys[0],
                    code=code,
                    model=customer.habit.models[0],
                    status=status,
                    message=message,
                    request_id=f"req_{_id(self.chance, last.timestamp()).hex}",
                    count=self.chance.randrange(1, 30),
                    first_at=last,
                    last_at=last,
                )
            )
        return found


def _id(chance: random.Random, moment: float) -> uuid.UUID:
    """A UUIDv7 of that moment."""
    noise = chance.getrandbits(12) << 64 | chance.getrandbits(62)
    return uuid.UUID(int=first_id(moment).int | 7 << 76 | 2 << 62 | noise)


def _dialect(model: str) -> str:
    return _DIALECT.get(model.split("-")[0], "openai_responses")


def _cost(price: Price, usage: dict[str, int]) -> int:
    return per_million(sum(usage[bucket] * getattr(price, bucket) for bucket in BUCKETS))


def needs(events: Iterable[dict[str, Any]]) -> Counter[int]:
    """What each account will have spent with these, in nano-dollars."""
    spent: Counter[int] = Counter()
    for event in events:
        spent[event["user_id"]] += event["cost"]
    return spent


def record(events: Sequence[dict[str, Any]]) -> None:
    """Write them into the books, as a settlement process would."""
    settlement.record([settlement.Entry(0, b"", event) for event in events])
