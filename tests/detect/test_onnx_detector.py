from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detect import DetectError, Detections, Detector, InferenceError, WeightsError
from detect.runtime.onnx_detector import OnnxDetector, read_weights

# Two anchors in a 64 x 64 input: a box 10, 20, 30, 60 that is a face, and one 0, 0, 8, 4 that is feet.
HEAD = np.array([[20, 4], [40, 2], [20, 8], [40, 4], [0.75, 0.125], [0, 0.5]], np.float32)
ZEROS = np.zeros((64, 64, 3), np.uint8)
FACE = [173, 82, 274, 180]  # of the astronaut, x and y in turn


def rows(found: Detections) -> list[tuple[str, float, list[float]]]:
    return [
        (found.label(row), round(float(found.scores[row]), 3), found.xyxy[row].tolist()) for row in range(len(found))
    ]


def squares(
    height: int, width: int, red: tuple[int, int, int, int] | None = None, blue: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 90, np.uint8)
    for box, color in ((red, (255, 20, 20)), (blue, (20, 20, 255))):
        if box is not None:
            image[box[1] : box[3], box[0] : box[2]] = color
    return image


def test_a_network_is_read_by_hand(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    detector = detector_of(constant_network(HEAD), min_score=0.125)
    assert isinstance(detector, Detector)
    assert detector.names == ("FACE_FEMALE", "FEET_EXPOSED")
    assert detector.min_score == 0.125
    (found,) = detector.detect([ZEROS])
    assert rows(found) == [
        ("FACE_FEMALE", 0.75, [10, 20, 30, 60]),
        ("FEET_EXPOSED", 0.5, [0, 0, 8, 4]),
        ("FACE_FEMALE", 0.125, [0, 0, 8, 4]),
    ]
    assert found.names == detector.names


def test_boxes_are_in_the_pixels_of_each_picture(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    # 96 x 128 becomes 48 x 64 with eight rows of padding above and below; 32 x 32 is enlarged twice.
    images = [np.zeros((96, 128, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]
    wide, small = detector_of(constant_network(HEAD), min_score=0.6).detect(images)
    assert wide.xyxy.tolist() == [[20, 24, 60, 96]]  # cut at the lower edge: 104 in the padding
    assert small.xyxy.tolist() == [[5, 10, 15, 30]]


def test_what_lies_wholly_in_the_padding_is_nowhere(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    (found,) = detector_of(constant_network(HEAD), min_score=0.2).detect([np.zeros((16, 64, 3), np.uint8)])
    # Sixteen rows become sixteen of 32: the feet lie in rows 0..4, above row 8, where the picture begins.
    assert rows(found) == [("FACE_FEMALE", 0.75, [10, 12, 30, 16])]


def test_boxes_beyond_the_picture_are_cut_to_it(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    head = np.array([[0, 60], [0, 60], [20, 20], [10, 30], [0.5, 0.75], [0, 0]])
    (found,) = detector_of(constant_network(head)).detect([ZEROS])
    assert found.xyxy.tolist() == [[50, 45, 64, 64], [0, 0, 10, 5]]


def test_the_better_of_two_boxes_of_one_label_is_kept(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    head = np.array([[20, 20, 20], [20, 20, 20], [20, 20, 20], [20, 20, 10], [0.5, 0.75, 0.25], [0.25, 0, 0]])
    assert rows(detector_of(constant_network(head), iou_threshold=0.4).detect([ZEROS])[0]) == [
        ("FACE_FEMALE", 0.75, [10, 10, 30, 30]),
        ("FEET_EXPOSED", 0.25, [10, 10, 30, 30]),  # another label: never suppressed
    ]
    assert len(detector_of(constant_network(head), iou_threshold=0.5).detect([ZEROS])[0]) == 3


def test_the_best_are_kept_when_there_are_too_many(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    scores = np.linspace(0.1, 0.9, 6)
    head = np.stack([np.arange(6) * 10 + 5, np.full(6, 9), np.full(6, 4), np.full(6, 4), scores, np.zeros(6)])
    (found,) = detector_of(constant_network(head), max_detections=2).detect([ZEROS])
    assert found.scores == pytest.approx(scores[:-3:-1])


def test_older_spellings_are_brought_up_to_date(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    assert detector_of(constant_network(HEAD, names="['EXPOSED_BREAST_F', 'ace']")).names == (
        "FEMALE_BREAST_EXPOSED",
        "ace",
    )


@pytest.mark.parametrize(
    "names", ["{0: 'king', 1: 'ace'}", "{1: 'ace', 0: 'king'}", "['king', 'ace']", "('king', 'ace')"]
)
def test_names_may_be_numbered_or_listed(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], names: str
) -> None:
    assert detector_of(constant_network(HEAD, names=names)).names == ("king", "ace")


@pytest.mark.parametrize("key", ["names", "imgsz", "stride"])
def test_a_network_that_does_not_describe_itself_is_refused(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], key: str
) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: .*metadata key '{key}' is missing \(found: \w+, \w+\)"):
        detector_of(constant_network(HEAD, without=[key]))


def test_a_network_without_any_metadata_is_refused(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    with pytest.raises(WeightsError, match=r"^tiny\.onnx: .*'names' is missing \(found: none\)"):
        detector_of(constant_network(HEAD, without=["names", "imgsz", "stride"]))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("names", "{0: 'ace'", "metadata key 'names' is not readable: \"{0: 'ace'\""),
        ("names", "open('x')", "'names' is not readable"),
        ("names", "{[0]: 'ace'}", "'names' is not readable"),
        ("names", "", "'names' is not readable"),
        ("names", "{0: 'ace', 2: 'king'}", r"'names' must number its labels 0\.\.1"),
        ("names", "{'0': 'ace'}", r"'names' must number its labels 0\.\.0"),
        ("names", "{}", "'names' must list labels, found"),
        ("names", "[]", "'names' must list labels"),
        ("names", "'ace'", "'names' must list labels, found 'ace'"),
        ("names", "7", "'names' must list labels, found 7"),
        ("names", "['ace', 7]", "'names' must list labels"),
        ("names", "['ace', '']", "'names' must list labels"),
        ("names", "['ace', 'ace']", "'names' gives one label twice"),
        ("names", "['FACE_F', 'FACE_FEMALE']", "'names' gives one label twice"),
        ("imgsz", "[64, 64, 3]", r"'imgsz' must be one or two sizes of 1 to 4096 pixels, found \[64, 64, 3\]"),
        ("imgsz", "[64, 0]", "'imgsz' must be one or two sizes"),
        ("imgsz", "[64.0, 64]", "'imgsz' must be one or two sizes"),
        ("imgsz", "'64'", "'imgsz' must be one or two sizes"),
        ("imgsz", "-64", "'imgsz' must be one or two sizes"),
        ("imgsz", "64x64", "'imgsz' is not readable: '64x64'"),
        ("imgsz", "100000", "'imgsz' must be one or two sizes of 1 to 4096 pixels, found 100000"),
        ("imgsz", "[64, 4097]", "'imgsz' must be one or two sizes"),
        ("imgsz", "True", "'imgsz' must be one or two sizes"),
        ("stride", "0", "'stride' must be a number of 1 to 4096 pixels, found 0"),
        ("stride", "[32]", "'stride' must be a number of 1 to 4096 pixels"),
        ("stride", "100000", "'stride' must be a number of 1 to 4096 pixels"),
        ("stride", "True", "'stride' must be a number of 1 to 4096 pixels"),
        ("stride", "thirty-two", "'stride' is not readable: 'thirty-two'"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], key: str, value: str, message: str
) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: .*{message}"):
        detector_of(constant_network(HEAD, **{key: value}))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("batch", 1, "height", "width"), "expected an input of 3 colour channels, found 1"),
        ((1, 64, 64, 3), "expected an input of 3 colour channels, found 64"),
        ((1, 3, 64, None), "both fixed or both free, found"),
        ((1, 3, None, 64), "both fixed or both free, found"),
        ((1, 3, 0, 0), "both fixed or both free, found"),
        ((1, 3, 100_000, 100_000), "wants 1 pictures of 100000 x 100000 pixels; at most 4096 a side"),
        ((1, 3, 64, 4097), "at most 4096 a side"),
        ((9, 3, 4096, 4096), "134,217,728 in all"),
        ((2**15 + 1, 3, 64, 64), "134,217,728 in all"),  # more, and old releases of onnxruntime fold it into a constant
    ],
)
def test_an_input_that_cannot_be_filled_is_refused(
    constant_network: Callable[..., bytes],
    detector_of: Callable[..., OnnxDetector],
    shape: tuple[Any, ...],
    message: str,
) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: .*{message}"):
        detector_of(constant_network(HEAD, shape=shape))


def test_metadata_that_is_long_is_refused_without_being_repeated(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    with pytest.raises(WeightsError, match=r"'imgsz' must be one or two sizes .*, found 0xf{78}$"):
        detector_of(constant_network(HEAD, imgsz="0x" + "f" * 9000))
    with pytest.raises(WeightsError, match="'imgsz' has more than 1,000,000 characters"):
        detector_of(constant_network(HEAD, imgsz=" " * 1_000_000 + "64"))


def test_the_largest_input_is_taken_and_padding_counts(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    assert detector_of(constant_network(HEAD, imgsz="4096")).spare_factor(8192, 8192) == 2
    assert detector_of(constant_network(HEAD, imgsz="[4090, 64]")).spare_factor(8180, 64) == 2
    for size, stride in (("4096", "4095"), ("[64, 4000]", "2049")):
        with pytest.raises(WeightsError, match=r"^tiny\.onnx: the network wants 1 pictures of .*at most 4096 a side"):
            detector_of(constant_network(HEAD, imgsz=size, stride=stride))


def test_more_boxes_than_pixels_are_no_answer(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    most = np.zeros((6, 64 * 64), np.float32)
    assert len(detector_of(constant_network(most)).detect([ZEROS])[0]) == 0
    with pytest.raises(InferenceError, match=r"^tiny\.onnx: the network answered 4,097 boxes, more than pixels"):
        detector_of(constant_network(np.zeros((6, 64 * 64 + 1), np.float32))).detect([ZEROS])


@pytest.mark.parametrize(
    "wrong",
    [{"min_score": -0.1}, {"min_score": 1.1}, {"min_score": np.nan}, {"iou_threshold": -0.1}, {"iou_threshold": 1.1}],
)
def test_thresholds_out_of_range_are_refused(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], wrong: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"min_score and iou_threshold lie in \[0, 1\]"):
        detector_of(constant_network(HEAD), **wrong)


@pytest.mark.parametrize("wrong", [{"max_detections": 0}, {"batch_size": 0}])
def test_counts_below_one_are_refused(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], wrong: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="max_detections and batch_size are at least 1"):
        detector_of(constant_network(HEAD), **wrong)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_the_ends_of_a_range_belong_to_it(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], score: float
) -> None:
    found = detector_of(constant_network(HEAD), min_score=score, iou_threshold=score).detect([ZEROS])[0]
    assert len(found) == (4 if score == 0 else 0)


def changed(row: int, value: float) -> NDArray[np.float32]:
    head = HEAD.copy()
    head[row, 0] = value
    return head


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (changed(0, np.nan), "not finite"),
        (changed(5, np.nan), "not finite"),
        (changed(3, np.inf), "not finite"),
        (changed(4, 1.5), r"scores outside \[0, 1\]: 0\.0 to 1\.5"),
        (changed(5, -2), r"scores outside \[0, 1\]: -2\.0 to 0\.75"),
        (changed(2, -5), "negative width or height"),
        (changed(3, -5), "negative width or height"),
        (HEAD[:5], r"YOLOv8 head of shape \(1, 6, anchors\) for 2 names, the network answered float32 \(1, 5, 2\)"),
        (HEAD.T, r"answered float32 \(1, 2, 6\)"),
        (HEAD[:, :, None], r"answered float32 \(1, 6, 2, 1\)"),
        (HEAD.astype(np.int64), r"expected a float32 YOLOv8 head .*answered int64 \(1, 6, 2\)"),
    ],
)
def test_an_answer_that_cannot_be_boxes_is_an_error_and_not_nothing_found(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], head: NDArray[Any], message: str
) -> None:
    with pytest.raises(InferenceError, match=rf"^tiny\.onnx: .*{message}") as caught:
        detector_of(constant_network(head)).detect([ZEROS])
    assert isinstance(caught.value, DetectError)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_with_its_position(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], image: NDArray[Any]
) -> None:
    with pytest.raises(ValueError, match=r"image 1 must be uint8 of shape \(H, W, 3\) and not empty, not"):
        detector_of(constant_network(HEAD)).detect([ZEROS, image])


