"""Which files are uploads, and when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from censor.watch.inbox import Inbox, Upload, is_name_of_upload
from detect.errors import ReadError
from detect.folders import PathBeneath, open_file


class Look:
    def __init__(self, root: Path, settle: float = 2.0) -> None:
        self.odd: list[str] = []
        self.inbox = Inbox(root, settle=settle, report=lambda path, why: self.odd.append(str(path)))

    def at(self, now: float, *skipped: str) -> list[str]:
        def skip(upload: Upload) -> bool:
            return str(upload.relative) in skipped

        return [str(upload.relative) for upload in self.inbox.settled(now, skip=skip)]


def test_an_upload_is_whole_when_it_has_stood_still(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"half")
    look = Look(tmp_path)
    assert look.at(0) == []
    assert look.inbox.unsettled == 1
    assert look.at(1.9) == []
    path.write_bytes(b"the whole")
    assert look.at(2) == []
    assert look.at(3.9) == []
    assert look.at(4) == ["a.jpg"]
    assert look.inbox.unsettled == 0


def test_a_change_of_time_or_of_file_alone_starts_the_wait_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1234")
    os.utime(path, (100, 100))
    look = Look(tmp_path)
    look.at(0)
    os.utime(path, (101, 101))
    assert look.at(2) == []
    other = tmp_path / "b.part"
    other.write_bytes(b"5678")
    os.utime(other, (101, 101))
    other.rename(path)
    assert look.at(4) == []
    assert look.at(6) == ["a.jpg"]


def test_a_stalled_upload_is_not_whole_while_its_writer_has_it_open(tmp_path: Path) -> None:
    look = Look(tmp_path, settle=0)
    with (tmp_path / "a.jpg").open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        assert look.at(100) == []
        assert look.inbox.unsettled == 1
    assert look.at(200) == ["a.jpg"]


@pytest.mark.parametrize(
    "name",
    [".photo.jpg.Ab12Cd", "photo.jpg.part", "photo.JPG.PART", "photo.crdownload", "x.tmp", "x.filepart", "photo.jpg~"],
)
def test_names_of_unfinished_uploads_wait_for_their_rename(tmp_path: Path, name: str) -> None:
    assert not is_name_of_upload(name)
    (tmp_path / name).write_bytes(b"x")
    look = Look(tmp_path, settle=0)
    assert look.at(0) == []
    (tmp_path / name).rename(tmp_path / "photo.jpg")
    assert look.at(1) == ["photo.jpg"]


def test_hidden_folders_are_left_alone_and_others_searched_to_any_depth(tmp_path: Path) -> None:
    for folder in (".censor-watch", ".hidden", "a/b/c/d", "part.d"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").write_bytes(b"x")
    assert sorted(Look(tmp_path, settle=0).at(0)) == ["a/b/c/d/x.jpg", "part.d/x.jpg"]


def test_what_is_no_regular_file_is_told_of_once_and_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("/etc/hostname")
    (tmp_path / "loop").symlink_to(tmp_path)
    look = Look(tmp_path, settle=0)
    assert look.at(0) == look.at(1) == []
    assert sorted(look.odd) == ["link.jpg", "loop", "pipe.jpg"]
    assert look.inbox.unsettled == 0
    for name in ("pipe.jpg", "link.jpg"):
        with pytest.raises(ReadError):
            open_file(PathBeneath(tmp_path, Path(name)))


def test_the_oldest_comes_first_and_what_is_skipped_does_not_come(tmp_path: Path) -> None:
    for age, name in enumerate(["c.jpg", "a.jpg", "b.jpg"]):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (100 + age, 100 + age))
    look = Look(tmp_path, settle=0)
    assert look.at(0) == ["c.jpg", "a.jpg", "b.jpg"]
    assert look.at(1, "a.jpg") == ["c.jpg", "b.jpg"]
    assert look.inbox.unsettled == 0


def test_an_inbox_that_is_gone_is_an_error_and_a_folder_in_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Look(tmp_path / "gone").at(0)
