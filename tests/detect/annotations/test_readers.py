from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detect.annotations import readers
from detect.annotations.readers import Mark, Names, cvat, read_labelstudio, read_names, read_voc, read_yolo, yolo
from detect.errors import AnnotationsError

VOC = """<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>
<object><name>king</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
<object><name> ace </name><difficult>1</difficult>
<bndbox><xmin>11.5</xmin><ymin>6</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"""

CVAT = """<annotations><version>1.1</version><image id="0" name="set/a.png" width="40" height="30">
<tag label="whole"/>{}</image></annotations>"""

BOMB = """<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><annotation>&b;</annotation>"""


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Any]:
    def _put(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return _put


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


class TestVoc:
    def test_pixels_count_from_one_and_the_last_belongs_to_the_box(self, put: Callable[..., Any]) -> None:
        path = put("one.xml", VOC)
        (marked,) = read_voc(path)
        assert marked.marks == (Mark("king", (0, 0, 40, 30)), Mark("ace", (10.5, 5, 30, 20), crowd=True))
        assert (marked.file_names, marked.size) == (("a.png", "one"), (40, 30))

    def test_a_folder_is_read_in_order(self, put: Callable[..., Any], tmp_path: Path) -> None:
        for name in ("xml/b.xml", "xml/a.xml", "xml/sub/c.xml"):
            put(name, VOC.replace("a.png", ""))
        assert [item.file_names for item in read_voc(tmp_path / "xml")] == [("a",), ("b",), ("c",)]

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("<annotation>", "<notes>", "no XML that can be trusted"),
            ("<width>40</width>", "", "size/width: size is null; expected a whole number of pixels"),
            ("<width>40</width>", "<width>0</width>", 'size is "0"'),
            ("<xmin>1</xmin>", "<xmin>one</xmin>", 'object 1: xmin: is "one"; expected a finite number'),
            ("<xmin>1</xmin>", "<xmin>inf</xmin>", "expected a finite number"),
            ("<xmin>1</xmin>", "", "object 1: xmin: is null"),
            ("<name>king</name>", "", "object 1: label is null"),
        ],
    )
    def test_what_is_wrong_is_named(self, old: str, new: str, reason: str, put: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=reason):
            read_voc(put("one.xml", VOC.replace(old, new)))

    def test_what_has_no_place_in_a_box_is_counted(self, put: Callable[..., Any]) -> None:
        more = (
            "<difficult> 0 </difficult><truncated>1</truncated><occluded>0</occluded><pose>Left</pose><part/>"
            "<attributes><attribute><name>dark</name><value>1</value></attribute></attributes>"
        )
        (marked,) = read_voc(put("one.xml", VOC.replace("<name>king</name>", f"<name>king</name>{more}")))
        assert sorted(marked.notes) == ["left out: <part>", "left out: <truncated>", 'left out: attribute "dark"']
        assert [mark.crowd for mark in marked.marks] == [False, True]

    def test_a_rotation_turns_the_box(self, put: Callable[..., Any]) -> None:
        # Columns 10 to 30 and rows 10 to 20, turned upright about (20, 15): columns 15 to 25, rows 5 to 25.
        turned = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
        text = VOC.replace("<xmin>1</xmin><ymin>1</ymin><xmax>40</xmax><ymax>30</ymax>", "{}").format(
            "<xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>20</ymax>"
        )
        (marked,) = read_voc(put("one.xml", text.replace("<name>king</name>", f"<name>king</name>{turned}")))
        assert marked.marks[0].xyxy == pytest.approx((15, 5, 25, 25))
        assert marked.marks[0].turned

    def test_endings_in_upper_case_are_read(self, put: Callable[..., Any]) -> None:
        put("xml/a.XML", VOC)
        assert len(read_voc(put("xml/b.xml", VOC).parent)) == 2

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("<difficult>1</difficult>", "<difficult>perhaps</difficult>", 'difficult: is "perhaps"; expected 0 or 1'),
            ("</bndbox></object>", "</bndbox><bndbox/></object>", "has 2 boxes; expected one"),
            ("<bndbox>", "<robndbox>", "is no XML"),
        ],
    )
    def test_what_is_not_understood_is_an_error(self, old: str, new: str, reason: str, put: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=reason):
            read_voc(put("one.xml", VOC.replace(old, new, 1)))

    def test_a_deep_document_is_an_error_or_read(self, put: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError):
            read_voc(put("deep.xml", "<annotation>" + "<a>" * 100_000))

    def test_no_file_no_xml_another_root_and_a_bomb(self, put: Callable[..., Any], tmp_path: Path) -> None:
        with pytest.raises(AnnotationsError, match=r"gone\.xml: cannot be read: No such file"):
            read_voc(tmp_path / "gone.xml")
        with pytest.raises(AnnotationsError, match="holds no XML file"):
            read_voc(tmp_path)
        with pytest.raises(AnnotationsError, match="begins with <annotations>; expected <annotation>"):
            read_voc(put("cvat.xml", CVAT))
        with pytest.raises(AnnotationsError, match="no XML that can be trusted: EntitiesForbidden"):
            read_voc(put("bomb.xml", BOMB))


