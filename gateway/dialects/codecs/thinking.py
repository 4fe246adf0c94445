"""How hard to think, said so that the model at hand accepts it (protocols.md section 1.5).

Words and budgets convert by one table. A request never thinks harder than it asked: a word the
model lacks becomes the next lower one it has, and the lowest when there is none.
"""

from dataclasses import replace

from gateway.dialects.ir import UNSAID, Target, Thinking

RANK = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
BUDGET = {
    "none": 0,
    "minimal": 1_024,
    "low": 4_096,
    "medium": 16_384,
    "high": 32_768,
    "xhigh": 65_536,
    "max": 65_536,
}
# What a budget must reach to count as the word. In thousands, as plans are sold.
_REACHES = (("xhigh", 64_000), ("high", 32_000), ("medium", 8_000), ("low", 1))
LEAST = 1_024  # Claude refuses a smaller budget.


def settle(requested: Thinking, target: Target, max_output: int | None = None) -> Thinking:
    """What is sent: `mode` "", off, effort, budget, adaptive, between_tools or level.

    Capped by the plan (`target.thinking_cap`), then by the model, then by `max_output`, which
    includes thinking everywhere.
    """
    if not requested.mode or target.thinking == "none":
        return UNSAID
    if (
        requested.effort and requested.effort not in RANK
    ):  # a word from the future: the model's default
        requested = replace(requested, effort="")
    if target.thinking == "budget":
        return _budget(requested, target, max_output)
    if requested.mode == "off" or (requested.effort == "none" and "none" not in target.efforts):
        return _off(requested, target)
    if requested.mode == "between_tools" and target.off == "between_tools":
        return Thinking("between_tools")
    return Thinking(target.thinking, _effort(requested, target), None, requested.display)


def nominal(settled: Thinking) -> int:
    """The tokens a settled request stands for: its budget, or what its word is worth."""
    return settled.budget or BUDGET.get(settled.effort, 0)


def effort_of(budget: int) -> str:
    """The word a budget reaches."""
    return next((word for word, least in _REACHES if budget >= least), "none")


def _off(requested: Thinking, target: Target) -> Thinking:
    if target.thinking == "effort":
        return Thinking("effort", _fit("none", target.efforts))
    if target.off == "disabled":
        return Thinking("off")
    if target.off == "between_tools":
        return Thinking("between_tools")
    return Thinking(target.thinking, _fit("none", target.efforts), None, requested.display)


def _effort(requested: Thinking, target: Target) -> str:
    word = requested.effort
    if not word and requested.budget is not None:
        word = effort_of(requested.budget)
    cap = target.thinking_cap
    if cap is not None and BUDGET.get(word or "high", 0) > cap:
        word = min(word or "high", effort_of(cap), key=RANK.index)
    return _fit(word, target.efforts) if word else ""


def _fit(word: str, efforts: tuple[str, ...]) -> str:
    if word in efforts or not efforts:
        return word
    below = [e for e in efforts if e != "none" and RANK.index(e) < RANK.index(word)]
    return below[-1] if below else next((e for e in efforts if e != "none"), efforts[0])


def _budget(requested: Thinking, target: Target, max_output: int | None) -> Thinking:
    budget = _requested_budget(requested)
    if target.thinking_cap is not None:
        budget = min(budget, target.thinking_cap)
    if target.most_budget:
        budget = min(budget, target.most_budget)
    if max_output is not None and budget >= max_output:
        budget = max_output - max(LEAST, max_output // 10)
    if budget >= target.least_budget:
        return Thinking("budget", "", budget, requested.display)
    return Thinking("off") if target.off else Thinking("budget", "", target.least_budget)


def _requested_budget(requested: Thinking) -> int:
    if requested.mode == "off":
        return 0
    if requested.budget is not None:
        return requested.budget
    return BUDGET.get(requested.effort or "high", BUDGET["high"])
