from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detect.annotations import Kind, Problem, check_document


def _set(section: str, row: int, **fields: Any) -> Callable[..., Any]:
    def spoil(document: dict[str, Any]) -> None:
        document[section][row].update(fields)

    return spoil


def _drop(section: str, row: int, key: str) -> Callable[..., Any]:
    def spoil(document: dict[str, Any]) -> None:
        del document[section][row][key]

    return spoil


def _replace(section: str, value: dict[Any, Any] | list[Any] | list[int]) -> Callable[..., Any]:
    def spoil(document: dict[str, Any]) -> None:
        document[section] = value

    return spoil


# What is spoilt, and what is found: kind, id, field, value, and a part of what was expected.
SPOILT = {
    "section missing": (lambda d: d.pop("images"), Kind.MISSING_FIELD, None, "images", "nothing", "a list of objects"),
    "section no list": (_replace("images", {}), Kind.WRONG_TYPE, None, "images", "{}", "a list of objects"),
    "record no object": (_replace("images", [7]), Kind.WRONG_TYPE, None, "images[0]", "7", "an object"),
    "no annotations": (_replace("annotations", []), Kind.NO_ANNOTATIONS, None, "annotations", "[]", "at least one"),
    "no images": (_replace("images", []), Kind.NO_IMAGES, None, "images", "[]", "at least one"),
    "no categories": (_replace("categories", []), Kind.NO_CATEGORIES, None, "categories", "[]", "at least one"),
    "annotation id 0": (
        _set("annotations", 0, id=0),
        Kind.ID_BELOW_ONE,
        0,
        "annotations[0].id",
        "0",
        "a whole number from 1 up",
    ),
    "id missing": (_drop("annotations", 1, "id"), Kind.MISSING_FIELD, None, "annotations[1].id", "nothing", "whole"),
    "id a text": (_set("annotations", 1, id="2"), Kind.WRONG_TYPE, None, "annotations[1].id", '"2"', "a whole number"),
    "id a truth": (_set("annotations", 0, id=True), Kind.WRONG_TYPE, None, "annotations[0].id", "true", "whole"),
    "id of 65 bits": (_set("images", 2, id=2**64), Kind.WRONG_TYPE, None, "images[2].id", str(2**64), "a whole number"),
    "duplicate annotation": (
        _set("annotations", 2, id=1),
        Kind.DUPLICATE_ID,
        1,
        "annotations[2].id",
        "1",
        "an id that annotations[0] does not have",
    ),
    "duplicate image": (_set("images", 2, id=2), Kind.DUPLICATE_ID, 2, "images[2].id", "2", "images[1]"),
    "name missing": (
        _drop("categories", 0, "name"),
        Kind.MISSING_FIELD,
        1,
        "categories[0].name",
        "nothing",
        "a text that is not empty",
    ),
    "name empty": (_set("categories", 0, name=" "), Kind.WRONG_TYPE, 1, "categories[0].name", '" "', "not empty"),
    "name twice": (
        _set("categories", 1, name="king"),
        Kind.DUPLICATE_NAME,
        2,
        "categories[1].name",
        '"king"',
        "categories[0]",
    ),
    "file name a number": (_set("images", 0, file_name=5), Kind.WRONG_TYPE, 1, "images[0].file_name", "5", "a text"),
    "file named twice": (
        _set("images", 2, file_name="a.png"),
        Kind.DUPLICATE_NAME,
        3,
        "images[2].file_name",
        '"a.png"',
        "images[0]",
    ),
    "file elsewhere": (
        _set("images", 0, file_name="../a.png"),
        Kind.OUTSIDE_FOLDER,
        1,
        "images[0].file_name",
        '"../a.png"',
        "within the image folder",
    ),
    "file missing": (
        _set("images", 0, file_name="gone.png"),
        Kind.MISSING_IMAGE,
        1,
        "images[0].file_name",
        '"gone.png"',
        "a file",
    ),
    "file name too long": (
        _set("images", 0, file_name="x" * 300),
        Kind.MISSING_IMAGE,
        1,
        "images[0].file_name",
        '"' + "x" * 76 + "...",
        "a file",
    ),
    "width missing": (_drop("images", 0, "width"), Kind.MISSING_FIELD, 1, "images[0].width", "nothing", "whole number"),
    "height no number": (_set("images", 0, height="30"), Kind.WRONG_TYPE, 1, "images[0].height", '"30"', "from 1 up"),
    "size wrong": (
        _set("images", 0, width=41),
        Kind.SIZE_MISMATCH,
        1,
        "images[0].width and .height",
        "41 x 30",
        "40 x 30, as in the file",
    ),
    "category unknown": (
        _set("annotations", 0, category_id=3),
        Kind.UNKNOWN_CATEGORY,
        1,
        "annotations[0].category_id",
        "3",
        "the id of a category",
    ),
    "category a text": (
        _set("annotations", 0, category_id="king"),
        Kind.WRONG_TYPE,
        1,
        "annotations[0].category_id",
        '"king"',
        "the id of a category, a whole number",
    ),
    "image unknown": (
        _set("annotations", 0, image_id=4),
        Kind.UNKNOWN_IMAGE,
        1,
        "annotations[0].image_id",
        "4",
        "the id of an image",
    ),
    "image a list": (
        _set("annotations", 0, image_id=[1]),
        Kind.WRONG_TYPE,
        1,
        "annotations[0].image_id",
        "[1]",
        "the id of an image, a whole number",
    ),
    "box of three": (
        _set("annotations", 0, bbox=[1, 2, 3]),
        Kind.WRONG_TYPE,
        1,
        "annotations[0].bbox",
        "[1, 2, 3]",
        "four finite numbers",
    ),
    "box of a text": (
        _set("annotations", 0, bbox=[1, 2, 3, "4"]),
        Kind.WRONG_TYPE,
        1,
        "annotations[0].bbox",
        '[1, 2, 3, "4"]',
        "four finite numbers",
    ),
    "box infinite": (
        _set("annotations", 0, bbox=[1, 2, 3, float("inf")]),
        Kind.WRONG_TYPE,
        1,
        "annotations[0].bbox",
        "[1, 2, 3, Infinity]",
        "four finite numbers",
    ),
    "box without area": (
        _set("annotations", 0, bbox=[1, 2, 0, 4]),
        Kind.ZERO_AREA,
        1,
        "annotations[0].bbox",
        "[1, 2, 0, 4]",
        "a width and a height above 0.02 pixels",
    ),
    "box inside out": (
        _set("annotations", 0, bbox=[9, 9, -4, 4]),
        Kind.ZERO_AREA,
        1,
        "annotations[0].bbox",
        "[9, 9, -4, 4]",
        "above 0.02 pixels",
    ),
    "box left of it": (
        _set("annotations", 0, bbox=[-1, 0, 5, 5]),
        Kind.OUTSIDE_BOX,
        1,
        "annotations[0].bbox",
        "[-1, 0, 5, 5]",
        "a box within its image of 40 x 30",
    ),
    "box above it": (
        _set("annotations", 0, bbox=[0, -0.02, 5, 5]),
        Kind.OUTSIDE_BOX,
        1,
        "annotations[0].bbox",
        "[0, -0.02, 5, 5]",
        "40 x 30",
    ),
    "box right of it": (
        _set("annotations", 0, bbox=[30, 0, 11, 5]),
        Kind.OUTSIDE_BOX,
        1,
        "annotations[0].bbox",
        "[30, 0, 11, 5]",
        "40 x 30",
    ),
    "box below it": (
        _set("annotations", 0, bbox=[0, 26, 5, 5]),
        Kind.OUTSIDE_BOX,
        1,
        "annotations[0].bbox",
        "[0, 26, 5, 5]",
        "40 x 30",
    ),
    "crowd of two": (_set("annotations", 0, iscrowd=2), Kind.BAD_VALUE, 1, "annotations[0].iscrowd", "2", "0 or 1"),
    "area below 0": (_set("annotations", 0, area=-1), Kind.BAD_VALUE, 1, "annotations[0].area", "-1", "not below 0"),
    "score above 1": (
        _set("annotations", 0, score=1.5),
        Kind.BAD_VALUE,
        1,
        "annotations[0].score",
        "1.5",
        "from 0 to 1",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "number", "field", "value", "expected"), SPOILT.values(), ids=SPOILT.keys())
