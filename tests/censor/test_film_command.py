"""The command on films, with the real detector and a face for a body part."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import FACES, Censor
from film_files import film, frames_of, times_of
from PIL import Image

from detect.pictures.still import decode


@pytest.fixture
def moving(face: Path) -> Path:
    """A third of a second of a face that goes to the right."""
    photo = decode(face).pixels
    height, width = (side // 2 * 2 for side in photo.shape[:2])
    frames = []
    for left in range(0, 32, 4):
        pixels = np.full((height, width + 32, 3), 120, np.uint8)
        pixels[:, left : left + width] = photo[:height, :width]
        frames.append(pixels)
    target = face.parent.parent / "films" / "moving.mp4"
    target.parent.mkdir()
    target.write_bytes(film(frames, metadata={"title": "party"}, options={"preset": "ultrafast", "crf": "16"}))
    return target


def test_a_film_gets_a_censored_copy(censor: Censor, moving: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    result = censor(moving, *FACES, "-o", tmp_path / "new" / "out.mp4", "--json", report)
    assert result.exit_code == 0, result.stderr
    assert re.search(
        r"moving\.mp4 -> .*out\.mp4  \(\d+ things? hidden in 8 frames, .+\)  \[without metadata\]\n", result.stdout
    )
    before, after = moving.read_bytes(), (tmp_path / "new" / "out.mp4").read_bytes()
    assert times_of(before) == times_of(after)
    for number, (one, other) in enumerate(zip(frames_of(before), frames_of(after), strict=True)):
        there = np.s_[90:170, 85 + 4 * number : 165 + 4 * number]
        assert np.abs(one[there].astype(int) - other[there]).mean() > 8
    (record,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert (record["frames"], record["dropped"]) == (8, ["metadata"])
    again = censor(moving.parent, *FACES, "-o", tmp_path / "out", "--video-codec", "av1", "--every", "3", "-v")
    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "out" / "moving.mp4").exists()


def test_check_says_when_and_may_stop_early(censor: Censor, moving: Path, tmp_path: Path) -> None:
    policy = tmp_path / "faces.toml"
    policy.write_text("[labels.FACE_FEMALE]\nnsfw_at = 0.3\ncensor_at = 0.3\n")
    for more, frames in ((), "8"), (("--first", "--every", "1"), "[12]"):
        result = censor("check", moving, "--policy", policy, *more)
        assert result.exit_code == 3, result.stderr
        assert re.match(
            rf"nsfw +0\.\d\d  .*moving\.mp4  \(FACE_FEMALE .*\)  \[frame \d+ of {frames}; 0\.00-0\.\d\d s\]\n",
            result.stdout,
        )


def test_pictures_and_films_are_not_written_as_each_other(
    censor: Censor, moving: Path, face: Path, tmp_path: Path
) -> None:
    for source, name, why in (
        (face, "out.mp4", "a picture is not written as a film"),
        (moving, "out.jpg", "written in the container that it came in, MP4"),
        (moving, "out.mkv", "written in the container that it came in, MP4"),
    ):
        result = censor(source, *FACES, "-o", tmp_path / name)
        assert result.exit_code == 1
        assert why in result.stderr
        assert not (tmp_path / name).exists()
    drawn = censor(moving, *FACES, "-o", tmp_path / "out", "--boxes", tmp_path / "boxes")
    assert "--boxes draws on still pictures, and this one moves" in drawn.stderr
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_a_folder_with_a_film_that_is_cut_goes_on(censor: Censor, moving: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "gray").save(moving.with_name("grey.png"))
    moving.with_name("cut.mp4").write_bytes(moving.read_bytes()[:-100])
    moving.unlink()
    result = censor(moving.parent, *FACES, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "cut.mp4: the film is damaged or cut short" in result.stderr
    assert result.stderr.endswith("1 done, 0 with hidden regions, 1 failed\n")
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["grey.png"]
