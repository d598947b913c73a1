from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detect import Detections, Detector, FlipDetector, LongDetector, TiledDetector
from detect.tiling import _starts, lowest_score

RED, BLUE = (255, 0, 0), (0, 0, 255)
NAMES = ("red", "blue")


class ColorDetector:
    """Finds the box around all red pixels and that around all blue ones; scores by `score`, given the picture."""

    names = NAMES
    min_score = 0.125

    def __init__(self, score: Callable[..., Any] = lambda image: 0.5, least: int = 1) -> None:
        self.seen: list[NDArray[np.uint8]] = []
        self.calls = 0
        self._score = score
        self._least = least

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.calls += 1
        self.seen += [image.copy() for image in images]
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: NDArray[np.uint8]) -> Detections:
        xyxy, labels = [], []
        for label, color in enumerate((RED, BLUE)):
            y, x = np.nonzero((image == color).all(axis=2))
            if x.size >= self._least:
                xyxy.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
                labels.append(label)
        scores = np.array([self._score(image)] * len(labels))
        return Detections(np.array(xyxy).reshape(-1, 4), scores, np.array(labels), self.names)


class Silent:
    """A detector that does not say its lowest score."""

    names = NAMES

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [Detections.empty(NAMES) for _ in images]


def picture(height: int, width: int, *squares: Any) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    for (x0, y0, x1, y1), color in squares:
        image[y0:y1, x0:x1] = color
    return image


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (640, 640, 0.25, [0]),
        (100, 640, 0.25, [0]),
        (641, 640, 0.25, [0, 1]),
        (1120, 640, 0.25, [0, 480]),
        (1121, 640, 0.25, [0, 240, 481]),
        (20, 10, 0, [0, 10]),
        (25, 10, 0, [0, 8, 15]),
        (30, 10, 0.5, [0, 5, 10, 15, 20]),
        (5, 2, 0.99, [0, 1, 2, 3]),
    ],
)
def test_tiles_begin_by_hand(length: int, tile: int, overlap: float, starts: list[int]) -> None:
    assert _starts(length, tile=tile, overlap=overlap) == starts


@given(st.integers(1, 3000), st.integers(1, 700), st.floats(0, 1, exclude_max=True))
def test_tiles_cover_every_pixel_overlap_enough_and_are_not_too_many(length: int, tile: int, overlap: float) -> None:
    # A tile and its neighbour differ by one pixel at least.
    overlap = min(overlap, 1 - 8 / max(tile, 8))
    starts = _starts(length, tile=tile, overlap=overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - tile)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (tile - steps >= min(np.floor(tile * overlap), tile - 1)).all()
    covered = np.zeros(length, bool)
    for start in starts:
        covered[start : start + tile] = True
    assert covered.all()
    if len(starts) > 1:
        step = max(1, int(tile * (1 - overlap)))
        assert (len(starts) - 2) * step < length - tile  # one tile fewer would overlap too little


@pytest.mark.parametrize(
    "wrong",
    [{"tile": 0}, {"overlap": -0.1}, {"overlap": 1}, {"join_above": -0.1}, {"join_above": 1.1}, {"overlap": np.nan}],
)
def test_tiling_arguments_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tile >= 1, overlap in \[0, 1\), join_above in \[0, 1\]"):
        TiledDetector(Silent(), **wrong)


@pytest.mark.parametrize("wrap", [TiledDetector, FlipDetector])
def test_a_wrapped_detector_is_a_detector_with_the_same_names_and_lowest_score(wrap: type[Any]) -> None:
    assert isinstance(wrap(ColorDetector()), Detector)
    assert wrap(ColorDetector()).names == NAMES
    assert wrap(ColorDetector()).min_score == lowest_score(ColorDetector()) == 0.125
    assert wrap(Silent()).min_score == lowest_score(Silent()) == 0


@pytest.mark.parametrize("wrap", [TiledDetector, FlipDetector])
def test_no_pictures_give_an_empty_list(wrap: type[Any]) -> None:
    assert wrap(ColorDetector()).detect([]) == []


