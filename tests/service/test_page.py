"""The page, driven in Chromium."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from detect.load import load_detector

CHROMIUM = shutil.which("chromium", path="/usr/bin")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to drive the page")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def real_detector() -> Any:
    return load_detector(min_score=0.05, threads=1)


@pytest.fixture
def opened(browser: Browser, listening: Callable[..., int], real_detector: Any) -> Iterator[Callable[..., Page]]:
    """Open the page of a service: ``opened(settings={...}, color_scheme="dark")``. Fails if anything else is asked."""
    pages: list[Page] = []
    faults: list[str] = []

    def open_(settings: dict[str, Any] | None = None, ready: str = "body[data-ready=true]", **context: Any) -> Page:
        port = listening(real_detector, **{"policy": "faces", **(settings or {})})
        origin = f"http://127.0.0.1:{port}"
        page = browser.new_context(**context).new_page()
        page.on("request", lambda each: faults.append(each.url) if not _own(each.url, origin) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
        page.goto(origin)
        page.wait_for_selector(ready)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.context.close()
    assert faults == []


def _own(url: str, origin: str) -> bool:
    return url.startswith((origin + "/", f"blob:{origin}/", "data:image/svg+xml"))


@pytest.fixture
def portrait(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    path = tmp_path / "portrait.jpg"
    Image.fromarray(astronaut).save(path, quality=92)
    return path


def verdict(page: Page, level: str) -> None:
    expect(page.locator("#verdict")).to_have_attribute("data-level", level, timeout=15_000)


def after(page: Page) -> NDArray[np.int64]:
    """The picture after, as the page shows it."""
    script = """async () => {
      const image = document.getElementById("after");
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext("2d").drawImage(image, 0, 0);
      return canvas.toDataURL("image/png").split(",")[1];
    }"""
    data = base64.b64decode(page.evaluate(script))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_picture_is_shown_before_and_after_with_its_verdict(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened(viewport={"width": 1280, "height": 860})
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    expect(page.locator("#verdict-title")).to_have_text("Safe")
    expect(page.locator("#verdict-text")).to_contain_text("One region was hidden")
    expect(page.locator("#reasons li")).to_have_count(1)
    expect(page.locator("#reasons li")).to_contain_text(re.compile("Woman.s face.*8. % sure; hidden under a mosaic"))
    before = np.asarray(Image.open(portrait)).astype(int)
    difference = np.abs(after(page) - before)
    assert difference[100:160, 190:250].mean() > 10
    assert difference[300:].mean() < 3
    split = page.get_by_role("slider", name="How much of the picture before is shown")
    split.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert page.locator("#picture").evaluate("each => each.style.getPropertyValue('--split')") == "40%"
    expect(split).to_have_attribute("aria-valuetext", "40 % before, 60 % after")


def test_controls_render_again_at_once(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    with page.expect_response(lambda each: "replacewith=solid" in each.url):
        page.get_by_role("radio", name="Solid").check(force=True)
    expect(page.locator("#reasons li")).to_contain_text("under solid colour")
    assert after(page)[100:160, 190:250].max() < 12
    expect(page.locator("#strength")).to_be_disabled()
    with page.expect_response(lambda each: "shape=box" in each.url and "replacewith=solid" in each.url):
        page.get_by_role("radio", name="Box").check(force=True)
    page.get_by_role("radio", name="Mosaic").check(force=True)
    strength = page.get_by_role("slider", name="Strength")
    with page.expect_response(lambda each: "cells=1" in each.url):
        strength.fill("8")
    expect(page.locator("#strength-text")).to_have_text("one colour")
    with page.expect_response(lambda each: "policy=default" in each.url and "cells" not in each.url):
        page.get_by_label("Policy").select_option("default")
    expect(page.locator("#verdict-text")).to_contain_text("Nothing was hidden")


def test_boxes_are_shown_and_hidden(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    expect(page.locator("#boxes")).to_be_hidden()
    page.get_by_role("switch", name="Show what was found").check(force=True)
    hit = page.locator(".box.hit")
    expect(hit).to_have_count(1)
    expect(hit).to_contain_text(re.compile("Woman.s face 8. %"))
    inner, outer = hit.bounding_box(), page.locator("#picture").bounding_box()
    assert inner is not None
    assert outer is not None
    assert 0.3 < (inner["x"] - outer["x"]) / outer["width"] < 0.4
    page.get_by_role("switch").uncheck(force=True)
    expect(page.locator("#boxes")).to_be_hidden()


def test_the_result_is_downloaded(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    with page.expect_response(lambda each: "format=png" in each.url):
        page.get_by_label("Save as").select_option("png")
    expect(page.locator("#download")).to_have_attribute("download", "portrait.censored.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    image = Image.open(download.value.path())
    assert image.format == "PNG"
    assert (np.asarray(image).astype(int) == after(page)).all()


def test_several_pictures_are_a_queue(opened: Callable[..., Page], portrait: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(portrait.read_bytes()[:-4000])
    page = opened()
    page.set_input_files("#pick-input", [broken, portrait, portrait])
    expect(page.locator("#queue-text")).to_have_text("3 of 3 done, 1 failed", timeout=20_000)
    verdict(page, "failed")
    expect(page.locator("#verdict-title")).to_have_text("Damaged picture")
    expect(page.locator("#verdict-text")).to_contain_text("There is no picture after")
    expect(page.locator("#download")).to_have_attribute("aria-disabled", "true")
    assert page.locator("#after").get_attribute("src") is None
    page.get_by_role("button", name="Picture 2: Safe").click()
    verdict(page, "safe")
    expect(page.get_by_role("button", name="Picture 2: Safe")).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("button", name="Download all")).to_be_visible()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(opened: Callable[..., Page], portrait: Path, way: str) -> None:
    page = opened()
    script = """([way, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "x.jpg", { type: "image/jpeg" }));
      const init = { bubbles: true, cancelable: true };
      const event = way === "paste" ? new ClipboardEvent("paste", { ...init, clipboardData: data })
                                    : new DragEvent("drop", { ...init, dataTransfer: data });
      document.body.dispatchEvent(event);
    }"""
    page.evaluate(script, [way, list(portrait.read_bytes())])
    verdict(page, "safe")


def test_everything_can_be_reached_by_keyboard_and_has_a_name(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the pictures")).to_be_focused()
    choose = page.get_by_role("button", name="Choose pictures")
    choose.focus()
    with page.expect_file_chooser(timeout=5000) as chooser:
        choose.press("Enter")
    chooser.value.set_files(portrait)
    verdict(page, "safe")
    expect(page.locator("#verdict")).to_have_attribute("aria-live", "polite")
    page.locator("body").focus()
    reached: set[str] = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    assert {
        "add-more",
        "split",
        "policy",
        "replacewith",
        "strength",
        "shape",
        "show-boxes",
        "format",
        "download",
    } <= reached
    nameless = """() => [...document.querySelectorAll("button, input, select, a, img")].filter((each) => {
      const labels = each.labels ? [...each.labels].map((label) => label.textContent).join("") : "";
      return !(each.alt !== undefined && each.tagName === "IMG") && !labels.trim()
        && !each.textContent.trim() && !each.getAttribute("aria-label");
    }).map((each) => each.outerHTML)"""
    assert page.evaluate(nameless) == []
    page.get_by_role("radio", name="Mosaic").focus()
    with page.expect_response(lambda each: "replacewith=blur" in each.url):
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(opened: Callable[..., Page], portrait: Path, scheme: str) -> None:
    page = opened(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, color_scheme=scheme)
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    page.set_input_files("#photo-input", portrait)
    verdict(page, "safe")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(each) for each in re.findall(r"\d+", background)) < 200) == (scheme == "dark")


def test_a_service_with_keys_asks_for_one(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened({"api_keys": "open-sesame"}, ready="#key-dialog[open]")
    for key in ("wrong", "open-sesame"):
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_timeout(300)
    page.wait_for_selector("body[data-ready=true]")
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0


def test_what_is_sent_where_is_said(opened: Callable[..., Page]) -> None:
    page = opened()
    host = page.evaluate("location.host")
    expect(page.locator(".facts")).to_contain_text(f"Your picture, to {host}")
    expect(page.locator(".facts")).to_contain_text("writes no picture to disk")


def test_the_documented_javascript_runs(opened: Callable[..., Page], portrait: Path) -> None:
    text = (ROOT / "docs" / "service.md").read_text()
    (snippet,) = re.findall(r"^```javascript\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    script = f"""async (bytes) => {{
      const file = new File([new Uint8Array(bytes)], "photo.jpg", {{ type: "image/jpeg" }});
      {snippet}
      return [verdict, censored.type, censored.size];
    }}"""
    verdict, media_type, size = opened().evaluate(script, list(portrait.read_bytes()))
    assert (verdict, media_type) == ("safe", "image/jpeg")
    assert size > 10_000


def test_the_screenshot_is_small() -> None:
    assert (ROOT / "docs" / "images" / "service-page.jpg").stat().st_size < 200_000
