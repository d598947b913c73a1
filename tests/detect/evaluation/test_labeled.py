"""Labelled pictures from folders and tables, and what is no such thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detect.errors import EvaluationError
from detect.evaluation.labeled import LabeledPicture, check_contents, given_groups, read_labeled


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def table(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return folder / "t.csv"


def test_folders_are_labels_and_the_folders_in_them_are_groups(tmp_path: Path) -> None:
    touch(tmp_path, "SAFE/b.jpg", "SAFE/film/2.png", "SAFE/film/cut/1.png", "nsfw/a.noending", "nsfw/film/x.jpg")
    touch(tmp_path, "SAFE/.hidden.jpg", "SAFE/.trash/c.jpg", "README.txt", ".hidden.jpg")
    found = read_labeled(tmp_path)
    assert [(str(each.path.relative_to(tmp_path)), each.nsfw, each.group, each.weight) for each in found] == [
        ("SAFE/b.jpg", False, None, 1),
        ("SAFE/film/2.png", False, "film", 1),
        ("SAFE/film/cut/1.png", False, "film", 1),
        ("nsfw/a.noending", True, None, 1),
        ("nsfw/film/x.jpg", True, "film", 1),
    ]
    groups = given_groups(found)
    assert groups[1] == groups[2] == groups[4]
    assert len(set(groups.tolist())) == 3


def test_a_folder_that_a_link_leads_back_to_is_no_endless_one(tmp_path: Path) -> None:
    touch(tmp_path, "SAFE/a.jpg", "NSFW/b.jpg")
    (tmp_path / "NSFW" / "again").symlink_to(tmp_path)
    assert [each.path.name for each in read_labeled(tmp_path)] == ["a.jpg", "again", "b.jpg"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["SAFE/a.jpg"], "has no folder NSFW"),
        (["SAFE/a.jpg", "NSFW/b.jpg", "NFSW/c.jpg"], "NFSW: is no label"),
        (["SAFE/a.jpg", "safe/a.jpg", "NSFW/b.jpg"], "is there twice"),
        (["SAFE/a.jpg", "NSFW/b.jpg", "c.jpg"], r"c\.jpg: has no label"),
        (["SAFE/a.jpg", "NSFW/.b.jpg"], "no picture is labelled NSFW"),
    ],
)
def test_folders_that_are_no_labels_are_refused(names: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=message):
        read_labeled(touch(tmp_path, *names))


def test_a_table_says_what_it_likes_in_its_own_order(tmp_path: Path) -> None:
    text = (
        '\ufeffWeight,path,group,Label\r\n2.5,"a, b.jpg",film,NSFW\r\n\r\n,sub/c.jpg,, safe \r\n0,/d.jpg,film,safe\r\n'
    )
    assert read_labeled(table(tmp_path, text)) == [
        LabeledPicture(path=tmp_path / "a, b.jpg", nsfw=True, group="film", weight=2.5),
        LabeledPicture(path=tmp_path / "sub/c.jpg", nsfw=False),
        LabeledPicture(path=Path("/d.jpg"), nsfw=False, group="film", weight=0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "no picture is labelled SAFE"),
        ("path\na.jpg\n", "line 1: column label is missing"),
        ("path,label,wieght\na.jpg,safe,1\n", 'line 1: column "wieght" is unknown'),
        ("path,label,label\na.jpg,safe,nsfw\n", 'line 1: column "label" is there twice'),
        ("path,label\na.jpg\n", "line 2: 1 cells; expected 2: path, label"),
        ("path,label\na,b.jpg,safe\n", "line 2: 3 cells"),
        ("path,label\n,safe\n", 'line 2: path must name a file, not ""'),
        ("path,label\na.jpg,sfw\n", 'line 2: label must be safe or nsfw, not "sfw"'),
        ("path,label,weight\na.jpg,safe,-1\n", 'line 2: weight must be a number not below 0, not "-1"'),
        ("path,label,weight\na.jpg,safe,nan\n", "weight must be"),
        ("path,label,weight\na.jpg,safe,inf\n", "weight must be"),
        ("path,label,weight\na.jpg,safe,much\n", "weight must be"),
        (
            "path,label\na.jpg,safe\nb.jpg,nsfw\n./a.jpg,safe\n",
            r"line 4: .*a\.jpg is named twice, here and at .*line 2",
        ),
        ("path,label\na.jpg,safe\na.jpg,nsfw\n", r"line 3: .*a\.jpg has two labels, here and at .*line 2"),
        ('path,label\n"a.jpg,safe\n', "is no CSV"),
        ("path,label\na.jpg,safe\n", "no picture is labelled NSFW"),
    ],
)
def test_tables_that_say_something_else_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=message):
        read_labeled(table(tmp_path, text))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"gone\.csv: cannot be read: No such file"):
        read_labeled(tmp_path / "gone.csv")
    (tmp_path / "t.csv").write_bytes(b"path,label\n\xff,safe\n")
    with pytest.raises(EvaluationError, match="is not UTF-8 at byte 11"):
        read_labeled(tmp_path / "t.csv")


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_all = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "NSFW":
            raise PermissionError(13, "Permission denied", str(path))
        return list_all(path)

    touch(tmp_path, "SAFE/a.jpg", "NSFW/b.jpg")
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(EvaluationError, match="NSFW: cannot be read: Permission denied"):
        read_labeled(tmp_path)


def test_one_content_has_one_label() -> None:
    pictures = [LabeledPicture(path=Path(f"{n}.jpg"), nsfw=n > 1) for n in range(3)]
    check_contents(pictures, ["x", "x", "y"])
    with pytest.raises(EvaluationError, match=r"2\.jpg: has two labels: 0\.jpg is the same picture"):
        check_contents(pictures, ["x", "y", "x"])
    with pytest.raises(ValueError, match="shorter"):
        check_contents(pictures, ["x"])


def test_groups_are_taken_by_name_and_the_rest_are_by_themselves() -> None:
    named = [
        LabeledPicture(path=Path(str(n)), nsfw=False, group=group) for n, group in enumerate(["1", None, None, "1"])
    ]
    groups = given_groups(named)
    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == 3
    assert given_groups([]).tolist() == []
