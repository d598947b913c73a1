"""Folders that somebody else fills: links, pipes, swaps, names and clashes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from command import FACES, Censor, hidden
from PIL import Image

from censor import gather as gather_module
from censor.batch import assign_targets, gather
from censor.media.writing import write_atomic
from detect.errors import ReadError
from detect.folders import PathBeneath, open_file, opened_folder, walk
from detect.pictures.still import decode


def picture(path: Path, color: str = "gray", kind: str = "JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), color).save(path, kind)
    return path


@pytest.fixture
def outside(face: Path, tmp_path: Path) -> Path:
    """A face that lies where nobody named it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "face.jpg").write_bytes(face.read_bytes())
    return folder


def test_links_to_files_are_followed_only_inside_the_folder(censor: Censor, face: Path, outside: Path) -> None:
    (face.parent / "inner.jpg").symlink_to("face.jpg")
    (face.parent / "outer.jpg").symlink_to(outside / "face.jpg")
    (face.parent / "notes.txt").symlink_to("/etc/hostname")
    result = censor(face.parent, "-o", outside.parent / "out", *FACES)
    assert result.exit_code == 1
    assert f"{face.parent}/outer.jpg: a link that leads out of {face.parent}" in result.stderr
    assert result.stderr.endswith("2 done, 2 with hidden regions, 1 failed, 1 other file passed over\n")
    assert sorted(path.name for path in (outside.parent / "out").iterdir()) == ["face.jpg", "inner.jpg"]
    before = (outside / "face.jpg").read_bytes()
    assert censor(face.parent, "--in-place", *FACES).exit_code == 1
    assert (outside / "face.jpg").read_bytes() == before
    assert censor(face.parent / "outer.jpg", *FACES).exit_code == 0  # whoever names it means it


