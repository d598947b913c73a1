"""The detector that is installed, on a portrait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detect import Detections, Detector, FlipDetector, TiledDetector
from detect.runtime.telemetry import import_quietly

FACE = [173, 82, 274, 180]  # of the astronaut, x and y in turn


def test_the_installed_detector_finds_the_face_whole_tiled_and_flipped(
    installed_detector: Detector,
    astronaut: NDArray[np.uint8],
    best_box: Callable[[Detections, str], NDArray[np.float32]],
) -> None:
    for detector, reach in (
        (installed_detector, 3),
        (FlipDetector(installed_detector), 3),
        (TiledDetector(installed_detector, tile=320), 10),  # the box around what all views saw
    ):
        assert best_box(detector.detect([astronaut])[0], "FACE_FEMALE") == pytest.approx(FACE, abs=reach)


def test_the_installed_detector_finds_the_face_mirrored_and_turned(
    installed_detector: Detector,
    astronaut: NDArray[np.uint8],
    best_box: Callable[[Detections, str], NDArray[np.float32]],
) -> None:
    x0, y0, x1, y1 = FACE
    mirrored, turned = installed_detector.detect([astronaut[:, ::-1], np.rot90(astronaut)])
    assert best_box(mirrored, "FACE_FEMALE") == pytest.approx([512 - x1, y0, 512 - x0, y1], abs=3)
    assert best_box(turned, "FACE_FEMALE") == pytest.approx([y0, 512 - x1, y1, 512 - x0], abs=5)


def test_a_batch_of_all_sizes_is_what_one_by_one_is(
    installed_detector: Detector,
    astronaut: NDArray[np.uint8],
    best_box: Callable[[Detections, str], NDArray[np.float32]],
) -> None:
    images = [astronaut, astronaut[:300], astronaut[:, :300], astronaut[::2, ::2], astronaut[20:, 50:450], astronaut]
    together = installed_detector.detect(images)
    for part, image in zip(together, images, strict=True):
        (alone,) = installed_detector.detect([image])
        assert np.array_equal(part.labels, alone.labels)
        assert part.xyxy == pytest.approx(alone.xyxy, abs=0.01)
        assert part.scores == pytest.approx(alone.scores, abs=1e-4)
    for part, (x, y, scale) in zip(together, [(0, 0, 1)] * 3 + [(0, 0, 2), (50, 20, 1), (0, 0, 1)], strict=True):
        assert best_box(part, "FACE_FEMALE") * scale + [x, y, x, y] == pytest.approx(FACE, abs=8)


def test_several_threads_get_what_one_gets(installed_detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    images = [np.ascontiguousarray(astronaut[y : y + 256, 60:400]) for y in range(0, 160, 20)]
    one_by_one = [installed_detector.detect([image]) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: installed_detector.detect([image]), images))
    assert any(len(found) for (found,) in one_by_one)
    assert together == one_by_one


def test_it_agrees_with_the_nudenet_package(installed_detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    import_quietly("onnxruntime")  # which the package imports as it comes
    import nudenet

    # It swaps the channels of an array twice, so that RGB reaches its network as RGB.
    theirs = nudenet.NudeDetector()
    small = cv2.resize(astronaut, (320, 320), interpolation=cv2.INTER_AREA)
    pictures = [small, small[:, ::-1], np.rot90(small), small[::-1], 255 - small, small // 2]
    reported = 0
    for picture in map(np.ascontiguousarray, pictures):
        (found,) = installed_detector.detect([np.asarray(picture, np.uint8)])
        xywh = np.concatenate([found.xyxy[:, :2], found.xyxy[:, 2:] - found.xyxy[:, :2]], axis=1)
        for box in theirs.detect(picture):
            same = [row for row in range(len(found)) if found.label(row) == box["class"]]
            near = [row for row in same if np.abs(xywh[row] - box["box"]).max() <= 1]
            assert near, f"{box} is not among {list(found)}"
            assert min(abs(found.scores[row] - box["score"]) for row in near) <= 0.01
            reported += 1
    assert reported >= 3
