"""How the lints are tested: a request that passes, and what each change of it is told."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.vendors.conversation import Sent
from sandbox.vendors.vendors import VendorError

Rule = Callable[[Sent], None]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
JPEG = "/9j/4AAQSkZJRgABAQ=="


@dataclass(frozen=True)
class Case:
    """A change of the base request. `rule` is the rule that must speak; none: it passes."""

    rule: Rule | None
    body: dict[str, Any]
    says: str = ""
    without: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    counting: bool = False
    status: int = 400

    def sent(self, base: dict[str, Any]) -> Sent:
        body = {key: value for key, value in base.items() if key not in self.without}
        body |= self.body
        if self.model and "model" in body:
            body["model"] = self.model
        model = self.model or body.get("model") or "gemini-3-flash-preview"
        return Sent(body, self.headers, model, self.counting)


def judge(case: Case, base: dict[str, Any], rules: Iterable[Rule]) -> None:
    """The first rule that refuses is the one expected, in the expected words."""
    sent = case.sent(base)
    for rule in rules:
        if rule is not case.rule:
            rule(sent)
            continue
        with pytest.raises(VendorError) as caught:
            rule(sent)
        assert case.says in caught.value.message
        assert caught.value.status == case.status
        return
    assert case.rule is None, f"{case.rule} is not among the rules"


def untested(cases: Iterable[Case], rules: Iterable[Rule]) -> set[str]:
    """The rules that no case makes speak."""
    return {rule.__name__ for rule in rules} - {c.rule.__name__ for c in cases if c.rule}
