"""What a classifier in training is shown: what it will be shown at work, and the same variations in every run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from tiny_classifiers import classifier_of, reds
from torch.utils.data import DataLoader

from detect.annotations.classes import read_classes
from detect.classifier.fit import RESIZES
from detect.pictures.rgb import read_rgb
from detect.training.batches import Batches, worker_options
from detect.training.classifier.checkpoint import Input
from detect.training.classifier.dataset import Augment, ClassPictures, open_nsfw_crop
from detect.training.classifier.evaluation import measure

Shapes = Callable[..., Path]


@pytest.mark.parametrize("resize", RESIZES)
def test_what_is_learnt_from_is_what_production_shows(shapes: Shapes, resize: str) -> None:
    data = read_classes(shapes(2))
    classifier = classifier_of(reds(resize=resize, color="BGR", mean="[104, 117, 123]", scale="0.5"))
    pictures = ClassPictures(data, size=32, resize=resize, augment="none")
    given = Input(color="BGR", mean=(104, 117, 123), scale=(0.5,) * 3)
    for position, picture in enumerate(data.pictures):
        image, label = pictures[position]
        assert (image.dtype, tuple(image.shape), label) == (torch.uint8, (3, 32, 32), picture.label)
        expected = classifier.prepare([read_rgb(picture.path)])
        np.testing.assert_array_equal(given.normalized(image[None]).numpy(), expected)


def test_flipping_mirrors_half_of_the_pictures(shapes: Shapes) -> None:
    data = read_classes(shapes(2))
    plain, flipped = (ClassPictures(data, size=32, resize="squash", augment=how) for how in ("none", "flip"))
    mirrored = 0
    for epoch in range(20):
        image, original = flipped[(epoch, 1)][0], plain[1][0]
        is_mirrored = torch.equal(image, original.flip(-1))
        assert is_mirrored or torch.equal(image, original)
        mirrored += is_mirrored
    assert 4 <= mirrored <= 16


@pytest.mark.parametrize("augment", get_args(Augment))
def test_variations_follow_from_seed_epoch_and_picture_alone(shapes: Shapes, augment: Augment) -> None:
    data = read_classes(shapes(2))
    pictures = ClassPictures(data, size=64, resize="squash", augment=augment, seed=4)

    def images(workers: int) -> list[torch.Tensor]:
        batches = Batches(len(data), batch_size=4, steps=4, seed=0)
        return [batch[0] for batch in DataLoader(pictures, batch_sampler=batches, **worker_options(workers))]

    first = images(0)
    assert all(torch.equal(a, b) for a, b in zip(first, images(0), strict=True))
    if augment == "nudenet-v1":  # it alone has a state of its own
        assert all(torch.equal(a, b) for a, b in zip(first, images(1), strict=True))
    changes = [not torch.equal(pictures[(0, 1)][0], pictures[(epoch, 1)][0]) for epoch in range(1, 9)]
    assert any(changes) == (augment != "none")
    assert all(image.shape == (4, 3, 64, 64) for image in first)


def test_a_crop_is_a_part_of_a_larger_square() -> None:
    # Each pixel says where it is: by how much its neighbours differ is the scale.
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (240, 240, 3)).copy()
    rng = np.random.default_rng(0)
    widths = []
    for _ in range(60):
        seen = open_nsfw_crop(ramp, size=64, resize="squash", rng=rng)
        assert seen.shape == (64, 64, 3)
        widths.append(240 * 64 / (int(seen[0, -1, 0]) - int(seen[0, 0, 0]) + 240 / 100))
    assert 70 <= min(widths) < 85  # 64 * 256 / 224 = 73
    assert 120 < max(widths) <= 145  # 64 * 480 / 224 = 137


def test_measures_by_hand(shapes: Shapes) -> None:
    data = read_classes(shapes(2))  # bar, bar, disc, disc
    table = [np.array([0.8, 0.2]), np.array([0.4, 0.6]), np.array([0.5, 0.5]), np.array([0.1, 0.9])]
    found = measure(data, table, ["disc"])
    assert found["accuracy"] == 0.5  # of two equal ones the first is taken
    assert (found["recall bar"], found["recall disc"]) == (0.5, 0.5)
    assert found["auc"] == 0.75
    assert found["loss"] == pytest.approx(-np.log([0.8, 0.4, 0.5, 0.9]).mean())
