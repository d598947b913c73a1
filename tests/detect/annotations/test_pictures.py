from __future__ import annotations

from pathlib import Path

import pytest

from detect.annotations.pictures import list_pictures
from detect.errors import AnnotationsError


def test_pictures_are_listed_by_their_path_whatever_the_case_of_their_ending(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/z.png", "a.txt", "c.webp", "d.heic", "e.HIF", "f.jpe"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    expected = ["a/z.png", "b.JPG", "c.webp", "d.heic", "e.HIF", "f.jpe"]
    assert [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)] == expected


def test_a_folder_without_pictures_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="holds no picture"):
        list_pictures(tmp_path)
    with pytest.raises(AnnotationsError, match="is no folder"):
        list_pictures(tmp_path / "gone")
