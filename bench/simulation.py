"""A discrete-event simulation: processes that do one thing at a time, on machines with some cores.

A `Process` has a queue; what is in it costs CPU time, and needs a core of its `Machine` meanwhile.
Between two processes a message takes a hop. Nothing here knows the product.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

Step = Callable[[], None]


class Clock:
    """Simulated seconds, and what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Step]] = []
        self._numbers = count()

    def after(self, seconds: float, step: Step) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), step))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, step = heapq.heappop(self._events)
            step()
        self.now = until


@dataclass
class Machine:
    """So many cores. To begin on one that another process had costs `switch` seconds."""

    clock: Clock
    cores: int
    switch: float = 0.0
    free: int = field(init=False)
    waiting: deque["Process"] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.free = self.cores

    def ask(self, process: "Process") -> None:
        """A core for this process, now or in its turn."""
        if self.free:
            self.free -= 1
            process.begin(self.switch)
        else:
            self.waiting.append(process)

    def give_back(self) -> None:
        self.free += 1
        if self.waiting:
            self.free -= 1
            self.waiting.popleft().begin(self.switch)


@dataclass
class Process:
    """Does one thing at a time. `busy` counts its CPU seconds."""

    machine: Machine
    queue: deque[tuple[float, Step]] = field(default_factory=deque)
    running: bool = False
    busy: float = 0.0

    def do(self, seconds: float, then: Step) -> None:
        """Queue work of so many CPU seconds; `then` follows it."""
        self.queue.append((seconds, then))
        if not self.running:
            self.running = True
            self.machine.ask(self)

    def begin(self, switch: float) -> None:
        """On a core: the first of the queue."""
        seconds, then = self.queue.popleft()
        self.busy += seconds
        self.machine.clock.after(seconds + switch, lambda: self._end(then))

    def _end(self, then: Step) -> None:
        then()
        if not self.queue:
            self.running = False
            self.machine.give_back()
        elif self.machine.waiting:
            self.machine.give_back()
            self.machine.ask(self)
        else:
            self.begin(0.0)
