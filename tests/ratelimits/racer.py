"""What the racing processes run; each has its own connections, as a gateway node has."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from multiprocessing.synchronize import Barrier

from django.conf import settings

from hontoni import redis
from ratelimits import limiter, rebuilding

Racer = Callable[[limiter.Ask, int, int], Counter[str]]
_gate: Barrier


def join(redis_url: str, gate: Barrier) -> None:
    """A node needs to know nothing but where Redis is, and when the others are ready."""
    global _gate
    settings.configure(REDIS_URL=redis_url, REDIS_CLUSTER=False)
    _gate = gate


def start(racer: Racer, ask: limiter.Ask, node: int, count: int) -> Counter[str]:
    """Run when all nodes are here; so each runs on a process of its own."""
    _gate.wait(timeout=60)
    return racer(ask, node, count)


def racing(body: Callable[[], Awaitable[Counter[str]]]) -> Counter[str]:
    async def main() -> Counter[str]:
        try:
            return await body()
        finally:
            await redis.close()

    return asyncio.run(main())


def admit_many(ask: limiter.Ask, node: int, count: int) -> Counter[str]:
    """Ask `count` times at once; how often each outcome came."""

    async def body() -> Counter[str]:
        asks = [ask._replace(request_id=f"req_{node}_{n}") for n in range(count)]
        states = await asyncio.gather(*(limiter.admit(each) for each in asks))
        return Counter(state.binding or state.status for state in states)

    return racing(body)


def admit_one(ask: limiter.Ask, node: int, count: int) -> Counter[str]:
    """Admit, extend and settle one and the same request `count` times at once."""

    async def body() -> Counter[str]:
        await asyncio.gather(*(limiter.admit(ask) for _ in range(count)))
        await asyncio.gather(*(limiter.extend(ask, hold=ask.full, step=1) for _ in range(count)))
        ends = [limiter.settle(ask, cost=5, event="{}") for _ in range(count)]
        return Counter(state.status for state in await asyncio.gather(*ends))

    return racing(body)


def run_many(ask: limiter.Ask, node: int, count: int) -> Counter[str]:
    """Run `count` requests, each as soon as there is a slot. "most" = how many ran at once."""
    seen: Counter[str] = Counter()

    async def one(request: limiter.Ask) -> None:
        while (await limiter.admit(request)).status != "ok":  # noqa: ASYNC110 (other processes)
            await asyncio.sleep(0.002)
        running = await redis.pipe().execute("INCR", "running")
        seen["most"] = max(seen["most"], running)
        await asyncio.sleep(0.001)
        await redis.pipe().execute("DECR", "running")
        ended = await limiter.settle(request, cost=0, event="")
        seen[ended.status] += 1

    async def body() -> Counter[str]:
        asks = [ask._replace(request_id=f"req_{node}_{n}") for n in range(count)]
        await asyncio.gather(*(one(each) for each in asks))
        return seen

    return racing(body)


def seed_many(ask: limiter.Ask, node: int, count: int) -> Counter[str]:
    """Everybody finds the account cold, and seeds it."""
    done = [
        rebuilding.seed_sync(
            ask.account,
            credits=ask.credits,
            credits_version=1,
            terms_version=1,
            charged=7,
        )
        for _ in range(count)
    ]
    return Counter(str(each) for each in done)
