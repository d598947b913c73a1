"""The page with films, driven in Chromium: a job with its progress, two players, levels through time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from animations import encoded, red_square, stripes
from fakes import OTHERS
from film_files import RedSeer, blob, film, frames_of, red_in
from paged import pages
from pages import NEEDED, choose, verdict
from playwright.sync_api import Page, expect

from detect.detections import Detections, RGBImage
from detect.pictures.animation import decode_frames
from detect.pictures.tiff_pages import decode_pages

pytestmark = NEEDED


class Slow(RedSeer):
    """Red, for every policy, and so slowly that progress is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = (self.names[0], *OTHERS)  # type: ignore[assignment]  # wider than the parent's

    def _find(self, image: RGBImage) -> Detections:
        time.sleep(0.1)
        return super()._find(image)


@pytest.fixture(scope="module")
def real_detector() -> Any:
    """In the place of that which `opened` takes."""
    return Slow()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second, of which the first half is harmless."""
    path = tmp_path_factory.mktemp("films") / "walk.mp4"
    frames = [blob(-1 if each < 6 else 8 * each) for each in range(12)]
    path.write_bytes(film(frames, rate=12, options={"preset": "ultrafast"}, audio=None))
    return path


def color(page: Page, selector: str, side: str) -> str:
    return str(page.locator(selector).first.evaluate(f"(each) => getComputedStyle(each).{side}"))


def test_a_film_is_a_job_with_its_progress_two_players_and_its_levels(opened: Callable[..., Page], clip: Path) -> None:
    page = opened({"policy": "default"}, viewport={"width": 1280, "height": 860})
    expect(page.locator("#taken")).to_contain_text("Films: MP4", use_inner_text=False)
    page.set_input_files("#pick-input", clip)
    expect(page.locator("#verdict-title")).to_have_text("Looking at the film…")
    expect(page.locator("#veil-text")).to_have_text(re.compile(r"^\d+ of \d+ frames, \d+ a second"), timeout=15_000)
    verdict(page, "nsfw")
    expect(page.locator("#verdict-text")).to_have_text("The film as it came must not be shown. One thing was hidden.")
    expect(page.locator("#thumbs button")).to_have_attribute("aria-label", "Film 1: Not safe for work")
    for player in ("#film-before", "#film-after"):
        page.wait_for_function("(each) => document.querySelector(each).readyState >= 1", arg=player)
        assert page.locator(player).evaluate("(each) => [each.videoWidth, each.videoHeight]") == [160, 96]
    spans = page.locator("#spans button")
    expect(spans).to_have_text([re.compile("Safe, "), re.compile("Not safe for work, 90 %")])
    assert color(page, "#spans [data-level=nsfw]", "borderLeftColor") == color(page, "#verdict-title", "color")
    assert color(page, "#spans [data-level=safe]", "borderLeftColor") != color(page, "#verdict-title", "color")
    start = float(re.match(r"[\d.]+", spans.nth(1).inner_text())[0])  # type: ignore[index]  # it has just been looked for
    spans.nth(1).click()
    for player in ("#film-before", "#film-after"):
        assert abs(page.locator(player).evaluate("(each) => each.currentTime") - start) < 0.06
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 860})
        fits(page, width)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "walk.censored.mp4"
    assert not any(red_in(each).any() for each in frames_of(Path(download.value.path()).read_bytes()))


def fits(page: Page, width: int) -> None:
    """Nothing of a film is cut off, and nothing is wider than the page."""
    page.wait_for_function("(width) => innerWidth === width", arg=width)
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    for each in ("#film-before", "#film-after", "#spans"):
        inner = page.locator(each).bounding_box()
        assert inner is not None
        assert inner["y"] + inner["height"] <= stage["y"] + stage["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_change_ends_the_job_clearing_empties_the_players_and_a_broken_film_says_so(
    opened: Callable[..., Page], clip: Path, tmp_path: Path
) -> None:
    page = opened({"policy": "default"})
    page.set_input_files("#pick-input", clip)
    expect(page.locator("#veil-text")).to_have_text(re.compile("frames"), timeout=15_000)
    with page.expect_request(lambda each: each.method == "DELETE"):
        choose(page, "solid")
    verdict(page, "nsfw")
    page.get_by_role("button", name="Clear").click()
    for player in ("#film-before", "#film-after"):
        assert page.locator(player).evaluate("(each) => each.readyState + each.networkState") == 0
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:-300])
    page.set_input_files("#pick-input", broken)
    verdict(page, "failed")
    expect(page.locator("#verdict-text")).to_contain_text("There is no film after.")
    expect(page.locator("#download")).to_have_attribute("aria-disabled", "true")
    held = "fetch('metrics').then((each) => each.text()).then((text) => text.match(/^censor_jobs (.*)$/m)[1])"
    page.wait_for_function(f"async () => Number(await {held}) === 0")


@pytest.mark.parametrize(
    ("name", "data", "suffix", "seen"),
    [
        ("scan.tif", pages([stripes(), red_square(20)]), "tif", False),
        ("walk.heics", encoded([red_square(8 * each) for each in range(3)], "HEIF"), "avif", True),
        ("walk.gif", encoded([red_square(8 * each) for each in range(3)], "GIF"), "gif", True),
        ("still.tif", pages([red_square(20)]), "jpg", True),
    ],
    ids=["pages", "sequence", "animation", "still"],
)
def test_what_browsers_do_not_show_is_asked_for_as_what_they_do_if_there_is_any(
    opened: Callable[..., Page], tmp_path: Path, name: str, data: bytes, suffix: str, seen: bool
) -> None:
    (tmp_path / name).write_bytes(data)
    page = opened({"policy": "default"})
    page.set_input_files("#pick-input", tmp_path / name)
    verdict(page, "nsfw")
    stem = name.partition(".")[0]
    expect(page.locator("#download")).to_have_attribute("download", f"{stem}.censored.{suffix}")
    expect(page.locator("#after-note")).to_be_visible(visible=not seen)
    expect(page.locator("#before-note")).to_be_visible(visible=seen and suffix != "gif")
    assert page.locator("#after").is_visible() == seen
    with page.expect_download() as begun:
        page.locator("#download").click()
    written = begun.value.path().read_bytes()
    if suffix == "tif":
        assert len(list(decode_pages(written, "out"))) == 2
    elif suffix != "jpg":
        assert len(list(decode_frames(written, "out").frames)) == 3
