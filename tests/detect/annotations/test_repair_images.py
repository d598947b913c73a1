from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.Image import Exif

from detect.annotations import Kind, check_document
from detect.annotations.repair import removed, repair_document, turn_box


def _kinds(document: dict[str, Any], folder: Path) -> list[Any]:
    return [problem.kind for problem in check_document(document, file="c.json", images_dir=folder)]


def _turned(orientation: int) -> Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_an_image_that_is_not_there_goes_with_its_boxes(document: dict[str, Any], pictures: Path) -> None:
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


def test_a_file_that_is_no_picture_goes(document: dict[str, Any], pictures: Path) -> None:
    (pictures / "a.png").write_text("text")
    mended, changes = repair_document(document, images_dir=pictures)
    assert len(mended["images"]) == 2
    assert "not a picture" in changes[0].reason


@pytest.mark.parametrize("name", ["A.PNG", "/home/somebody/a.png", "C:\\pictures\\a.png", "a.png ", "images/a.png\r\n"])
def test_a_file_that_is_found_under_a_near_name_is_renamed(name: str, document: dict[str, Any], pictures: Path) -> None:
    document["images"][0]["file_name"] = name
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["images"][0]["file_name"] == "a.png"
    assert len(changes) == 1


@pytest.mark.parametrize("name", ["/home/somebody/gone.png", "..", "gone/b.png", "b.png" * 200, "\0"])
def test_a_name_of_which_nothing_can_be_made(name: str, document: dict[str, Any], pictures: Path) -> None:
    document["images"][2]["file_name"] = name
    mended, changes = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [1, 2]
    assert [change.reason for change in changes] == ["its picture is not there"]


@pytest.mark.parametrize("name", [None, " ", 7, "gone/a.png"])
def test_a_name_that_says_nothing_or_a_picture_of_another_image_is_left(
    name: int | str | None, document: dict[str, Any], pictures: Path
) -> None:
    document["images"][2]["file_name"] = name
    document["annotations"][2]["image_id"] = 3
    assert repair_document(document, images_dir=pictures) == (document, [])
    assert _kinds(document, pictures) != []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub\\b.jpg", "sub/b.jpg"),
        ("images/sub/b.jpg", "sub/b.jpg"),
        ("images\\sub\\b.jpg", "sub/b.jpg"),
        ("C:\\x\\sub\\b.jpg", "sub/b.jpg"),
        ("../train/sub/b.jpg", "sub/b.jpg"),
        ("b.jpg", "sub/b.jpg"),
        ("SUB/b.JPG", "sub/b.jpg"),
        ("sub%2Fb.jpg", "sub/b.jpg"),
        ("/data/local-files/?d=set/sub/b.jpg", "sub/b.jpg"),
        ("https://host.example/x/sub/b.jpg?width=20", "sub/b.jpg"),
        ("/data/upload/4/0a1b2c3d-e%CC%81%20f.png", "\u00e9 f.png"),
        ("pictures/e\u0301 f.png", "\u00e9 f.png"),
    ],
)
def test_a_picture_is_found_by_the_longest_path_that_a_name_ends_in(
    name: str, found: str, document: dict[str, Any], pictures: Path
) -> None:
    Image.new("RGB", (20, 50)).save(pictures / "\u00e9 f.png")
    document["images"][1]["file_name"] = name
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["images"][1]["file_name"] == found
    assert [change.field for change in changes] == ["images[1].file_name"]
    assert mended["annotations"] == document["annotations"]
    assert _kinds(mended, pictures) == []


@pytest.mark.parametrize("name", ["c.png", "C.png"])
def test_a_name_that_may_be_two_pictures_is_left_with_its_boxes(
    name: str, document: dict[str, Any], pictures: Path
) -> None:
    for folder in ("x", "y"):
        (pictures / folder).mkdir()
        Image.new("RGB", (40, 30)).save(pictures / folder / "c.png")
    document["images"][0].update(file_name=name, width=20, height=15)
    document["annotations"][0]["bbox"] = [-5, 0, 10, 10]
    assert repair_document(document, images_dir=pictures) == (document, [])
    (problem,) = (
        found for found in check_document(document, file="c", images_dir=pictures) if found.kind == "missing-image"
    )
    assert problem.expected.endswith('; there is "x/c.png" or "y/c.png"')