def test_no_pictures_give_an_empty_list(
    constant_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    assert detector_of(constant_network(HEAD)).detect([]) == []


@pytest.mark.parametrize(
    "shape", [("batch", 3, "height", "width"), ("batch", 3, 64, 64), (1, 3, 64, 64), (3, 3, 64, 64)]
)
def test_pictures_of_all_sizes_come_back_in_order(
    square_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], shape: tuple[Any, ...]
) -> None:
    sizes = [(64, 64), (48, 64), (100, 200), (64, 64), (333, 70), (128, 128), (64, 64), (64, 64), (48, 64)]
    images = [squares(h, w, red=(0, 0, w // 2, h // (n % 3 + 1))) for n, (h, w) in enumerate(sizes)]
    detector = detector_of(square_network(shape=shape), batch_size=2)
    found = detector.detect(images)
    for n, (part, (h, w)) in enumerate(zip(found, sizes, strict=True)):
        assert [part.label(row) for row in range(len(part))] == ["FACE_FEMALE"]
        pixel = max(h, w) / 64
        assert part.xyxy[0] == pytest.approx([0, 0, w // 2, h // (n % 3 + 1)], abs=max(pixel, 1))
    assert found == [detector.detect([image])[0] for image in images]
    assert detector.detect(images[::-1]) == found[::-1]


def test_red_is_red_and_blue_is_blue(
    square_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    image = squares(128, 128, red=(20, 40, 60, 80), blue=(100, 0, 128, 10))
    assert rows(detector_of(square_network()).detect([image])[0]) == [
        ("FACE_FEMALE", 1, [20, 40, 60, 80]),
        ("FEET_EXPOSED", 1, [100, 0, 128, 10]),
    ]


def test_the_size_comes_from_the_metadata_unless_the_input_is_fixed(
    square_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector]
) -> None:
    image = squares(640, 640, red=(8, 8, 12, 12))  # less than half a pixel of a 64 x 64 input
    assert len(detector_of(square_network()).detect([image])[0]) == 0
    assert len(detector_of(square_network(imgsz="640")).detect([image])[0]) == 1
    assert len(detector_of(square_network(imgsz="640", shape=(1, 3, 64, 64))).detect([image])[0]) == 0


@pytest.mark.parametrize("view", ["mirrored", "turned", "cut", "read-only"])
def test_a_view_of_an_array_is_a_picture_like_any_other(
    square_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], view: str
) -> None:
    whole = squares(100, 140, red=(10, 20, 50, 90), blue=(100, 5, 130, 60))
    locked = whole.copy()
    locked.flags.writeable = False
    image = {"mirrored": whole[:, ::-1], "turned": np.rot90(whole), "cut": whole[3:90, 5:], "read-only": locked}[view]
    detector = detector_of(square_network())
    found = detector.detect([image])
    assert len(found[0]) == 2
    assert found == detector.detect([np.array(image, order="C")])


def test_a_file_is_loaded_with_what_it_is_told(constant_network: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(constant_network(HEAD))
    detector = OnnxDetector.from_file(path, min_score=0.6, threads=1)
    assert detector.min_score == 0.6
    assert rows(detector.detect([ZEROS])[0]) == [("FACE_FEMALE", 0.75, [10, 20, 30, 60])]
    assert read_weights(path) == path.read_bytes()
    assert OnnxDetector.from_file(str(path)).names == detector.names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.onnx", "cannot read the weights: No such file"),
        (".", "cannot read the weights: Is a directory"),
        ("empty.onnx", "the weights file is empty"),
        ("text.onnx", "not a model that onnxruntime can run"),
        ("cut.onnx", "not a model that onnxruntime can run"),
        ("foreign.onnx", "does not describe itself: metadata key 'names' is missing"),
    ],
)
def test_a_file_that_is_no_detector_is_refused_by_name_and_in_silence(
    constant_network: Callable[..., bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("I am no network.\n" * 100)
    (tmp_path / "cut.onnx").write_bytes(constant_network(HEAD)[:-30])
    (tmp_path / "foreign.onnx").write_bytes(constant_network(HEAD, without=["names", "imgsz", "stride"]))
    path = tmp_path / name
    with pytest.raises(WeightsError) as caught:
        OnnxDetector.from_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
