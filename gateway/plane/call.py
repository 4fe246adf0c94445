"""One paid request on its way: what was asked, what was held, what came of it.

Everything the receipt will say is collected here, and nowhere else.
"""

import logging
import math
import time
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue.sold import Model, Price
from gateway.dialects.codecs.tokens import guessed
from gateway.dialects.ir import NO_TALLY, Tally, Usage
from gateway.dialects.json_patch import parse
from gateway.dialects.stream_readers import text_bytes
from gateway.metering import bill, calibration, estimates, unseen
from gateway.metering.estimates import Estimate, Hold
from gateway.plane import life
from gateway.plane.adapters import Lane, Stream
from gateway.plane.callers import Caller
from gateway.plane.endpoints.lane import Answered, Forward
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.life import End, Hearing, Stage
from gateway.plane.own_keys import Mine
from gateway.vendors.attempts import Attempt
from gateway.vendors.manners import NATIVE, Named
from gateway.vendors.own_keys import failing
from gateway.vendors.routes import Route
from hontoni.errors import ApiError, PaymentRequired
from ratelimits.limiter import Ask, State

logger = logging.getLogger(__name__)

COMPLETE = "complete"  # an answer that is no conversation (endpoints/)


@dataclass(slots=True, eq=False)
class Call:
    """Mutable: the pipeline fills it in. Times are epoch seconds, money nano-dollars."""

    http: Exchange
    caller: Caller
    request: InboundRequest
    lane: Lane
    stream: bool
    clamps: dict[str, Any]
    ip: str
    began: float = field(default_factory=time.time)
    ask: Ask | None = None
    state: State | None = None
    past: State | None = None  # the windows that refused it, where its key may go past them
    held: int = 0
    extend_at: float = math.inf  # bytes of text after which the hold must be extended
    life: Stage = life.PREPARED
    end: End = End.UNDERWAY
    tap: Stream | None = None
    sent_at: float = 0.0  # when a vendor was asked
    left_at: float = 0.0  # when it had noticed that nobody listens any more
    tally: Tally = NO_TALLY  # of a unary answer
    whole: bytes = b""  # a unary answer, as the vendor sent it
    ended: str = ""  # why it ended (`ir.Finish`)
    hearing: Hearing = Hearing.CLIENT
    usage: Usage | None = None  # of a unary answer the vendor's numbers, in the end those billed
    estimated: bool = False
    guessed: bool = False  # of a unary answer: the vendor told no numbers, they are ours
    cost: int = 0
    gift: int = 0  # what the fair-bill policy takes off the price
    capped: bool = False  # the vendor's numbers cost more than was held
    status: int = 0
    error: str = ""
    upstream_status: int | None = None
    upstream_request_id: str = ""
    first_byte: float | None = None
    quarantined: Usage | None = None  # the vendor's own numbers, where they cannot be true
    routes: tuple[Route, ...] = ()  # in the order in which they are asked
    ours: tuple[Route, ...] = ()  # all that are no customer's
    mine: Mine | None = None  # the customer's own key for it
    fell_back: str = ""  # why it was not that key that answered
    named: Named = NATIVE  # what the lane calls the model, and in which dialect
    attempts: list[Attempt] = field(default_factory=list)
    price_read_at: float = 0.0  # when the price was read that holds for it
    priced_for: tuple[int, int] = (0, 0)  # from when, until when these prices are in force
    admitted_at: int = 0  # by Redis's clock, in microseconds
    epoch: str = ""  # of the stores, in which Redis was asked
    rounds: list[str] = field(default_factory=list)  # the vendor's ids of those before the last
    spared: int | None = None  # how often each tool may be used, if the balance covers no more
    hidden: bool = field(init=False)  # it may cost output that we cannot watch being produced
    trace: object = None  # its spans (tracing.py)
    earmark: tuple[str, int] | None = None  # its batch, and what is set aside there for it
    _reported: Usage | None = None  # `usage` as the vendor told it
    _sent: tuple[bytes, int] | None = None  # the body it was sent, and what of it is the prompt
    full: Usage | None = None  # what is owed if nothing more may be given away
    bound: bool = False  # that is so
    _lines: tuple[Usage, tuple[Tally, Price, Named], list[bill.Line]] | None = None

    def __post_init__(self) -> None:
        self.hidden = self.request.hides()

    @property
    def id(self) -> str:
        return self.http.request_id

    @property
    def model(self) -> Model:
        return self.request.model

    @property
    def estimate(self) -> Estimate:
        return self.request.estimate

    @property
    def hold(self) -> Hold:
        return self.request.hold

    @property
    def reached(self) -> bool:
        """Whether a vendor accepted it: from there on it counts."""
        return self.life in life.COUNTS

    @property
    def settled(self) -> bool:
        return self.life is life.SETTLED

    @property
    def failed(self) -> bool:
        """By the vendor's fault, or ours: nothing is charged."""
        return self.end is End.FAILED

    @property
    def aborted(self) -> bool:
        """Its client has left."""
        return self.end is End.LEFT

    def become(self, stage: Stage) -> None:
        """The next stage of its life. Raises life.Impossible."""
        self.life = stage if stage in life.NEXT[self.life] else life.step(self.life, stage)

    def reach(self) -> None:
        """A vendor accepts it; said as often as one likes."""
        if self.life is life.SENT:
            self.life = life.REACHED

    def take(self, answered: Answered) -> None:
        """The whole answer of an endpoint that is no conversation."""
        self.ended, self.usage, self.tally = COMPLETE, answered.usage, answered.tally
        self.guessed = answered.guessed

    def admitted_ask(self) -> Ask:
        """What was admitted; every later word about this request repeats it."""
        assert self.ask is not None
        return self.ask

    def hold_is(self, held: int) -> None:
        """Note the hold, and when three quarters of the output it pays for will be used."""
        self.held = held
        if self.stream and held < self.hold.full and not self.hidden:
            tokens = estimates.affordable_output(self.model, self.estimate, held)
            self.extend_at = tokens * estimates.BYTES_PER_TOKEN * 3 // 4

    def price(self, usage: Usage) -> int:
        """What it costs, in nano-dollars, before any bound."""
        return bill.cost(self.lines(usage))

    def cost_so_far(self) -> int:
        """What has been produced up to now costs this, by the vendor's numbers or our estimate."""
        usage, _ = self._used()
        return self.held if self._absurd(usage) else self.price(usage)

    def fail(self, error: ApiError) -> None:
        """It ended in an error. Only running out of money leaves something to pay."""
        self.status, self.error = error.status, error.code
        broke = isinstance(error, PaymentRequired) and error.code not in failing.CODES
        self.end = End.BROKE if broke else End.FAILED

    def close_account(self) -> None:
        """Decide what was used and what it costs: the fair bill. `gift` is what is given away of
        the price, if the account may be given so much (`charge_in_full` if not)."""
        if self._reported is None and self.tap is None:
            self._reported = self.usage
        self.usage, self.estimated = self._used()
        self.gift, self.full = 0, self.usage
        if self._absurd(self.usage):
            self._quarantine(self.usage)
        if self.failed or not self.reached:
            self._give_away(self._wasted())
        elif self._is_empty():
            self._give_away(self.usage)
        elif self.quarantined is not None:
            self.cost = self.held
        else:
            self._charge(self.usage)

    def charge_in_full(self) -> None:
        """Nothing more is given away today: the vendor's numbers are charged."""
        assert self.full is not None
        self.usage, self.gift, self.bound = self.full, 0, True
        self.estimated = self.estimated or not (self.failed or self.reached)
        if self.quarantined is not None:
            self.cost = self.held
        else:
            self._charge(self.usage, shared=False)

    def _charge(self, usage: Usage, *, shared: bool = True) -> None:
        if shared and self.tap is not None and self.tap.stopped and not self.estimated:
            usage = self.usage = estimates.shared(usage, self.tap.text_bytes, self.tap.said)
            assert self.full is not None
            self.gift = self.price(self.full) - self.price(usage)
        elif not self.estimated:
            self._learn(usage)
        price = self.price(usage)
        self.cost = min(price, self.held)
        if self.cost < price:
            # Charging more would overdraw. Where it is the vendor's number, staff hear of it.
            self.capped = not self.estimated
            self.clamps["charge"] = {"asked": price, "applied": self.cost, "by": "hold"}
            logger.warning("charge.capped %s: %d of %d", self.id, self.cost, price)

    def _give_away(self, usage: Usage) -> None:
        self.cost, self.full = 0, usage
        self.gift = min(self.price(usage), self.held) if self.quarantined is None else self.held

    def _wasted(self) -> Usage:
        """What cost all the same that failed, or was left before a word: as told, or as likely."""
        reported = self.tap.decoded_usage() if self.tap else self._reported
        if self.failed or reported is not None or not (self.sent_at and self.aborted):
            return reported or Usage()
        until = (self.left_at or time.time()) - 1
        if self.tap and not self.hidden:  # it said nothing; a word may have been under way
            until = self.sent_at + (0.0 if self.reached else calibration.UNDER_WAY_SECONDS)
        return Usage(input=self._prompt(), output=self._ticked(until))

    def _is_empty(self) -> bool:
        """Nothing came out, and no stop sequence, limit or call is the reason; nor did its client
        leave too early. Filling a prompt cache is asking for nothing on purpose."""
        assert self.usage is not None
        if self.usage.output or self.usage.reasoning or self.quarantined is not None:
            return False
        if self.request.parsed.get("max_tokens") == 0 or self.aborted and not self._is_whole():
            return False
        ending = self.ended if self.tap is None else self.tap.ending()
        stops = self.request.parsed.get("stop") or self.request.parsed.get("stop_sequences")
        return ending not in life.ENDS_WITH_A_REASON and not (ending == "stop" and stops)

    def _quarantine(self, given: Usage) -> None:
        """Numbers that cannot be true are kept for staff; what was held is billed, and our own
        estimate is on the receipt."""
        logger.critical("usage.absurd %s %s", self.id, given)
        text = self.tap.text_bytes if self.tap else text_bytes(self.whole)
        thought = self.tap.thought_bytes if self.tap else 0
        self.usage, self.estimated = self._guessed(text, thought), True
        self.quarantined = given

    def _absurd(self, used: Usage) -> bool:
        request, uses = self.request, self.lane.sifted.uses
        return bill.absurd(used, self._tally(), request.model, request.estimate, uses)

    def _tally(self) -> Tally:
        """What the vendor counted beside tokens in all, unless nobody believes it."""
        if self.quarantined is not None:
            return NO_TALLY
        if not self.lane.sifted.uses:
            return self._counted()
        hidden = self.unseen_work()
        return hidden.beside(self._counted()) if hidden.turns else self._counted()

    def _counted(self) -> Tally:
        return self.tally if self.tap is None else self.tap.tally()

    def unseen_work(self) -> unseen.Unseen:
        """What tools may have used of which the vendor's last word would have told."""
        if not self.lane.sifted.uses or self.failed or not (self.reached and self._heard()[1]):
            return unseen.NOTHING
        model = self.model.at(self.named)
        return unseen.of(self.lane.sifted, self._counted(), model, self.estimate)

    def lines(self, usage: Usage) -> list[bill.Line]:
        """What is priced of that usage. The receipt asks once more for what was priced last."""
        tally, last, model = self._tally(), self._lines, self.request.model
        priced = tally, model.price, self.named
        if last is not None and last[0] is usage and last[1] == priced:
            return last[2]
        sifted = self.lane.sifted if self.earmark is None else bill.in_batch(self.lane.sifted)
        found = bill.lines(usage, tally, model.at(self.named), sifted)
        self._lines = usage, priced, found
        return found

    def _used(self) -> tuple[Usage, bool]:
        """Usage up to now, and whether it is (partly) an estimate."""
        usage, estimated = self._heard()
        return (self.unseen_work().on(usage) if estimated else usage), estimated

    def _is_whole(self) -> bool:
        tap = self.tap
        return bool(self.whole or self.ended) if tap is None else tap.finished and not tap.cut

    def _heard(self) -> tuple[Usage, bool]:
        """The same without what tools did unseen."""
        tap = self.tap
        if tap is None and self.ended == COMPLETE:
            return self._reported or self.usage or Usage(), self.guessed
        if tap is None:
            if (given := self._reported or self.usage) is not None:
                if given.output or given.reasoning:  # nearly always: then it is believed
                    return given, False
                return self._believed(given, text_bytes(self.whole))
            return self._unheard() if not self.whole else self._untold(text_bytes(self.whole))
        reported, whole = tap.decoded_usage(), self._is_whole()
        if reported is not None and (tap.reported or whole):
            return self._believed(reported, tap.made)
        if whole and not tap.stopped:
            return self._untold(tap.made)
        return self._estimated(reported, tap.text_bytes, tap.thought_bytes)

    def _estimated(self, reported: Usage | None, text: int, thought: int) -> tuple[Usage, bool]:
        """What the vendor told so far, and for the rest our estimate."""
        guess = self._guessed(text, thought)
        if not (guess.output or guess.reasoning):
            return (reported, False) if reported is not None else self._unheard()
        if reported is None:
            return guess, True
        if self.tap is not None and self.tap.runs:  # true at any moment
            return reported._replace(reasoning=reported.reasoning or guess.reasoning), True
        output, reasoning = max(reported.output, guess.output), max(reported[5], guess.reasoning)
        return reported._replace(output=output, reasoning=reasoning), True

    def _unheard(self) -> tuple[Usage, bool]:
        """Left before a word: the prompt was read."""
        return (self._wasted(), True) if self.aborted and self.reached else (Usage(), False)

    def _believed(self, given: Usage, made: int) -> tuple[Usage, bool]:
        """The vendor's numbers, unless they tell of no output where there is some: then they are
        as good as missing."""
        if not made or given.output or given.reasoning or min(given) < 0:
            return given, False
        guess, estimated = self._untold(made)
        if any(given):
            guess = given._replace(output=guess.output, reasoning=guess.reasoning)
        return guess, estimated

    def _untold(self, made: int) -> tuple[Usage, bool]:
        """Of a whole answer without numbers: what its client was given, and unseen reasoning."""
        usage = guessed(self.estimate.likely, min(made, 4 * self.estimate.output))
        if not usage.output:
            return Usage(), False
        unseen = self._guessed(0, 0).reasoning - usage.output
        return usage._replace(reasoning=max(0, unseen)), True

    def _guessed(self, text: int, thought: int) -> Usage:
        """By this model's own pace. Reasoning that nobody saw is known by the time it took."""
        most, reasoned = self.estimate.output, 0
        if self.hidden and self.reached and not self.failed:
            until = (self.tap.spoke_at if self.tap else 0.0) or self.left_at or time.time()
            reasoned = min(self._ticked(until), self.request.settled().budget or most)
        pace, begun = calibration.of(self.model.id), bool(self.left_at)  # a word, when it noticed
        made = pace.made(text + begun * pace.text.value, thought, reasoned, most)
        return made._replace(input=self._prompt()) if any(made) else made

    def _ticked(self, until: float) -> int:
        """Tokens that this model makes from being asked to then."""
        return calibration.of(self.model.id).ticked(until - self.sent_at, self.estimate.output)

    def _prompt(self) -> int:
        """Tokens of the prompt: its text by this model's own count, and what is attached."""
        tokens = math.ceil(self._prompt_bytes() / calibration.of(self.model.id).prompt.value)
        return tokens + self.estimate.attached

    def _prompt_bytes(self) -> int:
        """Of what the vendor was sent: what is a word in one dialect may be a page in another."""
        if self.request.beside is not None or isinstance(self.lane, Forward):
            return self.request.prompt_bytes()
        if self._sent is None or self._sent[0] is not self.lane.body:
            self._sent = self.lane.body, estimates.prompt_bytes(parse(self.lane.body))
        return self._sent[1]

    def _learn(self, usage: Usage) -> None:
        """The vendor told everything: that sharpens later estimates."""
        tap = self.tap
        if tap is None or not tap.spoke_at or self.rounds:
            return
        pace, thought = calibration.of(self.model.id), 0 if usage.reasoning else tap.thought_bytes
        pace.heard(tap.text_bytes + thought, usage.output)
        pace.thought(usage.reasoning, tap.spoke_at - self.sent_at)
        if pace.wants_a_prompt(len(self.request.body)):
            pace.read(self._prompt_bytes(), sum(usage[:4]) - self.estimate.attached)

    def so_far(self) -> "Call":
        """A copy as it stands now: what to settle with, should this process die."""
        draft = copy(self)
        usage, _ = self._used()
        draft.usage = usage
        if self._absurd(usage):
            draft._quarantine(usage)
            draft.cost = self.held
        else:
            draft.cost = self.price(usage) if usage.output or usage.reasoning else 0
        draft.estimated = True
        return draft
