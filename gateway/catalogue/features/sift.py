"""A request to a vendor of its own dialect, without what the allow-list does not know.

Nothing here is a refusal, but where a tool is forced that was left out, or nothing would be left:
agents take a 400 for a reason to try again without half of their features. What is left out is
told, and the text that can be read in it stays. A request that names nothing unknown costs a few
set comparisons and stays the same object.

* members of the body, and of those members whose own members are listed
* values of members (`service_tier=flex`)
* tools, wherever they are declared: also in namespaces and in the middle of a conversation
* content blocks, items and edits, by their type
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gateway.catalogue.features.models import Pricing
from gateway.catalogue.features.snapshot import EDITS, TOOLS, Row, Rules
from gateway.dialects.codecs import opaque
from hontoni.errors import BadRequest

_APART = "system"
_CONVERSATIONS = (_APART, "messages", "input")
_INSIDE = ("content", "output")  # where an item has items of its own
_DEEPEST = 6
MOST_NAMES, LONGEST = 20, 80  # told of one request
AND_MORE = "..."
_WITH_TOOLS = (TOOLS, "tool_choice", "parallel_tool_calls")
_NESTED = frozenset((*_INSIDE, TOOLS, "tool"))
PAGE_TOKENS = 50_000  # of one page that a tool reads
_FETCHES, _CONTENT = "web_fetch", "max_content_tokens"
_MASK = "input_image_mask"
_STORES = "vector_store_ids"
_FINDS, _LATER = "tool_search", "defer_loading"
_NONE: Mapping[str, str] = {}

# What the vendor calls the model that a tool names; None where we do not sell it to this caller.
Helper = Callable[[str], str | None]


class Use(NamedTuple):
    """What a request asks for that may cost money of its own, and how often at most."""

    row: Row
    calls: int
    declared: Mapping[str, Any]


class Sifted(NamedTuple):
    """`left_out` is `kind:name`; `asked` are the members with a factor, as they were asked for."""

    body: dict[str, Any]
    left_out: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    requested: Mapping[str, str] = _NONE


def sift(body: dict[str, Any], rules: Rules, helper: Helper, *, most: int | None = None) -> Sifted:
    """The body as it may be sent. Raises BadRequest where a tool is forced that may not. `most`:
    how often a tool that costs money of its own may be used, at most; 0 leaves it out."""
    if rules.is_plain(body) and _says_nothing_else(body, rules.plain_blocks):
        return Sifted(body)  # nearly always
    sieve = _Sieve(rules, helper, most)
    kept = sieve.members("", body)
    if not rules.values.keys().isdisjoint(kept):
        kept = sieve.values(kept)
    if type(tools := kept.get(TOOLS)) is list and (now := sieve.tools(tools)) is not tools:
        kept = sieve.chosen(kept | {TOOLS: now})
    for name in _CONVERSATIONS:
        if type(raw := kept.get(name)) is list and (now := sieve.said(name, raw)) is not raw:
            if not now and name != _APART:
                raise BadRequest(f"Nothing is left of {name}: none of it is known.", param=name)
            kept = kept | {name: now or None}
    if EDITS in kept:
        kept = sieve.edits(kept)
    if not sieve.noted:
        return Sifted(kept)
    kept = sieve.bounded(kept)
    return Sifted(kept, tuple(sieve.left), tuple(sieve.uses), sieve.requested)


def _says_nothing_else(body: Mapping[str, Any], plain: frozenset[str | None]) -> bool:
    """Whether its conversation is plain."""
    for name in _CONVERSATIONS:
        raw = body.get(name)
        if type(raw) is list and not are_plain(raw, plain, 0):
            return False
    return True


def are_plain(items: list[Any], plain: frozenset[str | None], depth: int) -> bool:
    """Whether nothing in them is unknown or costs anything of its own."""
    for item in items:
        if type(item) is not dict:
            continue
        if item.get("type") not in plain:
            return False
        if _NESTED.isdisjoint(item):
            continue
        if TOOLS in item or "tool" in item:
            return False
        for name in _INSIDE:
            inner = item.get(name)
            if type(inner) is list and (
                depth == _DEEPEST or not are_plain(inner, plain, depth + 1)
            ):
                return False
    return True


class _Sieve:
    """One request's; notes what it leaves out, and what of the rest may cost."""

    __slots__ = ("_by", "_gone", "_most", "_where", "requested", "helper", "left", "rules", "uses")

    def __init__(self, rules: Rules, helper: Helper, most: int | None) -> None:
        self.rules, self.helper, self._most = rules, helper, most
        self.left: dict[str, None] = {}
        self.uses: list[Use] = []
        self.requested: dict[str, str] = {}
        self._gone: list[Mapping[str, Any]] = []  # tools
        self._where = self._by = ""  # in which conversation it is, and whose words are looked at

    @property
    def noted(self) -> bool:
        return bool(self.left or self.uses or self.requested)

    def leave(self, kind: str, name: str) -> None:
        raw = f"{kind}:{name[:LONGEST]}" if len(self.left) < MOST_NAMES else AND_MORE
        self.left[raw] = None

    def members(self, container: str, raw: dict[str, Any]) -> dict[str, Any]:
        """The object itself, or what of it is known; so with the objects inside it."""
        names = self.rules.members.get(container)
        if names is None:
            return raw
        kept = raw
        if not names.all.issuperset(raw):
            kept = {name: value for name, value in raw.items() if names.find(name)}
            for name in raw:
                if name not in kept:
                    self.leave("member", f"{container}.{name}".lstrip("."))
        if inner := self.rules.inner.get(container):
            for name, value in tuple(kept.items()):
                if type(value) is dict and (path := inner.get(name)) is not None:
                    now = self.members(path, value)
                    kept = kept if now is value else kept | {name: now}
        for name in self.rules.costly.get(container, ()):
            if kept.get(name) and (row := names.find(name)):
                self.uses.append(Use(row, 1, kept))
        return kept

    def values(self, body: dict[str, Any]) -> dict[str, Any]:
        for member, known in self.rules.values.items():
            if (value := body.get(member)) is None:
                continue
            row = known.find(value) if isinstance(value, str) else None
            if row is None:
                self.leave("value", f"{member}={value if isinstance(value, str) else '?'}")
                body = {name: raw for name, raw in body.items() if name != member}
            elif row.pricing == Pricing.FACTOR:
                self.requested[(row.meters or (member,))[0]] = value
        return body

    def tools(self, raw: list[Any]) -> list[Any]:
        plain, names = self.rules.plain_tools, self.rules.members[TOOLS].all
        for tool in raw:
            if type(tool) is not dict or tool.get("type") not in plain:
                break
            if TOOLS in tool or not names.issuperset(tool):
                break
        else:
            return raw
        return _same(raw, map(self.tool, raw))

    def tool(self, tool: Any) -> Any:
        """The tool as it may be offered, or None."""
        if type(tool) is not dict:
            return tool
        kind = tool.get("type")
        row = self.rules.tools.find(kind) if isinstance(kind, str) else None
        if kind and (row is None or self._is_reference(tool)):
            return self._without(tool, str(kind))
        if _STORES in tool and not self._may_read(tool[_STORES]):
            return self._without(tool, str(kind))
        kept = self.members(TOOLS, tool)
        if type(inner := kept.get(TOOLS)) is list:
            kept = kept | {TOOLS: self.tools(inner)}
            return kept if kept[TOOLS] else None
        if row is None or row.pricing == Pricing.INCLUDED or kept.get("execution") == "client":
            return kept
        return self._used(row, kept)

    def _is_reference(self, tool: Mapping[str, Any]) -> bool:
        """Whether a string stands where we read an object, or a file id in one: it points at what
        we cannot see, and may be another customer's."""
        inner = self.rules.inner.get(TOOLS, ())
        if any(isinstance(tool.get(name), str) for name in inner):
            return True
        mask = tool.get(_MASK)
        return isinstance(mask, dict) and bool(mask.get("file_id"))

    def _may_read(self, stores: Any) -> bool:
        """Whether staff have listed all of these: they are in the vendor's account, which is
        ours, and another customer's papers may be in them."""
        named = f"{TOOLS}.{_STORES}"
        known = self.rules.values.get(named)
        wanted = stores if isinstance(stores, list) else [stores]
        unknown = [
            each
            for each in wanted
            if known is None or not isinstance(each, str) or known.find(each) is None
        ]
        for each in unknown:
            self.leave("value", f"{named}={each if isinstance(each, str) else '?'}")
        return not unknown

    def _without(self, tool: Mapping[str, Any], name: str) -> None:
        self.leave("tool", name)
        self._gone.append(tool)

    def _used(self, row: Row, tool: dict[str, Any]) -> Any:
        if self._most == 0:
            return self._without(tool, f"{tool['type']} (balance)")
        if row.pricing == Pricing.TOKENS and not row.meters:
            named = tool.get("model")
            model = self.helper(named) if isinstance(named, str) else None
            if model is None:
                return self._without(tool, f"{tool['type']} with {named}")
            tool = tool | {"model": model}
        calls = row.most_calls
        if row.bound.startswith(f"{TOOLS}."):
            name = row.bound.partition(".")[2]
            calls = _at_most(tool.get(name), min(calls, self._most or calls))
            tool = tool | {name: calls}
        if row.name.startswith(_FETCHES):
            tool = tool | {_CONTENT: _at_most(tool.get(_CONTENT), PAGE_TOKENS)}
        self.uses.append(Use(row, calls, tool))
        return tool

    def chosen(self, body: dict[str, Any]) -> dict[str, Any]:
        """The choice among the tools that are left. BadRequest where it forces another."""
        if not body[TOOLS]:
            self._check(body.get("tool_choice"), body)
            return {name: raw for name, raw in body.items() if name not in _WITH_TOOLS}
        if any(str(tool.get("type")).startswith(_FINDS) for tool in self._gone):
            body = body | {TOOLS: [*map(_at_once, body[TOOLS])]}
        choice = body.get("tool_choice")
        if not self._gone or not isinstance(choice, dict):
            return body
        if choice.get("type") != "allowed_tools":
            self._check(choice, body)
            return body
        raw = choice.get("allowed_tools", choice)
        left = [tool for tool in raw.get(TOOLS) or () if not self._names_gone(tool)]
        if not left:
            return body | {"tool_choice": "none"}
        now = {**raw, TOOLS: left}
        return body | {"tool_choice": now if raw is choice else {**choice, "allowed_tools": now}}

    def _check(self, choice: Any, body: Mapping[str, Any]) -> None:
        if isinstance(choice, dict) and self._names_gone(choice):
            name = choice.get("name") or choice.get("type")
            raise BadRequest(
                f"tool_choice: {name} is not available on {body.get('model')}.",
                code="unsupported_parameter",
                param="tool_choice",
            )

    def _names_gone(self, choice: Any) -> bool:
        if not isinstance(choice, dict):
            return False
        name, kind = choice.get("name"), choice.get("type")
        if name and kind in ("tool", "function", "custom"):
            return any(tool.get("name") == name for tool in self._gone)
        return any(str(tool.get("type")) == str(kind) for tool in self._gone)

    def said(self, name: str, raw: list[Any]) -> list[Any]:
        """A conversation, or as much of it as may be sent."""
        self._where = name
        now = self.items(raw)
        self._where = ""
        return now

    def items(self, raw: list[Any], depth: int = 0) -> list[Any]:
        if are_plain(raw, self.rules.plain_blocks, depth):
            return raw
        return _same(raw, (self.item(item, depth) for item in raw))

    def item(self, item: Any, depth: int) -> Any:
        """The block or item as it may be sent, or None."""
        if type(item) is not dict:
            return item
        kind = item.get("type")
        row = self.rules.blocks.find(kind) if isinstance(kind, str) else None
        if depth == 0:
            self._by = str(item.get("role"))
        if (kind and row is None) or depth > _DEEPEST:
            self.leave("block", str(kind))
            return self._text(item, depth)
        if row is not None and row.pricing != Pricing.INCLUDED:
            self.uses.append(Use(row, max(1, row.most_calls), item))
        for name in _INSIDE:
            if type(inner := item.get(name)) is not list or not inner:
                continue
            if (now := self.items(inner, depth + 1)) is not inner:
                if not now and "role" in item:
                    return None
                item = item | {name: now}
        return self._declaring(item)

    def _text(self, item: dict[str, Any], depth: int) -> Any:
        """The text that can be read in what is unknown, in this dialect's words; or None."""
        if not self._where or not (text := opaque.readable(item)):
            return None
        alone = depth == 0 and self._where != _APART
        by = opaque.role(item) if alone else self._by
        kind = "text"
        if self._where == "input":
            kind = "output_text" if by == "assistant" else "input_text"
        part = {"type": kind, "text": text}
        return {"role": by, "content": [part]} if alone else part

    def _declaring(self, item: dict[str, Any]) -> Any:
        """Tools that arrive in the middle of a conversation are tools."""
        if type(tools := item.get(TOOLS)) is list:
            now = self.tools(tools)
            return item if now is tools else item | {TOOLS: now}
        raw = item.get("tool")
        if isinstance(raw, dict) and "definition" in raw:
            now = self.tool(raw["definition"])
            if now is not raw["definition"]:
                return now and item | {"tool": raw | {"definition": now}}
        return item

    def edits(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the vendor shall do with a long conversation: a list, or an object with one."""
        raw = body[EDITS]
        edits = raw.get("edits") if isinstance(raw, dict) else raw
        if not isinstance(edits, list) or (now := self.items(edits)) is edits:
            return body
        if not now:
            return {name: value for name, value in body.items() if name != EDITS}
        return body | {EDITS: {**raw, "edits": now} if isinstance(raw, dict) else now}

    def bounded(self, body: dict[str, Any]) -> dict[str, Any]:
        """With the bound that is one of the whole request's, where one of its tools has it."""
        for name in {use.row.bound for use in self.uses if "." not in use.row.bound} - {""}:
            mine = [use for use in self.uses if use.row.bound == name]
            most = sum(use.calls for use in mine)
            most = _at_most(body.get(name), min(most, self._most or most))
            body = body | {name: most}
            self.uses = [
                use._replace(calls=min(use.calls, most)) if use in mine else use
                for use in self.uses
            ]
        return body


def _at_once(tool: Any) -> Any:
    """A tool that nobody looks for any more is offered from the beginning."""
    if not isinstance(tool, dict) or _LATER not in tool:
        return tool
    return {name: value for name, value in tool.items() if name != _LATER}


def _at_most(raw: Any, most: int) -> int:
    requested = raw if isinstance(raw, int) and not isinstance(raw, bool) else most
    return max(0, min(requested, most))


def _same(raw: list[Any], kept: Iterable[Any]) -> list[Any]:
    """The list itself, if it is the same."""
    now = [each for each in kept if each is not None]
    if len(now) == len(raw) and all(a is b for a, b in zip(now, raw, strict=True)):
        return raw
    return now
