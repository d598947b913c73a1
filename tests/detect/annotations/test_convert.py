from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detect import CLASSES
from detect.annotations import check_document
from detect.annotations.convert import convert as convert_and_count
from detect.annotations.readers import Names
from detect.errors import AnnotationsError

CVAT = '<annotations><image name="{}" width="{}" height="{}">{}</image></annotations>'
BOX = '<box label="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'


def convert(*arguments: Any, **options: Any) -> dict[str, Any] | None:
    return convert_and_count(*arguments, **options)[0]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (40, 30)).save(folder / "b.png")
    Image.new("L", (10, 20)).save(folder / "a.png")
    return folder


@pytest.fixture
def cvat(tmp_path: Path) -> Callable[..., Any]:
    def _write(*boxes: Any, name: str = "b.png", size: tuple[int, int] = (40, 30), more: str = "") -> Path:
        content = CVAT.format(name, *size, "".join(BOX.format(*box) for box in boxes))
        path = tmp_path / "cvat.xml"
        path.write_text(content.replace("</annotations>", more + "</annotations>"))
        return path

    return _write


def test_a_source_becomes_a_correct_document(images: Path, cvat: Callable[..., Any]) -> None:
    source = cvat(("king", 1, 2, 11, 7.25), ("ace", 0, 0, 40, 30), more=CVAT.format("a.png", 10, 20, "")[13:-14])
    document: Any = convert("cvat", source, images_dir=images)
    assert document == {
        "categories": [{"id": 1, "name": "ace"}, {"id": 2, "name": "king"}],
        "images": [
            {"id": 1, "file_name": "a.png", "width": 10, "height": 20},
            {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 2, "bbox": [1, 2, 10, 5.25], "area": 52.5, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 40, 30], "area": 1200, "iscrowd": 0},
        ],
    }
    assert check_document(document, file="c.json", images_dir=images) == []


def test_labels_of_the_six_classes_take_their_ids_in_whatever_spelling(images: Path, cvat: Callable[..., Any]) -> None:
    document: Any = convert("cvat", cvat(("EXPOSED_BREAST_F", 1, 2, 11, 7)), images_dir=images)
    assert [category["name"] for category in document["categories"]] == list(CLASSES)
    assert document["annotations"][0]["category_id"] == 3


def test_given_names_are_the_only_ones(images: Path, cvat: Callable[..., Any]) -> None:
    source = cvat(("king", 1, 2, 11, 7))
    document: Any = convert("cvat", source, images_dir=images, names=("queen", "king"))
    assert document["annotations"][0]["category_id"] == 2
    with pytest.raises(AnnotationsError, match="box 1: label is 'king'; expected one of queen"):
        convert("cvat", source, images_dir=images, names=("queen",))


def test_yolo_shares_become_pixels(images: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "b.txt").write_text("0 0.5 0.5 0.5 0.2\n0 0.05 0.5 0.11 1\n")
    document: Any = convert("yolo", labels, images_dir=images, source_names=Names(("king",)))
    assert [item["bbox"] for item in document["annotations"]] == [[10, 12, 20, 6], [0, 0, 4.2, 30]]
    assert len(document["images"]) == 2
    assert check_document(document, file="c.json", images_dir=images) == []