def test_each_problem_is_found_and_named(
    spoil: Callable[..., Any],
    kind: Kind,
    number: int | None,
    field: str,
    value: str,
    expected: str,
    document: dict[str, Any],
    pictures: Path,
) -> None:
    spoil(document)
    problems = check_document(document, file="coco.json", images_dir=pictures)
    assert (problems[0].kind, problems[0].id, problems[0].field) == (kind, number, field)
    assert problems[0].value == value
    assert expected in problems[0].expected
    assert problems[0].file == "coco.json"


def test_a_correct_document_has_no_problems(document: dict[str, Any], pictures: Path) -> None:
    assert check_document(document, file="coco.json", images_dir=pictures) == []


def test_a_document_that_is_no_object() -> None:
    assert check_document([], file="c.json", images_dir=None) == [
        Problem("c.json", Kind.WRONG_TYPE, None, "the document", "[]", "an object")
    ]


def test_every_problem_is_listed_not_the_first_alone(document: dict[str, Any], pictures: Path) -> None:
    document["categories"][0]["id"] = 0
    document["images"][0]["width"] = 39
    document["annotations"][2]["bbox"] = [0, 0, 0, 0]
    found = [problem.kind for problem in check_document(document, file="c.json", images_dir=pictures)]
    # The width makes one box reach outside, and the renumbered category leaves two boxes without theirs.
    assert sorted(found) == sorted(
        [
            Kind.ID_BELOW_ONE,
            Kind.SIZE_MISMATCH,
            Kind.UNKNOWN_CATEGORY,
            Kind.OUTSIDE_BOX,
            Kind.UNKNOWN_CATEGORY,
            Kind.ZERO_AREA,
        ]
    )


