from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from censor.batch import BatchItem, assign_targets, gather, run
from censor.errors import CensorError, OutputIsSourceError, OutputTakenError
from detect.errors import DamagedImageError, ReadError, UnsupportedImageError


def picture(path: Path, kind: str = "JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(path, kind)
    return path


def names(items: tuple[BatchItem, ...] | list[BatchItem]) -> list[str]:
    return [item.relative.as_posix() for item in items]


def test_a_folder_is_walked_by_content_and_by_suffix(tmp_path: Path) -> None:
    picture(tmp_path / "b.JPG")
    picture(tmp_path / "deep" / "er" / "no-suffix", "PNG")
    picture(tmp_path / "a" / ".hidden.png", "PNG")
    (tmp_path / "broken.jpeg").write_bytes(b"not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "nothing").touch()
    gathered = gather([tmp_path])
    assert names(gathered.items) == ["b.JPG", "broken.jpeg", "empty.png", "a/.hidden.png", "deep/er/no-suffix"]
    assert [item.format for item in gathered.items] == ["JPEG", None, None, "PNG", "PNG"]
    assert isinstance(gathered.items[2].error, DamagedImageError)
    assert gathered.ignored == 2


def test_a_named_file_is_a_job_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    items = gather([tmp_path / "notes.txt", tmp_path / "gone.jpg"]).items
    assert names(items) == ["notes.txt", "gone.jpg"]
    assert items[0].format is None
    assert isinstance(items[1].error, ReadError)
    assert "gone.jpg: cannot be read: No such file" in str(items[1].error)


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (item,) = gather([tmp_path]).items
    assert isinstance(item.error, UnsupportedImageError)
    assert str(item.error) == f"{tmp_path}: no pictures in this folder"


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "locked").mkdir()
    original = os.open

    def refuse(path: str, *arguments: int, **options: int) -> int:
        if path == "locked":
            raise PermissionError(13, "Permission denied", path)
        return original(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    items = gather([tmp_path]).items
    assert [item.error is None for item in items] == [True, False]
    assert str(items[1].error) == f"{tmp_path / 'locked'}: cannot be read: Permission denied"


def test_no_entry_twice_but_links_are_entries_of_their_own(tmp_path: Path) -> None:
    path = picture(tmp_path / "real.jpg")
    (tmp_path / "link.jpg").symlink_to(path)
    assert names(gather([path, tmp_path, str(path)]).items) == ["real.jpg", "link.jpg"]


def test_in_place_a_link_means_the_file_it_points_to(tmp_path: Path) -> None:
    """Were the link itself replaced, the file behind it would stay as it is."""
    path = picture(tmp_path / "x" / "real.jpg")
    (tmp_path / "link.jpg").symlink_to(path)
    (item,) = assigned([tmp_path / "link.jpg", path], in_place=True)
    assert str(item.target) == str(path)
    assert targets(assigned([tmp_path / "link.jpg", path], tmp_path / "out")) == [
        str(tmp_path / "out" / "link.jpg"), str(tmp_path / "out" / "real.jpg"),
    ]  # fmt: skip


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.jpg")
    picture(tmp_path / "elsewhere" / "b.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    gathered = gather([tmp_path / "in"])
    assert names(gathered.items) == ["a.jpg"]
    assert gathered.ignored == 2


def test_what_nobody_looked_at_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    for name in ("film.MP4", "new.jxl", "raw.cr3"):
        (tmp_path / name).write_bytes(b"x")
    items = assigned([tmp_path], tmp_path / "out")
    assert {item.relative.name: str(item.error).split(": ", 1)[1] for item in items if item.error} == {
        "dangling.png": "cannot be read: No such file or directory",
        "film.MP4": "not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)",
        "new.jxl": "not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)",
        "pipe.jpg": "cannot be read: not a regular file; a picture from a pipe is read with `-`",
        "raw.cr3": "not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)",
    }


def test_only_what_this_run_writes_is_taken_for_an_output(tmp_path: Path) -> None:
    """A name that looks like an output's proves nothing: somebody may have planted the file."""
    for name in ("a.jpg", "a.censored.jpg", "b.censored.jpg", "c.censored.jpg"):
        picture(tmp_path / name)
    picture(tmp_path / "d.png", "PNG")
    picture(tmp_path / "d.censored.jpg")
    (tmp_path / "c.txt").write_text("not a picture")
    items = assigned([tmp_path])
    assert names(items) == ["a.jpg", "b.censored.jpg", "c.censored.jpg", "d.censored.jpg", "d.png"]
    assert [item.error is None for item in items] == [False, True, True, True, True]
    assert "exists already" in str(items[0].error)
    assert all(item.error is None for item in assigned([tmp_path], overwrite=True))


def test_copies_of_copies_come_to_an_end(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.censored.jpg"):
        picture(tmp_path / name)
    for _ in range(4):
        for item in assigned([tmp_path]):
            if item.error is None:
                picture(Path(str(item.target)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.censored.jpg", "a.jpg", "b.censored.censored.jpg", "b.censored.jpg",
    ]  # fmt: skip
    assert all(item.error is not None for item in assigned([tmp_path]))


def test_an_output_folder_inside_the_input_holds_nothing_that_nobody_looked_at(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "out" / "a.jpg")
    (tmp_path / "out" / "notes.txt").write_text("x")
    assert names(assigned([tmp_path], tmp_path / "out")) == ["a.jpg"]
    assert all(item.error is None for item in assigned([tmp_path], tmp_path / "out", overwrite=True))
    picture(tmp_path / "out" / "planted.jpg")
    items = assigned([tmp_path], tmp_path / "out", overwrite=True)
    assert names(items) == ["a.jpg", "out/planted.jpg"]
    assert "a picture in the output folder that this run does not write" in str(items[1].error)


def assigned(paths: list[Path], out: Path | None = None, **options: bool) -> list[BatchItem]:
    items = gather(paths, out=out).items
    return assign_targets(
        items, out=out, in_place=options.get("in_place", False), overwrite=options.get("overwrite", False)
    )


def targets(items: list[BatchItem]) -> list[str | None]:
    return [None if item.error else str(item.target) for item in items]


def test_targets(tmp_path: Path) -> None:
    photo = picture(tmp_path / "in" / "a.jpg")
    deep = picture(tmp_path / "in" / "x" / "b.PNG", "PNG")
    out = tmp_path / "out"
    assert targets(assigned([photo])) == [str(tmp_path / "in" / "a.censored.jpg")]
    assert targets(assigned([photo.parent], out)) == [str(out / "a.jpg"), str(out / "x" / "b.PNG")]
    assert targets(assigned([photo], out)) == [str(out / "a.jpg")]
    assert targets(assigned([photo], tmp_path / "named.webp")) == [str(tmp_path / "named.webp")]
    assert targets(assigned([photo, deep], in_place=True)) == [str(photo), str(deep)]
    (tmp_path / "folder.png").mkdir()
    assert targets(assigned([photo], tmp_path / "folder.png")) == [str(tmp_path / "folder.png" / "a.jpg")]


def test_a_suffix_that_lies_is_put_right(tmp_path: Path) -> None:
    liar = picture(tmp_path / "a.jpg", "PNG")
    bare = picture(tmp_path / "b", "WEBP")
    assert targets(assigned([liar, bare])) == [str(tmp_path / "a.censored.png"), str(tmp_path / "b.censored.webp")]
    assert targets(assigned([liar], in_place=True)) == [str(liar)]


def errors(items: list[BatchItem]) -> list[str | None]:
    return [str(item.error) if item.error else None for item in items]


def test_two_inputs_never_share_an_output(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "x" / "a.jpg"), picture(tmp_path / "y" / "a.jpg")
    png = picture(tmp_path / "x" / "a.png", "PNG")
    first, third, second = assigned([one, png, two], tmp_path / "out", overwrite=True)
    assert first.error is None
    assert third.error is None  # a.jpg and a.png keep their suffixes
    assert isinstance(second.error, OutputTakenError)
    assert f"{two}: its output" in str(second.error)
    assert f"is already that of {one}" in str(second.error)
    liar = picture(tmp_path / "x" / "c.jpg", "PNG")
    honest = picture(tmp_path / "x" / "c.png", "PNG")
    assert [error is None for error in errors(assigned([liar, honest]))] == [True, False]


def test_existing_outputs_and_sources_are_safe(tmp_path: Path) -> None:
    photo, censored = picture(tmp_path / "a.jpg"), picture(tmp_path / "a.censored.jpg")
    (refused,) = assigned([photo])
    assert str(refused.error).endswith("a.censored.jpg exists already")
    assert assigned([photo], overwrite=True)[0].error is None
    both = assigned([photo, censored], overwrite=True)
    assert isinstance(both[0].error, OutputIsSourceError)
    assert "would overwrite a source" in str(both[0].error)
    assert "would overwrite a source" in str(assigned([photo], tmp_path, overwrite=True)[0].error)
    dangling = tmp_path / "b.censored.jpg"
    dangling.symlink_to(tmp_path / "nowhere")
    assert "exists already" in str(assigned([picture(tmp_path / "b.jpg")])[0].error)


def test_items_that_cannot_be_begun_get_no_target(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    items = assigned([tmp_path / "a.txt", tmp_path / "gone"], tmp_path / "out")
    assert [(item.target, item.error is None) for item in items] == [(None, False), (None, False)]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order(threads: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    assert list(run(range(25), work, threads=threads)) == [number * number for number in range(25)]


def test_no_more_is_begun_than_can_be_held() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> int:
        with lock:
            begun.append(number)
        return number

    results = run(range(1000), work, threads=2)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(begun) <= 5
    results.close()  # type: ignore[attr-defined]  # a generator, whatever it promises
    assert len(begun) <= 5


def test_what_a_thread_raises_reaches_the_caller() -> None:
    def work(number: int) -> int:
        raise CensorError(str(number))

    with pytest.raises(CensorError, match="0"):
        list(run(range(3), work, threads=2))