def test_a_voc_picture_is_found_by_the_name_of_its_xml(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.xml"
    path.write_text(
        "<annotation><filename>b.jpeg</filename><size><width>40</width><height>30</height></size><object>"
        "<name>king</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax>"
        "</bndbox></object></annotation>"
    )
    document: Any = convert("voc", path, images_dir=images)
    assert document["images"][0]["file_name"] == "b.png"
    assert (document["annotations"][0]["bbox"], document["annotations"][0]["iscrowd"]) == ([0, 0, 4, 5], 1)


def test_label_studio_end_to_end(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "ls.json"
    path.write_text(
        '[{"data": {"image": "/data/upload/3/01234567-b.png"}, "annotations": [{"result": [{"type": "rectanglelabels",'
        '"original_width": 40, "original_height": 30, "value": {"x": 25, "y": 50, "width": 50, "height": 10,'
        '"rectanglelabels": ["king"]}}]}]}]'
    )
    document: Any = convert("labelstudio", path, images_dir=images)
    assert document["annotations"][0]["bbox"] == [10, 15, 20, 3]


def test_boxes_of_a_picture_as_stored_are_turned(images: Path, cvat: Callable[..., Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 30)).save(images / "b.png", exif=exif)
    document: Any = convert("cvat", cvat(("king", 1, 2, 11, 7)), images_dir=images)
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (30, 40)
    assert document["annotations"][0]["bbox"] == [23, 1, 5, 10]  # x: 30 - 7


def test_boxes_may_reach_beyond_the_picture_by_two_pixels(images: Path, cvat: Callable[..., Any]) -> None:
    document: Any = convert("cvat", cvat(("king", -2, -1.5, 42, 32)), images_dir=images)
    assert document["annotations"][0]["bbox"] == [0, 0, 40, 30]


@pytest.mark.parametrize("box", [(-2.1, 0, 9, 9), (0, -2.1, 9, 9), (0, 0, 42.1, 9), (0, 0, 9, 32.1)])
def test_boxes_that_reach_further_are_refused(box: tuple[Any, ...], images: Path, cvat: Callable[..., Any]) -> None:
    with pytest.raises(AnnotationsError, match="expected some area, within the picture of 40 x 30"):
        convert("cvat", cvat(("king", *box)), images_dir=images)


def test_the_corners_around_a_turned_box_may_lie_outside(images: Path, cvat: Callable[..., Any]) -> None:
    # 20 x 4 about (30, 5), turned upright: it stands from y = -5 to y = 15.
    box = BOX.format("king", 20, 3, 40, 7).replace("/>", ' rotation="90"/>')
    path = cvat()
    path.write_text(CVAT.format("b.png", 40, 30, box))
    document: Any = convert("cvat", path, images_dir=images)
    assert document["annotations"][0]["bbox"] == [28, 0, 4, 15]


def test_what_cannot_be_converted_is_named(images: Path, cvat: Callable[..., Any]) -> None:
    with pytest.raises(AnnotationsError, match=r"its picture is not in .*; expected gone\.png"):
        convert("cvat", cvat(name="gone.png"), images_dir=images)
    with pytest.raises(AnnotationsError, match=r"its picture is not in"):
        convert("cvat", cvat(name="../images/b.jpeg"), images_dir=images / "..")
    with pytest.raises(AnnotationsError, match="size is 41 x 30; expected 40 x 30, as in the picture"):
        convert("cvat", cvat(size=(41, 30)), images_dir=images)
    with pytest.raises(AnnotationsError, match=r"box 1 \(king\) is \[40.0, 2.0, 41.0, 7.0\] as .*; expected some area"):
        convert("cvat", cvat(("king", 40, 2, 41, 7)), images_dir=images)
    with pytest.raises(AnnotationsError, match=r"its picture b\.png is that of .* too"):
        convert("cvat", cvat(more=CVAT.format("x/b.png", 40, 30, "")[13:-14]), images_dir=images)


def test_a_source_that_names_no_picture(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]")
    with pytest.raises(AnnotationsError, match="names no picture"):
        convert("labelstudio", path, images_dir=images)


def test_an_unknown_form_is_misuse(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="form must be one of voc, yolo, cvat, labelstudio, not 'csv'"):
        convert("csv", tmp_path, images_dir=images)


def test_notes_are_counted(images: Path, cvat: Callable[..., Any]) -> None:
    source = cvat(("king", 1, 2, 11, 7))
    source.write_text(source.read_text().replace("</image>", '<tag label="x"/><tag label="y"/></image>'))
    _, notes = convert_and_count("cvat", source, images_dir=images)
    assert notes == {"left out: <tag>": 2, "left out: pictures that the source does not name": 1}


def test_shares_where_pixels_belong_are_refused(images: Path, cvat: Callable[..., Any]) -> None:
    with pytest.raises(AnnotationsError, match="expected pixels, not shares"):
        convert("cvat", cvat(("king", 0.1, 0.2, 0.5, 0.75)), images_dir=images)


@pytest.mark.parametrize("name", ["images/b.png", "images\\b.png", "C:\\x\\b.png", "B.PNG", "b%2Epng"])
def test_a_picture_is_found_by_a_name_of_another_machine(name: str, images: Path, cvat: Callable[..., Any]) -> None:
    document: Any = convert("cvat", cvat(("king", 1, 2, 11, 7), name=name), images_dir=images)
    assert [image["file_name"] for image in document["images"]] == ["b.png"]


def test_a_picture_that_may_be_two_is_refused(images: Path, tmp_path: Path, cvat: Callable[..., Any]) -> None:
    for folder in ("x", "y"):
        (images / folder).mkdir()
        Image.new("L", (40, 30)).save(images / folder / "c.png")
    with pytest.raises(AnnotationsError, match=r"its picture may be x/c\.png or y/c\.png"):
        convert("cvat", cvat(name="c.png"), images_dir=images)
    # The file says a.png, and is called as b.png is.
    path = tmp_path / "b.xml"
    path.write_text(
        "<annotation><filename>a.png</filename><size><width>10</width><height>20</height></size></annotation>"
    )
    with pytest.raises(AnnotationsError, match=r"its picture may be a\.png or b\.png"):
        convert("voc", path, images_dir=images)
