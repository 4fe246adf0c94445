"""The frame of every hosted page, and the few elements they share. All text is escaped here."""

from collections.abc import Iterable
from html import escape
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5c6675; --paper: #ffffff;
  --ground: #f3f5f8; --line: #dde2e9; --accent: #2f5fd0; --bad: #b3261e; --note: #fff4d6;
  --note-ink: #6b4e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #9aa4b2; --paper: #1b2028;
  --ground: #12151a; --line: #313845; --accent: #5b86ea; --bad: #f2a49d; --note: #3a2f10;
  --note-ink: #f3d98b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.mode { background: var(--note); color: var(--note-ink); text-align: center; padding: .5rem 1rem;
  font-size: .8125rem; letter-spacing: .02em; }
main { max-width: 30rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.25rem; margin-bottom: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1.25rem; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
p { margin: 0 0 .75rem; } section > :last-child { margin-bottom: 0; }
.soft { color: var(--soft); font-size: .875rem; }
.error { color: var(--bad); font-weight: 600; }
.total { font-size: 2rem; font-weight: 650; letter-spacing: -.02em; margin: 0 0 .25rem; }
dl { display: grid; grid-template-columns: 1fr auto; gap: .4rem 0; margin: 0; }
dd { margin: 0; padding-left: 1rem; text-align: right; font-variant-numeric: tabular-nums; }
.sum { border-top: 1px solid var(--line); padding-top: .4rem; font-weight: 600; }
.field { display: block; margin-bottom: 1rem; font-size: .875rem; color: var(--soft); }
.field input { display: block; width: 100%; margin-top: .25rem; padding: .6rem .7rem;
  font: inherit;
  font-size: 1rem; color: var(--ink); background: var(--paper); border: 1px solid var(--line);
  border-radius: 8px; }
fieldset { border: 0; padding: 0; margin: 0 0 1rem; min-width: 0; }
legend { padding: 0; font-size: .875rem; color: var(--soft); margin-bottom: .25rem; }
.choice { display: flex; gap: .75rem; align-items: center; padding: .65rem .75rem;
  border: 1px solid var(--line); border-radius: 8px; margin-bottom: .5rem; cursor: pointer; }
.choice:has(:checked) { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); }
.choice input { accent-color: var(--accent); margin: 0; width: 1.1rem; height: 1.1rem;
  flex: none; }
.choice b { display: block; font-weight: 550; }
.choice span span { color: var(--soft); font-size: .8125rem; }
.row { display: flex; gap: .75rem; align-items: center; justify-content: space-between;
  padding: .6rem 0; border-top: 1px solid var(--line); flex-wrap: wrap; }
.row:first-of-type { border-top: 0; } .row form { display: inline; }
.row:last-child { padding-bottom: 0; }
.row .acts { display: flex; gap: .5rem; flex-wrap: wrap; align-items: center; }
button { font: inherit; font-weight: 600; padding: .7rem 1rem; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--accent); background: var(--accent); color: #fff; width: 100%; }
@media (prefers-color-scheme: dark) { button { color: #0d1117; } }
button.quiet { width: auto; padding: .35rem .7rem; font-size: .875rem; font-weight: 500;
  background: transparent; color: var(--ink); border-color: var(--line); }
.stack > * + * { margin-top: .6rem; }
a { color: var(--accent); } .back { display: inline-block; margin-top: 1rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """A whole page; `body` is HTML already."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body>"
        '<div class="mode" role="note">TEST MODE — simulator. No money moves here.</div>'
        f"<main>{body}</main></body></html>"
    )
    return HTMLResponse(html, status, HEADERS)


async def submitted(request: Request) -> dict[str, str]:
    """The fields of a form; no more of a value than anybody would type."""
    body = (await request.body()).decode(errors="replace")
    return {name: value.strip()[:200] for name, value in parse_qsl(body)}


def gone(message: str, status: int = 404) -> HTMLResponse:
    """A page with one sentence."""
    return page(
        "Nothing here", f"<h1>Nothing here</h1><section><p>{escape(message)}</p></section>", status
    )


def money(amount: int, currency: str | None = "usd") -> str:
    """Cents as people write them."""
    sign, cents = ("-" if amount < 0 else ""), abs(amount)
    symbol = "$" if currency in ("usd", None) else f"{currency.upper()} "
    return f"{sign}{symbol}{cents // 100:,}.{cents % 100:02}"


def choices(name: str, options: Iterable[tuple[str, str, str]]) -> str:
    """Radio buttons: value, title, explanation. The first is chosen."""
    return "".join(
        f'<label class="choice"><input type="radio" name="{name}" value="{escape(value)}" required'
        f"{' checked' if index == 0 else ''}>"
        f"<span><b>{escape(title)}</b><span>{escape(note)}</span></span></label>"
        for index, (value, title, note) in enumerate(options)
    )


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """A two-column list; the last line is the sum."""
    cells = [(escape(name), escape(value)) for name, value in pairs]
    last = len(cells) - 1
    marks = [' class="sum"' if index == last and last else "" for index in range(len(cells))]
    lines = (f"<dt{m}>{n}</dt><dd{m}>{v}</dd>" for m, (n, v) in zip(marks, cells, strict=True))
    return f"<dl>{''.join(lines)}</dl>"
