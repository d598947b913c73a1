from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from censor.errors import OutputExistsError, WriteError
from censor.files import encode, write_atomic
from detect.pictures.formats import SUFFIXES, format_of
from detect.pictures.still import Picture, decode

FORMATS = sorted(set(SUFFIXES.values()))


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(astronaut[80:144, 170:266])


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_encoded_decodes_to_the_same(photo: NDArray[np.uint8], kind: str) -> None:
    picture = decode(encode(Picture(photo), format=kind))
    assert picture.format == kind
    error = np.abs(picture.pixels.astype(int) - photo).mean()
    assert error == 0 if kind in ("PNG", "TIFF", "BMP") else error < 6


@pytest.mark.parametrize(
    ("kind", "most"),
    [("AVIF", 32_768), ("BMP", 65_535), ("GIF", 65_535), ("HEIF", 32_768), ("JPEG", 65_500), ("WEBP", 16_383)],
)
@pytest.mark.parametrize("upright", [False, True])
def test_sides_that_a_format_or_its_readers_do_not_take(kind: str, most: int, upright: bool) -> None:
    line = np.full((64 if kind == "HEIF" else 1, most + 1, 3), 90, np.uint8)
    pixels = line.transpose(1, 0, 2) if upright else line
    with pytest.raises(WriteError, match=f"cannot be encoded as {kind}: .* pixels are more than the {most:,} a side"):
        encode(Picture(pixels), format=kind)
    whole = pixels[:-1] if upright else pixels[:, :-1]
    assert decode(encode(Picture(np.ascontiguousarray(whole)), format=kind)).pixels.shape == whole.shape


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "JPEG"])
def test_an_encoder_that_writes_something_else_is_found_out(
    photo: NDArray[np.uint8], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = encode(Picture(photo[:40]), format=kind)

    def write(image: object, stream: io.BytesIO, *arguments: object, **options: object) -> None:
        stream.write(other)

    monkeypatch.setattr(Image.Image, "save", write)
    monkeypatch.setattr("censor.files._save_heif", write)
    with pytest.raises(WriteError, match=f"cannot be encoded as {kind}: it opens as 96 x 40 pixels"):
        encode(Picture(photo), format=kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_of_the_source_but_pixels_and_profile_gets_out(photo: NDArray[np.uint8], kind: str) -> None:
    """A source full of metadata, whose every byte string must be missing from the output."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif.get_ifd(0x8825)[1] = "N"
    marks = [b"SECRET", b"GPS", b"Exif", b"http://ns.adobe.com/xap", b"Photoshop", b"MPF\0", b"TRAILING"]
    stream = io.BytesIO()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo).save(
        stream, "JPEG", exif=exif, icc_profile=srgb, comment=b"SECRET-COMMENT", xmp=b"http://ns.adobe.com/xap SECRET"
    )
    source = stream.getvalue() + b"TRAILING SECRET"
    assert source.count(b"SECRET") == 4
    ours = decode(source).icc
    out = encode(decode(source), format=kind)
    assert ours is not None
    assert not [mark for mark in marks if mark in out]
    shown = Image.open(io.BytesIO(out)) if kind != "HEIF" else None
    if shown is not None:
        assert not shown.getexif() or kind == "TIFF"  # a TIFF's own tags are read as EXIF
        assert (shown.info.get("icc_profile") == ours) == (kind not in ("BMP", "GIF"))
    assert (decode(out).icc == ours) == (kind not in ("BMP", "GIF"))


def test_transparency_is_kept_where_there_is_room_and_laid_on_white_where_not(photo: NDArray[np.uint8]) -> None:
    rgba = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    rgba[:20, :, 3] = 0
    picture = decode(rgba)
    for kind in ("PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        assert decode(encode(picture, format=kind)).pixels.shape[2] == 4
    for kind in ("JPEG", "BMP"):
        flat = decode(encode(picture, format=kind)).pixels
        assert flat.shape[2] == 3
        assert (flat[2:16] > 245).all()


@pytest.mark.parametrize("size", [128, 65_519, 65_520, 200_000])
def test_a_profile_of_any_size_fits_into_a_jpeg(photo: NDArray[np.uint8], size: int) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = (srgb + bytes(size))[:size]
    data = encode(Picture(photo[:31, :17], icc=icc), format="JPEG")
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == icc
    assert decode(data).pixels.shape == (31, 17, 3)


def test_quality_matters(photo: NDArray[np.uint8]) -> None:
    for kind in ("JPEG", "WEBP", "AVIF", "HEIF"):
        assert len(encode(Picture(photo), format=kind, quality=30)) < len(encode(Picture(photo), format=kind))


@pytest.mark.parametrize(("kind", "quality", "says"), [("JPG", 90, "format must be"), ("JPEG", 0, "quality lies in")])
def test_misuse(photo: NDArray[np.uint8], kind: str, quality: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(Picture(photo), format=kind, quality=quality)


def test_what_an_encoder_refuses_is_a_write_error() -> None:
    wide = Picture(np.zeros((1, 20_000, 3), np.uint8), name="wide.png")
    with pytest.raises(WriteError, match=r"wide\.png: cannot be encoded as WEBP"):
        encode(wide, format="WEBP")


@pytest.mark.parametrize(
    ("path", "kind"), [("a.JPG", "JPEG"), ("b.tiff", "TIFF"), ("x/y.heic", "HEIF"), ("a.txt", None), ("png", None)]
)
def test_format_of(path: str, kind: str | None) -> None:
    assert format_of(path) == kind


def test_write_makes_a_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"one"
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_write_overwrites_only_when_told_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o640)
    with pytest.raises(OutputExistsError, match="exists already"):
        write_atomic(path, b"two")
    assert path.read_bytes() == b"one"
    write_atomic(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    write_atomic(tmp_path / "new", b"x", overwrite=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "new"]


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@ROOT_ONLY
def test_an_overwrite_keeps_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.chown(path, 1234, 4321)
    path.chmod(0o4750)
    write_atomic(path, b"two", overwrite=True)
    status = path.stat()
    assert (path.read_bytes(), status.st_uid, status.st_gid, status.st_mode & 0o7777) == (b"two", 1234, 4321, 0o750)


def test_where_the_group_cannot_be_kept_another_gets_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o674)
    real = os.fstat

    def other_group(descriptor: int) -> os.stat_result:
        return os.stat_result([*real(descriptor)[:5], 4321, *real(descriptor)[6:]])

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", other_group)
    write_atomic(path, b"two", overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_overwrite_keeps_access_lists_and_nothing_that_may_show_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    user, group = struct.pack("<HHI", 2, 6, 1234), struct.pack("<HHI", 4, 4, 0xFFFFFFFF)
    entries = struct.pack("<HHI", 1, 6, 0xFFFFFFFF) + user + group
    entries += struct.pack("<HHI", 0x10, 6, 0xFFFFFFFF) + struct.pack("<HHI", 0x20, 0, 0xFFFFFFFF)
    rights = struct.pack("<I", 2) + entries  # acl(5): owner rw, user 1234 rw, group r, mask rw, others nothing
    try:
        os.setxattr(path, "user.thumbnail", b"what the picture showed")
        os.setxattr(path, "system.posix_acl_access", rights)
    except OSError as error:
        pytest.skip(f"no extended attributes or access lists here: {error}")
    write_atomic(path, b"two", overwrite=True)
    assert os.listxattr(path) == ["system.posix_acl_access"]
    assert os.getxattr(path, "system.posix_acl_access") == rights
    assert path.stat().st_mode & 0o777 == 0o660


def test_where_an_access_list_cannot_be_kept_the_group_gets_no_more_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a list the group's bits are the most that anybody in the list may do, not what the group may."""
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o664)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["system.posix_acl_access"])
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: b"list")
    monkeypatch.setattr(os, "setxattr", refuse)
    write_atomic(path, b"two", overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    write_atomic(tmp_path / "link", b"two", overwrite=True)
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "link").read_bytes()) == (b"one", b"two")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").stat().st_mode & 0o400


