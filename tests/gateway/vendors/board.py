"""The README's table of providers, from what the tests of this room are parametrized with.

A ✓ is a test that asks that provider, as its preset has it, through the public door, against a
simulator that refuses what the real one refuses. `make providers` runs them and writes the table;
tests/test_readme.py compares.
"""

from pathlib import Path

README = Path(__file__).parents[3] / "README.md"
BEGIN, END = "<!-- providers: make providers -->\n", "<!-- providers end -->\n"
_HEAD = (
    "| Provider | Spoken to it | Key | Answers whole and streamed, billed as it counts | Tools "
    "| What it refuses of us |\n|---|---|---|:-:|:-:|:-:|\n"
)
_OWN = (
    ("Anthropic", "Anthropic Messages", "x-api-key (Anthropic)"),
    ("OpenAI", "OpenAI Chat Completions, OpenAI Responses", "Authorization: Bearer"),
    ("Google Gemini", "Google Gemini", "x-goog-api-key (Google)"),
)


def table() -> str:
    """Every provider, those of whom the same holds in one row."""
    from gateway.vendors.access import usual
    from gateway.vendors.models import Auth, Dialect
    from gateway.vendors.presets import PRESETS
    from sandbox.vendors.clouds.hosts import HOSTS
    from tests.gateway.vendors import test_clouds, test_hosts

    clouds = {name.split()[0] for name in test_clouds.CLOUDS}
    asked = {host for host, _ in test_hosts.PAIRS} | set(test_hosts.CLAUDISH) | clouds
    tools = {name.split()[0] for name in test_clouds.WITH_TOOLS} | set(HOSTS)
    refused = {name.split(":")[0] for name in test_clouds.WRONG} | set(HOSTS)
    rows: dict[tuple[str, ...], list[str]] = {}
    for title, *own in _OWN:
        rows.setdefault((*own, "✓", "✓", "✓"), []).append(title)
    for preset in PRESETS:
        if preset.name not in asked:
            continue
        row = preset.provider()
        spoken = ", ".join(Dialect(dialect).label for dialect in row.spoken)
        key = Auth(row.auth or usual(row.vendor, row.hosting, row.dialect)).label
        marks = ("✓" if preset.name in found else "–" for found in (asked, tools, refused))
        rows.setdefault((spoken, str(key), *marks), []).append(preset.title)
    written = ("; ".join(titles) for titles in rows.values())
    pairs = zip(written, rows, strict=True)
    return _HEAD + "".join(f"| {' | '.join((titles, *cells))} |\n" for titles, cells in pairs)


def written(readme: str) -> str:
    """The README with the table as it is now."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    import django

    django.setup()
    README.write_text(written(README.read_text()))
