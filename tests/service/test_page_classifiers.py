"""The page where policies ask classifiers: which saw what, how sure it is, and where that was hidden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifying import JUDGED, Seer, Sworn
from numpy.typing import NDArray
from pages import NEEDED, after, verdict
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = NEEDED

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def asking(tmp_path: Path) -> dict[str, Any]:
    """Settings of a service whose policy asks a classifier."""
    (tmp_path / "judged.toml").write_text(JUDGED)
    return {"policies": tmp_path, "policy": "judged", "classifiers": [Seer()]}


@pytest.fixture
def lawn(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    """The portrait with a green square over four of eight by eight cells."""
    pixels = astronaut.copy()
    pixels[320:448, 64:192] = (0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "lawn.png")
    return tmp_path / "lawn.png"


@pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_who_saw_what_is_said_and_shown(
    opened: Callable[..., Page], asking: dict[str, Any], lawn: Path, context: dict[str, Any]
) -> None:
    page = opened(asking, **context)
    expect(page.locator("#policy-hint")).to_have_text("Hides bare female breast, what classifiers see. Asks seer.")
    page.set_input_files("#pick-input", lawn)
    verdict(page, "nsfw")
    lines = page.locator("#reasons li")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_have_text(
        "seer, a classifier 100 % sure that the picture as a whole is not safe for work; counts as not safe from 60 %. "
        "It sees most in one spot."
    )
    expect(lines.nth(1)).to_contain_text("saw 100 % sure; hidden (solid).")
    expect(page.locator("#judges")).to_contain_text("Judged by 320n and seer")
    assert after(page)[330:440, 70:190].max() == 0
    page.get_by_role("switch", name="Show what was found").check(force=True)
    heat = page.locator(".box.hit")
    expect(heat).to_have_count(1)
    expect(heat).to_contain_text("What a classifier saw 100 %")
    inner, outer = heat.bounding_box(), page.locator("#picture").bounding_box()
    assert inner is not None
    assert outer is not None
    assert abs((inner["x"] - outer["x"]) / outer["width"] - 64 / 512) < 0.02
    assert page.evaluate("document.documentElement.scrollWidth") <= context["viewport"]["width"]


def test_a_picture_that_still_looks_nsfw_is_refused(
    opened: Callable[..., Page], asking: dict[str, Any], portrait: Path
) -> None:
    page = opened({**asking, "classifiers": [Sworn()]})
    page.set_input_files("#pick-input", portrait)
    verdict(page, "failed")
    expect(page.locator("#verdict-title")).to_have_text("Still looks NSFW after hiding")
    expect(page.locator("#verdict-text")).to_contain_text("There is no picture after")
    expect(page.locator("#judges")).to_be_hidden()
    assert page.locator("#after").get_attribute("src") is None


def test_a_box_that_no_classifier_confirms_says_so(
    opened: Callable[..., Page], asking: dict[str, Any], portrait: Path
) -> None:
    (asking["policies"] / "judged.toml").write_text(
        JUDGED.replace("FEMALE_BREAST_EXPOSED", "FACE_FEMALE").replace(
            "nsfw_at = 0.4", "nsfw_at = 0.4\nconfirm_at = 0.3"
        )
    )
    page = opened(asking)
    page.set_input_files("#pick-input", portrait)
    verdict(page, "review")
    expect(page.locator("#reasons li")).to_contain_text("no classifier is 30 % sure that the picture is not safe")
