"""How each model really counts and how fast it thinks, learnt from answers that told it.

Only for estimates: an answer whose usage the vendor never told (estimates.py). Kept by each
process for itself, and sound defaults hold until something was learnt. A sample that no tokenizer
would give (a scripted number, a prompt that is mostly media) teaches nothing.
"""

import math
from collections import defaultdict

from gateway.dialects.ir import Usage

_FADES = 0.98  # what an older sample counts beside the next one
_SANE = (1.5, 9.0)  # bytes a token, of any vendor's tokenizer and any language
_PROMPT_EVERY = 16  # reading a prompt once more costs more than the other numbers together
_MOST_LEARNT_FROM = 65_536  # bytes of a request
UNDER_WAY_SECONDS = 0.25  # from a vendor's first word to our hearing it


class Ratio:
    """Something per something else, the latest samples counting most."""

    __slots__ = ("_above", "_below")

    def __init__(self, above: float, below: float) -> None:
        self._above, self._below = above, below

    @property
    def value(self) -> float:
        return self._above / self._below

    def learn(self, above: float, below: float) -> None:
        self._above = self._above * _FADES + above
        self._below = self._below * _FADES + below


class Pace:
    """One model's: bytes of text a token of output, bytes of a prompt a token of input, and
    tokens of reasoning a second."""

    __slots__ = ("_answers", "prompt", "reasoning", "text")

    def __init__(self) -> None:
        self.text = Ratio(800, 200)
        self.prompt = Ratio(800, 200)
        self.reasoning = Ratio(60, 1)
        self._answers = 0

    def heard(self, text_bytes: int, output: int) -> None:
        """An answer said so many bytes of text, and cost so many tokens without its reasoning."""
        self._answers += 1
        if output and _is_sane(text_bytes / output):
            self.text.learn(text_bytes, output)

    def wants_a_prompt(self, size: int) -> bool:
        """Whether this answer's prompt is one to learn from, in a request of so many bytes."""
        return self._answers % _PROMPT_EVERY == 1 and size < _MOST_LEARNT_FROM

    def read(self, prompt_bytes: int, tokens: int) -> None:
        if tokens and _is_sane(prompt_bytes / tokens):
            self.prompt.learn(prompt_bytes, tokens)

    def made(self, text: float, thought: int, reasoned: int, most: int) -> Usage:
        """What an answer of `most` tokens is likely to have used that showed so many bytes of text
        and of thought, and may have reasoned `reasoned` tokens unseen."""
        output = min(math.ceil(text / self.text.value), most)
        reasoning = max(math.ceil(thought / self.text.value), reasoned)
        return Usage(output=output, reasoning=min(reasoning, most - output))

    def ticked(self, seconds: float, most: int) -> int:
        """Tokens that are made in that time."""
        return min(max(0, int(seconds * self.reasoning.value)), most)

    def thought(self, tokens: int, seconds: float) -> None:
        if tokens and seconds > 0:
            self.reasoning.learn(tokens, seconds)


def _is_sane(bytes_a_token: float) -> bool:
    return _SANE[0] <= bytes_a_token <= _SANE[1]


_paces: defaultdict[str, Pace] = defaultdict(Pace)


def of(model: str) -> Pace:
    """What is known of a model, by its id in the catalogue."""
    return _paces[model]


def forget() -> None:
    """Begin anew."""
    _paces.clear()
