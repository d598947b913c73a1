from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detect.annotations import Kind, check_document
from detect.annotations.repair import removed, repair_document
from detect.errors import AnnotationsError


def _kinds(document: dict[str, Any], folder: Path) -> list[Any]:
    return [problem.kind for problem in check_document(document, file="c.json", images_dir=folder)]


def _turned(orientation: Any) -> Any:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_correct_document_stays_as_it_is(document: dict[str, Any], pictures: Path) -> None:
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_the_source_is_left_alone(document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0]["id"] = 0
    before = copy.deepcopy(document)
    mended, _ = repair_document(document, images_dir=pictures)
    assert document == before
    assert mended != before


def test_annotation_ids_that_are_missing_below_one_or_taken_become_free_ones(
    document: dict[str, Any], pictures: Path
) -> None:
    document["annotations"][0]["id"] = 0
    document["annotations"][1]["id"] = 3
    mended, changes = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [4, 3, 5]
    assert str(changes[0]) == "annotations[0].id: 0 -> 4: each annotation needs an id of its own, from 1 up"
    assert len(changes) == 2
    del document["annotations"][0]["id"]
    mended, changes = repair_document(document, images_dir=pictures)
    assert changes[0].before == "nothing"


def test_categories_and_images_from_zero_are_numbered_from_one(document: dict[str, Any], pictures: Path) -> None:
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


def test_numbers_written_as_texts_or_fractions_become_whole(document: dict[str, Any], pictures: Path) -> None:
    document["images"][0].update(id="1", width="40", height=30.0)
    document["annotations"][0].update(image_id="1", category_id=2.0, bbox=["10", 5, "20.0", 25])
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][0]["bbox"] == [10, 5, 20, 25]
    assert len(changes) == 6


def test_two_categories_of_one_name_are_joined(document: dict[str, Any], pictures: Path) -> None:
    document["categories"].append({"id": 5, "name": "king"})
    document["annotations"][2]["category_id"] = 5
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][2]["category_id"] == 1
    assert len(changes) == 2


def test_what_only_a_person_can_decide_is_left(document: dict[str, Any], pictures: Path) -> None:
    document["categories"][1]["id"] = 1
    document["images"][1]["id"] = 1
    document["categories"].append({"id": 3})
    mended, _ = repair_document(document, images_dir=pictures)
    assert Kind.DUPLICATE_ID in _kinds(mended, pictures)
    assert mended["categories"] == document["categories"]
    assert mended["images"] == document["images"]


def test_ids_from_zero_that_repeat_are_left(document: dict[str, Any], pictures: Path) -> None:
    for category in document["categories"]:
        category["id"] = 0
    mended, _ = repair_document(document, images_dir=pictures)
    assert [category["id"] for category in mended["categories"]] == [0, 0]


@pytest.mark.parametrize(
    ("box", "mended"),
    [
        ([-5, -5, 20, 20], [0, 0, 15, 15]),
        ([30, 20, 20, 20], [30, 20, 10, 10]),
        ([20, 20, -10, -15], [10, 5, 10, 15]),
        ([10, 5, 60, -10], [10, 0, 30, 5]),
    ],
)
def test_boxes_are_cut_and_turned_right_side_out(
    box: list[int], mended: list[int], document: dict[str, Any], pictures: Path
) -> None:
    document["annotations"][0]["bbox"] = box
    result, changes = repair_document(document, images_dir=pictures)
    assert result["annotations"][0]["bbox"] == mended
    assert result["annotations"][0]["area"] == mended[2] * mended[3]
    assert [change.field for change in changes] == ["annotations[0].bbox", "annotations[0].area"]


@pytest.mark.parametrize("box", [[1, 2, 0, 4], [50, 5, 10, 10], [40, 0, 5, 5], [-5, -5, 5.5, 5.5]])
def test_boxes_of_which_nothing_is_left_go(box: list[Any], document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0]["bbox"] = box
    mended, changes = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [2, 3]
    assert len(changes) == 1


