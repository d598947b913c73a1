"""A folder of small pictures with a COCO file that says all the right things about them, to be spoilt by tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from detect import __main__ as entry

DOCUMENT: dict[str, Any] = {
    "categories": [{"id": 1, "name": "king"}, {"id": 2, "name": "ace"}],
    "images": [
        {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 2, "file_name": "sub/b.jpg", "width": 20, "height": 50},
        {"id": 3, "file_name": "empty.png", "width": 8, "height": 8},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 25], "area": 500, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 30], "area": 1200, "iscrowd": 1},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1.5, 2.5, 3.0, 4.0], "area": 12, "iscrowd": 0},
    ],
}


@pytest.fixture
def document() -> dict[str, Any]:
    """A correct document: two categories, three images (the last a negative), three boxes (the second a crowd)."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder with the pictures that `document` names."""
    folder = tmp_path / "pictures"
    for image in DOCUMENT["images"]:
        path = folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (image["width"], image["height"]), "teal").save(path)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    """Write a document as JSON and say where."""

    def _write(content: object, name: str = "coco.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return _write


@pytest.fixture
def run() -> Callable[..., Any]:
    def _run(*arguments: Any) -> Result:
        return CliRunner().invoke(entry.main, [str(argument) for argument in arguments])

    return _run