def test_names_are_compared_in_whatever_spelling(document: dict[str, Any]) -> None:
    document["categories"][0]["name"] = "f_breast"
    names = ("FEMALE_BREAST_EXPOSED",)
    found = check_document(document, file="c.json", images_dir=None, names=names)
    assert [(problem.kind, problem.value) for problem in found] == [(Kind.UNKNOWN_CATEGORY, '"ace"')]
    document["categories"][1]["name"] = "EXPOSED_BREAST_F"
    found = check_document(document, file="c.json", images_dir=None, names=names)
    assert [(problem.kind, problem.id) for problem in found] == [(Kind.DUPLICATE_NAME, 2)]


@pytest.mark.parametrize("name", ["/etc/a.png", "..", "a/../../b.png", "C:\\a.png", "\\\\host\\a.png", "..\\a.png"])
def test_paths_that_leave_the_folder(name: str, document: dict[str, Any]) -> None:
    document["images"][0]["file_name"] = name
    found = check_document(document, file="c.json", images_dir=None)
    assert [problem.kind for problem in found] == [Kind.OUTSIDE_FOLDER]


def test_a_file_that_is_no_picture(document: dict[str, Any], pictures: Path) -> None:
    (pictures / "a.png").write_text("text")
    (problem,) = check_document(document, file="c.json", images_dir=pictures)
    assert problem.kind == Kind.UNREADABLE_IMAGE
    assert "not a picture" in problem.expected


def test_a_picture_stored_turned_is_said_to_be(document: dict[str, Any], pictures: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (30, 40)).save(pictures / "a.png", exif=exif)
    assert check_document(document, file="c.json", images_dir=pictures) == []
    document["images"][0].update(width=30, height=40)
    kinds = {problem.kind for problem in check_document(document, file="c.json", images_dir=pictures)}
    assert Kind.SIZE_NOT_UPRIGHT in kinds


def test_a_message_is_one_line_whatever_the_names_hold(document: dict[str, Any], pictures: Path) -> None:
    document["images"][0]["file_name"] = "a\n\ud800.png"
    (problem,) = check_document(document, file="c.json", images_dir=pictures)
    assert "\n" not in str(problem)
    str(problem).encode()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(value=values, section=st.sampled_from(["categories", "images", "annotations"]), data=st.data())
def test_any_value_anywhere_gives_problems_and_no_exception(value: Any, section: str, data: st.DataObject) -> None:
    document = copy.deepcopy(
        {
            "categories": [{"id": 1, "name": "king"}],
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        }
    )
    key = data.draw(st.sampled_from(sorted(document[section][0])))
    document[section][0][key] = value
    for problem in check_document(document, file="c.json", images_dir=Path("nowhere")):
        assert str(problem).startswith("c.json: ")
