"""The documentation: one Markdown file a page in docs/, rendered with this deployment's address.

Pages write `https://hontoni.example` for the base URL and `sk-gw-your-key` for a key; both are
filled in before rendering, and so are numbers that are settings. Examples for several tools are
tabs (`=== "Name"`), which work without a script. Every heading has an anchor, so that every
section can be linked to and found.

docs/<language>/ has the same pages in another language, under the same names, with the same code
and the same anchors (`## Heading { #anchor }`): a link to a section is good in every language.
A page that is not there is shown in English.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from html import unescape
from pathlib import Path
from typing import Any

import markdown
from django.conf import settings
from django.utils import translation
from django.utils.html import escape, strip_tags
from django.utils.translation import gettext as _
from markdown.extensions.toc import slugify_unicode

BASE_URL, KEY = "https://hontoni.example", "sk-gw-your-key"
NAMES = "<!-- the live table of names -->"  # a page may hold it; the view puts the table there
FEATURES = "<!-- the live table of features -->"  # likewise
# `30 days<!-- PRICE_NOTICE_DAYS -->`: the number is this deployment's.
_SET = re.compile(r"\b\d+( \w+)<!-- ([A-Z_]+) -->")
_MARKS = re.compile(r"<!-- .*? -->|<span id=\"[^\"]*\"></span>")  # for us, not for readers
ENGLISH = "en"
BOARD = "conformance"  # written by `make conformance` in both languages; the last of the pages
FOLDER = Path(settings.BASE_DIR) / "docs"
_EXTENSIONS = [
    "markdown.extensions.tables",
    "markdown.extensions.attr_list",
    "markdown.extensions.admonition",
    "markdown.extensions.toc",
    "pymdownx.superfences",
    "pymdownx.highlight",
    "pymdownx.tabbed",
]
_OPTIONS: dict[str, dict[str, Any]] = {
    "markdown.extensions.tables": {"use_align_attribute": True},
    "markdown.extensions.toc": {"slugify": slugify_unicode, "permalink": "#", "toc_depth": "2-3"},
    "pymdownx.highlight": {"guess_lang": False, "css_class": "code"},
}


@dataclass(frozen=True, slots=True)
class Source:
    """A page as it is written. Files are named `<order>-<slug>.md` and begin with `# Title`."""

    slug: str
    title: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    language: str
    html: str
    contents: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Section:
    """What search finds: a heading and the words under it."""

    slug: str
    page: str
    anchor: str
    heading: str
    text: str


@cache
def sources(language: str = ENGLISH) -> dict[str, Source]:
    """All pages by slug, in reading order; in English where the language has none."""
    found = {}
    for path in [*sorted(FOLDER.glob("[0-9][0-9]-*.md")), FOLDER / f"{BOARD}.md"]:
        slug, own = path.stem.lstrip("0123456789-"), FOLDER / language / path.name
        known = language != ENGLISH and own.exists()
        title, _, text = (own if known else path).read_text().partition("\n")
        spoken = language if known else ENGLISH
        text = _SET.sub(lambda hit: f"{getattr(settings, hit[2])}{hit[1]}", text)
        found[slug] = Source(slug, title.removeprefix("# ").strip(), text, spoken)
    return found


@lru_cache(maxsize=512)
def render(slug: str, base_url: str, key: str, language: str = ENGLISH) -> Page:
    """A page for this visitor. Raises KeyError for a slug there is none of."""
    source = sources(language)[slug]
    text = source.text.replace(BASE_URL, base_url).replace(KEY, key)
    writer = markdown.Markdown(extensions=_EXTENSIONS, extension_configs=_OPTIONS)
    html = writer.convert(text)
    return Page(source.title, source.language, _operable(html, language), writer.toc_tokens)


def _operable(html: str, language: str) -> str:
    """Wide things scroll by keyboard; headings' anchors and tabs say what they are."""
    html = html.replace("<pre>", '<pre tabindex="0">')
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    html = html.replace("</table>", "</table></div>").replace("<th>", '<th scope="col">')
    with translation.override(language):
        here = escape(_("Link to this section"))
        copy, copied = escape(_("Copy")), escape(_("Copied"))
    box = f'<div class="code copy" data-copy="{copy}" data-copied="{copied}">'
    html = html.replace('<div class="code">', box)
    html = html.replace('title="Permanent link">#</a>', f'aria-label="{here}">#</a>')
    tab = re.compile(r'(<input[^>]*?)( ?/?>)(<label for="[^"]*">)([^<]*)(</label>)')
    return tab.sub(r'\1 data-tab="\4"\2\3\4\5', html)


def written(slug: str, base_url: str, language: str = ENGLISH) -> str:
    """A page as Markdown, with this deployment's address: for programs that read. Raises
    KeyError."""
    source = sources(language)[slug]
    text = f"# {source.title}\n{source.text}".replace(BASE_URL, base_url)
    return _MARKS.sub("", text)


def about_code(code: str, base_url: str, language: str = ENGLISH) -> str:
    """What the page of errors says about a code, as HTML; empty if it has no part of its own."""
    html = render("errors", base_url, KEY, language).html
    parts = re.split(r"<h[23] id=\"[^\"]+\">(.*?)</h[23]>", html, flags=re.DOTALL)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        if code in re.findall(r"[a-z0-9_]+", strip_tags(heading)):
            return body
    return ""


@cache
def sections(language: str = ENGLISH) -> list[Section]:
    """Every section of every page."""
    found = []
    for slug, source in sources(language).items():
        html = render(slug, BASE_URL, KEY, language).html
        parts = re.split(r'<h[23] id="([^"]+)">(.*?)</h[23]>', html, flags=re.DOTALL)
        found.append(Section(slug, source.title, "", source.title, _words(parts[0])))
        for anchor, heading, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            name = _words(heading).removesuffix("#").strip()
            found.append(Section(slug, source.title, anchor, name, _words(body)))
    return found


def _words(html: str) -> str:
    return " ".join(unescape(strip_tags(html)).split())


def search(query: str, language: str = ENGLISH, most: int = 20) -> list[Section]:
    """Sections with all the words of the query; those with them in the heading first."""
    words = query.lower().split()
    if not words:
        return []
    ranked = []
    for section in sections(language):
        heading, text = section.heading.lower(), section.text.lower()
        if all(word in heading or word in text for word in words):
            ranked.append((sum(word not in heading for word in words), section))
    return [section for _, section in sorted(ranked, key=lambda pair: pair[0])[:most]]


def excerpt(section: Section, query: str, width: int = 160) -> str:
    """The words around the first match."""
    words = query.lower().split()
    positions = [section.text.lower().find(word) for word in words]
    start = max(0, min((p for p in positions if p >= 0), default=0) - width // 3)
    piece = section.text[start : start + width].strip()
    return f"{'…' if start else ''}{piece}{'…' if start + width < len(section.text) else ''}"
