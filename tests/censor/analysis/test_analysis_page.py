import base64
import hashlib
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from censor.analysis.page import Block, Figure, Gallery, Map, MapPoint, Paragraph, Section, Table, render_page

CHROMIUM = shutil.which("chromium", path="/usr/bin")
DOT = b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="40"><rect width="900" height="40"/></svg>'


def page() -> str:
    figure = Figure(DOT, "a bar", "under it")
    table = Table([f"column {row}" for row in range(12)], [["<b>name</b>", *map(str, range(11))]], "what it says")
    blocks: list[Block] = [Paragraph("mind this", emphasis=True), table, figure, Gallery([figure] * 5)]
    return render_page("A <title>", [Section("First & last", blocks), Section("Second", [])], lead="lead")


def test_what_is_said_is_text_and_never_markup() -> None:
    assert "A &lt;title&gt;" in page()
    assert "&lt;b&gt;name&lt;/b&gt;" in page()
    assert "First &amp; last" in page()
    assert "<b>" not in page()


def test_all_that_it_shows_is_in_it_and_it_may_fetch_nothing() -> None:
    assert set(re.findall(r'src="(\w+:[\w/+]+)', page())) == {"data:image/svg+xml"}
    assert "default-src 'none'" in page()
    assert "<script" not in page()
    assert not re.findall(r'(?:href|src)="(?!#|data:)', page())


def test_a_row_of_other_length_than_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match="each row needs 2 cells, one for each of: a, b"):
        Table(["a", "b"], [["1"]])


@pytest.mark.parametrize(
    ("start", "mime"), [(b"\x89PNG\r", "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"RIFF0000WEBP", "webp")]
)
def test_pictures_say_their_kind(start: bytes, mime: str) -> None:
    assert Figure(start, "").source.startswith(f"data:image/{mime};base64,")


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="figure 'a bar': expected PNG, JPEG, WebP or SVG, not b'GIF8'"):
        render_page("t", [Section("s", [Figure(b"GIF8", "a bar")])])


def map_of_three() -> str:
    points = [MapPoint(Figure(DOT, "a dot", f"<b>dot {n}</b>"), n / 2, n / 2, score=n / 2, count=n) for n in range(3)]
    return render_page("Map", [Section("Map", [Map(points, "what it shows")])])


def test_a_page_with_a_map_has_one_script_which_is_the_one_that_may_run() -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", map_of_three(), re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'\">" in map_of_three()
    assert map_of_three().count("<script") == 1
    assert not re.findall(r"\son\w+=", map_of_three())
    assert "dot 2&lt;/b&gt;" in map_of_three()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to look at pages")
@pytest.mark.parametrize("width", [360, 1280])
def test_a_map_can_be_looked_at_closer_moved_and_asked(tmp_path: Path, width: int) -> None:
    (tmp_path / "map.html").write_text(map_of_three(), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            tab = browser.new_page(viewport={"width": width, "height": 800})
            said: list[str] = []
            tab.on("console", lambda message: said.append(message.text))
            tab.goto((tmp_path / "map.html").as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            sheet = "document.querySelector('.sheet').style.transform"
            tab.get_by_role("button", name="Closer").click()
            assert tab.evaluate(sheet).endswith("scale(2)")
            before = tab.evaluate(sheet)
            tab.locator(".plane").press("ArrowRight")
            assert tab.evaluate(sheet) != before
            tab.get_by_role("button", name="All").click()
            assert tab.evaluate(sheet) == "translate(0px, 0px) scale(1)"
            tab.locator(".point").nth(1).click()
            assert tab.locator("output").inner_text() == "<b>dot 1</b>"
            seen = set()
            for _ in range(3):
                tab.locator(".plane").press("Enter")
                seen.add(tab.locator("output").inner_text())
            assert len(seen) == tab.locator(".point").count() == 3
            assert tab.locator(".chosen").count() == 1
            assert said == []
        finally:
            browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to look at pages")
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_hangs_over_the_edge_of_a_phone_or_a_desk(tmp_path: Path, width: int) -> None:
    (tmp_path / "page.html").write_text(page(), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            tab = browser.new_page(viewport={"width": width, "height": 800})
            said: list[str] = []
            tab.on("console", lambda message: said.append(message.text))
            tab.goto((tmp_path / "page.html").as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert said == []
        finally:
            browser.close()
