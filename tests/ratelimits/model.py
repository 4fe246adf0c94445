"""Admission in plain Python, as short as it can be said: what the Lua scripts must agree with.

No Redis, no clock: every call is told the time, in microseconds.
"""

import math
from dataclasses import dataclass, field

from ratelimits.limiter import Ask, Limits

HOUR = 3_600_000  # ms
WINDOWS = {"5h": 5 * HOUR, "daily": 24 * HOUR, "weekly": 168 * HOUR, "monthly": 720 * HOUR}
MINUTE = 60_000_000


def numbers(limits: Limits) -> dict[str, int]:
    values = (limits.five_hours, limits.daily, limits.weekly, limits.monthly)
    return dict(zip(WINDOWS, values, strict=True))


@dataclass
class Subject:
    log: dict[str, int] = field(default_factory=dict)  # request id -> admitted
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)  # name -> opened (ms), used
    leases: dict[str, int] = field(default_factory=dict)  # request id -> deadline (ms)

    def look(self, now: int) -> None:
        """Forget what is over."""
        self.log = {name: at for name, at in self.log.items() if at > now - MINUTE}
        self.leases = {name: at for name, at in self.leases.items() if at > now // 1000}
        self.windows = {
            name: (opened, used)
            for name, (opened, used) in self.windows.items()
            if now // 1000 < opened + WINDOWS[name]
        }

    def used(self) -> list[int]:
        return [len(self.log), *(self.windows.get(name, (0, 0))[1] for name in WINDOWS)]

    def resets(self, now: int, rpm: int) -> list[int]:
        times = sorted(self.log.values())
        leaving = times[max(len(times) - rpm, 0) if rpm else 0 :]
        ends = [
            self.windows[name][0] + length - now // 1000 if name in self.windows else 0
            for name, length in WINDOWS.items()
        ]
        return [-((now - leaving[0] - MINUTE) // 1000) if leaving else 0, *ends]


@dataclass
class Period:
    """What a purse has spent and holds in one day or month, kept until the next one begins."""

    began: int = -1
    spent: int = 0
    held: int = 0

    def at(self, began: int) -> "Period":
        """How it stands in the period that began then."""
        return self if self.began == began else Period(began)

    def add(self, began: int, spent: int, held: int) -> None:
        now = self.at(began)
        self.began, self.spent, self.held = began, now.spent + spent, now.held + held


@dataclass
class Purse:
    epoch: int
    day: Period
    month: Period
    life: Period

    def periods(self, today: "Today") -> list[tuple[Period, int]]:
        return [(self.day, today.day), (self.month, today.month), (self.life, 0)]


@dataclass(frozen=True)
class Today:
    """The day and the month, and ms until each is over."""

    day: int
    month: int
    day_ends: int
    month_ends: int


UNKNOWN = Today(-1, -1, 0, 0)  # of a request without a cap: it counts when it ends


@dataclass
class Request:
    ask: Ask
    hold: int
    deadline: int
    counted: dict[str, int]  # name of a window -> when it had opened
    today: Today
    purse_epoch: int = 0  # 0: its hold is in no purse
    cost: int = 0
    admitted: Today = UNKNOWN


@dataclass
class Model:
    """One account."""

    subjects: dict[str, Subject]
    credits: int | None = None  # None: not seeded
    credits_version: int = 0
    terms: int = 0
    charged: int = 0
    held: int = 0
    purses: dict[str, Purse] = field(default_factory=dict)
    open: dict[str, Request] = field(default_factory=dict)

    def balance(self) -> int:
        return (self.credits or 0) - self.charged

    def decide(self, ask: Ask, now: int, today: Today) -> tuple[str, int, int]:
        """What binds ("" = nothing), ms until it frees, and what is held."""
        subject, limits = self.subjects[ask.subject], ask.limits
        used, resets = subject.used(), subject.resets(now, limits.rpm)
        quotas = [("rpm", limits.rpm), *numbers(limits).items()]
        binding: list[tuple[float, str]] = [
            (ms, name)
            for (name, quota), count, ms in zip(quotas, used, resets, strict=True)
            if quota and count >= quota
        ]
        if limits.concurrent and len(subject.leases) >= limits.concurrent:
            binding.append((1000, "concurrent"))
        binding += self.caps_bind(ask, today)
        hold, lack = self.afford(ask, today)
        if "spent_life" in (name for _, name in binding):
            return "spent_life", 0, 0
        if lack == "balance":
            return "balance", 0, 0
        if lack == "hold":
            binding.append((2000, "hold"))
        ms, name = max(binding, key=lambda each: each[0], default=(0, ""))
        return name, int(ms), 0 if name else hold

    def below_caps(self, ask: Ask, today: Today) -> list[tuple[str, int, int, float]]:
        """Of each cap: its name, what is left below it without and with the holds, and its end."""
        caps = (ask.caps.day, ask.caps.month, ask.caps.life)
        ends = (today.day_ends, today.month_ends, math.inf)
        if not any(caps):
            return []
        found: list[tuple[str, int, int, float]] = []
        for (period, began), cap, ms in zip(
            self.purses[ask.caps.purse].periods(today), caps, ends, strict=True
        ):
            name = ("spent_day", "spent_month", "spent_life")[len(found)]
            left = cap - period.at(began).spent
            found.append((name, left, max(left - period.at(began).held, 0), ms))
        return [each for each, cap in zip(found, caps, strict=True) if cap]

    def caps_bind(self, ask: Ask, today: Today) -> list[tuple[float, str]]:
        binding = []
        for name, left, free, ms in self.below_caps(ask, today):
            if free < ask.full and free < ask.floor or free < ask.full and left < ask.floor:
                binding.append((ms, name) if left < ask.floor else (2000, "purse_hold"))
        return binding

    def afford(self, ask: Ask, today: Today) -> tuple[int, str]:
        """How much to hold, or why not."""
        spendable = max(self.balance() - self.held, 0)
        if self.balance() < 0:
            return 0, "balance"
        if spendable < ask.full and spendable < ask.floor:
            return 0, "balance" if self.balance() < ask.floor else "hold"
        affordable = min([spendable, *(free for _, _, free, _ in self.below_caps(ask, today))])
        if affordable >= ask.full:
            return ask.full, ""
        return (affordable if ask.stretch else ask.floor), ""

    def extensible(self, request: Request, available: int) -> int:
        """The most an open request's hold can grow by."""
        caps = request.ask.caps
        if not request.purse_epoch:
            return available
        purse = self.purses.get(caps.purse)
        for name, cap in (("day", caps.day), ("month", caps.month), ("life", caps.life)):
            if cap:
                period = getattr(purse, name, Period())
                same = purse is not None and purse.epoch == request.purse_epoch
                counted = same and period.began == getattr(request.today, name, 0)
                left = cap - period.spent - period.held if counted else 0
                available = min(available, left)
        return available

    def hold_more(self, request: Request, more: int) -> None:
        request.hold += more
        self.held += more
        self.count(request, 0, more)

    def count(self, request: Request, spent: int, held: int) -> None:
        """Into the stored periods a capped request belongs to, if they last."""
        purse = self.purses.get(request.ask.caps.purse)
        if purse and purse.epoch == request.purse_epoch:
            for period, began in purse.periods(request.today):
                if period.began == began:
                    period.add(began, spent, held)

    def spend(self, request: Request, cost: int, today: Today) -> None:
        """What ended takes the place of its hold in the periods of its admission."""
        purse = self.purses.get(request.ask.caps.purse)
        if purse is None:
            return
        was = purse.periods(request.today if request.today.day >= 0 else today)
        held = request.hold if purse.epoch == request.purse_epoch else 0
        for (period, began), (_, current) in zip(was, purse.periods(today), strict=True):
            if began == current:
                period.add(began, cost, -held)

    def take(self, ask: Ask, now: int, hold: int, today: Today) -> None:
        subject = self.subjects[ask.subject]
        if ask.limits.rpm:
            subject.log[ask.request_id] = now
        for name in WINDOWS:
            opened, used = subject.windows.get(name, (now // 1000, 0))
            subject.windows[name] = opened, used + 1
        counted = {name: opened for name, (opened, _) in subject.windows.items()}
        deadline = subject.leases[ask.request_id] = now // 1000 + ask.lease_ms
        request = Request(ask, hold, deadline, counted, UNKNOWN, admitted=today)
        if any(ask.caps[1:]):
            purse = self.purses[ask.caps.purse]
            request.today, request.purse_epoch = today, purse.epoch
            for period, began in purse.periods(today):
                period.add(began, 0, hold)
        self.open[ask.request_id] = request
        self.held += hold

    def end(self, request: Request, giveback: bool) -> None:
        subject, name = self.subjects[request.ask.subject], request.ask.request_id
        del self.open[name]
        subject.leases.pop(name, None)
        if self.credits is not None:
            self.held -= request.hold
        if giveback:
            subject.log.pop(name, None)
            for window, opened in request.counted.items():
                since, used = subject.windows.get(window, (None, 0))
                if since == opened:
                    subject.windows[window] = opened, used - 1
                    if used == 1:
                        del subject.windows[window]

    def charge(self, cost: int) -> None:
        if self.credits is not None:
            self.charged += cost
