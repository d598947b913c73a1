"""Films and animations that land in an inbox."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animations import encoded, red_square
from film_files import RedSeer, blob, film, frames_of, red_in, times_of
from paged import pages
from PIL import Image
from watched import LABEL, WatchedFolders, files, reason

import censor.watch.processor as processor_module
from censor.watch.processor import DELETE, KEEP
from censor.watch.watcher import Watcher
from detect.detections import Detections, RGBImage
from detect.pictures.animation import decode_frames

FRAMES = [blob(8 + 4 * each) for each in range(8)]


@pytest.fixture(scope="module")
def clip() -> bytes:
    return film(FRAMES)


def seer() -> RedSeer:
    return RedSeer(LABEL)


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_films_and_animations_come_out_hidden_under_the_suffix_of_what_they_are(
    watched: WatchedFolders, clip: bytes, originals: str
) -> None:
    watched.send("deep/party.mov", body=clip)
    watched.send("moving.gif", body=encoded([red_square(8 * each) for each in range(4)], "GIF"))
    watched.send("turning.avif", body=encoded([red_square(8 * each) for each in range(3)], "AVIF"))
    watched.send("walking.heics", body=encoded([red_square(8 * each) for each in range(3)], "HEIF"))
    watched.once(detector=seer(), originals=originals)
    assert files(watched.quarantine) == []
    assert files(watched.public) == ["deep/party.mp4", "moving.gif", "turning.avif", "walking.heics"]
    out = (watched.public / "deep/party.mp4").read_bytes()
    assert times_of(out) == times_of(clip)
    assert not any(red_in(each).any() for each in frames_of(out))
    for name in ("moving.gif", "turning.avif"):
        with Image.open(watched.public / name) as moved:
            assert getattr(moved, "n_frames", 1) > 1
    assert len(list(decode_frames((watched.public / "walking.heics").read_bytes(), "a").frames)) == 3
    names = ["deep/party.mov", "moving.gif", "turning.avif", "walking.heics"]
    assert files(watched.inbox) == (names if originals == KEEP else [])
    told = {each["upload"]: each for each in watched.events("censored")}
    assert [told[name]["frames"] for name in names] == [8, 4, 3, 3]
    assert told["deep/party.mov"]["regions"] == 1
    assert told["deep/party.mov"]["level"] == "nsfw"


def test_every_page_is_hidden_and_the_file_has_as_many_as_before(watched: WatchedFolders) -> None:
    watched.send("scan.tif", body=pages([red_square(8), np.full((40, 60, 3), 128, np.uint8), red_square(24)]))
    watched.send("cut.tif", body=pages([red_square(8), red_square(16)])[:-400])
    watched.once(detector=seer())
    assert files(watched.public) == ["scan.tif"]
    with Image.open(watched.public / "scan.tif") as out:
        assert getattr(out, "n_frames", 1) == 3
        for page in range(3):
            out.seek(page)
            assert not red_in(np.asarray(out.convert("RGB"))).any()
    (told,) = watched.events("censored")
    assert (told["frames"], told["regions"], told["level"]) == (3, 2, "nsfw")
    assert reason(watched, "cut.tif")["message"].startswith("cut.tif, page 2: ")


def test_what_is_no_whole_film_goes_to_quarantine(watched: WatchedFolders, clip: bytes) -> None:
    watched.send("cut.mp4", body=clip[: len(clip) // 2])
    broken = bytearray(clip)
    middle = clip.index(b"mdat") + 400
    broken[middle : middle + 2000] = b"\0" * 2000
    watched.send("broken.mp4", body=bytes(broken))
    watched.once(detector=seer())
    assert files(watched.public) == []
    assert reason(watched, "cut.mp4")["message"].startswith("cut.mp4: the film is damaged or cut short")
    assert reason(watched, "broken.mp4")["type"] == "DamagedImageError"


def test_a_film_that_somebody_still_writes_is_left_until_it_is_closed(watched: WatchedFolders, clip: bytes) -> None:
    path = watched.inbox / "slow.ts"
    transport = film(FRAMES, container="mpegts")
    with path.open("wb", buffering=0) as writer:
        writer.write(transport[: 188 * 20])  # which is a whole film by itself
        inbox = watched.watcher()._inbox
        assert inbox.settled(100.0, skip=lambda upload: False) == []
        assert inbox.unsettled == 1
        writer.write(transport[188 * 20 :])
    watched.once(detector=seer())
    assert times_of((watched.public / "slow.ts").read_bytes()) == times_of(transport)


def test_a_film_that_grows_while_it_is_looked_at_is_looked_at_again(watched: WatchedFolders) -> None:
    path, rest = watched.inbox / "late.ts", film(FRAMES, container="mpegts")

    class Slow(RedSeer):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            if self.calls == 1:
                (held,) = (watched.inbox / ".censor-watch").rglob("upload")
                held.write_bytes(rest)
            return super().detect(images)

    path.write_bytes(rest[: 188 * 20])
    watched.once(detector=Slow(LABEL), originals=DELETE)
    assert len(watched.events("changing")) == 1
    assert times_of((watched.public / "late.ts").read_bytes()) == times_of(rest)


def test_the_log_says_how_far_a_film_has_come(
    watched: WatchedFolders, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_module, "_SAID_EVERY", 0.0)
    watched.send("a.mp4", body=clip)
    watched.once(detector=seer())
    said = watched.events("working")
    assert [each["frames_done"] for each in said] == list(range(1, 17))  # each frame twice
    assert {each["frames_total"] for each in said} == {16}
    assert said[-1]["seconds_left"] == 0.0
    assert all(each["frames_a_second"] > 0 for each in said[1:])


def test_a_watcher_that_is_told_to_stop_leaves_a_film_for_the_next_and_counts_no_attempt(
    watched: WatchedFolders, clip: bytes
) -> None:
    class Stopping(RedSeer):
        watcher: Watcher

        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            self.watcher.stop()
            return super().detect(images)

    stopping = Stopping(LABEL)
    watched.send("a.mp4", body=clip)
    for _ in range(2):  # more often than attempts that ended the process would be borne
        stopping.watcher = watched.watcher(detector=stopping, originals=DELETE, attempts=1)
        stopping.watcher.run()
        assert stopping.watcher.health()["retrying"] == 0
    assert len(watched.events("broken off")) == 2
    assert files(watched.public) == files(watched.quarantine) == []
    watched.once(detector=seer(), originals=DELETE)
    assert files(watched.public) == ["a.mp4"]
    assert watched.claimed() == []


class Full(io.FileIO):
    """A file on a disk that has no room."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_lets_a_film_wait(
    watched: WatchedFolders, clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    with monkeypatch.context() as patch:
        full = Full(tmp_path / "full", "w+")
        patch.setattr(processor_module, "room_for", lambda target, large: nullcontext(full))
        watched.send("a.mp4", body=clip)
        watched.once(detector=seer(), originals=DELETE)
        full.close()
    assert files(watched.quarantine) == files(watched.public) == []
    assert watched.events("stalled")[0]["reason"].endswith(os.strerror(errno.ENOSPC))
    watched.once(detector=seer(), originals=DELETE)
    assert files(watched.public) == ["a.mp4"]