class TestYolo:
    @pytest.fixture
    def pictures(self, tmp_path: Path) -> Path:
        for name in ("a.png", "sub/b.jpg", "none.png"):
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8)).save(path)
        return tmp_path / "images"

    def test_boxes_scores_and_polygons(self, put: Callable[..., Any], pictures: Path) -> None:
        put("labels/classes.txt", "king\nace\n\n")
        put("labels/a.txt", "0 0.5 0.5 0.5 0.25\n\n1 0.25 0.25 0.5 0.5 0.9\n")
        source = put("labels/sub/b.txt", "1 0.1 0.2 0.3 0.2 0.3 0.6").parents[1]
        first, negative, second = read_yolo(source, images_dir=pictures, polygons=True)
        assert first.marks == (Mark("king", (0.25, 0.375, 0.75, 0.625)), Mark("ace", (0, 0, 0.5, 0.5)))
        assert second.marks == (Mark("ace", (0.1, 0.2, 0.3, 0.6)),)
        assert (second.file_names, second.size) == (("sub/b.jpg",), None)
        assert (negative.file_names, negative.marks) == (("none.png",), ())

    def test_names_may_be_given(self, put: Callable[..., Any], pictures: Path) -> None:
        source = put("labels/a.txt", "0 0.5 0.5 1 1").parent
        assert read_yolo(source, images_dir=pictures, names=Names(("queen",)))[0].marks[0].label == "queen"
        with pytest.raises(AnnotationsError, match=r"holds none of classes\.txt, obj\.names, data\.yaml"):
            read_yolo(source, images_dir=pictures)

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("0 0.5 0.5 0.5", "line 1: has 4 numbers"),
            ("0 .1 .1 .2 .2 .3 .3 .4", "line 1: has 8 numbers, which may be a polygon, a turned box or a pose"),
            ("king 0.5 0.5 0.5 0.5", 'line 1: is "king"; expected a finite number'),
            ("1 0.5 0.5 0.5 0.5", "class is 1.0; expected a whole number below 1"),
            ("0.5 0.5 0.5 0.5 0.5", "class is 0.5"),
            ("0 20 30 40 50", "a coordinate lies outside 0 to 1"),
        ],
    )
    def test_what_is_wrong_is_named(self, line: str, reason: str, put: Callable[..., Any], pictures: Path) -> None:
        source = put("labels/a.txt", line).parent
        with pytest.raises(AnnotationsError, match=reason):
            read_yolo(source, images_dir=pictures, names=Names(("king",)))

    def test_no_folder_no_fitting_file_and_no_text(
        self, put: Callable[..., Any], pictures: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(AnnotationsError, match="is no folder"):
            read_yolo(tmp_path / "gone", images_dir=pictures)
        source = put("labels/other.txt", "0 0.5 0.5 1 1").parent
        with pytest.raises(AnnotationsError, match="holds no text file that is named as a picture"):
            read_yolo(source, images_dir=pictures, names=Names(("king",)))
        (source / "obj.names").write_bytes(b"\xff")
        with pytest.raises(AnnotationsError, match="cannot be read"):
            read_names(source / "obj.names")


class TestCvat:
    @pytest.mark.parametrize(
        ("shape", "xyxy"),
        [
            ('<box label="king" xtl="1" ytl="2" xbr="3.5" ybr="4"/>', (1, 2, 3.5, 4)),
            # A box of 4 x 2 about (12, 11), turned by a quarter: 2 x 4 about the same middle.
            ('<box label="king" xtl="10" ytl="10" xbr="14" ybr="12" rotation="90"/>', (11, 9, 13, 13)),
            ('<polygon label="king" points="1,5;3.5,2;9,7"/>', (1, 2, 9, 7)),
            ('<ellipse label="king" cx="10" cy="10" rx="4" ry="2"/>', (6, 8, 14, 12)),
            ('<ellipse label="king" cx="10" cy="10" rx="4" ry="2" rotation="90"/>', (8, 6, 12, 14)),
        ],
    )
    def test_shapes_become_the_box_around_them(
        self, shape: str, xyxy: tuple[Any, ...], put: Callable[..., Any]
    ) -> None:
        (marked,) = readers.read_cvat(put("annotations.xml", CVAT.format(shape)).parent)
        assert [mark.label for mark in marked.marks] == ["king"]
        assert marked.marks[0].xyxy == pytest.approx(xyxy)
        assert (marked.file_names, marked.size) == (("set/a.png",), (40, 30))

    def test_what_has_no_place_in_a_box_is_counted(self, put: Callable[..., Any]) -> None:
        shape = (
            '<box label="king" xtl="1" ytl="2" xbr="3" ybr="4" occluded="1"><attribute name="dark">1</attribute></box>'
        )
        (marked,) = readers.read_cvat(put("a.xml", CVAT.format(shape)))
        assert marked.notes == ("left out: <tag>", 'left out: attribute "dark"', "left out: occluded")

    def test_an_image_without_shapes_is_a_negative(self, put: Callable[..., Any]) -> None:
        assert readers.read_cvat(put("a.xml", CVAT.format("")))[0].marks == ()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (CVAT.format('<points label="king" points="1,2"/>'), "<points> cannot be made a box"),
            (CVAT.format('<mask label="king" rle="1, 2"/>'), "<mask> cannot be made a box"),
            (
                CVAT.format('<box label="a" outside="1" xtl="1" ytl="2" xbr="3" ybr="4"/>'),
                "is outside, as",
            ),
            (CVAT.format('<box label="a" xtl="3" ytl="2" xbr="1" ybr="4"/>'), "is inside out"),
            ("<annotations><frame/></annotations>", "<frame> is unknown; expected <image>"),
            (CVAT.format('<polygon label="king" points="1,2,3"/>'), "<polygon> cannot be made a box"),
            (CVAT.format('<polygon label="king"/>'), 'polygon: is ""; expected a finite number'),
            (CVAT.format('<box label="king" xtl="1" ytl="2" xbr="3"/>'), r'image "set/a\.png": box ybr: is null'),
            (CVAT.format('<box xtl="1" ytl="2" xbr="3" ybr="4"/>'), "box: label is null"),
            ("<annotations><track/></annotations>", "expected an export as 'CVAT for images 1.1'"),
            ("<annotations><image/></annotations>", "image null: expected a name"),
            ('<annotations><image name="a.png" width="4"/></annotations>', "size is null"),
        ],
    )
    def test_what_is_wrong_is_named(self, content: str, reason: str, put: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=reason):
            readers.read_cvat(put("a.xml", content))


