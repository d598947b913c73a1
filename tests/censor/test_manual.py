"""Boxes that a user draws: what is hidden besides, and what is left alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import FACES
from command import Censor as Command
from fakes import RedFinder, Scripted
from numpy.typing import NDArray
from PIL import Image

from censor import Censor, Policy, Rule
from censor.errors import BoxError
from censor.verdict import Level
from detect.pictures.still import decode

LABEL = "FEMALE_BREAST_EXPOSED"
BODY = (50, 30, 90, 70)


def rules(**values: Any) -> Policy:
    given = {"censor_at": 0.5, "nsfw_at": 0.5, "shape": "box", "expand": 0.0, **values}
    return Policy(name="test", rules={LABEL: Rule(**given)}, base=Rule(effect="solid", shape="box"))


def made(*answers: Any, **values: Any) -> Censor:
    return Censor(rules(**values), detector=Scripted([LABEL], *answers) if answers else RedFinder())


def differing(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((a != b).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


# --- also -----------------------------------------------------------------------------------------------------------


def test_a_box_of_ones_own_is_hidden_as_the_base_rule_says(scene: NDArray[np.uint8]) -> None:
    done = made([]).apply(scene, also=[(10, 20, 30.5, 40)])
    (only,) = done.redactions
    assert (only.label, only.score, only.effect, only.rechecked) == ("ALSO", 1.0, "solid", False)
    assert only.xyxy == (10, 20, 30.5, 40)
    assert (done.image[20:40, 10:31] == 0).all()  # outwards to whole pixels, and not expanded
    done.image[20:40, 10:31] = scene[20:40, 10:31]
    assert (done.image == scene).all()


@pytest.mark.parametrize("shape", ["box", "rounded", "ellipse"])
def test_a_box_of_ones_own_is_hidden_however_large_it_is(scene: NDArray[np.uint8], shape: str) -> None:
    policy = dataclasses.replace(rules(), base=Rule(effect="solid", shape=shape))
    done = Censor(policy, detector=Scripted([LABEL], [])).apply(scene, also=[(-1e300, -5, 1e300, 1e9)])
    assert (done.image == 0).all()


def test_found_and_drawn_are_hidden_together_and_found_again_is_not_drawn_again(scene: NDArray[np.uint8]) -> None:
    again = [(LABEL, 0.7, (0, 0, 20, 20))]
    done = made([(LABEL, 0.9, BODY)], again, []).apply(scene, also=[(100, 80, 120, 100)])
    assert [(each.label, each.rechecked) for each in done.redactions] == [
        (LABEL, False), ("ALSO", False), (LABEL, True),
    ]  # fmt: skip
    assert (done.image[80:100, 100:120] == 0).all()


def test_a_sticker_is_there_for_boxes_of_ones_own_alone(scene: NDArray[np.uint8]) -> None:
    policy = dataclasses.replace(rules(), base=Rule(effect="sticker", shape="box"), color=(9, 9, 9))
    done = Censor(policy, detector=Scripted([LABEL], [])).apply(scene, also=[BODY])
    assert (done.image[30:70, 50:90] != 9).any()


# --- keep -----------------------------------------------------------------------------------------------------------


def test_what_lies_in_a_kept_box_is_left_alone_and_said_and_judged(scene: NDArray[np.uint8]) -> None:
    done = made().apply(scene, keep=[(0, 0, 9, 9), BODY])
    assert (done.image == scene).all()
    assert done.redactions == ()
    assert done.kept.xyxy.tolist() == [list(BODY)]
    assert done.kept.label(0) == LABEL
    assert done.verdict is not None
    assert done.verdict.level is Level.NSFW


@pytest.mark.parametrize(
    ("box", "keep", "is_kept"),
    [
        (BODY, [BODY], True),
        ((50.4, 30.2, 89.5, 69.9), [BODY], True),
        ((49.99, 30, 90, 70), [BODY], False),
        ((50, 30, 90.01, 70), [BODY], False),
        ((50, 29.99, 90, 70), [BODY], False),
        ((50, 30, 90, 70.01), [BODY], False),
        (BODY, [(50, 30, 89.5, 70)], False),
        (BODY, [(50, 30, 70, 70), (70, 30, 90, 70)], False),  # in both together, in neither alone
        ((90, 30, 90, 70), [BODY], False),  # no area, and the pixel that it points to lies outside
        ((120, 90, 170, 130), [(120, 90, 160, 120)], True),  # beyond the picture there is nothing to hide
        ((-9, -9, 20, 20), [(0, 0, 20, 20)], True),
        ((-9, -9, 20, 20), [(1, 0, 20, 20)], False),
    ],
)
def test_what_reaches_beyond_a_kept_box_is_hidden_whole(
    scene: NDArray[np.uint8], box: Sequence[float], keep: list[tuple[float, ...]], is_kept: bool
) -> None:
    done = made([(LABEL, 0.9, box)], [], effect="solid").apply(scene, keep=keep)
    assert (len(done.kept), len(done.redactions)) == (int(is_kept), int(not is_kept))


def test_what_is_kept_is_passed_over_on_every_look_and_said_once(scene: NDArray[np.uint8]) -> None:
    face, other = (LABEL, 0.9, BODY), (LABEL, 0.8, (0, 0, 20, 20))
    moved = (LABEL, 0.95, (51, 30, 89, 69))
    late = (LABEL, 0.6, (100, 80, 110, 90))
    finder = Scripted([LABEL], [face, other], [moved, late])
    done = Censor(rules(), detector=finder).apply(scene, keep=[BODY, (95, 75, 120, 100)])
    assert [each.xyxy for each in done.redactions] == [(0, 0, 20, 20)]
    assert done.kept.xyxy.tolist() == [list(BODY), [100, 80, 110, 90]]
    assert len(finder.seen) == 2


def test_a_find_on_the_second_look_that_reaches_beyond_is_hidden(scene: NDArray[np.uint8]) -> None:
    face, other = (LABEL, 0.9, BODY), (LABEL, 0.8, (0, 0, 20, 20))
    done = made([face, other], [(LABEL, 0.9, (50, 30, 91, 70))], []).apply(scene, keep=[BODY])
    assert [(each.xyxy, each.rechecked) for each in done.redactions] == [
        ((0, 0, 20, 20), False), ((50, 30, 91, 70), True),
    ]  # fmt: skip


def test_what_the_policy_does_not_hide_is_not_said_to_be_kept(scene: NDArray[np.uint8]) -> None:
    assert len(made([(LABEL, 0.4, BODY)]).apply(scene, keep=[BODY]).kept) == 0


def test_hiding_wins_over_keeping(scene: NDArray[np.uint8]) -> None:
    done = made().apply(scene, also=[(60, 40, 200, 50)], keep=[(0, 0, 160, 120)])
    assert (done.image[40:50, 60:] == 0).all()
    done.image[40:50, 60:] = scene[40:50, 60:]
    assert (done.image == scene).all()
    assert len(done.kept) == 1


# --- nonsense -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["also", "keep"])
@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([(1, 2, 3)], r"a box is four numbers, x0, y0, x1, y1, like 10,20,80,90; not 1,2,3"),
        ([(1, 2, 3, 4, 5)], "a box is four numbers"),
        ([(1, 2, 3, float("nan"))], "a box is four numbers"),
        ([(1, 2, float("inf"), 4)], "a box is four numbers"),
        ([(1, 2, "3", 4)], "a box is four numbers"),
        ([(1, True, 3, 4)], "a box is four numbers"),
        ([(5, 2, 5, 4)], "a box needs x0 < x1 and y0 < y1, not 5,2,5,4"),
        ([(1, 4, 5, 2)], "a box needs x0 < x1 and y0 < y1"),
        ((1, 2, 3, 4), "must be a list of boxes"),
        (5, "must be a list of boxes"),
    ],
)
def test_what_is_no_box_is_refused_before_anything_is_read(name: str, boxes: Any, message: str) -> None:
    given: dict[str, Any] = {name: boxes}
    with pytest.raises(ValueError, match=rf"{name}.* {message}"):
        made().apply("missing.jpg", **given)
    with pytest.raises(ValueError, match=message):
        made().apply_file("missing.jpg", "out.jpg", **given)


def test_boxes_may_come_as_arrays(scene: NDArray[np.uint8]) -> None:
    assert len(made().apply(scene, keep=np.array([BODY])).kept) == 1
    assert len(made().apply(scene, also=np.array([BODY], np.float32)).redactions) == 2


@pytest.mark.parametrize("name", ["also", "keep"])
@pytest.mark.parametrize("box", [(160, 0, 170, 9), (0, 120, 9, 130), (-9, 0, 0, 9), (0, -9, 9, 0)])
def test_a_box_outside_the_picture_is_an_error(
    scene: NDArray[np.uint8], tmp_path: Path, name: str, box: tuple[int, ...]
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(scene).save(path)
    text = ",".join(map(str, box))
    given: dict[str, Any] = {name: [box]}
    with pytest.raises(BoxError, match=rf"a.png: {name} {text} lies wholly outside the picture of 160 x 120 pixels"):
        made().apply_file(path, tmp_path / "out.png", **given)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_hides_and_keeps(censor: Command, face: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.jsonl", tmp_path / "out.png"
    drawn = ("--also", "0,0,10,10", "--also", "-5,240,16,300", "--keep", "0,0,256,256")
    result = censor(face, "-o", out, "--json", report, "--replacewith", "solid", "--shape", "box", *drawn, *FACES)
    assert result.stdout == f"{face} -> {out}  (2 regions hidden, safe)\n"
    shown, original = decode(out).pixels, decode(face).pixels
    assert (shown[:10, :10] == 0).all()
    assert (shown[240:, :16] == 0).all()
    assert (shown[20:230] == original[20:230]).all()
    record = json.loads(report.read_text())
    assert [each["label"] for each in record["hidden"]] == ["ALSO", "ALSO"]
    assert record["hidden"][1]["xyxy"] == [0, 240, 16, 256]
    (kept,) = record["kept"]
    assert set(kept) == {"label", "score", "xyxy"}
    assert kept["label"] == "FACE_FEMALE"


def test_the_command_takes_boxes_for_standard_input(censor: Command, face: Path) -> None:
    result = censor("-", "--also", "0,0,64,64", "--replacewith", "solid", *FACES, stdin=face.read_bytes())
    shown = decode(result.stdout_bytes)
    assert shown.pixels[8:56, 8:56].max() < 9


@pytest.mark.parametrize("name", ["--also", "--keep"])
@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "", "1,2,3,nan", "1,2,inf,4", "5,2,5,4", "1,4,5,2", "1 2 3 4"])
def test_the_command_refuses_what_is_no_box(censor: Command, face: Path, name: str, box: str) -> None:
    result = censor(face, name, box, *FACES)
    assert result.exit_code == 2
    assert f"Error: {name}: a box " in result.stderr
    assert [path.name for path in face.parent.iterdir()] == ["face.jpg"]


@pytest.mark.parametrize("name", ["--also", "--keep"])
def test_boxes_belong_to_one_picture(censor: Command, face: Path, name: str) -> None:
    for photos in ([face, face], [face.parent]):
        result = censor(*photos, name, "1,2,3,4", *FACES)
        assert result.exit_code == 2
        assert f"Error: {name} is about one picture; name one PHOTO" in result.stderr
    outside = censor(face, name, "256,0,300,9", *FACES)
    assert outside.exit_code == 1
    assert outside.stderr == (f"{face}: {name[2:]} 256,0,300,9 lies wholly outside the picture of 256 x 256 pixels\n")
