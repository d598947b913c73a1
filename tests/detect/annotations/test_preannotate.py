"""What labelling tools are given, and what they give back, in their very formats, to a thousandth of a pixel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detect.annotations import check_document
from detect.annotations.convert import convert
from detect.annotations.preannotate import labelstudio_tasks, preannotate
from detect.annotations.repair import repair_document
from detect.errors import AnnotationsError

LOCAL = "/data/local-files/?d="
Boxes = list[tuple[str, str, list[float]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose names and whose orientation are no plain ones."""
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "sub" / "a b&c.png")
    Image.new("RGB", (10, 20)).save(tmp_path / "b.png")
    exif = Image.Exif()
    exif[0x112] = 6  # stored 60 x 20, to be turned upright
    Image.new("RGB", (60, 20)).save(tmp_path / "turned.jpg", exif=exif)
    return tmp_path


@pytest.fixture
def found() -> dict[str, Any]:
    """A file as `autolabel` writes it of these pictures, with a crowd."""
    return {
        "categories": [{"id": 1, "name": "king"}, {"id": 2, "name": "ace"}],
        "images": [
            {"id": 1, "file_name": "sub/a b&c.png", "width": 40, "height": 30, "disagreement": 0.25, "reason": "who"},
            {"id": 2, "file_name": "turned.jpg", "width": 20, "height": 60, "disagreement": 0.1, "reason": ""},
            {"id": 3, "file_name": "b.png", "width": 10, "height": 20, "disagreement": 0, "reason": ""},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10.5, 5, 20, 8.25], "score": 0.9, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 0},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1.33, 30.1, 10.01, 20.2], "iscrowd": 0},
            {"id": 4, "image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1},
        ],
    }


BOXES: Boxes = [
    ("sub/a b&c.png", "ace", [10.5, 5, 20, 8.25]),
    ("sub/a b&c.png", "king", [0, 0, 40, 30]),
    ("turned.jpg", "king", [1.33, 30.1, 10.01, 20.2]),
]


