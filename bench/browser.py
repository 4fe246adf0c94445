"""What a page weighs and how much it moves, in a real Chromium with a warm cache."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.web import chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_SHIFTS = """
window.shift = 0
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value
}).observe({type: 'layout-shift', buffered: true})
"""


@dataclass(frozen=True)
class Seen:
    """One page, opened when others had been: kB over the wire, and the layout shift."""

    kilobytes: float
    shift: float


def look(url: str, cookie: tuple[str, str], paths: Sequence[str]) -> dict[str, Seen]:
    """Open every page once, and then again to measure it. Empty without Chromium."""
    launch = chromium.found()
    if launch is None:
        return {}
    from playwright.sync_api import sync_playwright

    name, value = cookie
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch, args=FLAGS)
        context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": name, "value": value, "url": url}])
        context.add_init_script(_SHIFTS)
        page = context.new_page()
        page.set_default_timeout(120_000)
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        transferred: list[float] = []
        network.on(
            "Network.loadingFinished", lambda event: transferred.append(event["encodedDataLength"])
        )
        found = {}
        for _ in range(2):
            for path in paths:
                transferred.clear()
                page.goto(path, wait_until="load")
                page.wait_for_timeout(400)
                shift = float(page.evaluate("window.shift"))
                found[path] = Seen(sum(transferred) / 1000, shift)
        browser.close()
    return found
