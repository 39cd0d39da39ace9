"""A headless Chromium that opens our pages and says what is wrong with them.

Playwright's loop lives in a thread of its own, so that tests of the same worker can still run loops of theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = Path(__file__).parents[2] / "test-output" / "pages"
"""Every page as it looked, for people; no commit holds it."""


@dataclass(frozen=True)
class Look:
    """How somebody looks at a page: the width and height of the window in CSS pixels, and what they prefer."""

    name: str
    width: int
    height: int
    media: str = "screen"
    scheme: str = "light"


LOOKS = (
    Look("desktop", 1280, 900),
    Look("dark", 1280, 900, scheme="dark"),
    Look("phone", 360, 740),
    Look("print", 680, 971, media="print"),  # as wide as the page's own @page rule leaves
)

PAPER = """
() => {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).flatMap((rule) =>
    rule instanceof CSSMediaRule && rule.media.mediaText === "print" ? [...rule.cssRules] : [rule]);
  const style = rules.find((rule) => rule instanceof CSSPageRule && !rule.selectorText).style;
  return [style.size, style.marginLeft, style.marginRight];
}
"""
"""The size of the paper and the margins left and right."""

BEYOND_THE_EDGE = """
() => {
  const width = document.documentElement.clientWidth, found = [];
  const scrolls = (node) =>
    node && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  const say = (node, what) =>
    found.push(`${what}: <${node.tagName.toLowerCase()}> ${node.textContent.trim().slice(0, 60)}`);
  if (document.documentElement.scrollWidth > width) found.push("the page scrolls sideways");
  for (const node of document.body.querySelectorAll("*")) {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    if (!box.width || scrolls(node.parentElement) || node.closest("svg") !== node && node.closest("svg")) continue;
    if (box.right > width + 1 || box.left < -1) say(node, "beyond the edge");
    if (style.overflowX === "hidden" && node.scrollWidth > node.clientWidth + 1) say(node, "cut off");
  }
  return found;
}
"""
"""What a reader could not see without scrolling sideways; regions made to be scrolled may be wider inside."""

CROSSED = """
() => {
  const cells = [...document.querySelectorAll("td, th")], found = [];
  const range = document.createRange();
  for (const cell of cells) {
    range.selectNodeContents(cell);
    const text = range.getBoundingClientRect(), box = cell.getBoundingClientRect();
    if (text.width && box.width && (text.right > box.right + 1 || text.left < box.left - 1))
      found.push(`text leaves its cell: ${cell.textContent.trim().slice(0, 60)}`);
  }
  return found;
}
"""
"""Cells whose text runs into their neighbour."""


class Chromium:
    """The browser. `complaints` opens a page in every look; it is empty for a page one may send out."""

    def __init__(self, browser: Browser, thread: ThreadPoolExecutor) -> None:
        self._browser, self._thread = browser, thread

    def complaints(self, page: Path, looks: Iterable[Look] = LOOKS, pictures: str | None = None) -> list[str]:
        """What is wrong with a page; with a name for its pictures, PICTURES/<pictures>-<look>.png are kept."""
        return self._thread.submit(self._complaints, page, looks, pictures).result()

    def printed(self, page: Path) -> bytes:
        """The PDF that a person gets who prints the page."""
        return self._thread.submit(self._printed, page).result()

    def _complaints(self, page: Path, looks: Iterable[Look], pictures: str | None) -> list[str]:
        with self._opened(page) as (tab, found):
            for look in looks:
                width = _paper_width(tab) if look.media == "print" else look.width
                tab.set_viewport_size({"width": width, "height": look.height})
                tab.emulate_media(media=look.media, color_scheme=look.scheme)
                if pictures:
                    tab.screenshot(path=PICTURES / f"{pictures}-{look.name}.png", full_page=True)
                found += [f"{look.name}: {each}" for each in _seen(tab, look)]
            return found

    def _printed(self, page: Path) -> bytes:
        with self._opened(page) as (tab, _):
            return tab.pdf(prefer_css_page_size=True)

    @contextmanager
    def _opened(self, page: Path) -> Iterator[tuple[Page, list[str]]]:
        """A tab with the page, and a list that grows by what its console says and what it asks for."""
        with self._browser.new_context(offline=True) as context:
            heard: list[str] = []
            context.on("request", lambda asked: heard.append(f"asks for {asked.url}"))
            tab = context.new_page()
            tab.on("console", lambda message: heard.append(f"the console says {message.text}"))
            tab.on("pageerror", lambda error: heard.append(f"a script fails: {error}"))
            tab.on(
                "request", lambda asked: heard.append(f"asks for {asked.url}") if asked.url != page.as_uri() else None
            )
            tab.goto(page.as_uri())
            heard.remove(f"asks for {page.as_uri()}")
            yield tab, heard


def _paper_width(tab: Page) -> int:
    """CSS pixels between the margins of the page's paper, A4 on its short or its long side."""
    size, *margins = tab.evaluate(PAPER)
    assert size in ("A4", "a4", "A4 landscape", "a4 landscape"), size
    millimetres = (297 if "landscape" in size else 210) - sum(int(each.removesuffix("mm")) for each in margins)
    return millimetres * 96 * 10 // 254


def _seen(tab: Page, look: Look) -> Iterator[str]:
    yield from tab.evaluate(BEYOND_THE_EDGE)
    yield from tab.evaluate(CROSSED)
    if look.media == "screen":
        tab.evaluate(AXE.read_text())
        result: dict[str, Any] = tab.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        for violation in result["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
                yield f"{violation['id']} ({violation['help']}): {where}"


def why_not() -> str | None:
    """What is missing to look at pages, or None."""
    if not shutil.which("chromium"):
        return "chromium is not installed: apt-get install chromium"
    if not AXE.exists():
        return "axe-core is not installed: npm ci --ignore-scripts in tests/browser"
    return None


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """Debian's own Chromium: nothing is downloaded."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        playwright = thread.submit(lambda: sync_playwright().start()).result()
        try:
            launch = playwright.chromium.launch
            browser = thread.submit(launch, executable_path=shutil.which("chromium")).result()
            try:
                yield Chromium(browser, thread)
            finally:
                thread.submit(browser.close).result()
        finally:
            thread.submit(playwright.stop).result()