def test_a_picture_no_larger_than_a_tile_is_looked_at_once() -> None:
    inner = ColorDetector()
    image = picture(32, 20, ((3, 4, 8, 9), RED))
    assert TiledDetector(inner, tile=32).detect([image]) == ColorDetector().detect([image])
    assert len(inner.seen) == 1


def test_a_larger_picture_is_looked_at_whole_and_in_tiles() -> None:
    inner = ColorDetector()
    image = np.random.default_rng(3).integers(0, 255, (40, 50, 3), np.uint8)
    TiledDetector(inner, tile=32, overlap=0.25).detect([image])
    views = [image] + [image[y : y + 32, x : x + 32] for y in (0, 8) for x in (0, 18)]
    assert all(np.array_equal(a, b) for a, b in zip(inner.seen, views, strict=True))
    assert inner.calls == 1


def test_what_the_whole_view_misses_is_found_in_a_tile_and_moved_back() -> None:
    def only_small(image: NDArray[np.uint8]) -> float:
        return 0.9 if image.shape[0] <= 64 else 0.25

    square = (150, 90, 160, 100)
    (found,) = TiledDetector(ColorDetector(only_small), tile=64).detect([picture(200, 300, (square, RED))])
    assert found.xyxy.tolist() == [list(square)]
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.label(0) == "red"


@given(st.integers(0, 150), st.integers(0, 90), st.integers(1, 50), st.integers(1, 50), st.integers(20, 130))
def test_a_thing_cut_by_tiles_is_one_whole_box(x: int, y: int, width: int, height: int, tile: int) -> None:
    box = [x, y, x + width, y + height]
    (found,) = TiledDetector(ColorDetector(), tile=tile).detect([picture(140, 200, (box, BLUE))])
    assert found.xyxy.tolist() == [box]
    assert found.label(0) == "blue"


def test_labels_are_not_joined_with_one_another() -> None:
    box = (40, 40, 90, 90)
    image = picture(100, 100, (box, RED), ((40, 40, 41, 41), BLUE), ((89, 89, 90, 90), BLUE))
    (found,) = TiledDetector(ColorDetector(), tile=64).detect([image])
    assert sorted(found.label(row) for row in range(len(found))) == ["blue", "red"]
    assert found.xyxy.tolist() == [list(box)] * 2


def test_boxes_are_joined_above_the_share_asked_for() -> None:
    # Two tiles see 8 columns each, 4 of them in common; the whole view misses them.
    image = picture(16, 28, ((8, 2, 20, 6), RED))

    def boxes(join_above: float) -> list[list[float]]:
        class TilesOnly(ColorDetector):
            def _detect_one(self, view: NDArray[np.uint8]) -> Detections:
                return super()._detect_one(view) if view.shape[1] <= 16 else Detections.empty(NAMES)

        found = TiledDetector(TilesOnly(), tile=16, overlap=0.25, join_above=join_above).detect([image])[0]
        return sorted(found.xyxy.tolist())

    assert boxes(0.5) == [[8, 2, 16, 6], [12, 2, 20, 6]]
    assert boxes(0.49) == [[8, 2, 20, 6]]


def test_pictures_of_several_sizes_keep_their_order() -> None:
    images = [picture(30 + 20 * n, 80, ((n, n, n + 9, n + 5), RED)) for n in range(4)]
    for wrapped in (TiledDetector(ColorDetector(), tile=40), FlipDetector(ColorDetector())):
        found = wrapped.detect(images)
        assert [part.xyxy.tolist() for part in found] == [[[n, n, n + 9, n + 5]] for n in range(4)]
        assert found == [wrapped.detect([image])[0] for image in images]