def test_boxes_of_unknown_categories_go(document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0]["category_id"] = 8
    document["annotations"][1]["image_id"] = 8
    mended, changes = repair_document(document, images_dir=pictures)
    assert [annotation["id"] for annotation in mended["annotations"]] == [3]
    assert removed(changes) == {"boxes: its category is not in the file": 1, "boxes: its image is not in the file": 1}


@pytest.mark.parametrize("reference", [None, "ace", [2], 2.5, {}])
def test_boxes_of_nobody_knows_what_are_left(reference: Any, document: dict[str, Any], pictures: Path) -> None:
    for key in ("category_id", "image_id"):
        document["annotations"][0][key] = reference
    assert repair_document(document, images_dir=pictures) == (document, [])


@pytest.mark.parametrize("box", [[1, 2, 3], "box", None, {"x": 1, "y": 2}, []])
def test_what_is_no_box_is_left(box: Any, document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0]["bbox"] = box
    assert repair_document(document, images_dir=pictures) == (document, [])
    del document["annotations"][0]["bbox"]
    document["annotations"][0]["segmentation"] = {"counts": "x", "size": [30, 40]}
    assert repair_document(document, images_dir=pictures) == (document, [])


@pytest.mark.parametrize("box", ["nothing", None, [], [0, 0, 0, 0]])
def test_polygons_without_a_box_get_the_one_around_them(
    box: list[Any] | list[int] | str | None, document: dict[str, Any], pictures: Path
) -> None:
    annotation = document["annotations"][0]
    annotation.update(bbox=box, segmentation=[[10, 10, 30, 10, 30, 20], [5, 12, 8, 12, 8, 25, 5, 25]])
    if box == "nothing":
        del annotation["bbox"]
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["annotations"][0]["bbox"] == [5, 10, 25, 15]
    assert mended["annotations"][0]["segmentation"] == annotation["segmentation"]
    assert [str(change.reason) for change in changes] == ["the box around its polygons"]
    assert _kinds(mended, pictures) == []


@pytest.mark.parametrize(
    "polygons",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, 3, 4, 5, None]],
        [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]],
        [1],
    ],
)
def test_what_is_no_polygon_in_pixels_is_left(polygons: list[Any], document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0].update(bbox=[], segmentation=polygons)
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_optional_fields_out_of_range(document: dict[str, Any], pictures: Path) -> None:
    document["annotations"][0].update(area="big", score=2)
    document["annotations"][1].update(area="7", score=" .25")
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["annotations"][0]["area"] == 500
    assert "score" not in mended["annotations"][0]
    assert (mended["annotations"][1]["area"], mended["annotations"][1]["score"]) == (7, 0.25)
    assert len(changes) == 4


@pytest.mark.parametrize("one", ["1", 1.0, True, "true"])
@pytest.mark.parametrize("none", ["0", 0.0, False, None, "No"])
def test_a_crowd_stays_one_however_it_is_written(
    one: bool | float | str, none: bool | float | str | None, document: dict[str, Any], pictures: Path
) -> None:
    document["annotations"][0]["iscrowd"] = one
    document["annotations"][1]["iscrowd"] = none
    mended, changes = repair_document(document, images_dir=pictures)
    flags = [annotation["iscrowd"] for annotation in mended["annotations"]]
    assert [(type(flag), flag) for flag in flags] == [(int, 1), (int, 0), (int, 0)]
    assert len(changes) == 2


@pytest.mark.parametrize("crowd", [7, "perhaps", -1, 0.5, [1], ""])
def test_a_crowd_that_is_neither_is_left(
    crowd: float | list[int] | str, document: dict[str, Any], pictures: Path
) -> None:
    document["annotations"][0]["iscrowd"] = crowd
    assert repair_document(document, images_dir=pictures) == (document, [])
    assert _kinds(document, pictures) == [Kind.BAD_VALUE]