@pytest.mark.parametrize(
    "options", [("hide", "--in-place"), ("hide", "-o", "out"), ("hide",), ("check",)], ids=" ".join
)
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_is_swapped_for_a_link_after_the_walk_is_not_followed(
    censor: Censor, face: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], what: str
) -> None:
    monkeypatch.chdir(face.parent.parent)
    (face.parent / "sub").mkdir()
    face.rename(face.parent / "sub" / "face.jpg")
    before = (outside / "face.jpg").read_bytes()

    def swapped(*arguments: object, **given: object) -> object:
        if what == "folder":
            (face.parent / "sub").rename(face.parent / "away")
            (face.parent / "sub").symlink_to(outside)
        else:
            (face.parent / "sub" / "face.jpg").unlink()
            (face.parent / "sub" / "face.jpg").symlink_to(outside / "face.jpg")
        return decode(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr("censor.media.still.decode", swapped)
    result = censor(options[0], face.parent, *options[1:], *FACES)
    assert result.exit_code == 1
    assert "link" in result.stderr
    assert (outside / "face.jpg").read_bytes() == before
    assert [path.name for path in outside.iterdir()] == ["face.jpg"]
    written = [path for path in Path().rglob("*.jpg") if path.is_file() and not path.is_relative_to(outside.name)]
    assert all(path.read_bytes() == before for path in written)


@pytest.mark.parametrize("options", [("--in-place",), ()], ids=" ".join)
def test_what_is_swapped_for_a_link_before_it_is_written_is_not_followed(
    censor: Censor, face: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    from censor import pipeline

    (face.parent / "sub").mkdir()
    face.rename(face.parent / "sub" / "face.jpg")
    before = (outside / "face.jpg").read_bytes()
    original = write_atomic

    def swapped(*arguments: object, **given: object) -> None:
        (face.parent / "sub").rename(face.parent / "away")
        (face.parent / "sub").symlink_to(outside)
        original(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "write_atomic", swapped)
    result = censor(face.parent, *options, *FACES)
    assert result.exit_code == 1
    assert "cannot be written: a link or a file where a folder is expected" in result.stderr
    assert (outside / "face.jpg").read_bytes() == before
    assert [path.name for path in outside.iterdir()] == ["face.jpg"]


def test_a_file_that_another_has_replaced_meanwhile_is_not_overwritten(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from censor import pipeline

    original = write_atomic

    def swapped(*arguments: object, **given: object) -> None:
        face.unlink()
        face.write_bytes(b"a newer one")
        original(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "write_atomic", swapped)
    result = censor(face, "--in-place", *FACES)
    assert result.exit_code == 1
    assert result.stderr == f"{face}: cannot be written: it was changed or replaced meanwhile\n"
    assert face.read_bytes() == b"a newer one"
    assert [path.name for path in face.parent.iterdir()] == ["face.jpg"]


def test_links_in_the_output_folder_are_not_followed(censor: Censor, face: Path, outside: Path) -> None:
    (face.parent / "sub").mkdir()
    face.rename(face.parent / "sub" / "face.jpg")
    out = outside.parent / "out"
    out.mkdir()
    (out / "sub").symlink_to(outside)
    before = (outside / "face.jpg").read_bytes()
    for force in ((), ("--force",)):
        result = censor(face.parent, "-o", out, *force, *FACES)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
    (out / "sub").unlink()
    (out / "sub").mkdir()
    (out / "sub" / "face.jpg").symlink_to(outside / "face.jpg")
    assert censor(face.parent, "-o", out, "--force", *FACES).exit_code == 0  # the link is replaced, not what is behind
    assert (outside / "face.jpg").read_bytes() == before
    assert not (out / "sub" / "face.jpg").is_symlink()


def test_an_output_folder_that_somebody_made_a_link_inside_of_the_input(
    censor: Censor, face: Path, outside: Path
) -> None:
    (face.parent / "out").symlink_to(outside)
    result = censor(face.parent, "-o", face.parent / "out", "--force", *FACES)
    assert result.exit_code == 1
    assert "a link or a file where a folder is expected" in result.stderr
    assert [path.name for path in outside.iterdir()] == ["face.jpg"]


def test_pipes_sockets_devices_and_huge_files(censor: Censor, face: Path, tmp_path: Path) -> None:
    os.mkfifo(face.parent / "pipe.jpg")
    os.mkfifo(face.parent / "pipe")
    with socket.socket(socket.AF_UNIX) as server, (face.parent / "huge.jpg").open("wb") as huge:
        server.bind(str(face.parent / "s.jpg"))
        huge.write(face.read_bytes())
        huge.truncate(2**40)
    result = censor(face.parent, "-o", tmp_path / "out", *FACES)
    assert result.exit_code == 1
    lines = {line.split(": ")[0].rpartition("/")[2]: line for line in result.stderr.splitlines()}
    assert "more than 67,108,864 bytes" in lines["huge.jpg"]
    assert "not a regular file" in lines["pipe.jpg"]
    assert "not a regular file" in lines["s.jpg"]
    assert result.stderr.endswith("1 done, 1 with hidden regions, 3 failed, 1 other file passed over\n")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.3gp", b"x"), ("b", b"FLV\x01\x05\0\0\0\x09"), ("c.txt", b"nut/multimedia container\0"),
        ("d.mts", b"x"), ("e.OGV", b""), ("f.orf", b"x"), ("g.qoi", b"x"), ("h.svg", b"x"), ("i.heics", b""),
        ("j.dat", b"\0\0\1\xba"), ("k.jpf", b"x"), ("l.mpeg", b"x"), ("m.tga", b"x"),
    ],
)  # fmt: skip
def test_films_and_pictures_that_are_not_taken_are_errors(tmp_path: Path, name: str, body: bytes) -> None:
    picture(tmp_path / "fine.jpg")
    (tmp_path / name).write_bytes(body)
    for innocent in ("notes.txt", "Thumbs.db", ".DS_Store", "x.xmp", "go.mod", "run.fit", "x.bin", "x.ts"):
        (tmp_path / innocent).write_bytes(b"nothing to see")
    gathered = gather([tmp_path])
    assert sorted(item.relative.name for item in gathered.items) == sorted(["fine.jpg", name])
    assert {item.relative.name: item.error is None for item in gathered.items} == {"fine.jpg": True, name: False}
    assert gathered.ignored == 8


def test_what_cannot_be_read_is_an_error_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "no-suffix")

    def refuse(path: object) -> object:
        if str(path).endswith("no-suffix"):
            raise PermissionError(13, "Permission denied")
        return open_file(path)  # type: ignore[arg-type]

    monkeypatch.setattr(gather_module, "open_file", refuse)  # root may read everything
    (_, item) = gather([tmp_path]).items
    assert str(item.error) == f"{tmp_path}/no-suffix: cannot be read: Permission denied"


def test_names_that_some_file_systems_hold_for_one(tmp_path: Path) -> None:
    """Simulated by hard links: to such a file system both names are the one file."""
    out = tmp_path / "out"
    for one, other in (("a.jpg", "A.JPG"), ("caf\u00e9.jpg", "cafe\u0301.jpg")):
        picture(tmp_path / "in" / one)
        picture(tmp_path / "in" / other)
        first = picture(out / one)
        (out / other).hardlink_to(first)
    picture(tmp_path / "in" / "twin.jpg")
    (out / "twin.jpg").hardlink_to(out / "a.jpg")
    items = assign_targets(gather([tmp_path / "in"]).items, out=out, in_place=False, overwrite=True)
    assert sorted(item.relative.name for item in items if item.error is not None) == ["a.jpg", "caf\u00e9.jpg"]
    assert all("is already that of" in str(item.error) for item in items if item.error is not None)


