"""The page when something goes wrong: late answers, a service that is gone, keys, files that are no pictures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from pages import NEEDED, after, choose, verdict
from playwright.sync_api import Error, Page, Route, expect

pytestmark = NEEDED


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
    expect(page.locator("#reasons li")).to_contain_text("hidden (solid)")
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


def test_nothing_can_turn_text_into_markup(opened: Callable[..., Page]) -> None:
    script = (
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (error) { return error.name; } }"
    )
    assert opened().evaluate(script) == "TypeError"


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
    expect(page.get_by_label("Policy")).to_have_value("faces_judged")
