"""YOLO sets: whose a text file is, what class numbers mean, and which lines are no boxes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detect.annotations.readers import Mark, Names, read_names, read_yolo
from detect.annotations.readers.marks import Marked
from detect.errors import AnnotationsError

KING = Names(("king", "ace"))
BOX = "0 .5 .5 .2 .2\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(BOX)
    return tmp_path / "labels"


@pytest.mark.parametrize(
    "name", ["B.txt", "b.TXT", "b.jpg.txt", "b.txt.txt", "c.txt", "sub/b.txt", "b .txt", "notes.txt"]
)
def test_a_text_file_that_is_no_pictures_own_is_an_error(name: str, images: Path, labels: Path) -> None:
    (labels / name).parent.mkdir(exist_ok=True)
    (labels / name).write_text(BOX)
    with pytest.raises(
        AnnotationsError, match=r"belongs to no picture in .*; expected the name of one, ending in \.txt"
    ):
        read_yolo(labels, images_dir=images, names=KING)


def test_others_of_their_kind_are_counted(images: Path, labels: Path) -> None:
    (labels / "y.txt").write_text(BOX)
    (labels / "z.txt").write_text(BOX)
    with pytest.raises(AnnotationsError, match=r"y\.txt: belongs to no picture in .*images \(and 1 more\)"):
        read_yolo(labels, images_dir=images, names=KING)


def test_a_text_file_of_two_pictures_is_an_error(images: Path, labels: Path) -> None:
    Image.new("L", (8, 8)).save(images / "a.png")
    with pytest.raises(AnnotationsError, match=r"a\.txt: may belong to a\.jpg or a\.png"):
        read_yolo(labels, images_dir=images, names=KING)


def test_letters_may_be_composed_in_another_way(images: Path, labels: Path) -> None:
    Image.new("L", (8, 8)).save(images / unicodedata.normalize("NFC", "é.jpg"))
    (labels / unicodedata.normalize("NFD", "é.txt")).write_text(BOX)
    found = [item for item in read_yolo(labels, images_dir=images, names=KING) if item.marks]
    assert [item.file_names for item in found] == [("a.jpg",), ("é.jpg",)]


def test_negatives_and_strange_files_are_counted(images: Path, labels: Path) -> None:
    for name in ("a.bak", "labels.cache", ".hidden", "classes.txt"):
        (labels / name).write_text("king")
    notes = [note for item in read_yolo(labels, images_dir=images, names=KING) for note in item.notes]
    assert sorted(notes) == [
        "left out: files ending in .bak",
        "left out: files ending in .cache",
        "taken for negatives: pictures without a text file",
        "taken for negatives: pictures without a text file",
    ]


class TestLines:
    @pytest.fixture
    def read(self, images: Path, labels: Path) -> Callable[..., Any]:
        def _read(text: str, names: Names = KING, *, polygons: bool = False) -> Marked | None:
            (labels / "a.txt").write_text(text)
            return read_yolo(labels, images_dir=images, names=names, polygons=polygons)[0]

        return _read

    @pytest.mark.parametrize(
        "line",
        [
            "0 .5 .5 .2 .2 .45 .45 .55 .55",  # a pose of two points, or four corners
            "0 .5 .5 .2 .2 .45 .45 1 .55 .55 1",  # a pose of two points with visibility
            "0 .4 .4 .6 .4 .6 .6 .4 .6",  # a turned box
            "0 .1 .2 .3 .2 .3 .6",
            "0 .5 .5 .2 .2 .9 7",  # a score and a track
        ],
    )
    def test_a_long_line_is_refused_unless_something_says_what_it_is(self, line: str, read: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match="which may be a polygon, a turned box or a pose"):
            read(BOX + line)

    def test_polygons_where_they_are_said_to_be(self, read: Callable[..., Any]) -> None:
        marked = read("0 .5 .5 .2 .2\n1 .1 .2 .3 .2 .3 .6", polygons=True)
        assert marked.marks == (Mark("king", (0.4, 0.4, 0.6, 0.6)), Mark("ace", (0.1, 0.2, 0.3, 0.6)))
        with pytest.raises(AnnotationsError, match="line 1: has 8 numbers; expected a class and pairs of coordinates"):
            read("0 .1 .2 .3 .2 .3 .6 .9", polygons=True)

    @pytest.mark.parametrize("points", [".45 .45 .55 .55", ".45 .45 2 .55 .55 0"])
    def test_a_pose_where_the_names_say_so(self, points: str, read: Callable[..., Any]) -> None:
        marked = read(f"0 .5 .5 .2 .2 {points}", Names(("king",), len(points.split())))
        assert marked.marks == (Mark("king", (0.4, 0.4, 0.6, 0.6)),)
        assert marked.notes == ("left out: keypoints",)

    def test_a_pose_of_other_points_and_a_pose_that_is_to_be_a_polygon(self, read: Callable[..., Any]) -> None:
        pose = Names(("king",), 6)
        for line in ("0 .5 .5 .2 .2 .9", "0 .5 .5 .2 .2 .45 .45 .55 .55"):
            with pytest.raises(AnnotationsError, match="expected 5 or, by kpt_shape, 11"):
                read(line, pose)
        with pytest.raises(AnnotationsError, match="is a set of poses, by its kpt_shape"):
            read(BOX, pose, polygons=True)

    def test_scores_are_left_out_and_counted(self, read: Callable[..., Any]) -> None:
        assert read("0 .5 .5 .2 .2 .9  \r\n0.0 .5 .5 .2 .2 1\n").notes == ("left out: scores", "left out: scores")

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("0,.5,.5,.2,.2", "expected a finite number"),
            ("0 .5 .5 .2 .2,", "expected a finite number"),
            ("0 nan .5 .2 .2", "expected a finite number"),
            ("0 1_0 .5 .2 .2", "expected a finite number"),
            ("0 .5 .5 .2 -.2", "expected shares above 0"),
            ("0 .5 .5 0 .2", "expected shares above 0"),
            ("0 1.5 .5 .2 .2", "a coordinate lies outside 0 to 1"),
            ("0 .5 .5 .2 .2 3", "score is 3.0"),
            ("-1 .5 .5 .2 .2", "class is -1.0"),
            ("1.5 .5 .5 .2 .2", "class is 1.5"),
            ("0 .5", "has 2 numbers"),
        ],
    )
    def test_what_is_wrong_is_named(self, line: str, reason: str, read: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=f"a.txt: line 2: .*{reason}"):
            read(BOX + line)


class TestNames:
    @pytest.fixture
    def read(self, tmp_path: Path) -> Callable[..., Any]:
        def _read(text: str, name: str = "data.yaml") -> Names:
            (tmp_path / name).write_text(text, encoding="utf-8")
            return read_names(tmp_path / name)

        return _read

    @pytest.mark.parametrize(
        "text",
        [
            "names:\n- king\n- no\n",
            "path: ../set\ntrain: images/train\nval: images/val\nnc: 2\nnames: [king, no]\n",
            "names:\n  0: king\n  1: no\nroboflow:\n  license: CC BY 4.0\n",
            "nc: 2\nnames:\n  1: 'no'\n  0: king\n",
        ],
    )
    def test_a_list_or_an_object_of_names(self, text: str, read: Callable[..., Any]) -> None:
        assert read(text) == Names(("king", "no"))
        assert read(text, "data.YML") == Names(("king", "no"))

    def test_a_pose_says_how_many_numbers_its_points_have(self, read: Callable[..., Any]) -> None:
        assert read("kpt_shape: [17, 3]\nnames: [king]") == Names(("king",), 51)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("nc: 3\nnames: [a, b]", 'nc is "3", and there are 2 names'),
            ("names: {0: a, 2: b}", "expected 0, 1, 2 and so on"),
            ("names: {1: a, 2: b}", "expected 0, 1, 2 and so on"),
            ("names: {0: a, 0: b}", "has a key twice"),
            ("names: [a]\nnames: [b]", "has a key twice"),
            ("names: [a, '']", "names is "),
            ("names: [a, [b]]", "names is "),
            ("names: king", "names is "),
            ("- king\n- ace", "names is null"),
            ("", "names is null"),
            ("names: [a", "is no YAML that can be read"),
            ("names: &x [a]\nmore: *x", "has an alias"),
            ("names: !!python/object/apply:os.getcwd []", "names is "),
            ("names: " + "[" * 5000, "is no YAML that can be read"),
            ("kpt_shape: [17]\nnames: [a]", "kpt_shape is"),
            ("kpt_shape: [17, 4]\nnames: [a]", "kpt_shape is"),
        ],
    )
    def test_what_is_no_list_of_names_is_refused(self, text: str, reason: str, read: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=reason) as raised:
            read(text)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        "text",
        [
            "names:\n- king\n",
            "- king\n- ace\n",
            "nc: 2\nking\n",
            "[king, ace]",
            '{"names": []}',
            "king\n\nace",
            "",
            "\n",
        ],
    )
    def test_lines_that_are_no_names_are_refused(self, text: str, read: Callable[..., Any]) -> None:
        with pytest.raises(AnnotationsError, match=r"classes\.txt.*expected"):
            read(text, "classes.txt")

    def test_one_a_line(self, read: Callable[..., Any]) -> None:
        assert read("\ufeffking \nrotes Herz\n7\n\n", "classes.txt") == Names(("king", "rotes Herz", "7"))

    def test_files_that_lie_beside_the_annotations_must_agree(self, images: Path, labels: Path) -> None:
        (labels / "classes.txt").write_text("king\n")
        (labels / "data.yaml").write_text("names: [king]\nkpt_shape: [1, 2]")
        (labels / "a.txt").write_text("0 .5 .5 .2 .2 .5 .5")
        assert read_yolo(labels, images_dir=images)[0].marks[0].label == "king"
        (labels / "classes.txt").write_text("ace\n")
        with pytest.raises(AnnotationsError, match=r"classes\.txt and data\.yaml name other classes"):
            read_yolo(labels, images_dir=images)
