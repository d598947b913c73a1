from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from detect.annotations import Kind, check_document
from detect.annotations.repair import repair_document, turn_box
from detect.errors import AnnotationsError


def _kinds(document, folder):
    return [problem.kind for problem in check_document(document, file="c.json", images_dir=folder)]


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_correct_document_stays_as_it_is(document, pictures):
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_the_source_is_left_alone(document, pictures):
    document["annotations"][0]["id"] = 0
    before = copy.deepcopy(document)
    mended, _ = repair_document(document, images_dir=pictures)
    assert document == before
    assert mended != before


def test_annotation_ids_that_are_missing_below_one_or_taken_become_free_ones(document, pictures):
    document["annotations"][0]["id"] = 0
    document["annotations"][1]["id"] = 3
    mended, changes = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [4, 3, 5]
    assert str(changes[0]) == "annotations[0].id: 0 -> 4: each annotation needs an id of its own, from 1 up"
    assert len(changes) == 2
    del document["annotations"][0]["id"]
    mended, changes = repair_document(document, images_dir=pictures)
    assert changes[0].before == "nothing"


def test_categories_and_images_from_zero_are_numbered_from_one(document, pictures):
    for category in document["categories"]:
        category["id"] -= 1
    for image in document["images"]:
        image["id"] -= 1
    for annotation in document["annotations"]:
        annotation["category_id"] -= 1
        annotation["image_id"] -= 1
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert [(a["category_id"], a["image_id"]) for a in mended["annotations"]] == [(2, 1), (1, 1), (1, 2)]
    assert len(changes) == 2 + 3 + 3 + 3


def test_numbers_written_as_texts_or_fractions_become_whole(document, pictures):
    document["images"][0].update(id="1", width="40", height=30.0)
    document["annotations"][0].update(image_id="1", category_id=2.0, bbox=["10", 5, "20.0", 25])
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][0]["bbox"] == [10, 5, 20, 25]
    assert len(changes) == 6


def test_an_image_that_is_not_there_goes_with_its_boxes(document, pictures):
    (pictures / "a.png").unlink()
    mended, changes = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [2, 3]
    assert [annotation["id"] for annotation in mended["annotations"]] == [3]
    assert [(change.field, change.after) for change in changes] == [
        ("images[0]", "removed"),
        ("annotations[0]", "removed"),
        ("annotations[1]", "removed"),
    ]
    assert _kinds(mended, pictures) == []


def test_a_file_that_is_no_picture_goes(document, pictures):
    (pictures / "a.png").write_text("text")
    mended, changes = repair_document(document, images_dir=pictures)
    assert len(mended["images"]) == 2
    assert "not a picture" in changes[0].reason


@pytest.mark.parametrize("name", ["A.PNG", "/home/somebody/a.png", "C:\\pictures\\a.png"])
def test_a_file_that_is_found_under_a_near_name_is_renamed(name, document, pictures):
    document["images"][0]["file_name"] = name
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["images"][0]["file_name"] == "a.png"
    assert len(changes) == 1


@pytest.mark.parametrize("name", [None, " ", "/home/somebody/gone.png", "..", "gone/a.png"])
def test_a_name_of_which_nothing_can_be_made(name, document, pictures):
    document["images"][2]["file_name"] = name
    mended, changes = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [1, 2]
    assert len(changes) == 1


def test_two_images_of_one_file_are_joined(document, pictures):
    document["images"].append({"id": 9, "file_name": "a.png", "width": 40, "height": 30})
    document["annotations"][0]["image_id"] = 9
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][0]["image_id"] == 1
    assert len(changes) == 2


def test_two_categories_of_one_name_are_joined(document, pictures):
    document["categories"].append({"id": 5, "name": "king"})
    document["annotations"][2]["category_id"] = 5
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][2]["category_id"] == 1
    assert len(changes) == 2


def test_what_only_a_person_can_decide_is_left(document, pictures):
    document["categories"][1]["id"] = 1
    document["images"][1]["id"] = 1
    document["categories"].append({"id": 3})
    mended, _ = repair_document(document, images_dir=pictures)
    assert Kind.DUPLICATE_ID in _kinds(mended, pictures)
    assert mended["categories"] == document["categories"]
    assert mended["images"] == document["images"]


def test_boxes_of_an_image_left_to_a_person_are_left_too(document, pictures):
    document["images"][1].update(id=1, width=None)
    document["annotations"][0]["bbox"] = [-5, 0, 10, 10]
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["annotations"][:2] == document["annotations"][:2]
    assert [change.field for change in changes] == ["annotations[2]"]


def test_ids_from_zero_that_repeat_are_left(document, pictures):
    for category in document["categories"]:
        category["id"] = 0
    mended, _ = repair_document(document, images_dir=pictures)
    assert [category["id"] for category in mended["categories"]] == [0, 0]


def test_a_resized_picture_resizes_its_boxes(document, pictures):
    Image.new("RGB", (80, 60)).save(pictures / "a.png")
    mended, _ = repair_document(document, images_dir=pictures)
    assert (mended["images"][0]["width"], mended["images"][0]["height"]) == (80, 60)
    assert mended["annotations"][0]["bbox"] == [20, 10, 40, 50]
    assert mended["annotations"][0]["area"] == 2000
    assert mended["annotations"][2] == document["annotations"][2]