@given(st.integers(0, 40), st.integers(1, 20), st.integers(61, 90))
def test_what_only_the_mirror_image_shows_is_mirrored_back(x: int, width: int, picture_width: int) -> None:
    def left_half(image: NDArray[np.uint8]) -> float:  # sees a thing better the further left it is
        return float(1 - np.nonzero(image.any(axis=2))[1].mean() / image.shape[1])

    box = [x, 5, x + width, 9]
    image = picture(20, picture_width, (box, RED))
    (found,) = FlipDetector(ColorDetector(left_half)).detect([image])
    assert found.xyxy.tolist() == [box]
    score = left_half(image)
    mirrored = left_half(image[:, ::-1])
    assert found.scores.tolist() == pytest.approx([max(score, mirrored)], abs=1e-6)


def test_the_inner_detector_gets_the_picture_and_its_mirror_image_in_one_call() -> None:
    inner = ColorDetector()
    image = np.random.default_rng(4).integers(0, 255, (4, 5, 3), np.uint8)
    FlipDetector(inner).detect([image])
    assert inner.calls == 1
    assert np.array_equal(inner.seen[0], image)
    assert np.array_equal(inner.seen[1], image[:, ::-1])


def test_the_flip_threshold_decides_what_is_one_thing() -> None:
    class Shifted(ColorDetector):
        """Sees every box two pixels too far to the left, so its mirror image's two too far to the right."""

        def _detect_one(self, image: NDArray[np.uint8]) -> Detections:
            found = super()._detect_one(image)
            return Detections(found.xyxy - np.array([2, 0, 2, 0]), found.scores, found.labels, found.names)

    image = picture(20, 40, ((10, 4, 20, 14), RED))  # boxes 8..18 and 12..22: 6 of 10 in common
    assert len(FlipDetector(Shifted(), join_above=0.6).detect([image])[0]) == 2
    (found,) = FlipDetector(Shifted(), join_above=0.5).detect([image])
    assert found.xyxy.tolist() == [[8, 4, 22, 14]]  # around both: what either shows
    with pytest.raises(ValueError, match="join_above"):
        FlipDetector(Shifted(), join_above=1.5)


def test_long_pictures_are_looked_at_in_stretches_and_others_as_they_are() -> None:
    inner = ColorDetector()
    detector = LongDetector(inner, shortest=10)
    long, wide = picture(100, 20, ((4, 26, 14, 36), RED)), picture(20, 90, ((40, 2, 44, 6), BLUE))
    plain = picture(50, 20, ((1, 1, 5, 5), RED))  # just not more than 2.5 times as high as wide
    found = detector.detect([plain, long, plain, wide])
    assert [each.xyxy.tolist() for each in found] == [
        [[1, 1, 5, 5]], [[4, 26, 14, 36]], [[1, 1, 5, 5]], [[40, 2, 44, 6]],
    ]  # fmt: skip
    shapes = [seen.shape[:2] for seen in inner.seen]
    assert shapes[:2] == [(50, 20), (50, 20)]  # the plain ones together, first
    assert shapes[2] == (100, 20)
    assert set(shapes[3:7]) == {(30, 20)}
    assert (detector.names, detector.min_score) == (NAMES, 0.125)


@pytest.mark.parametrize("values", [{"ratio": 1.4}, {"shortest": 0}])
def test_long_detector_misuse(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"need ratio >= 1\.5 and shortest >= 1"):
        LongDetector(Silent(), **values)


def test_a_face_on_a_long_strip_is_found(installed_detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    """Shrunk whole, the face is 12 pixels wide, and the network finds nothing."""
    strip = np.full((6000, 512, 3), 255, np.uint8)
    strip[2500:3012] = astronaut
    (found,) = installed_detector.detect([strip])
    best = found.xyxy[np.argmax(found.scores)]
    assert found.scores.max() > 0.6
    assert np.abs(best - [173, 2582, 274, 2680]).max() < 15


def test_wrappers_can_be_wrapped() -> None:
    box = [70, 30, 90, 50]
    image = picture(80, 120, (box, BLUE))
    for both in (
        TiledDetector(FlipDetector(ColorDetector()), tile=50),
        FlipDetector(TiledDetector(ColorDetector(), tile=50)),
    ):
        assert both.detect([image])[0].xyxy.tolist() == [box]