def boxes(document: Any) -> Boxes:
    files = {image["id"]: image["file_name"] for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    return [(files[a["image_id"]], names[a["category_id"]], a["bbox"]) for a in document["annotations"]]


def same(document: Any, expected: Boxes) -> bool:
    pairs = zip(boxes(document), expected, strict=True)
    return all(one[:2] == other[:2] and one[2] == pytest.approx(other[2], abs=1e-3) for one, other in pairs)


def accepted(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The "JSON" that Label Studio exports when a person has submitted every prediction as it was."""
    return [
        {"id": number, "data": task["data"], "annotations": [{"id": number, "was_cancelled": False, **submitted}]}
        for number, task in enumerate(tasks, 1)
        for submitted in [{"result": task["predictions"][0]["result"]}]
    ]


class TestLabelStudio:
    def test_a_task_by_hand(self, found: dict[str, Any]) -> None:
        content, interface, notes = preannotate("labelstudio", found, prefix=LOCAL)
        first, _, negative = json.loads(content)
        assert first["data"] == {"image": f"{LOCAL}sub/a%20b%26c.png", "disagreement": 0.25, "reason": "who"}
        (prediction,) = first["predictions"]
        assert (prediction["model_version"], prediction["score"]) == ("detect autolabel", 0.75)
        assert prediction["result"][0] == {
            "id": "1", "type": "rectanglelabels", "from_name": "label", "to_name": "image",
            "original_width": 40, "original_height": 30, "image_rotation": 0, "score": 0.9,
            "value": {"x": 26.25, "y": pytest.approx(100 / 6), "width": 50, "height": 27.5, "rotation": 0,
                      "rectanglelabels": ["ace"]},
        }  # fmt: skip
        assert "score" not in prediction["result"][1]
        assert negative["predictions"][0]["result"] == []
        assert notes == {"left out: crowds": 1}
        root = defusedxml.ElementTree.fromstring(interface)
        names = {element.tag: element.get("name") for element in root}
        assert names == {"Image": "image", "RectangleLabels": "label"}
        assert root.find("Image").get("value") == "$image"
        assert [label.get("value") for label in root.iter("Label")] == ["king", "ace"]

    def test_its_json_comes_back_as_it_went(self, found: dict[str, Any], folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "export.json"
        path.write_text(json.dumps(accepted(labelstudio_tasks(found, prefix=LOCAL))))
        document, notes = convert("labelstudio", path, images_dir=folder, names=["king", "ace"])
        assert same(document, BOXES)
        assert notes == {}
        assert check_document(document, file="c.json", images_dir=folder) == []

    @pytest.mark.parametrize(
        "name",
        ["upload/1/0a1b2c3d-a_bc.png", "upload/1/0a1b2c3d-a%20b%26c.png", "images/0a1b2c3d__a_bc.png", "sub/a_bc.png"],
    )
    def test_uploads_are_found_by_the_name_they_were_given(
        self, name: str, found: dict[str, Any], folder: Path, tmp_path: Path
    ) -> None:
        tasks = accepted(labelstudio_tasks(found, prefix=LOCAL))[:1]
        tasks[0]["data"]["image"] = f"/data/{name}"
        (path := tmp_path / "export.json").write_text(json.dumps(tasks))
        assert same(convert("labelstudio", path, images_dir=folder)[0], BOXES[:2])

    def test_what_its_converter_writes_as_coco_is_mended(self, folder: Path) -> None:
        """As label-studio-sdk 2.1.2 writes the tasks above: ids from 0, stored sizes, boxes of the upright picture."""
        mended, _ = repair_document(json.loads(LABEL_STUDIO_COCO), images_dir=folder)
        assert check_document(mended, file="c.json", images_dir=folder) == []
        assert same(mended, BOXES)
        assert [(image["width"], image["height"]) for image in mended["images"]] == [(40, 30), (20, 60), (10, 20)]

    @given(
        edges=st.tuples(*[st.integers(0, 2000)] * 4).filter(lambda e: e[0] != e[2] and e[1] != e[3]),
        size=st.tuples(*[st.integers(1, 9000)] * 2),
    )
    def test_any_box_survives_percentages(self, edges: tuple[int, ...], size: tuple[int, int]) -> None:
        (x0, x1), (y0, y1) = sorted(edges[::2]), sorted(edges[1::2])
        bbox = [x0 / 2000 * size[0], y0 / 2000 * size[1], (x1 - x0) / 2000 * size[0], (y1 - y0) / 2000 * size[1]]
        document = {
            "categories": [{"id": 1, "name": "ace"}],
            "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox}],
        }
        (task,) = json.loads(json.dumps(labelstudio_tasks(document, prefix="")))
        value = task["predictions"][0]["result"][0]["value"]
        back = [value[key] * side / 100 for key, side in zip(("x", "y", "width", "height"), size * 2, strict=True)]
        assert back == pytest.approx(bbox, abs=1e-6)
        assert "disagreement" not in task["data"]
        assert "score" not in task["predictions"][0]


class TestCvat:
    def test_its_xml_comes_back_as_it_went(self, found: dict[str, Any], folder: Path, tmp_path: Path) -> None:
        content, labels, notes = preannotate("cvat", found, prefix="")
        (path := tmp_path / "annotations.xml").write_bytes(content)
        document, _ = convert("cvat", path, images_dir=folder, names=["king", "ace"])
        assert same(document, BOXES)
        assert check_document(document, file="c.json", images_dir=folder) == []
        assert notes == {"left out: crowds": 1}
        assert json.loads(labels) == [{"name": "king", "attributes": []}, {"name": "ace", "attributes": []}]

    def test_what_cvat_asks_for_is_there(self, found: dict[str, Any]) -> None:
        root = defusedxml.ElementTree.fromstring(preannotate("cvat", found, prefix="job 1/")[0])
        assert root.findtext("version") == "1.1"
        assert [name.text for name in root.findall("meta/task/labels/label/name")] == ["king", "ace"]
        image = root.find("image")
        assert dict(image.attrib) | {"id": ""} == {
            "id": "", "name": "job 1/sub/a b&c.png", "width": "40", "height": "30"
        }  # fmt: skip
        assert dict(image.find("box").attrib) == {
            "label": "ace", "source": "auto", "occluded": "0", "z_order": "0",
            "xtl": "10.500", "ytl": "5.000", "xbr": "30.500", "ybr": "13.250",
        }  # fmt: skip
        assert [len(each) for each in root.findall("image")] == [2, 1, 0]

    def test_no_picture_has_the_number_of_a_frame(self, found: dict[str, Any]) -> None:
        """A name that CVAT does not know shall be an error there, and not another picture's boxes."""
        root = defusedxml.ElementTree.fromstring(preannotate("cvat", found, prefix="")[0])
        numbers = [int(image.get("id")) for image in root.findall("image")]
        assert min(numbers) >= 1_000_000_000
        assert len(set(numbers)) == 3

    def test_what_it_writes_as_coco_is_mended(self, folder: Path) -> None:
        """As CVAT's library, datumaro 1.13.12, writes a box, a turned one, a polygon, and a mask as a crowd."""
        document = json.loads(CVAT_COCO)
        problems = check_document(document, file="c.json", images_dir=folder)
        (problem,) = (str(problem) for problem in problems)
        assert problem == (
            "c.json: turned-box: annotations[1].bbox (id 2) is [10.0, 10.0, 4.0, 2.0]; expected the box around the one "
            "that attributes.rotation turns by 90 degrees"
        )
        mended, changes = repair_document(document, images_dir=folder)
        assert check_document(mended, file="c.json", images_dir=folder) == []
        # A box of 4 x 2 about (12, 11), turned by a quarter: 2 x 4 about the same middle.
        expected = [[10.5, 5, 20, 8.25], [11, 9, 2, 4], [1, 2, 8, 5], [6, 5, 10, 4]]
        assert [annotation["bbox"] for annotation in mended["annotations"]] == [pytest.approx(box) for box in expected]
        assert [annotation["iscrowd"] for annotation in mended["annotations"]] == [0, 0, 0, 1]
        assert "annotations[1].bbox" in {change.field for change in changes}

    @pytest.mark.parametrize("rotation", [0, 0.0, 360, None, "90", True])
    def test_what_turns_nothing_is_no_problem(self, rotation: object, folder: Path) -> None:
        document = json.loads(CVAT_COCO)
        document["annotations"][1]["attributes"]["rotation"] = rotation
        assert not [each for each in check_document(document, file="c", images_dir=None) if each.kind == "turned-box"]

    def test_a_name_that_xml_cannot_say(self, found: dict[str, Any]) -> None:
        found["images"][0]["file_name"] = "a\x01.png"
        with pytest.raises(AnnotationsError, match="has a character that XML cannot say; rename it"):
            preannotate("cvat", found, prefix="")


def test_an_unknown_tool_is_misuse(found: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tool must be one of labelstudio, cvat, not 'voc'"):
        preannotate("voc", found, prefix="")


class TestCommand:
    @pytest.fixture
    def coco(self, found: dict[str, Any], tmp_path: Path) -> Path:
        (path := tmp_path / "coco.json").write_text(json.dumps(found))
        return path

    @pytest.mark.parametrize("tool", ["labelstudio", "cvat"])
    def test_there_and_back(self, tool: str, run: Callable[..., Any], coco: Path, folder: Path, tmp_path: Path) -> None:
        out, labels = tmp_path / f"{tool}.out", tmp_path / "labels"
        result = run("preannotate", tool, coco, "--images", folder, "-o", out, "--labels", labels)
        assert (result.exit_code, result.stdout) == (0, f"1 left out: crowds\n{out}: 3 images, 3 boxes\n")
        assert labels.exists()
        if tool == "labelstudio":
            out.write_text(json.dumps(accepted(json.loads(out.read_text()))))
        result = run("convert", tool, out, "--images", folder, "-o", tmp_path / "back.json", "--categories", coco)
        assert result.exit_code == 0, result.output
        assert same(json.loads((tmp_path / "back.json").read_text()), BOXES)

    def test_bad_input_ends_in_one_line(
        self, run: Callable[..., Any], coco: Path, folder: Path, tmp_path: Path, found: dict[str, Any]
    ) -> None:
        out = tmp_path / "out"
        arguments = ["preannotate", "cvat", coco, "--images", folder, "-o", out]
        assert run(*arguments, "--labels", out).exit_code == 2
        (labels := tmp_path / "labels").write_text("mine")
        result = run(*arguments, "--labels", labels)
        assert (result.exit_code, result.stderr) == (
            1, f"Error: {labels}: exists already; it is not overwritten unless asked for\n"
        )  # fmt: skip
        assert not out.exists()
        assert run(*arguments, "--labels", labels, "--overwrite").exit_code == 0
        found["annotations"][0]["category_id"] = 9
        coco.write_text(json.dumps(found))
        result = run(*arguments, "--overwrite")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {coco}: unknown-category: annotations[0].category_id (id 1) is 9")
        assert result.stderr.count("\n") == 1


LABEL_STUDIO_COCO = """{"images": [
{"width": 40, "height": 30, "id": 0, "file_name": "../upload/1/0a1b2c3d-a_bc.png"},
{"width": 60, "height": 20, "id": 1, "file_name": "../upload/1/0a1b2c3d-turned.jpg"},
{"width": 10, "height": 20, "id": 2, "file_name": "../upload/1/0a1b2c3d-b.png"}],
"categories": [{"id": 0, "name": "ace"}, {"id": 1, "name": "king"}],
"annotations": [
{"id": 0, "image_id": 0, "category_id": 0, "segmentation": [], "bbox": [10.5, 5.000000000000001, 20.0, 8.25],
 "ignore": 0, "iscrowd": 0, "area": 165.0},
{"id": 1, "image_id": 0, "category_id": 1, "segmentation": [], "bbox": [0.0, 0.0, 40.0, 30.0],
 "ignore": 0, "iscrowd": 0, "area": 1200.0},
{"id": 2, "image_id": 1, "category_id": 1, "segmentation": [], "bbox": [1.33, 30.100000000000005, 10.01, 20.2],
 "ignore": 0, "iscrowd": 0, "area": 202.202}],
"info": {"year": 2026, "version": "1.0", "description": "", "contributor": "Label Studio", "url": "",
 "date_created": "2026-11-27 08:00:08.159233"}}"""

CVAT_COCO = """{"licenses":[{"name":"","id":0,"url":""}],
"info":{"contributor":"","date_created":"","description":"","url":"","version":"","year":""},
"categories":[{"id":1,"name":"king","supercategory":""},{"id":2,"name":"ace","supercategory":""}],
"images":[{"id":1,"width":40,"height":30,"file_name":"sub/a b&c.png","license":0,"flickr_url":"","coco_url":"",
"date_captured":0},{"id":2,"width":10,"height":20,"file_name":"b.png","license":0,"flickr_url":"","coco_url":"",
"date_captured":0}],"annotations":[
{"id":1,"image_id":1,"category_id":1,"segmentation":[],"area":165.0,"bbox":[10.5,5.0,20.0,8.25],"iscrowd":0,
"attributes":{"occluded":false,"rotation":0.0}},
{"id":2,"image_id":1,"category_id":2,"segmentation":[],"area":8.0,"bbox":[10.0,10.0,4.0,2.0],"iscrowd":0,
"attributes":{"occluded":false,"rotation":90.0}},
{"id":3,"image_id":1,"category_id":2,"segmentation":[[1.0,5.0,3.5,2.0,9.0,7.0]],"area":15.0,"bbox":[1.0,2.0,8.0,5.0],
"iscrowd":0,"attributes":{"occluded":true}},
{"id":4,"image_id":1,"category_id":1,"segmentation":{"counts":[185,4,26,4,26,4,26,4,26,4,26,4,26,4,26,4,26,4,26,4,741],
"size":[30,40]},"area":40.0,"bbox":[6.0,5.0,10.0,4.0],"iscrowd":1,"attributes":{"occluded":false}}]}"""