def test_a_picture_of_another_shape_goes(document, pictures):
    Image.new("RGB", (80, 30)).save(pictures / "a.png")
    mended, changes = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [2, 3]
    assert changes[0].reason == "its picture of 80 x 30 is of another shape than 40 x 30"


@pytest.mark.parametrize("spoil", [{"width": None, "height": None}, {"width": 0, "height": 0}, {"width": "wide"}])
def test_a_size_that_is_none_is_taken_from_the_picture(spoil, document, pictures):
    document["images"][0].update(spoil)
    mended, changes = repair_document(document, images_dir=pictures)
    assert (mended["images"][0]["width"], mended["images"][0]["height"]) == (40, 30)
    assert mended["annotations"] == document["annotations"]
    assert len(changes) == len(spoil)


def test_boxes_drawn_on_the_picture_as_stored_are_turned_with_it(document, pictures):
    document["annotations"][2]["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    # Stored 20 wide and 50 high, to be turned a quarter clockwise: (1.5, 2.5) comes to lie at (50 - 2.5, 1.5).
    Image.new("RGB", (20, 50)).save(pictures / "sub/b.jpg", exif=_turned(6))
    mended, changes = repair_document(document, images_dir=pictures)
    assert (mended["images"][1]["width"], mended["images"][1]["height"]) == (50, 20)
    assert mended["annotations"][2]["bbox"] == [43.5, 1.5, 4, 3]  # x: 50 - 2.5 - 4
    assert mended["annotations"][2]["segmentation"] == []
    assert all("turned" in change.reason for change in changes)
    assert _kinds(mended, pictures) == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_turned_as_its_pixels_are(orientation, tmp_path):
    stored = np.zeros((20, 30), np.uint8)
    stored[3:8, 4:16] = 255
    Image.fromarray(stored).save(tmp_path / "a.png", exif=_turned(orientation))
    with Image.open(tmp_path / "a.png") as image:
        rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image)))
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert turn_box((4, 3, 16, 8), width=30, height=20, orientation=orientation) == expected


@pytest.mark.parametrize(
    ("box", "mended"),
    [
        ([-5, -5, 20, 20], [0, 0, 15, 15]),
        ([30, 20, 20, 20], [30, 20, 10, 10]),
        ([20, 20, -10, -15], [10, 5, 10, 15]),
        ([10, 5, 60, -10], [10, 0, 30, 5]),
    ],
)
def test_boxes_are_cut_and_turned_right_side_out(box, mended, document, pictures):
    document["annotations"][0]["bbox"] = box
    result, changes = repair_document(document, images_dir=pictures)
    assert result["annotations"][0]["bbox"] == mended
    assert result["annotations"][0]["area"] == mended[2] * mended[3]
    assert [change.field for change in changes] == ["annotations[0].bbox", "annotations[0].area"]


@pytest.mark.parametrize("box", [[1, 2, 0, 4], [50, 5, 10, 10], [40, 0, 5, 5], [1, 2, 3], "box", None])
def test_boxes_of_which_nothing_is_left_go(box, document, pictures):
    document["annotations"][0]["bbox"] = box
    mended, changes = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [2, 3]
    assert len(changes) == 1


def test_boxes_of_unknown_categories_go(document, pictures):
    document["annotations"][0]["category_id"] = 8
    document["annotations"][1]["category_id"] = None
    mended, _ = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [3]


def test_optional_fields_out_of_range(document, pictures):
    document["annotations"][0].update(iscrowd=7, area="big", score=2)
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["annotations"][0]["iscrowd"] == 0
    assert mended["annotations"][0]["area"] == 500
    assert "score" not in mended["annotations"][0]
    assert len(changes) == 3


def test_records_that_are_no_objects_go(document, pictures):
    document["images"].append(None)
    document["annotations"].insert(0, 5)
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert [change.field for change in changes] == ["images[3]", "annotations[0]"]


@pytest.mark.parametrize("wrong", [[], {}, {"images": [], "annotations": {}, "categories": []}])
def test_what_has_no_sections_cannot_be_mended(wrong, tmp_path):
    with pytest.raises(AnnotationsError, match="cannot be mended"):
        repair_document(wrong, images_dir=tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def one_picture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    Image.new("L", (40, 30)).save(folder / "a.png")
    return folder


@given(value=values, section=st.sampled_from(["categories", "images", "annotations"]), data=st.data())
def test_mending_twice_changes_nothing_more(value, section, data, one_picture):
    document = {
        "categories": [{"id": 1, "name": "king"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0, "area": 12}],
    }
    document[section][0][data.draw(st.sampled_from(sorted(document[section][0])))] = value
    mended, _ = repair_document(document, images_dir=one_picture)
    assert repair_document(mended, images_dir=one_picture) == (mended, [])


number = st.floats(-100, 100)


@given(box=st.tuples(number, number, number, number))
def test_every_box_that_is_left_is_right(box, one_picture):
    document = {
        "categories": [{"id": 1, "name": "king"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": list(box)},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]},
        ],
    }
    mended, _ = repair_document(document, images_dir=one_picture)
    assert _kinds(mended, one_picture) == []
    x, y, width, height = box
    outside = x + max(width, 0) < 0 or y + max(height, 0) < 0 or x + min(width, 0) > 40 or y + min(height, 0) > 30
    if outside and math.isfinite(sum(box)):
        assert len(mended["annotations"]) == 1
