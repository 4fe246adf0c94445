"""Reading a page as a person does: where its links lead, and what its forms would send."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

# Words that only English has, and no name of a thing: who reads them was not spoken to in another
# language.
_ENGLISH = re.compile(
    r"\b(?:the|of|is|are|was|and|or|your|you|this|that|with|from|not|it|its|has|have|been|for|"
    r"by|be|which|what|when|each|every|all|any|none|no|yet|here|there|to|until)\b",
    re.IGNORECASE,
)
_NOT_READ = {"script", "style", "code", "pre", "textarea", "kbd", "svg"}
_VOID = {"input", "br", "hr", "img", "meta", "link", "source", "wbr", "col"}
_SAID = ("placeholder", "title", "aria-label", "alt", "data-label", "data-copy", "data-copied")
_LEFT_ALONE = {"submit", "button", "image", "reset", "file"}
_FILLED = {
    "email": "crawler@example.com",
    "number": "1",
    "url": "https://example.com/",
    "password": "correct horse battery",
    "date": "2026-11-01",
}


@dataclass
class Form:
    """A form as it was rendered: sent untouched but for its required fields, which are filled."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    @property
    def sendable(self) -> bool:
        """What is only shown has no button; a search is sent by the key."""
        return bool(self.buttons) or self.method == "get"

    @property
    def shape(self) -> tuple[str, str, frozenset[str]]:
        names = frozenset(self.fields) | {name for name, _ in self.buttons}
        return urlsplit(self.action).path, self.method, names


@dataclass
class Read:
    """What a page leads to."""

    links: list[str]
    forms: list[Form]


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.links = url, list[str]()
        self.forms: dict[str, Form] = {}
        self.open: Form | None = None
        self.select: tuple[Form, str] | None = None
        self.area: tuple[Form, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and found.get("href"):
            self.links.append(urljoin(self.url, found["href"]))
        elif tag == "form":
            method = found.get("method", "get").lower()
            form = Form(urljoin(self.url, found.get("action", "")), method)
            self.forms[found.get("id") or f"#{len(self.forms)}"] = self.open = form
        elif tag == "option" and self.select:
            self._option(*self.select, found)
        elif tag in ("input", "select", "textarea", "button"):
            self._control(tag, found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None
        elif tag == "select":
            self.select = None
        elif tag == "textarea":
            self.area = None

    def handle_data(self, data: str) -> None:
        if self.area:
            form, name = self.area
            form.fields[name] = [form.fields[name][0] + data]

    def _option(self, form: Form, name: str, found: dict[str, str]) -> None:
        if "selected" in found or name not in form.fields:
            form.fields[name] = [found.get("value", "")]

    def _control(self, tag: str, found: dict[str, str]) -> None:
        form = self.forms.get(found["form"]) if "form" in found else self.open
        name, kind = found.get("name", ""), found.get("type", "text")
        if form is None or "disabled" in found:
            return
        if tag == "button" or kind == "submit":
            if kind != "button":
                form.buttons.append((name, found.get("value", "")))
        elif not name or kind in _LEFT_ALONE:
            return
        elif tag == "select":
            self.select = (form, name)
        elif tag == "textarea":
            self.area, form.fields[name] = (form, name), [""]
        elif kind not in ("checkbox", "radio"):
            needed = _FILLED.get(kind, "1") if "required" in found else ""
            form.fields[name] = [found.get("value") or needed]
        elif "checked" in found or ("required" in found and name not in form.fields):
            form.fields.setdefault(name, []).append(found.get("value", "on"))


def read(html: str, url: str) -> Read:
    """The links and the forms of a page that was served at this address."""
    reader = _Reader(url)
    reader.feed(html)
    return Read(reader.links, list(reader.forms.values()))


class _Listener(HTMLParser):
    """What of a page is read by a person, but for what says itself that it is English."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[bool] = []  # of each element whether it is passed over
        self.heard: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        over = tag in _NOT_READ or found.get("lang") == "en" or (self.open and self.open[-1])
        if not over:
            self.heard += [said for name in _SAID if (said := found.get(name))]
        if tag not in _VOID:
            self.open.append(bool(over))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and self.open:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not (self.open and self.open[-1]) and data.strip():
            self.heard.append(" ".join(data.split()))


def english(html: str) -> list[str]:
    """What a page says in English."""
    listener = _Listener()
    listener.feed(html)
    return [said for said in listener.heard if _ENGLISH.search(said)]
