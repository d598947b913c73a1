"""The page, driven in Chromium: pictures, verdicts, controls and the queue."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pages import NEEDED, ROOT, after, choose, verdict
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = NEEDED


def test_a_picture_is_shown_before_and_after_with_its_verdict(opened: Callable[..., Page], portrait: Path) -> None:
    page = opened(viewport={"width": 1280, "height": 860})
    page.set_input_files("#pick-input", portrait)
    verdict(page, "safe")
    expect(page.locator("#verdict-title")).to_have_text("Safe")
    expect(page.locator("#verdict-text")).to_contain_text("One region was hidden")
    expect(page.locator("#reasons li")).to_have_count(1)
    expect(page.locator("#reasons li")).to_contain_text(re.compile("Woman.s face.*8. % sure; hidden .pixelate"))
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
    expect(page.locator("#reasons li")).to_contain_text("hidden (solid)")
    assert after(page)[100:160, 190:250].max() < 12
    expect(page.locator("#strength")).to_be_disabled()
    with page.expect_response(lambda each: "shape=box" in each.url and "replacewith=solid" in each.url):
        page.get_by_role("radio", name="Box").check(force=True)
    page.get_by_role("radio", name="Pixelate").check(force=True)
    strength = page.get_by_role("slider", name="Strength")
    with page.expect_response(lambda each: "cells=1" in each.url):
        strength.fill("8")
    expect(page.locator("#strength-text")).to_have_text("one colour")
    with page.expect_response(lambda each: "policy=default" in each.url and "cells" not in each.url):
        page.get_by_label("Policy").select_option("default")
    expect(page.locator("#verdict-text")).to_contain_text("Nothing was hidden")


def test_choices_are_those_that_the_service_offers(opened: Callable[..., Page]) -> None:
    told = {
        "formats": [
            {"name": "jpeg", "title": "JPEG", "media_type": "image/jpeg", "suffix": ".jpg", "in_browsers": True},
            {"name": "jxl", "title": "JPEG XL", "media_type": "image/jxl", "suffix": ".jxl", "in_browsers": True},
            {"name": "raw", "title": "Raw", "media_type": "image/raw", "suffix": ".raw", "in_browsers": False},
        ],
        "effects": [{"name": "swirl", "cells": True}, {"name": "void", "cells": False}],
        "shapes": ["star"],
        "cells": {"minimum": 2, "maximum": 5},
        "limits": {"max_bytes": 3 * 2**20, "max_pixels": 7_000_000},
    }
    page = opened()
    page.route("**/v1/options", lambda route: route.fulfill(json=told))
    page.reload()
    page.wait_for_selector("body[data-ready=true]")
    values = "each => each.map((one) => one.value)"
    assert page.locator("input[name=replacewith]").evaluate_all(values) == ["swirl", "void"]
    assert page.locator("input[name=shape]").evaluate_all(values) == ["star"]
    assert page.locator("#format option").evaluate_all(values) == ["", "jpeg", "jxl"]
    assert page.locator("#strength").evaluate("each => [each.min, each.max]") == ["2", "5"]
    assert page.locator("#pick-input").get_attribute("accept") == "image/*,.jpg,.jxl,.raw"
    expect(page.locator("#taken")).to_have_text(
        "JPEG, JPEG XL or Raw, one still each, at most 3 MiB and 7 megapixels.", use_inner_text=False
    )
    policies = [each["name"] for each in httpx.get(f"{page.url}v1/policies").json()["policies"]]
    assert page.locator("#policy option").evaluate_all(values) == policies


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