def test_an_overwrite_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_atomic(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    results: list[str] = []

    def write(body: bytes) -> None:
        try:
            write_atomic(tmp_path / "a", body)
            results.append("won")
        except OutputExistsError:
            results.append("lost")

    threads = [threading.Thread(target=write, args=(bytes([65 + n]) * 100_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert len(set((tmp_path / "a").read_bytes())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    write_atomic(tmp_path / "a", b"one")
    with pytest.raises(OutputExistsError):
        write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(WriteError, match="not a regular file"):
            write_atomic(tmp_path / name, b"x", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_failed_last_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteError, match="Input/output error"):
        write_atomic(tmp_path / "a", b"one")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_and_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot be written: No such file"):
        write_atomic(tmp_path / "gone" / "a", b"x")
    with pytest.raises(WriteError, match="cannot be written: File name too long"):
        write_atomic(tmp_path / ("a" * 300), b"x")
    assert not list(tmp_path.iterdir())


def test_killed_half_way_it_leaves_nothing(tmp_path: Path) -> None:
    """Killed between the last byte and the name."""
    program = (
        "import os, signal, sys\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from censor.files import write_atomic\n"
        "write_atomic(sys.argv[1], b'x' * 100_000, durable=True)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [False, True])
def test_durable_writes_are_synchronized_before_and_after_the_name_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        monkeypatch.delattr(os, "O_TMPFILE")
    seen: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append((tmp_path / "a").exists()))
    write_atomic(tmp_path / "a", b"x", durable=True)
    assert seen == [False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