def test_a_picture_of_nearly_that_name_and_of_another_shape_is_left(document: dict[str, Any], pictures: Path) -> None:
    document["images"][0].update(file_name="images/a.png", width=31, height=30)
    document["annotations"][1]["bbox"] = [0, 0, 31, 30]
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_two_folders_of_equal_names_are_not_made_one(document: dict[str, Any], pictures: Path) -> None:
    document["images"][0]["file_name"] = "train/a.png"
    document["images"].append({"id": 9, "file_name": "val/a.png", "width": 40, "height": 30})
    assert repair_document(document, images_dir=pictures) == (document, [])


def test_two_images_of_one_file_are_joined(document: dict[str, Any], pictures: Path) -> None:
    document["images"].append({"id": 9, "file_name": "a.png", "width": 40, "height": 30})
    document["annotations"][0]["image_id"] = 9
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][0]["image_id"] == 1
    assert len(changes) == 2


def test_boxes_of_an_image_left_to_a_person_are_left_too(document: dict[str, Any], pictures: Path) -> None:
    document["images"][1].update(id=1, width=None)
    document["annotations"][0]["bbox"] = [-5, 0, 10, 10]
    mended, changes = repair_document(document, images_dir=pictures)
    assert mended["annotations"][:2] == document["annotations"][:2]
    assert [change.field for change in changes] == ["annotations[2]"]


def test_a_resized_picture_resizes_its_boxes(document: dict[str, Any], pictures: Path) -> None:
    Image.new("RGB", (80, 60)).save(pictures / "a.png")
    mended, _ = repair_document(document, images_dir=pictures)
    assert (mended["images"][0]["width"], mended["images"][0]["height"]) == (80, 60)
    assert mended["annotations"][0]["bbox"] == [20, 10, 40, 50]
    assert mended["annotations"][0]["area"] == 2000
    assert mended["annotations"][2] == document["annotations"][2]


def test_a_picture_of_another_shape_goes(document: dict[str, Any], pictures: Path) -> None:
    Image.new("RGB", (80, 30)).save(pictures / "a.png")
    mended, changes = repair_document(document, images_dir=pictures)
    assert [image["id"] for image in mended["images"]] == [2, 3]
    assert changes[0].reason == "its picture is of another shape (80 x 30, not 40 x 30)"
    assert removed(changes) == {
        "images: its picture is of another shape": 1,
        "boxes: its picture is of another shape": 2,
    }


@pytest.mark.parametrize("spoil", [{"width": None, "height": None}, {"width": 0, "height": 0}, {"width": "wide"}])
def test_a_size_that_is_none_is_taken_from_the_picture(
    spoil: dict[str, Any], document: dict[str, Any], pictures: Path
) -> None:
    document["images"][0].update(spoil)
    mended, changes = repair_document(document, images_dir=pictures)
    assert (mended["images"][0]["width"], mended["images"][0]["height"]) == (40, 30)
    assert mended["annotations"] == document["annotations"]
    assert len(changes) == len(spoil)


def test_boxes_drawn_on_the_picture_as_stored_are_turned_with_it(document: dict[str, Any], pictures: Path) -> None:
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
def test_a_box_is_turned_as_its_pixels_are(orientation: int, tmp_path: Path) -> None:
    stored = np.zeros((20, 30), np.uint8)
    stored[3:8, 4:16] = 255
    Image.fromarray(stored).save(tmp_path / "a.png", exif=_turned(orientation))
    with Image.open(tmp_path / "a.png") as image:
        rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image)))
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert turn_box((4, 3, 16, 8), width=30, height=20, orientation=orientation) == expected


@pytest.mark.parametrize("other", ["./a.png", "./././a.png", ".//a.png"])
def test_boxes_of_one_picture_under_two_names_are_joined_in_its_pixels(
    other: str, document: dict[str, Any], pictures: Path
) -> None:
    document["images"].append({"id": 9, "file_name": other, "width": 80, "height": 60})
    # The second is the first of the file, on the picture at twice its size.
    document["annotations"] += [
        {"id": 7, "image_id": 9, "category_id": 1, "bbox": [4, 4, 20, 20]},
        {"id": 8, "image_id": 9, "category_id": 2, "bbox": [20, 10, 40, 50]},
    ]
    mended, changes = repair_document(document, images_dir=pictures)
    assert _kinds(document, pictures).count(Kind.DUPLICATE_NAME) == 1
    assert _kinds(mended, pictures) == []
    assert mended["annotations"][-1] == {"id": 7, "image_id": 1, "category_id": 1, "bbox": [2, 2, 10, 10]}
    assert len(mended["annotations"]) == 4
    assert removed(changes) == {
        "boxes: the same box is there already, of the same picture under another name": 1,
        "images: its picture is named already": 1,
    }
