from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect import CLASSES
from detect.annotations import load_coco
from detect.errors import AnnotationsError, DetectError


def test_boxes_become_xyxy_and_labels_positions(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    dataset = load_coco(write(document), pictures)
    assert dataset.names == ("king", "ace")
    assert dataset.category_ids == (1, 2)
    assert len(dataset) == 3
    first, second, negative = dataset.images
    assert first.id == 1
    assert first.path == pictures / "a.png"
    assert (first.width, first.height) == (40, 30)
    np.testing.assert_array_equal(first.xyxy, np.array([[10, 5, 30, 30], [0, 0, 40, 30]], np.float32))
    np.testing.assert_array_equal(first.labels, [1, 0])
    np.testing.assert_array_equal(first.iscrowd, [False, True])
    np.testing.assert_array_equal(first.annotation_ids, [1, 2])
    assert second.file_name == "sub/b.jpg"
    np.testing.assert_array_equal(second.xyxy, np.array([[1.5, 2.5, 4.5, 6.5]], np.float32))
    assert negative.xyxy.shape == (0, 4)
    assert negative.labels.shape == negative.iscrowd.shape == negative.annotation_ids.shape == (0,)


def test_arrays_have_the_promised_types_and_cannot_be_written(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    image = load_coco(write(document), pictures).images[0]
    arrays = (image.xyxy, image.labels, image.iscrowd, image.annotation_ids)
    assert [array.dtype for array in arrays] == [np.float32, np.int64, np.bool_, np.int64]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_labels_follow_the_ids_not_the_order_of_the_file(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    document["categories"] = [{"id": 9, "name": "ace"}, {"id": 4, "name": "king"}]
    for annotation, category_id in zip(document["annotations"], (9, 4, 4), strict=True):
        annotation["category_id"] = category_id
    dataset = load_coco(write(document), pictures)
    assert dataset.names == ("king", "ace")
    assert dataset.category_ids == (4, 9)
    np.testing.assert_array_equal(dataset.images[0].labels, [1, 0])


def test_given_names_decide_the_labels_and_may_be_more_than_the_file_has(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    dataset = load_coco(write(document), pictures, names=("ace", "queen", "king"))
    assert dataset.names == ("ace", "queen", "king")
    assert dataset.category_ids == (2, None, 1)
    np.testing.assert_array_equal(dataset.images[0].labels, [0, 2])


def test_older_spellings_of_the_six_classes_are_normalized(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    document["categories"] = [{"id": 1, "name": "EXPOSED_BREAST_F"}, {"id": 2, "name": "belly exposed"}]
    dataset = load_coco(write(document), pictures, names=CLASSES)
    assert dataset.names == CLASSES
    np.testing.assert_array_equal(dataset.images[0].labels, [0, 2])
    assert load_coco(write(document), pictures).names == ("FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED")


def test_a_rounding_error_at_the_border_is_cut_off(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    document["annotations"][0]["bbox"] = [-0.005, 0, 40.01, 30.004]
    image = load_coco(write(document), pictures).images[0]
    np.testing.assert_array_equal(image.xyxy[0], np.array([0, 0, 40, 30], np.float32))


def test_optional_fields_may_be_left_out(document: dict[str, Any], pictures: Path, write: Callable[..., Any]) -> None:
    for annotation in document["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    assert not load_coco(write(document), pictures).images[0].iscrowd.any()


def test_pictures_need_not_be_looked_at(document: dict[str, Any], tmp_path: Path, write: Callable[..., Any]) -> None:
    path = write(document)
    assert len(load_coco(path, tmp_path / "nowhere", look_at_pictures=False)) == 3
    with pytest.raises(AnnotationsError, match="missing-image"):
        load_coco(path, tmp_path / "nowhere")


def test_the_error_names_file_field_id_value_and_expectation(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    document["annotations"][2]["bbox"] = [1, 2, 0, 4]
    path = write(document)
    with pytest.raises(AnnotationsError) as caught:
        load_coco(path, pictures)
    assert str(caught.value) == (
        f"{path}: zero-area: annotations[2].bbox (id 3) is [1, 2, 0, 4]; "
        "expected a width and a height above 0.02 pixels"
    )
    assert isinstance(caught.value, DetectError)


def test_the_error_counts_the_other_problems(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    document["annotations"][0]["category_id"] = 7
    document["annotations"][1]["image_id"] = 7
    with pytest.raises(
        AnnotationsError, match=r"unknown-category.*\(and 1 more: `python -m detect check` lists them\)$"
    ):
        load_coco(write(document), pictures)


def test_a_category_outside_the_expected_names_is_refused(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    with pytest.raises(
        AnnotationsError, match=r'categories\[0\]\.name \(id 1\) is "king"; expected one of BELLY_EXPOSED'
    ):
        load_coco(write(document), pictures, names=CLASSES)


def test_names_that_repeat_are_misuse(document: dict[str, Any], pictures: Path, write: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="must not repeat"):
        load_coco(write(document), pictures, names=("king", "ace", "king"))


def test_a_picture_turned_by_exif_is_measured_upright(
    document: dict[str, Any], pictures: Path, write: Callable[..., Any]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 20)).save(pictures / "sub/b.jpg", exif=exif)  # 50 x 20 stored, 20 x 50 upright
    assert load_coco(write(document), pictures).images[1].height == 50
    document["images"][1].update(width=50, height=20)
    with pytest.raises(AnnotationsError, match=r"size-not-upright.*is 50 x 20; expected 20 x 50, the upright picture"):
        load_coco(write(document), pictures)
