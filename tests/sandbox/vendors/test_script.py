"""How a prompt asks for a behaviour."""

from typing import Any

import pytest

from sandbox.vendors.conversation import Ask, Said, Tool
from sandbox.vendors.script import REFUSAL, THOUGHT, Attempts, Turn, directives, plan
from sandbox.vendors.vendors import VendorError

RUN = Tool("run", {"type": "object", "properties": {"n": {"type": "integer"}}})


def planned(prompt: str, *after: Said, **more: Any) -> Turn:
    asked = Ask("gpt-5.2", (Said(True, prompt), *after), (), **more)
    return plan(asked, Attempts())


def test_directives_are_found_in_order_with_their_arguments() -> None:
    text = (
        'a [[say: x [y] z]] b [[parallel]] [[tool: {"name": "t", "args": {"a": [[1]]}} ]] [[odd]]'
    )
    assert list(directives(text)) == [
        ("say", "x [y] z"),
        ("parallel", ""),
        ("tool", '{"name": "t", "args": {"a": [[1]]}}'),
    ]


def test_an_unclosed_directive_goes_to_the_end() -> None:
    assert list(directives("[[say: no end")) == [("say", "no end")]


def test_the_last_scripted_message_counts() -> None:
    later = (Said(False, "ok"), Said(True, "[[say: second]]"), Said(True, "thanks"))
    assert planned("[[say: first]]", *later).text == "second"


def test_results_after_the_script_are_steps_done() -> None:
    two = '[[tool: {"name": "run", "args": {"n": 1}}]] [[tool: {"name": "run", "args": {"n": 2}}]]'
    done = Said(True, results=("one",))
    assert [call.args for call in planned(two, tools=(RUN,)).calls] == [{"n": 1}]
    assert [call.args for call in planned(two, done, tools=(RUN,)).calls] == [{"n": 2}]
    both = planned(f"[[parallel]] {two}", tools=(RUN,))
    assert [call.args for call in both.calls] == [{"n": 1}, {"n": 2}]
    assert planned(f"[[parallel]] {two}", done, done, tools=(RUN,)).calls == ()


def test_a_renamed_tool_is_still_found() -> None:
    step = '[[tool: {"name": "my.tool"}]]'
    assert planned(step, tools=(Tool("my_tool_1a2b3c4d"),)).calls[0].name == "my_tool_1a2b3c4d"
    assert planned(step, tools=(Tool("ns__my_tool"),)).calls[0].name == "ns__my_tool"
    assert planned(step, tools=(Tool("other"),)).calls[0].name == "my.tool"


def test_a_side_request_without_tools_is_answered_in_words() -> None:
    turn = planned('[[tool: {"name": "run"}]] [[say: a title]]')
    assert (turn.text, turn.calls) == ("a title", ())


def test_what_is_said_before_a_call_comes_with_it() -> None:
    step = '[[tool: {"name": "run"}]]'
    assert planned(f"[[say: Wait.]] {step}", tools=(RUN,)).text == "Wait."
    assert planned(f"{step} [[say: Done.]]", tools=(RUN,)).text == ""


def test_the_limit_is_spent_on_thinking_first() -> None:
    turn = planned("[[say: 12345678]]", thinks=True, limit=3)
    assert (turn.thinking, turn.text, turn.finish) == (THOUGHT[:12], "", "length")
    call = '[[tool: {"name": "run", "args": {"n": 1}}]]'
    assert planned(call, tools=(RUN,), limit=2).calls == ()
    assert planned(call, tools=(RUN,), limit=3).finish == "tool_calls"


def test_a_cut_never_splits_a_letter() -> None:
    assert planned("[[say: aaé]]", limit=1).text == "aaé"
    assert planned("[[say: aaaé]]", limit=1).text == "aaa"


def test_the_first_stop_sequence_in_the_text_stops_it() -> None:
    turn = planned("[[say: a END b STOP]]", stops=("STOP", "END"))
    assert (turn.text, turn.stop, turn.finish) == ("a ", "END", "stop_sequence")


def test_a_refusal_calls_nothing() -> None:
    turn = planned('[[refuse]] [[tool: {"name": "run"}]]', tools=(RUN,))
    assert (turn.text, turn.calls, turn.finish) == (REFUSAL, (), "refusal")


def test_errors_are_raised_as_often_as_asked() -> None:
    attempts, asked = Attempts(), Ask("m", (Said(True, "[[errors: 2 529]] [[say: ok]]"),), ())
    for _ in range(2):
        with pytest.raises(VendorError) as caught:
            plan(asked, attempts)
        assert caught.value.status == 529
    assert plan(asked, attempts).text == "ok"
    attempts.clear()
    with pytest.raises(VendorError):
        plan(asked, attempts)


@pytest.mark.parametrize("bad", ["[[usage: many]]", "[[slow: ly]]", "[[error: sometimes]]"])
def test_a_directive_that_makes_no_sense_is_refused(bad: str) -> None:
    with pytest.raises(VendorError, match="cannot read a directive"):
        planned(bad)
