"""Measures worked out by hand, and the two commands about detectors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect import Detections
from detect.annotations import CocoDataset, load_coco
from detect.errors import AnnotationsError
from detect.evaluation.coco import confusion, evaluate, match
from detect.evaluation.plots import draw_confusion, draw_curves, draw_worst

NAMES = ("RED", "BLUE")


def dataset(folder: Path, boxes: list[list[tuple[int, int, bool]]], *, first_id: int = 1) -> CocoDataset:
    """A picture for each list; a box is (x, label, crowd), 20 pixels wide and high."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, rows in enumerate(boxes, start=1):
        Image.new("RGB", (100, 80), "gray").save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 80})
        for x, label, crowd in rows:
            row = {"id": first_id + len(annotations), "image_id": number, "category_id": label + 1}
            annotations.append(row | {"bbox": [x, 10, 20, 20], "area": 400, "iscrowd": int(crowd)})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)]
    file = folder / "boxes.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return load_coco(file, folder)


def found(*rows: tuple[int, int, float], names: tuple[str, ...] = NAMES) -> Detections:
    xyxy = np.array([[x, 10, x + 20, 30] for x, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.array([s for *_, s in rows]), np.array([n for _, n, _ in rows], np.int64), names)


def test_a_perfect_detector(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False), (40, 1, False)], []])
    result = evaluate(data, [found((0, 0, 0.9), (40, 1, 0.7)), found()])
    assert (result.ap, result.ap50, result.ap75, result.ar) == pytest.approx((1, 1, 1, 1))
    assert result.thresholds() == pytest.approx({"RED": 0.9, "BLUE": 0.7})
    assert [(row.boxes, row.recall) for row in result.classes] == [(1, 1), (1, 1)]


def test_curves_by_hand(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False)], [(0, 0, False)]])
    # Of two boxes one is found at .9, then a box of nothing at .8, then the other at .7: precision 1, 1/2, 2/3.
    result = evaluate(data, [found((0, 0, 0.9), (60, 0, 0.8)), found((0, 0, 0.7))])
    row = result.classes[0]
    assert row.ap50 == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert row.threshold == pytest.approx(0.7)  # F1 .8 with everything against .667 with the first alone
    assert row.threshold_recall90 == pytest.approx(0.7)
    assert result.summary()["classes"][1]["ap"] is None  # there is nothing blue
    assert np.isnan(result.classes[1].ap)
    assert json.dumps(result.summary(), allow_nan=False)


def test_a_crowd_is_held_against_nobody(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False), (60, 0, True)]])
    entries = [found((0, 0, 0.9), (60, 0, 0.95))]
    assert evaluate(data, entries).ap50 == pytest.approx(1)
    assert confusion(data, entries, min_score=0.5).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_confusion_by_hand(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False), (40, 1, False)], [(0, 1, False)]])
    entries = [found((0, 1, 0.9), (70, 0, 0.8), (40, 1, 0.2)), found((1, 1, 0.9), (0, 0, 0.95))]
    # First: red taken for blue, a red of nothing, the blue one too faint. Second: blue goes to what says red, as the
    # better score chooses first, and the one that says blue is left over.
    assert confusion(data, entries, min_score=0.5).tolist() == [[0, 1, 0], [1, 0, 1], [1, 1, 0]]
    assert match(data, 0, entries[0], min_score=0.5).partner.tolist() == [0, -1]


def test_labels_are_matched_by_name(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False)]])
    other = found((0, 2, 0.9), (50, 0, 0.99), names=("CAT", "BLUE", "RED"))
    assert evaluate(data, [other]).ap == pytest.approx(1)
    with pytest.raises(AnnotationsError, match=r"knows none of its labels RED, BLUE; it finds CAT"):
        evaluate(data, [found(names=("CAT",))])


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"boxes.json: holds no boxes"):
        evaluate(dataset(tmp_path, [[(0, 0, True)]]), [found()])
    with pytest.raises(ValueError, match="1 pictures need as many entries, not 2"):
        evaluate(dataset(tmp_path, [[(0, 0, False)]]), [found(), found()])


def test_pictures_of_an_evaluation(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[(0, 0, False)], [(0, 1, False)], [], [(40, 1, False)], [(9, 0, False)]])
    entries = [found((0, 0, 0.9)), found((0, 0, 0.9)), found(), found(), found((9, 0, 0.4))]
    sheet = draw_worst(data, entries, min_score=0.3, tile=120)
    assert sheet.shape == (240, 480, 3)
    assert (sheet == (220, 50, 50)).all(axis=2).any()
    assert (sheet == (40, 180, 90)).all(axis=2).any()
    assert draw_curves(evaluate(data, entries)).shape == (600, 700, 3)
    assert draw_confusion(confusion(data, entries, min_score=0.3), NAMES).ndim == 3


def test_evaluating_an_onnx_file_needs_no_torch() -> None:
    code = "import sys, detect.cli.detectors, detect.load; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
