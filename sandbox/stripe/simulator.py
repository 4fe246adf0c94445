"""One simulated Stripe account: its objects, its clock, its events and what is due when.

Handlers run without awaiting, one at a time in one event loop, so each is atomic.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.stripe.clock import DAY, Clock
from sandbox.stripe.errors import Object
from sandbox.stripe.faults import Faults
from sandbox.stripe.forms import Params
from sandbox.stripe.idempotency import Keys
from sandbox.stripe.store import Store, read_snapshot, write_snapshot
from sandbox.stripe.webhooks import Webhooks
from sandbox.stripe.wire import HERE, render

API_VERSION = "2026-08-26.dahlia"
EVENTS_LAST = 30 * DAY  # https://docs.stripe.com/api/events: "going back up to 30 days"


@dataclass(frozen=True)
class Call:
    """One API call: its parameters, the ids of its path, and the path itself."""

    params: Params
    ids: dict[str, str]
    url: str

    @property
    def id(self) -> str:
        """The id in the path."""
        return self.ids["id"]


Handler = Callable[["Simulator", Call], Object]
Reaction = Callable[["Simulator", Object], None]


@dataclass(frozen=True)
class Route:
    """One route, and the parameters it takes besides `expand`, by name."""

    method: str
    path: str
    handler: Handler
    takes: str = ""


@dataclass
class Simulator:
    """The account. `reactions` and `due` are filled in by `wiring.py`."""

    state_path: Path | None = None
    public_url: str | None = None
    api_key: str | None = None
    tax_basis_points: int = 0
    store: Store = field(default_factory=Store)
    clock: Clock = field(default_factory=Clock)
    keys: Keys = field(default_factory=Keys)
    faults: Faults = field(default_factory=Faults)
    jobs: dict[str, int] = field(default_factory=dict)
    request: Object = field(default_factory=dict)
    base_url: str = "http://127.0.0.1"
    dirty: bool = False
    # What a finished payment means for the thing it paid: a key of the intent -> function.
    reactions: dict[str, Reaction] = field(default_factory=dict)
    # What to do when a job is due: kind of job -> function of the object.
    due: dict[str, Reaction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.store, self.clock)
        self.load(read_snapshot(self.state_path))

    def now(self) -> int:
        """Seconds since the epoch, by the account's clock."""
        return self.clock.now()

    def new(self, kind: str, **fields: Any) -> Object:
        """Make and keep an object of that kind."""
        head = {"id": self.store.new_id(kind), "object": kind}
        return self.store.add(head | {"created": self.now(), "livemode": False} | fields)

    def url(self, path: str) -> str:
        """An address of this simulator, made absolute when it is sent."""
        return HERE + path.removeprefix("/")

    def emit(self, type: str, obj: Object, previous: Object | None = None) -> None:
        """Record an event with a copy of the object as it is now, and queue its deliveries."""
        data: Object = {"object": render(obj, self.public_url or self.base_url)}
        if previous is not None:
            data["previous_attributes"] = render(previous, self.public_url or self.base_url)
        event = self.new(
            "event",
            api_version=API_VERSION,
            data=data,
            pending_webhooks=0,
            request={"id": None, "idempotency_key": None} | self.request,
            type=type,
        )
        event["pending_webhooks"] = self.webhooks.enqueue(event)
        self.dirty = True

    @contextmanager
    def changing(self, obj: Object, type: str) -> Iterator[None]:
        """Emit `type` with `previous_attributes` if the object differs afterwards."""
        before = render(obj, HERE)
        yield
        after = render(obj, HERE)
        previous = {k: before.get(k) for k, v in after.items() if before.get(k) != v}
        if previous:
            self.emit(type, obj, previous)

    def schedule(self, kind: str, obj: Object, at: int) -> None:
        """Do `kind` to the object at that time; a second call replaces the first."""
        self.jobs[f"{kind}:{obj['id']}"] = at

    def unschedule(self, kind: str, obj: Object) -> None:
        """Take back what was scheduled."""
        self.jobs.pop(f"{kind}:{obj['id']}", None)

    def react(self, obj: Object) -> None:
        """Tell whatever the intent paid for that its status changed."""
        for key, reaction in self.reactions.items():
            if obj.get(key):
                reaction(self, obj)

    def run_until(self, target: int) -> None:
        """Do everything that is due until `target`, in order, each at its own time."""
        while self.jobs:
            name, at = min(self.jobs.items(), key=lambda job: job[1])
            if at > target:
                break
            del self.jobs[name]
            kind, id = name.split(":", 1)
            if (obj := self.store.find(id)) is not None:
                with self.clock.pinned(at):
                    self.due[kind](self, obj)
            self.dirty = True

    def advance(self, seconds: int) -> None:
        """Move the clock forward, doing on the way what falls due."""
        self.run_until(self.now() + seconds)
        self.clock.offset += seconds
        self._forget_old_events()
        self.webhooks.wake.set()
        self.dirty = True

    def _forget_old_events(self) -> None:
        oldest = self.now() - EVENTS_LAST
        for event in [e for e in self.store.all("event") if e["created"] < oldest]:
            self.store.remove(event["id"])

    def save(self) -> None:
        """Write the snapshot, if there is a path for one and anything changed."""
        if self.state_path is not None and (self.dirty or self.webhooks.changed):
            write_snapshot(self.state_path, self._state())
        self.dirty = self.webhooks.changed = False

    def _state(self) -> Object:
        return {
            "objects": self.store.dump(),
            "offset": self.clock.offset,
            "keys": self.keys.dump(),
            "jobs": self.jobs,
            "deliveries": self.webhooks.dump(),
            "tax_basis_points": self.tax_basis_points,
        }

    def load(self, state: Object) -> None:
        """Take a snapshot back; an empty one leaves the account new."""
        if state:
            self.store.load(state["objects"])
            self.clock.offset = state["offset"]
            self.keys.load(state["keys"])
            self.jobs = state["jobs"]
            self.webhooks.load(state["deliveries"])
            self.tax_basis_points = state["tax_basis_points"]
