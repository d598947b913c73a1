"""The command on what moves, with the real detector and a face for a body part."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
from command import FACES, Censor
from PIL import Image

from censor.records import CensoredAnimationRecord, CheckedAnimationRecord, HiddenThingRecord, SpanRecord
from detect.pictures.animation import decode_frames

ROOT = Path(__file__).parent.parent.parent


def moving(face: Path, target: Path) -> Path:
    """An animation: the face in three places, and a frame without it at the end."""
    photo = Image.open(face)
    frames = []
    for left in (0, 20, 40):
        frames.append(Image.new("RGB", (photo.width + 40, photo.height), "gray"))
        frames[-1].paste(photo, (left, 0))
    frames.append(Image.new("RGB", frames[0].size, "navy"))
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=[80, 90, 100, 500], loop=0)
    return target


def test_an_animation_gets_a_censored_neighbour_with_its_times(censor: Censor, face: Path) -> None:
    source = moving(face, face.with_name("moving.gif"))
    report = face.with_name("report.jsonl")
    result = censor(source, *FACES, "--json", report)
    assert result.exit_code == 0, result.stderr
    copy = source.with_name("moving.censored.gif")
    assert re.fullmatch(rf"{source} -> {copy}  \(\d things? hidden in 4 frames, [a-z ]+\)\n", result.stdout)
    before, after = (list(decode_frames(path.read_bytes(), "x").frames) for path in (source, copy))
    assert [each.seconds for each in after] == [each.seconds for each in before]
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        shift = 20 * number
        there = np.s_[90:170, 85 + shift : 165 + shift]
        changed = np.abs(one.picture.pixels[there].astype(int) - other.picture.pixels[there]).mean()
        assert (changed > 8) == (number < 3)
    (record,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert record["frames"] == 4
    assert {"start", "end", "label", "xyxy"} <= set(record["hidden"][0])
    assert (record["hidden"][0]["start"], record["hidden"][0]["end"]) == (0.0, 0.17)


def test_check_names_the_frame_and_the_times(censor: Censor, face: Path, tmp_path: Path) -> None:
    policy = tmp_path / "faces.toml"
    policy.write_text("[labels.FACE_FEMALE]\nnsfw_at = 0.3\ncensor_at = 0.3\n")
    source = moving(face, face.with_name("moving.webp"))
    result = censor("check", source, "--policy", policy)
    assert result.exit_code == 3
    assert re.match(
        r"nsfw +0\.\d\d  .*moving\.webp  \(FACE_FEMALE .*\)  \[frame \d of 4; 0\.00-0\.27 s\]\n", result.stdout
    )
    shown = censor("check", source, "--policy", policy, "--json")
    record = json.loads(shown.stdout)
    assert [(each["start"], each["end"], each["level"]) for each in record["spans"]] == [
        (0.0, 0.27, "nsfw"),
        (0.27, 0.77, "safe"),
    ]
    assert set(record) == set(get_type_hints(CheckedAnimationRecord))
    assert set(record["spans"][0]) == set(get_type_hints(SpanRecord))


def test_what_cannot_be_done_with_an_animation_is_said(censor: Censor, face: Path, tmp_path: Path) -> None:
    source = moving(face, face.with_name("moving.gif"))
    drawn = censor(source, *FACES, "--boxes", tmp_path / "boxes")
    assert drawn.exit_code == 1
    assert "--boxes draws on still pictures, and this one moves" in drawn.stderr
    still = censor(source, *FACES, "-o", tmp_path / "out.jpg")
    assert still.exit_code == 1
    assert "JPEG holds no animation; GIF, PNG, WEBP, AVIF, HEIF do" in still.stderr
    assert not (tmp_path / "out.jpg").exists()
    source.write_bytes(source.read_bytes()[:-300])
    cut = censor(source, *FACES, "--force")
    assert cut.exit_code == 1
    assert f"{source}" in cut.stderr


def test_every_field_of_an_animation_is_documented_in_its_own_words() -> None:
    text = (ROOT / "docs" / "animations.md").read_text().split("## What is reported")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE))
    of = get_type_hints(CheckedAnimationRecord, include_extras=True)
    spans, things = (get_type_hints(each, include_extras=True) for each in (SpanRecord, HiddenThingRecord))
    expected = {name: of[name] for name in ("frames", "frame")}
    expected |= {f"spans[].{name}": each for name, each in spans.items()}
    expected |= {f"hidden[].{name}": things[name] for name in ("start", "end")}
    expected["dropped"] = get_type_hints(CensoredAnimationRecord, include_extras=True)["dropped"]
    assert set(rows) == set(expected)
    for name, hint in expected.items():
        assert rows[name] in hint.__metadata__