def test_force_overwrites_only_what_was_there_when_targets_were_assigned(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from censor import pipeline

    original = write_atomic

    def appears(*arguments: object, **given: object) -> None:
        face.with_name("face.censored.jpg").write_bytes(b"somebody else's")
        original(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "write_atomic", appears)
    result = censor(face, "--force", *FACES)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert face.with_name("face.censored.jpg").read_bytes() == b"somebody else's"


def test_a_planted_output_is_never_passed_over_with_a_good_end(censor: Censor, face: Path) -> None:
    planted = face.with_name("face.censored.jpg")
    planted.write_bytes(face.read_bytes())
    assert censor(face.parent, *FACES).exit_code == 1
    face.with_name("face.png").write_bytes(b"")
    face.rename(face.with_name("other.jpg"))
    result = censor(face.parent, *FACES)
    assert result.exit_code == 1  # for the empty PNG
    assert hidden(face.with_name("face.censored.censored.jpg"), planted)


def test_a_folder_that_becomes_a_file_is_an_error(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a" / "x.jpg")
    (item,) = gather([tmp_path / "in"]).items
    assert item.beneath is not None
    (tmp_path / "in" / "a").rename(tmp_path / "in" / "b")
    (tmp_path / "in" / "a").write_bytes(b"x")
    with pytest.raises(ReadError, match="a link or a file where a folder is expected"):
        decode(item.beneath)


@pytest.mark.parametrize("way", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "", "a/" * 300 + "x.jpg"])
def test_ways_out_of_a_folder(tmp_path: Path, way: str) -> None:
    with pytest.raises(OSError, match=r"leads out|no file name|folders deep"):
        open_file(PathBeneath(tmp_path, Path(way)))


def test_a_tree_that_is_too_deep_or_changes_is_told_of(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    told: list[str] = []
    found = list(walk(tmp_path, enter=lambda *_: True, unreadable=lambda path, error: told.append(str(error.strerror))))
    assert found == []
    assert told == ["more than 256 folders deep"]
    with pytest.raises(FileNotFoundError), opened_folder(tmp_path / "gone"):
        pass


def test_names_that_begin_with_a_dash_or_are_no_text(censor: Censor, face: Path, tmp_path: Path) -> None:
    odd = (b"--in-place", b"-", b"-rf.jpg", b"\xff\n.jpg", "\u202egpj.exe.jpg".encode())
    for name in odd:
        Path(os.fsdecode(os.fsencode(face.parent) + b"/" + name)).write_bytes(face.read_bytes())
    report = tmp_path / "r.jsonl"
    result = censor(face.parent, "-o", tmp_path / "out", "-v", "--json", report, *FACES)
    assert result.exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 6
    assert len(result.stdout.splitlines()) == len(report.read_text().splitlines()) == 6
    assert "\\ud" not in report.read_text().replace("\\\\ud", "")
    assert "\\\\udcff\\n.jpg" in report.read_text()


def test_a_folder_that_may_be_entered_but_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picture(tmp_path / "drop" / "x.jpg")
    original = os.open

    def refuse(name: str, flags: int, *arguments: int, **options: int) -> int:
        if str(name).endswith("drop") and not flags & os.O_PATH:
            raise PermissionError(13, "Permission denied", name)
        return original(name, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)  # root may list everything
    with open_file(PathBeneath(tmp_path, Path("drop/x.jpg"))) as stream:
        assert stream.read() == path.read_bytes()
    write_atomic(path, b"new", overwrite=True)
    write_atomic(PathBeneath(tmp_path, Path("drop/y.jpg")), b"new")
    assert (path.read_bytes(), path.with_name("y.jpg").read_bytes()) == (b"new", b"new")
    (item,) = gather([tmp_path]).items
    assert str(item.error) == f"{tmp_path / 'drop'}: cannot be read: Permission denied"


def test_names_as_long_as_may_be_and_links_that_turn_in_circles(censor: Censor, face: Path, tmp_path: Path) -> None:
    (face.parent / "loop.jpg").symlink_to("loop.jpg")
    (face.parent / ("a" * 251 + ".jpg")).write_bytes(face.read_bytes())
    for options in ((), ("-o", tmp_path / "out"), ("-o", tmp_path / "out2", "--boxes", tmp_path / "boxes")):
        result = censor(face.parent, *options, *FACES)
        assert result.exit_code == 1
        assert "loop.jpg: cannot be read: Too many levels of symbolic links" in result.stderr
        long = [line for line in result.stderr.splitlines() if "File name too long" in line]
        assert len(long) == (0 if options[:2] == ("-o", tmp_path / "out") else 1)
