from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from detect.annotations import load_coco
from detect.retinanet.dataset import (
    Augment,
    PictureSet,
    collate,
    image_weights,
    mirror,
    padded_rows,
    place,
)
from detect.retinanet.losses import CROWD, PADDING
from detect.training.batches import Batches, worker_options

Squares = Callable[..., tuple[Path, Path]]


def is_inside(image: np.ndarray, box: np.ndarray, color: tuple[int, int, int]) -> bool:
    """Whether most of a box's inside has one colour, and little just outside of it has."""
    x0, y0, x1, y1 = (round(float(edge)) for edge in box)
    near = np.asarray((np.abs(image.astype(int) - color) < 40).all(axis=2))
    inside = near[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
    ring = near[max(0, y0 - 6) : y1 + 6, max(0, x0 - 6) : x1 + 6].sum() - near[y0:y1, x0:x1].sum()
    return bool(inside.mean() > 0.9 and ring < 0.1 * inside.size + 8)


def test_a_placed_box_still_surrounds_its_square() -> None:
    rng = np.random.default_rng(3)
    image = np.full((60, 90, 3), 120, np.uint8)
    image[20:50, 30:70] = (220, 30, 30)
    box = np.array([[30, 20, 70, 50]], np.float32)
    kept = 0
    for _ in range(40):
        canvas, xyxy, labels = place(image, box, np.array([1]), size=96, rng=rng)
        assert canvas.shape == (96, 96, 3)
        for row in xyxy:
            assert is_inside(canvas, row, (220, 30, 30))
        kept += len(labels)
    assert kept > 30


def test_a_box_that_a_crop_all_but_removes_is_dropped() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    corner = np.array([[0, 0, 10, 10]], np.float32)
    found = [
        len(place(image, corner, np.array([0]), size=50, rng=np.random.default_rng(seed), scales=(2, 2))[2])
        for seed in range(60)
    ]
    assert 0 < sum(found) < 40


def test_mirror_by_hand() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    mirrored, boxes = mirror(image, np.array([[0, 0, 1, 1]], np.float32))
    assert mirrored[0, 3].tolist() == [0, 1, 2]
    assert boxes.tolist() == [[3, 0, 4, 1]]


@pytest.mark.parametrize("augment", ["none", "flip", "full"])
def test_a_sample_depends_on_seed_epoch_and_position_alone(squares: Squares, augment: Augment) -> None:
    data = load_coco(*squares(4))
    one, other = (PictureSet(data, size=64, augment=augment, seed=5) for _ in range(2))
    other[(7, 3)]  # whatever was asked before
    first, again = one[(2, 1)], other[(2, 1)]
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.boxes, again.boxes)
    same = [torch.equal(one[(epoch, 1)].image, first.image) for epoch in range(20)]
    assert all(same) == (augment == "none")


def test_every_sample_is_whole_and_its_boxes_fit(squares: Squares) -> None:
    data = load_coco(*squares(4))
    pictures = PictureSet(data, size=96, augment="full")
    for epoch in range(10):
        for position in range(4):
            image, boxes, labels, fit = pictures[(epoch, position)]
            assert (image.dtype, tuple(image.shape), fit) == (torch.uint8, (3, 96, 96), None)
            assert len(boxes) == len(labels)
            assert ((boxes >= 0) & (boxes <= 96)).all()


def test_collate_pads_with_boxes_that_have_an_area(squares: Squares) -> None:
    data = load_coco(*squares(4))
    pictures = PictureSet(data, size=64, augment="none")
    batch = collate([pictures[0], pictures[1]], rows=padded_rows(data))
    assert batch.boxes.shape == (2, 8, 4)
    count = len(data.images[0].labels)
    assert (batch.labels[0, count:] == PADDING).all()
    assert ((batch.boxes[..., 2:] - batch.boxes[..., :2]) > 0).all()
    assert len(batch.fits) == 2
    np.testing.assert_allclose(batch.fits[0].restore(batch.boxes[0, :count].numpy()), data.images[0].xyxy, atol=1e-3)


def test_a_crowd_is_marked(squares: Squares) -> None:
    file, folder = squares(3, seed=1)
    document = json.loads(file.read_text())
    document["annotations"][0]["iscrowd"] = 1
    file.write_text(json.dumps(document))
    position = document["annotations"][0]["image_id"] - 1
    assert CROWD in PictureSet(load_coco(file, folder), size=64, augment="none")[position].labels


def test_rare_classes_are_drawn_more_often(squares: Squares) -> None:
    file, folder = squares(6)
    document = json.loads(file.read_text())
    document["annotations"] = [a for a in document["annotations"] if a["category_id"] == 1 or a["image_id"] == 1]
    document["annotations"].append({"id": 99, "image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9], "iscrowd": 0})
    file.write_text(json.dumps(document))
    weights = image_weights(load_coco(file, folder))
    assert weights.mean() == pytest.approx(1)
    assert weights[0] > 1.5 * weights[1]
    drawn = Counter(i for batch in Batches(6, batch_size=6, steps=200, seed=0, weights=weights) for _, i in batch)
    assert drawn[0] > 1.3 * drawn[1]


def test_workers_give_what_one_process_gives(squares: Squares) -> None:
    data = load_coco(*squares(4))
    pictures = PictureSet(data, size=64, augment="full")

    def images(workers: int) -> list[torch.Tensor]:
        batches = Batches(4, batch_size=2, steps=4, seed=0)
        loader = DataLoader(pictures, batch_sampler=batches, collate_fn=list, **worker_options(workers))
        return [sample.image for batch in loader for sample in batch]

    assert all(torch.equal(a, b) for a, b in zip(images(0), images(1), strict=True))


def test_albumentations_never_asks_the_network_for_an_update() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): sys.exit('the network was asked')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from detect.retinanet.dataset import _pixel_transforms\n"
        "_pixel_transforms()\n"
        "import os; assert os.environ['NO_ALBUMENTATIONS_UPDATE'] == '1'\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
