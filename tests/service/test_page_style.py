"""How the page looks and is reached: keyboard, phones, colours, contrast."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import NEEDED, ROOT, verdict
from playwright.sync_api import Page, expect

pytestmark = NEEDED


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
    page.get_by_role("radio", name="Pixelate").focus()
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


def test_what_is_chosen_is_seen_in_a_systems_own_colors(opened: Callable[..., Page]) -> None:
    page = opened(forced_colors="active")
    script = "(each) => getComputedStyle(each.nextElementSibling).outlineStyle"
    assert page.locator("input[value=pixelate]").evaluate(script) == "solid"
    assert page.locator("input[value=solid]").evaluate(script) == "none"
    assert page.locator(".track").evaluate("(each) => getComputedStyle(each).borderTopStyle") == "solid"


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


def test_the_screenshot_is_small() -> None:
    assert (ROOT / "docs" / "images" / "service-page.jpg").stat().st_size < 200_000
