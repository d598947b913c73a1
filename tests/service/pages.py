"""What the tests of the page share."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

CHROMIUM = shutil.which("chromium", path="/usr/bin")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
ROOT = Path(__file__).parent.parent.parent

NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to drive the page")


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


def choose(page: Page, value: str) -> None:
    page.locator(f"input[value={value}]").check(force=True)