@pytest.mark.parametrize("number", ["6f1c", 20230101123456789012, "20230101123456789012", 1.5, 2.0e19])
def test_ids_that_are_no_numbers_are_renumbered_with_what_refers_to_them(
    number: float | str, document: dict[str, Any], pictures: Path
) -> None:
    document["images"][0]["id"] = number
    document["categories"][1]["id"] = number
    document["annotations"][0].update(image_id=number, category_id=number)
    document["annotations"][1]["image_id"] = number
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["images"][0]["id"] == 4
    assert mended["categories"][1]["id"] == 2
    assert [(each["image_id"], each["category_id"]) for each in mended["annotations"]] == [(4, 2), (4, 1), (2, 1)]
    assert len(changes) == 5
    assert _kinds(mended, pictures) == []


def test_texts_and_numbers_that_would_become_one_id_are_kept_apart(document: dict[str, Any], pictures: Path) -> None:
    document["images"][1]["id"] = "1"
    document["annotations"][2]["image_id"] = "1"
    mended, _ = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [1, 4, 3]
    assert [each["image_id"] for each in mended["annotations"]] == [1, 1, 4]


def test_two_images_of_one_text_id_are_left(document: dict[str, Any], pictures: Path) -> None:
    for row in (0, 1):
        document["images"][row]["id"] = "x"
    for annotation in document["annotations"]:
        annotation["image_id"] = "x"
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_a_box_of_an_unknown_category_never_becomes_anothers(document: dict[str, Any], pictures: Path) -> None:
    for category in document["categories"]:
        category["id"] -= 1
    for annotation in document["annotations"]:
        annotation["category_id"] -= 1
    document["annotations"][2]["category_id"] = 2  # what the second category is about to be called
    mended, changes = repair_document(document, images_dir=pictures)
    assert [each["category_id"] for each in mended["annotations"]] == [2, 1]
    assert removed(changes) == {"boxes: its category is not in the file": 1}


@pytest.mark.parametrize("first", [0, 3])
def test_a_category_that_is_only_the_supercategory_of_others_goes(
    first: int, document: dict[str, Any], pictures: Path
) -> None:
    for category in document["categories"]:
        category["supercategory"] = "cards"
    document["categories"].insert(0, {"id": first, "name": "cards", "supercategory": "none"})
    assert Kind.ROOT_CATEGORY in _kinds(document, pictures)
    mended, changes = repair_document(document, images_dir=pictures)
    assert [category["id"] for category in mended["categories"]] == [1, 2]
    assert mended["annotations"] == document["annotations"]
    assert len(changes) == 1
    document["annotations"][0]["category_id"] = first  # with a box it is a class
    assert Kind.ROOT_CATEGORY not in _kinds(document, pictures)
    assert len(repair_document(document, images_dir=pictures)[0]["categories"]) == 3


def test_a_category_that_is_its_own_supercategory_is_a_class(document: dict[str, Any], pictures: Path) -> None:
    document["categories"].append({"id": 3, "name": "queen", "supercategory": "queen"})
    assert _kinds(document, pictures) == []


def test_boxes_in_shares_become_pixels_where_that_is_certain(document: dict[str, Any], pictures: Path) -> None:
    shares = [[0.25, 0.5, 0.5, 0.5], [0, 0, 1, 1], [0.5, 0.5, 0.25, 0.125]]
    for annotation, share in zip(document["annotations"], shares, strict=True):
        annotation.update(bbox=share, area=0.1)
    assert _kinds(document, pictures) == [Kind.NORMALIZED_BOX] * 2
    mended, _ = repair_document(document, images_dir=pictures)
    assert [each["bbox"] for each in mended["annotations"]] == [[10, 15, 20, 15], [0, 0, 40, 30], [10, 25, 5, 6.25]]
    assert mended["annotations"][0]["area"] == 300
    assert _kinds(mended, pictures) == []


