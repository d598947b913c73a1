"""Pictures in classes: folders, tables, ranks, halves, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect.annotations.classes import check_readable, read_classes, read_ranked, split_classes
from detect.annotations.ranking import halves
from detect.errors import AnnotationsError

Classes = Callable[..., Path]


@pytest.fixture
def classes(tmp_path: Path) -> Classes:
    """Fill a folder with empty files by their names."""

    def fill(*names: str, source: Path = tmp_path / "set") -> Path:
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(b"")
        return source

    return fill


def table(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "table.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_folders_are_classes_in_order_of_name(classes: Classes) -> None:
    source = classes("dog/b.png", "dog/film/a.png", "cat/x", ".hidden/y.png", "dog/.z.png", "notes.txt")
    data = read_classes(source)
    assert (data.names, len(data), data.counts()) == (("cat", "dog"), 3, {"cat": 1, "dog": 2})
    rows = [(picture.path.relative_to(source).as_posix(), picture.label, picture.group) for picture in data.pictures]
    assert rows == [("cat/x", 0, None), ("dog/b.png", 1, None), ("dog/film/a.png", 1, "film")]
    assert read_classes(source, names=("dog", "cat")).pictures[0].label == 1


def test_a_table_says_the_same(tmp_path: Path) -> None:
    file = table(tmp_path, "label,path,group", "dog,1.png,film", "cat,sub/2.png,")
    data = read_classes(file)
    assert data.names == ("cat", "dog")
    assert [(picture.path, picture.label, picture.group) for picture in data.pictures] == [
        (tmp_path / "1.png", 1, "film"),
        (tmp_path / "sub" / "2.png", 0, None),
    ]


def test_older_spellings_are_brought_up_to_date(tmp_path: Path) -> None:
    data = read_classes(table(tmp_path, "path,label", "1.png,EXPOSED_BELLY", "2.png,other"))
    assert data.names == ("BELLY_EXPOSED", "other")


def test_a_digest_follows_pictures_and_labels_and_not_the_place(classes: Classes, tmp_path: Path) -> None:
    source = classes("cat/a", "dog/b")
    before = read_classes(source).digest()
    assert read_classes(source.rename(tmp_path / "moved")).digest() == before
    (tmp_path / "moved" / "dog" / "b").rename(tmp_path / "moved" / "cat" / "b")
    classes("dog/a", source=tmp_path / "moved")
    assert read_classes(tmp_path / "moved").digest() != before


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat/a",), "only one class: cat; expected two at least"),
        ((), "cannot be read"),
        (("cat/a", "dog/b", "c.png"), r"c.png: is in no class"),
    ],
)
def test_folders_that_are_no_classes(classes: Classes, tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    classes(*names)
    with pytest.raises(AnnotationsError, match=message):
        read_classes(tmp_path / "set")


def test_an_empty_class_and_classes_that_are_others(classes: Classes) -> None:
    source = classes("cat/a", "dog/b")
    with pytest.raises(AnnotationsError, match='class "dog" is not one of cat, cow'):
        read_classes(source, names=("cat", "cow"))
    with pytest.raises(AnnotationsError, match='class "cow" is empty'):
        read_classes(source, names=("cat", "cow", "dog"))
    (source / "bird").mkdir()
    with pytest.raises(AnnotationsError, match='class "bird" is empty'):
        read_classes(source)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,label", "a,cat", "b,dog", "a,cat"), "line 4: .*a is named twice, here and at .*line 2"),
        (("path,label", "a,cat", "./a,dog"), "line 3: .*a has two labels"),
        (("path,label", "a,cat", ",dog"), 'line 3: path must not be ""'),
        (("path,label", "a,cat", "b,"), 'line 3: label must not be ""'),
        (("path", "a"), "column label is missing"),
        (("path,label,size", "a,b,c"), 'column "size" is unknown'),
        (("path,label", "a"), "1 cells; expected 2"),
        ((), "is empty"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnnotationsError, match=message):
        read_classes(table(tmp_path, *lines))


def test_headers_are_looked_at(classes: Classes) -> None:
    source = classes("cat/a.png", "cat/b.png", "dog/c.png")
    for name in ("cat/b.png", "dog/c.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(source / name)
    with pytest.raises(AnnotationsError, match=r"a.png: .*; of 3 pictures 1 cannot be read: `python"):
        check_readable(read_classes(source))
    (source / "cat" / "b.png").unlink()
    with pytest.raises(AnnotationsError, match=r"none of the 1 pictures of class .cat. can be read; .*a.png"):
        check_readable(read_classes(source))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(source / "cat" / "a.png")
    check_readable(read_classes(source))


def test_halves_by_hand() -> None:
    names = ["a", "a", "a", "b", "b", "a", "c"]
    assert halves([1, 9, 5, 3, 2, 5, 7], names, size=2).tolist() == [0, 1, -1, 1, 0, -1, -1]
    # Followers: 1, 2 | 10, 20, in runs of two, whatever the order of the rows.
    assert halves([5, 6, 50, 40], ["10", "1", "2", "20"], size=2).tolist() == [0, 0, 1, 1]
    assert halves([1, 1, 1, 2], ["x"] * 4, size=2).tolist() == [-1, -1, -1, 1]
    assert halves(list(range(5)), ["7"] * 5, size=5).tolist() == [0, 0, -1, 1, 1]


@pytest.mark.parametrize(("count", "size"), [(1, 2), (2, 1)])
def test_halves_of_nonsense(count: int, size: int) -> None:
    with pytest.raises(ValueError, match="need as many audiences as scores"):
        halves([1.0, 2.0], ["x"] * count, size=size)


def test_ranks_become_classes(tmp_path: Path) -> None:
    file = table(tmp_path, "Path,Score,Followers", "a,1,10", "b,2,11", "c,3,90", "d,9,80")
    data, middle = read_ranked(file, within="followers", size=2)
    assert (data.names, middle) == (("lower", "upper"), 0)
    assert [(picture.path.name, picture.label) for picture in data.pictures] == [("a", 0), ("b", 1), ("c", 0), ("d", 1)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,score,by", "a,x,1"), 'line 2: score must not be "x"'),
        (("path,score,by", "a,nan,1"), 'line 2: score must not be "nan"'),
        (("path,score,by", ",1,1"), 'line 2: path must not be ""'),
        (("path,score", "a,1"), "column by is missing"),
        (("path,score,by", "a,1,1", "b,1,1"), "no picture has a higher score than another of its by"),
    ],
)
def test_ranks_that_are_none(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnnotationsError, match=message):
        read_ranked(table(tmp_path, *lines), within="by")


def test_a_split_keeps_groups_together_and_classes_in_their_share(classes: Classes) -> None:
    names = [f"{name}/{group}/{number}" for name in ("cat", "dog") for group in "abcde" for number in range(4)]
    data = read_classes(classes(*names))
    train, val = split_classes(data, held_back=0.2, seed=3)
    assert (len(train), len(val)) == (32, 8)
    assert val.counts() == {"cat": 4, "dog": 4}
    assert not {picture.group for picture in train.pictures} & {picture.group for picture in val.pictures}
    assert {picture.path for picture in train.pictures} | {each.path for each in val.pictures} == {
        each.path for each in data.pictures
    }
    assert split_classes(data, held_back=0.2, seed=3) == (train, val)


def test_what_cannot_be_split(classes: Classes) -> None:
    data = read_classes(classes("cat/film/a", "cat/film/b", "dog/x", "dog/y"))
    with pytest.raises(AnnotationsError, match='class "cat" has too few pictures, or groups, to split'):
        split_classes(data, held_back=0.5, seed=0)
    with pytest.raises(ValueError, match=r"held_back must lie in \(0, 1\)"):
        split_classes(data, held_back=1.0, seed=0)
