"""Admission in plain Python, as short as it can be said: what the Lua scripts must agree with.

No Redis, no clock: every call is told the time, in microseconds.
"""

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
class Request:
    ask: Ask
    hold: int
    deadline: int
    epoch: int
    counted: dict[str, int]  # name of a window -> when it had opened
    cost: int = 0


@dataclass
class Model:
    """One account."""

    subjects: dict[str, Subject]
    credits: int | None = None  # None: not seeded
    credits_version: int = 0
    terms: int = 0
    charged: int = 0
    held: int = 0
    epoch: int = 0
    open: dict[str, Request] = field(default_factory=dict)

    def balance(self) -> int:
        return (self.credits or 0) - self.charged

    def decide(self, ask: Ask, now: int) -> tuple[str, int, int]:
        """What binds ("" = nothing), ms until it frees, and what is held."""
        subject, limits = self.subjects[ask.subject], ask.limits
        used, resets = subject.used(), subject.resets(now, limits.rpm)
        quotas = [("rpm", limits.rpm), *numbers(limits).items()]
        binding = [
            (ms, name)
            for (name, quota), count, ms in zip(quotas, used, resets, strict=True)
            if quota and count >= quota
        ]
        if limits.concurrent and len(subject.leases) >= limits.concurrent:
            binding.append((1000, "concurrent"))
        hold, lack = self.afford(ask)
        if lack == "balance":
            return "balance", 0, 0
        if lack == "hold":
            binding.append((2000, "hold"))
        ms, name = max(binding, key=lambda each: each[0], default=(0, ""))
        return name, ms, 0 if name else hold

    def afford(self, ask: Ask) -> tuple[int, str]:
        """How much to hold, or why not."""
        spendable = max(self.balance() - self.held, 0)
        if self.balance() < 0:
            return 0, "balance"
        if spendable >= ask.full:
            return ask.full, ""
        if spendable >= ask.floor:
            return (spendable if ask.stretch else ask.floor), ""
        return 0, "balance" if self.balance() < ask.floor else "hold"

    def take(self, ask: Ask, now: int, hold: int) -> None:
        subject = self.subjects[ask.subject]
        if ask.limits.rpm:
            subject.log[ask.request_id] = now
        for name in WINDOWS:
            opened, used = subject.windows.get(name, (now // 1000, 0))
            subject.windows[name] = opened, used + 1
        counted = {name: opened for name, (opened, _) in subject.windows.items()}
        deadline = subject.leases[ask.request_id] = now // 1000 + ask.lease_ms
        self.open[ask.request_id] = Request(ask, hold, deadline, self.epoch, counted)
        self.held += hold

    def end(self, request: Request, giveback: bool) -> None:
        subject, name = self.subjects[request.ask.subject], request.ask.request_id
        del self.open[name]
        subject.leases.pop(name, None)
        if request.epoch == self.epoch:
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