@pytest.mark.parametrize(
    "shares",
    [
        [[0.5, 0.5, 0.2, 0.2], [0.4, 0.4, 0.5, 0.5], [0.5, 0.5, 0.25, 0.125]],  # corner or middle
        [[0.9, 0.5, 0.2, 0.2], [0.4, 0.4, 0.5, 0.5], [0.5, 0.5, 0.25, 0.125]],  # no corner
        [[0.25, 0.5, 0.5, 0.5], [0, 0, 40, 30], [0.5, 0.5, 0.25, 0.125]],  # pixels among them
    ],
)
def test_boxes_that_may_be_in_shares_of_one_kind_or_another_are_left(
    shares: list[Any], document: dict[str, Any], pictures: Path
) -> None:
    for annotation, share in zip(document["annotations"], shares, strict=True):
        annotation["bbox"] = share
    assert repair_document(document, images_dir=pictures) == (document, [])
    assert Kind.NORMALIZED_BOX in _kinds(document, pictures)


def test_shares_of_a_picture_that_was_resized_stay_shares(document: dict[str, Any], pictures: Path) -> None:
    Image.new("RGB", (80, 60)).save(pictures / "a.png")
    document["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0.1, 0.1, 0.5, 0.5]}]
    mended, _ = repair_document(document, images_dir=pictures)
    assert mended["annotations"][0]["bbox"] == [8, 6, 40, 30]


def test_records_that_are_no_objects_go(document: dict[str, Any], pictures: Path) -> None:
    document["images"].append(None)
    document["annotations"].insert(0, 5)
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert [change.field for change in changes] == ["images[3]", "annotations[0]"]


def test_a_record_that_is_a_list_or_lies_too_deep_cannot_be_mended(document: dict[str, Any], pictures: Path) -> None:
    document["annotations"].append([1, 1, 2, 3, 4])
    with pytest.raises(AnnotationsError, match=r"annotations\[3\] is \[1, 1, 2, 3, 4\]; expected an object"):
        repair_document(document, images_dir=pictures)
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    document["annotations"][3] = {"more": deep}
    with pytest.raises(AnnotationsError, match="lie too deep within one another"):
        repair_document(document, images_dir=pictures)


@pytest.mark.parametrize("wrong", [[], {}, {"images": [], "annotations": {}, "categories": []}])
def test_what_has_no_sections_cannot_be_mended(
    wrong: dict[Any, Any] | dict[str, Any] | list[Any], tmp_path: Path
) -> None:
    with pytest.raises(AnnotationsError, match="cannot be mended"):
        repair_document(wrong, images_dir=tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def one_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    Image.new("L", (40, 30)).save(folder / "a.png")
    return folder


@given(value=values, section=st.sampled_from(["categories", "images", "annotations"]), data=st.data())
def test_mending_twice_changes_nothing_more(value: Any, section: str, data: st.DataObject, one_picture: Path) -> None:
    document = {
        "categories": [{"id": 1, "name": "king"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0, "area": 12}],
    }
    document[section][0][data.draw(st.sampled_from(sorted(document[section][0])))] = value
    mended, changes = repair_document(document, images_dir=one_picture)
    gone = sum(times for what, times in removed(changes).items() if what.startswith("boxes: "))
    assert len(mended["annotations"]) + gone == 1
    assert repair_document(mended, images_dir=one_picture) == (mended, [])


number = st.floats(-100, 100)


@given(box=st.tuples(number, number, number, number))
def test_every_box_that_is_left_is_right(box: tuple[float, float, float, float], one_picture: Path) -> None:
    document = {
        "categories": [{"id": 1, "name": "king"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": list(box)},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]},
        ],
    }
    mended, changes = repair_document(document, images_dir=one_picture)
    assert set(_kinds(mended, one_picture)) <= {Kind.NORMALIZED_BOX}
    assert len(mended["annotations"]) + sum(removed(changes).values()) == 2
    x, y, width, height = box
    outside = x + max(width, 0) < 0 or y + max(height, 0) < 0 or x + min(width, 0) > 40 or y + min(height, 0) > 30
    if outside and math.isfinite(sum(box)):
        assert len(mended["annotations"]) == 1
