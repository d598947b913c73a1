from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect.annotations import load_coco
from detect.annotations.coco import CocoDataset
from detect.annotations.stats import ClassStats, Stats, count, draw_stats
from detect.errors import AnnotationsError


@pytest.fixture
def dataset(document: dict[str, Any], pictures: Path, write: Callable[..., Any]) -> CocoDataset:
    # Of "king" one box of 3 x 4 (image of 20 x 50) and one crowd; of "ace" one box of 20 x 25 (image of 40 x 30).
    return load_coco(write(document), pictures, names=("king", "ace", "queen"))


def test_counts_and_measures(dataset: CocoDataset) -> None:
    king, ace = round(12**0.5, 3), round(500**0.5, 3)
    king_share, ace_share = round((12 / 1000) ** 0.5, 3), round((500 / 1200) ** 0.5, 3)
    assert count(dataset) == Stats(
        3,
        1,
        (
            ClassStats("king", 1, 1, 2, (king,) * 3, (king_share,) * 3, (0.75,) * 3),
            ClassStats("ace", 1, 0, 1, (ace,) * 3, (ace_share,) * 3, (0.8,) * 3),
            ClassStats("queen", 0, 0, 0, None, None, None),
        ),
    )


def test_percentiles(document: dict[str, Any], pictures: Path, write: Callable[..., Any]) -> None:
    document["annotations"] = [
        {"id": side, "image_id": 1, "category_id": 1, "bbox": [0, 0, side, side]} for side in range(1, 22)
    ]
    assert count(load_coco(write(document), pictures)).classes[0].size == (2, 11, 20)


def test_the_picture_is_a_png_and_the_same_each_time(dataset: CocoDataset, tmp_path: Path) -> None:
    draw_stats(dataset, tmp_path / "a.png")
    draw_stats(dataset, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_a_dataset_of_crowds_alone_can_be_drawn(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any], tmp_path: Path
) -> None:
    for annotation in document["annotations"]:
        annotation["iscrowd"] = 1
    draw_stats(load_coco(write(document), pictures), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_an_existing_picture_is_not_overwritten_unasked(dataset: CocoDataset, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(AnnotationsError, match="exists already"):
        draw_stats(dataset, tmp_path / "a.png")
    draw_stats(dataset, tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").stat().st_size > 0
