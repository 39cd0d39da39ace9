"""The browser notices what it is there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.browser import LOOKS, Chromium

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>A page</title>
<style>@page {{ size: A4; margin: 15mm }}</style></head>
<body><main><h1>A page</h1>{}</main></body></html>"""


def test_a_sound_page_is_sound(chromium: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format("<p>Nothing is wrong with it.</p>"))
    assert chromium.complaints(page) == []


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script>console.log('psst')</script>", "the console says psst"),
        ("<script>missing()</script>", "a script fails"),
        ("<img alt='' src='http://elsewhere.invalid/x.png'>", "asks for http://elsewhere.invalid/x.png"),
        ("<link rel='stylesheet' href='style.css'>", "/style.css"),
        ("<p style='width: 3000px'>wide</p>", "the page scrolls sideways"),
        ("<p style='margin-left: -90px'>out</p>", "beyond the edge"),
        ("<p style='width: 9px; overflow: hidden'>Unbreakable</p>", "cut off"),
        ("<table style='table-layout: fixed; width: 30px'><td>Unbreakable<td>2</table>", "leaves its cell"),
        ("<p style='color: #ccc; background: #fff'>faint</p>", "color-contrast"),
        ("<img src='data:,'>", "image-alt"),
    ],
)
def test_what_is_wrong_is_noticed(chromium: Chromium, tmp_path: Path, html: str, complaint: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(html))
    found = chromium.complaints(page, LOOKS[:1])
    assert any(complaint in each for each in found), found
