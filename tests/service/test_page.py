"""The page, driven in Chromium."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright

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
    page.set_viewport_size({"width": 320, "height": 640})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(each) for each in re.findall(r"\d+", background)) < 200) == (scheme == "dark")


def test_what_is_chosen_is_seen_in_a_systems_own_colours(opened: Callable[..., Page]) -> None:
    page = opened(forced_colors="active")
    script = "(each) => getComputedStyle(each.nextElementSibling).outlineStyle"
    assert page.locator("input[value=pixelate]").evaluate(script) == "solid"
    assert page.locator("input[value=solid]").evaluate(script) == "none"
    assert page.locator(".track").evaluate("(each) => getComputedStyle(each).borderTopStyle") == "solid"


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


def choose(page: Page, value: str) -> None:
    page.locator(f"input[value={value}]").check(force=True)


def test_an_older_answer_is_never_shown_over_a_newer_one(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    asked: list[str] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route.request.url)
        held.append(route)

    page.route("**/v1/censor?*", hold)
    choose(page, "blur")
    page.wait_for_timeout(200)
    choose(page, "solid")
    page.wait_for_timeout(200)
    assert ["replacewith=blur" in each for each in asked] == [True, False]
    # What is on the stage goes for older options until the answer comes, and must not be taken for the new one.
    expect(page.locator("#veil")).to_be_visible()
    expect(page.locator("#verdict")).to_have_attribute("aria-busy", "true")
    assert page.locator("#download").get_attribute("href") is None
    for route in reversed(held):
        with contextlib.suppress(Error):  # the browser has given up the first
            route.continue_()
    expect(page.locator("#verdict")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#reasons li")).to_contain_text("under solid colour")
    page.wait_for_timeout(300)
    assert after(page)[100:160, 190:250].max() < 12
    assert page.locator("#download").get_attribute("href") is not None


def test_a_service_that_is_gone_leaves_no_picture_after(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    page.route("**/v1/censor?*", lambda route: route.abort())
    choose(page, "solid")
    verdict(page, "failed")
    expect(page.locator("#verdict-title")).to_have_text("No answer")
    expect(page.locator("#after")).to_be_hidden()
    assert page.locator("#after").get_attribute("src") is None
    assert page.locator("#download").get_attribute("href") is None
    page.unroute("**/v1/censor?*")
    page.get_by_role("button", name="Try again").click()
    verdict(page, "safe")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_busy_service_is_asked_again(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    answers = iter([True])
    asked: list[float] = []
    document = '{"type": "/problems/busy", "title": "Too busy", "status": 503, "detail": "Wait."}'

    def busy_once(route: Route) -> None:
        asked.append(time.monotonic())
        if next(answers, False):
            route.fulfill(status=503, headers={"Retry-After": "Sat, 01 Jan 2050 00:00:00 GMT"}, body=document)
        else:
            route.continue_()

    page.route("**/v1/censor?*", busy_once)
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    first, second = asked
    assert second - first > 0.8  # a date is no number of seconds, and no reason to ask again at once


def test_what_the_browser_cannot_read_is_not_blamed_on_the_service(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.evaluate("""() => {
      const file = new File(["x"], "folder");
      Object.defineProperty(file, "slice", { value: () => ({ arrayBuffer: () => Promise.reject(new Error("gone")) }) });
      const drop = new DragEvent("drop", { bubbles: true, cancelable: true });
      Object.defineProperty(drop, "dataTransfer", { value: { files: [file], types: ["Files"] } });
      window.fetch = () => Promise.reject(new TypeError("Failed to fetch"));
      document.body.dispatchEvent(drop);
    }""")
    verdict(page, "failed")
    expect(page.locator("#verdict-title")).to_have_text("Cannot be read")


def test_an_empty_file_is_spoken_of(opened: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    page = opened()
    page.set_input_files("#pick-input", tmp_path / "empty.txt")
    verdict(page, "failed")
    expect(page.locator("#verdict-title")).to_have_text("No picture")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_result_that_the_browser_cannot_show_is_asked_for_as_jpeg(
    opened: Callable[..., Page], tmp_path: Path, astronaut: NDArray[np.uint8]
) -> None:
    path = tmp_path / "<b>no jpeg<img src=x>.jpg"
    Image.fromarray(astronaut).save(path, "TIFF")
    page = opened()
    page.set_input_files("#pick-input", path)
    verdict(page, "safe")
    assert after(page).shape == astronaut.shape
    name = page.locator("#download").get_attribute("download")
    assert name == "<b>no jpeg<img src=x>.censored.jpg"
    assert page.locator("#thumbs button").get_attribute("title") == path.name
    expect(page.locator("img")).to_have_count(4)  # the icon, before, after, the thumb: none made of the file's name
    expect(page.locator("#before-note")).to_be_visible()


def test_transparent_places_show_nothing_of_the_other_picture(
    opened: Callable[..., Page], tmp_path: Path, astronaut: NDArray[np.uint8]
) -> None:
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :100] = 0
    Image.fromarray(np.concatenate([astronaut, alpha], axis=2)).save(tmp_path / "clear.png")
    page = opened(viewport={"width": 1280, "height": 860})
    page.set_input_files("#pick-input", tmp_path / "clear.png")
    verdict(page, "safe")
    page.evaluate("""() => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [512, 512];
      canvas.getContext("2d").fillRect(0, 0, 512, 512);
      return new Promise((resolve) => {
        const image = document.getElementById("after");
        image.addEventListener("load", resolve, { once: true });
        canvas.toBlob((blob) => { image.src = URL.createObjectURL(blob); });
      });
    }""")
    shot = np.asarray(Image.open(io.BytesIO(page.locator("#picture").screenshot())).convert("RGB"))
    height, width = shot.shape[:2]
    assert shot[height // 2, width // 20].min() > 150  # the stage, and not the black picture after
    assert shot[height // 2, -width // 20].max() < 30


def test_a_policy_without_a_verdict_is_not_called_safe(
    opened: Callable[..., Page], portrait: Path, tmp_path: Path
) -> None:
    (tmp_path / "house.toml").write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\n")
    page = opened({"policies": tmp_path})
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    page.get_by_label("Policy").select_option("house")
    verdict(page, "unjudged")
    expect(page.locator("#verdict-title")).to_have_text("No verdict")
    expect(page.locator("#verdict-text")).to_have_text(
        "This policy hides, but has no rule for a verdict. One region was hidden."
    )


def test_nothing_can_turn_text_into_markup(opened: Callable[..., Page]) -> None:
    script = (
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (error) { return error.name; } }"
    )
    assert opened().evaluate(script) == "TypeError"


def test_clearing_forgets_every_picture(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened()
    page.evaluate("""() => {
      window.alive = new Set();
      const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
      URL.createObjectURL = (blob) => { const url = make.call(URL, blob); alive.add(url); return url; };
      URL.revokeObjectURL = (url) => { alive.delete(url); revoke.call(URL, url); };
    }""")
    page.set_input_files("#pick-input", [portrait, portrait])
    expect(page.locator("#queue-text")).to_have_text("2 of 2 done", timeout=20_000)
    for value in ("blur", "solid", "sticker"):
        choose(page, value)
        expect(page.locator("#queue-text")).to_have_text("2 of 2 done", timeout=20_000)
        assert page.evaluate("() => alive.size") == 4  # before and after, of each
    choose(page, "pixelate")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()
    page.wait_for_timeout(500)
    assert page.evaluate("() => alive.size") == 0
    assert page.locator("#before").get_attribute("src") is None
    assert page.locator("#after").get_attribute("src") is None
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    expect(page.locator("#main")).to_be_focused()


def test_the_question_for_a_key_can_be_declined(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened({"api_keys": "open-sesame"}, ready="#key-dialog[open]")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("body[data-ready=failed]")
    expect(page.locator("#start-title")).to_have_text("API key missing or wrong")
    page.set_input_files("#pick-input", portrait)
    field = page.get_by_label("API key", exact=True)
    field.fill("schlüssel")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#key-dialog")).to_be_visible()  # no header can hold it
    field.fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#key-text")).to_contain_text("not taken")
    page.keyboard.press("Escape")
    verdict(page, "failed")
    page.get_by_role("button", name="Try again").click()
    page.get_by_label("API key", exact=True).fill(" open-sesame ")
    page.get_by_role("button", name="Continue").click()
    verdict(page, "safe")
    expect(page.get_by_label("Policy")).to_have_value("faces")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(opened: Callable[..., Page], portrait: Path, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    script = """() => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 1;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      const paint = (colors) => {
        for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
      };
      const light = (rgb) => {
        const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
        const [r, g, b] = rgb.map((each) => linear(each / 255));
        return .2126 * r + .7152 * g + .0722 * b;
      };
      const under = (each) => each ? [...under(each.parentElement), getComputedStyle(each).backgroundColor] : [];
      const poor = [];
      for (const each of document.querySelectorAll("body *")) {
        const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        const off = each.closest(".picture, .off, [disabled], [aria-disabled=true], .skip, option, noscript");
        if (!own || off || !each.checkVisibility({ visibilityProperty: true })) continue;
        const below = under(each);
        const [a, b] = [light(paint([...below, getComputedStyle(each).color])), light(paint(below))];
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) poor.push(`${each.tagName} ${each.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
      }
      return poor;
    }"""
    assert page.evaluate(script) == []
    page.set_input_files("#pick-input", [portrait, portrait])
    expect(page.locator("#queue-text")).to_have_text("2 of 2 done", timeout=20_000)
    page.wait_for_timeout(600)  # for what fades in
    assert page.evaluate(script) == []


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