def _region(value: dict[str, Any], kind: str = "rectanglelabels", **more: Any) -> dict[str, Any]:
    return {"id": "r", "type": kind, "original_width": 200, "original_height": 100, "value": value, **more}


def _task(*regions: Any, image: str = "/data/upload/1/0a1b2c3d-a%20b.png", **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(regions), **more}]}


class TestLabelStudio:
    @pytest.mark.parametrize(
        ("value", "kind", "xyxy"),
        [
            (
                {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["king"]},
                "rectanglelabels",
                (0.1, 0.2, 0.4, 0.6),
            ),
            # 200 x 100 pixels: a box of 40 x 20 at (100, 50), turned by a quarter about that corner: x from 80 to 100,
            # y from 50 to 90.
            (
                {"x": 50, "y": 50, "width": 20, "height": 20, "rotation": 90, "labels": ["king"]},
                "rectangle",
                (0.4, 0.5, 0.5, 0.9),
            ),
            (
                {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["king"]},
                "ellipselabels",
                (0.4, 0.3, 0.6, 0.7),
            ),
            (
                {"points": [[10, 20], [30, 10], [20, 50]], "polygonlabels": ["king"]},
                "polygonlabels",
                (0.1, 0.1, 0.3, 0.5),
            ),
        ],
    )
    def test_regions_become_the_box_around_them(
        self, value: dict[str, Any], kind: str, xyxy: tuple[float, float, float, float], put: Callable[..., Any]
    ) -> None:
        choice = {"type": "choices", "value": {"choices": ["good"]}}
        (marked,) = read_labelstudio(put("ls.json", [_task(_region(value, kind), choice)]))
        assert marked.marks[0].label == "king"
        assert marked.marks[0].xyxy == pytest.approx(xyxy)
        assert marked.size is None
        assert marked.file_names == ("/data/upload/1/0a1b2c3d-a%20b.png",)

    def test_a_label_chosen_apart_from_its_shape_is_one_mark(self, put: Callable[..., Any]) -> None:
        place = {"x": 0, "y": 0, "width": 50, "height": 100}
        task = _task(_region(place, "rectangle"), _region({**place, "labels": ["king"]}, "labels"))
        assert read_labelstudio(put("ls.json", [task]))[0].marks == (Mark("king", (0, 0, 0.5, 1)),)

    def test_what_concerns_no_place_is_counted(self, put: Callable[..., Any]) -> None:
        place = {"x": 0, "y": 0, "width": 50, "height": 100}
        task = _task(
            {"type": "choices", "value": {"choices": ["good"]}},
            {"type": "relation", "from_id": "r", "to_id": "s"},
            _region({**place, "rectanglelabels": ["king"]}),
            _region({**place, "choices": ["dark"]}, "choices"),
        )
        (marked,) = read_labelstudio(put("ls.json", [task, {"data": {"image": "a"}, "annotations": []}]))
        assert len(marked.marks) == 1
        assert marked.notes == (
            "left out: choices",
            "left out: relation",
            "left out: choices",
            "left out: tasks without a submitted annotation",
        )

    def test_a_region_without_an_id_is_never_anothers_shape(self, put: Callable[..., Any]) -> None:
        place = {"x": 0, "y": 0, "width": 50, "height": 100}
        regions = [_region({**place, "labels": ["king"]}, "labels", id=None), _region(place, "rectangle", id=None)]
        with pytest.raises(AnnotationsError, match="has the labels null; expected one"):
            read_labelstudio(put("ls.json", [_task(*regions)]))

    def test_a_local_file_is_named_in_the_query(self, put: Callable[..., Any]) -> None:
        task = _task(image="/data/local-files/?d=set%2Fa.png")
        assert read_labelstudio(put("ls.json", [task]))[0].file_names == ("/data/local-files/?d=set%2Fa.png",)

    def test_tasks_without_a_submitted_annotation_are_left_out(self, put: Callable[..., Any]) -> None:
        tasks = [_task(was_cancelled=True), {"id": 1, "data": {"image": "a.png"}, "annotations": []}]
        assert read_labelstudio(put("ls.json", tasks)) == []

    def test_the_only_text_is_the_picture_whatever_it_is_called(self, put: Callable[..., Any]) -> None:
        task = {"data": {"photo": "x/a.png", "number": 3}, "annotations": [{"result": []}]}
        assert read_labelstudio(put("ls.json", [task]))[0].file_names == ("x/a.png",)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({}, "expected a list of tasks"),
            ([1], "expected a list of tasks"),
            ([{"id": 3, "image": "a.png", "label": []}], "task 3: annotations is null; expected a list"),
            ([{"data": {"image": "a"}, "annotations": [{}, {}]}], "task 0: has 2 annotations; expected one"),
            ([{"data": {"a": "x", "b": "y"}, "annotations": [{"result": []}]}], "expected one picture, under 'image'"),
            ([{"annotations": [{"result": []}]}], "data is null"),
            ([_task(_region({"x": 1}))], "labels .*; expected one"),
            ([_task(_region({"labels": ["a", "b"]}))], "labels .*; expected one"),
            ([_task(_region({"labels": [5]}))], "label is 5"),
            ([_task(_region({"labels": ["a"], "rle": []}, "brushlabels"))], "of type brushlabels cannot be made a box"),
            ([{"id": 1, "annotations": [{"result": None}]}], "result is null; expected a list"),
            ([_task(image="http://[")], "expected the address of a picture"),
            ([_task(_region({"labels": ["a"], "points": []}))], "expected pairs of numbers"),
            ([_task(_region({"labels": ["a"], "points": [1]}))], "expected pairs of numbers"),
            ([_task(_region({"labels": ["a"], "x": 1, "width": 2}))], "y: is null"),
            ([_task(_region({"labels": ["a"]}, image_rotation=90))], "marked on a turned picture"),
            (
                [_task({"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["a"]}})],
                "width: size is null",
            ),
            (
                [_task({"type": "videorectangle", "value": {"sequence": [], "labels": ["a"]}})],
                "width: size is null",
            ),
            ([_task(_region({"labels": ["a"], "x": 1, "y": 1, "width": -2, "height": 1}))], "a height above 0"),
            (
                [_task(_region({"x": 1}, to_name="one"), _region({"x": 1}, to_name="two"))],
                'has regions on "one", "two"; expected one picture',
            ),
            (
                [_task(*(_region({"labels": [name], "x": 1, "y": 1, "width": 2, "height": 1}) for name in "ab"))],
                'region "r" is there twice, in two ways',
            ),
            ([_task(_region({"labels": ["a"]}, original_height=0))], "original_height: size is 0"),
        ],
    )
    def test_what_is_wrong_is_named(self, content: Any, reason: str, put: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=reason):
            read_labelstudio(put("ls.json", content))

    @given(value=values, data=st.data())
    def test_any_value_anywhere_gives_marks_or_an_error(
        self, value: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        region = _region({"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 5, "rectanglelabels": ["king"]})
        task = _task(region)
        place = data.draw(st.sampled_from([task, task["data"], task["annotations"][0], region, region["value"]]))
        place[data.draw(st.sampled_from(sorted(place)))] = value
        path = tmp_path_factory.mktemp("ls") / "ls.json"
        path.write_text(json.dumps([task]))
        with contextlib.suppress(AnnotationsError):
            assert len(read_labelstudio(path)) <= 1


words = st.sampled_from(["", "0", "0.5", "1", "nan", "1e999", "king", "-3", "\u0663", "9" * 5_000])


@given(words=st.lists(words, min_size=1, max_size=9))
def test_any_line_gives_a_mark_or_an_error(words: list[str]) -> None:
    with contextlib.suppress(AnnotationsError):
        mark = yolo._mark(" ".join(words), Names(("king",)), polygons=True, where="a.txt: line 1")[0]
        assert all(-0.01 <= value <= 1.01 for value in mark.xyxy)


@given(attributes=st.dictionaries(st.sampled_from(["label", "xtl", "ytl", "xbr", "ybr", "rotation", "points"]), words))
@pytest.mark.parametrize("tag", ["box", "ellipse", "polygon", "mask"])
def test_any_shape_gives_a_mark_or_an_error(tag: str, attributes: dict[str, Any]) -> None:
    shape = Element(tag, {"cx": "1", "cy": "2", "rx": "3", "ry": "4", **attributes})
    with contextlib.suppress(AnnotationsError):
        assert len(cvat._mark(shape, where="a.xml").xyxy) == 4
