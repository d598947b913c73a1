"""Plans in Python: what they hold, what changing them does, and what they are refused for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from animations import FORMATS, red_square
from animations import encoded as moving
from fake_classifiers import BlueSeer, Nobody, RedSeer, picture
from fakes import finder
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from planned import LABEL, RedBlobs, blobs, censor_of, shown

from censor import Censor, Plan, PlannedBox, PlannedThing
from censor.errors import BoxError, PlanError, StillNsfwError
from censor.models_used import ModelUsed
from censor.plan_json import format_plan, parse_plan
from censor.policy import Policy
from censor.rules import PictureRule, Rule
from detect.classifier.scores import Scores
from detect.detections import RGBImage
from detect.errors import DamagedImageError
from detect.pictures.animation import decode_frames

Encode = Callable[..., bytes]
HEAT = Policy(
    name="heat",
    rules={},
    heat=Rule(shape="rounded", expand=0.1),
    picture=PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5),
)


def frames_of(path: Path) -> list[np.ndarray]:
    return [each.picture.pixels[..., :3] for each in decode_frames(path.read_bytes(), "out").frames]


def again(plan: Plan) -> Plan:
    """The plan as its file says it."""
    return parse_plan(format_plan(plan))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("effect", ["pixelate", "blur", "solid", "sticker"])
def test_a_plan_applied_is_what_hiding_gives(encoded: Encode, kind: str, effect: str) -> None:
    data = encoded(blobs(20, 90), kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    censor = censor_of(effect=effect, shape="ellipse", expand=0.17)
    once = censor.apply(data, also=[(3, 3, 9.5, 12.25)])
    plan = again(censor.plan(data, also=[(3, 3, 9.5, 12.25)]))
    assert plan.sha256 == hashlib.sha256(data).hexdigest()
    assert censor.apply(data, plan=plan).encode() == once.encode()
    assert [each.label for each in plan.things].count("ALSO") == 1


@settings(max_examples=12)
@given(
    lefts=st.lists(st.integers(0, 140), max_size=3),
    expand=st.floats(0, 1),
    shape=st.sampled_from(["box", "rounded", "ellipse"]),
    feather=st.floats(0, 0.5),
)
def test_whatever_is_found_round_trips(lefts: list[int], expand: float, shape: str, feather: float) -> None:
    censor = censor_of(expand=expand, shape=shape)
    censor = Censor(replace(censor.policy, feather=feather), detector=RedBlobs(LABEL), classifiers=())
    stream = io.BytesIO()
    Image.fromarray(blobs(*lefts)).save(stream, "PNG")
    plan = censor.plan(stream.getvalue())
    assert again(plan) == plan
    assert censor.apply(stream.getvalue(), plan=again(plan)).encode() == censor.apply(stream.getvalue()).encode()


def test_what_is_removed_is_shown_and_nothing_else(encoded: Encode) -> None:
    pixels, censor = blobs(20, 90), censor_of()
    data = encoded(pixels, "PNG")
    plan = censor.plan(data)
    for gone, stays in ((0, 1), (1, 0)):
        things = list(plan.things)
        left = [int(each.boxes[0].xyxy[0]) if each.boxes[0].xyxy else -1 for each in things]
        things[gone] = replace(things[gone], hide=False)
        done = censor.apply(data, plan=again(replace(plan, things=tuple(things))))
        assert shown(done.image, left[gone], pixels)
        assert not shown(done.image, left[stays], pixels)
        assert len(done.redactions) == 1
        assert [each.label for each in plan.things] == [LABEL, LABEL]
        assert len(done.kept) == 1


def test_a_thing_that_is_added_is_hidden_and_the_rest_is_as_it_was(encoded: Encode) -> None:
    pixels, censor = blobs(20), censor_of()
    data = encoded(pixels, "PNG")
    plan = censor.plan(data)
    more = replace(plan, things=(*plan.things, PlannedThing(boxes=(PlannedBox(xyxy=(100, 40, 120, 50)),))))
    done = censor.apply(data, plan=again(more)).image
    assert (done[40:50, 100:120] == 0).all()
    done[40:50, 100:120] = pixels[40:50, 100:120]
    assert np.array_equal(done, censor.apply(data).image)


def test_what_an_edit_forgot_is_found_and_hidden(encoded: Encode) -> None:
    """The box was drawn away from the thing, which nobody said was to be shown."""
    pixels, censor = blobs(20), censor_of()
    data = encoded(pixels, "PNG")
    plan = censor.plan(data)
    moved = replace(plan.things[0], boxes=(PlannedBox(xyxy=(120, 4, 130, 14)),))
    done = censor.apply(data, plan=replace(plan, things=(moved,)))
    assert not shown(done.image, 20, pixels)
    assert [each.rechecked for each in done.redactions] == [False, True]


def test_the_output_is_looked_at_again_by_a_censor_that_does_not_otherwise(encoded: Encode) -> None:
    pixels = blobs(20)
    data = encoded(pixels, "PNG")
    careless = Censor(censor_of().policy, detector=RedBlobs(LABEL), classifiers=(), recheck=False)
    plan = careless.plan(data)
    moved = replace(plan.things[0], boxes=(PlannedBox(xyxy=(120, 4, 130, 14)),))
    assert not shown(careless.apply(data, plan=replace(plan, things=(moved,))).image, 20, pixels)


def test_what_only_the_second_look_finds_is_planned_and_can_be_shown(encoded: Encode) -> None:
    class Late(RedBlobs):
        """At its first look at a picture it sees the left half alone."""

        def _find(self, image: np.ndarray) -> object:  # type: ignore[override]
            half = image.copy()
            if shown(image, 20, pixels):
                half[:, 80:] = 0
            return super()._find(half)

    pixels = blobs(20, 90)
    data = encoded(pixels, "PNG")
    censor = Censor(censor_of().policy, detector=Late(LABEL), classifiers=())
    plan = again(censor.plan(data))
    assert [each.rechecked for each in plan.things] == [False, True]
    assert censor.apply(data, plan=plan).encode() == censor.apply(data).encode()
    kept = replace(plan, things=(plan.things[0], replace(plan.things[1], hide=False)))
    assert shown(censor.apply(data, plan=kept).image, 90, pixels)


@pytest.mark.parametrize("names", [("red",), ("red", "blue")])
def test_heat_is_planned_by_its_cells(encoded: Encode, names: tuple[str, ...]) -> None:
    pixels = picture()
    pixels[80:96, 16:48] = (10, 10, 250)
    data = encoded(pixels, "PNG")
    censor = Censor(HEAT, detector=Nobody(), classifiers=[RedSeer(), BlueSeer("blue")][: len(names)])
    plan = again(censor.plan(data))
    assert plan.things[0].classifier == "red"
    assert plan.things[0].boxes[0].cells == ("........", "...#....", *["........"] * 6)
    assert censor.apply(data, plan=plan).encode() == censor.apply(data).encode()
    shown_on_purpose = replace(plan, things=tuple(replace(each, hide=False) for each in plan.things))
    with pytest.raises(StillNsfwError, match=r"red says NSFW .*keeping"):
        censor.apply(data, plan=shown_on_purpose)


def test_boxes_that_are_kept_stand_in_the_plan(encoded: Encode) -> None:
    pixels, censor = blobs(20, 90), censor_of()
    data = encoded(pixels, "PNG")
    plan = again(censor.plan(data, keep=[(18, 18, 40, 40)]))
    assert [(each.label, each.hide) for each in plan.things] == [(LABEL, True), ("KEEP", False)]
    done = censor.apply(data, plan=plan)
    assert done.encode() == censor.apply(data, keep=[(18, 18, 40, 40)]).encode()
    assert shown(done.image, 20, pixels)
    without = replace(plan, things=plan.things[:1])
    assert not shown(censor.apply(data, plan=without).image, 20, pixels)


LEFTS = [10 + 4 * each for each in range(6)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("effect", ["pixelate", "solid"])
def test_an_animations_plan_applied_is_what_hiding_gives(tmp_path: Path, kind: str, effect: str) -> None:
    data = moving([blobs(left, 120) for left in LEFTS], kind, duration=[100, 70] * 3)
    censor = censor_of(effect=effect, expand=0.1)
    plan = again(censor.plan(data))
    censor.apply_medium(data, tmp_path / "once", format=kind)
    done = censor.apply_medium(data, tmp_path / "planned", plan=plan, format=kind)
    assert (tmp_path / "planned").read_bytes() == (tmp_path / "once").read_bytes()
    assert plan.times[:3] == (Fraction(0), Fraction(1, 10), Fraction(17, 100))
    assert plan.end == Fraction(51, 100)
    assert len(done.hidden) == len(plan.things) == 2
    assert [len(each.boxes) for each in plan.things] == [6, 1]


def test_a_thing_that_moves_can_be_shown(tmp_path: Path) -> None:
    truth = [blobs(left, 120) for left in LEFTS]
    censor = censor_of()
    plan = censor.plan(moving(truth))
    things = (replace(plan.things[0], hide=False), plan.things[1])
    censor.apply_medium(moving(truth), tmp_path / "out.webp", plan=again(replace(plan, things=things)))
    for left, frame, original in zip(LEFTS, frames_of(tmp_path / "out.webp"), truth, strict=True):
        assert shown(frame, left, original)
        assert not shown(frame, 120, original)


def test_times_can_be_changed(tmp_path: Path) -> None:
    """A box that somebody adds is hidden in its frames alone; then in others."""
    truth = [blobs() for _ in range(10)]
    truth = [np.ascontiguousarray(np.roll(each, row, axis=0)) for row, each in enumerate(truth)]
    censor = censor_of()
    plan = censor.plan(moving(truth))
    assert not plan.things
    for first, end in ((2, 5), (6, 10)):
        box = PlannedBox(first=first, end=end, xyxy=(30, 10, 60, 40))
        changed = replace(plan, things=(PlannedThing(boxes=(box,)),))
        done = censor.apply_medium(moving(truth), tmp_path / "out.webp", plan=again(changed), overwrite=True)
        black = [(each[10:40, 30:60] == 0).all() for each in frames_of(tmp_path / "out.webp")]
        assert [row for row, each in enumerate(black) if each] == list(range(first, end))
        assert (done.hidden[0].start, done.hidden[0].end) == pytest.approx((first / 10, (end - 1) / 10))


def test_what_is_no_longer_hidden_in_time_is_found_again_unless_it_is_kept(tmp_path: Path) -> None:
    truth = [blobs(20) for _ in range(8)]
    for row, each in enumerate(truth):
        each[0, 0] = row
    censor, data = censor_of(), moving(truth)
    plan = censor.plan(data)
    (box,) = plan.things[0].boxes
    late = replace(plan.things[0], boxes=(replace(box, first=4),))
    early = replace(late, number=None, hide=False, boxes=(replace(box, end=4),))
    done = censor.apply_medium(data, tmp_path / "hidden.webp", plan=replace(plan, things=(late,)))
    assert [shown(each, 20, of) for each, of in zip(frames_of(tmp_path / "hidden.webp"), truth, strict=True)] == [
        False
    ] * 8
    assert [each.first.rechecked for each in done.hidden] == [True, False]
    censor.apply_medium(data, tmp_path / "shown.webp", plan=replace(plan, things=(late, early)))
    frames = frames_of(tmp_path / "shown.webp")
    assert [shown(each, 20, of) for each, of in zip(frames, truth, strict=True)] == [True] * 4 + [False] * 4


def test_heat_that_moves_round_trips(tmp_path: Path) -> None:
    data = moving([picture((slice(16, 32), slice(left, left + 16))) for left in (16, 16, 48, 64)])
    censor = Censor(HEAT, detector=Nobody(), classifiers=[RedSeer()])
    plan = again(censor.plan(data))
    assert {each.effect for each in plan.things} == {"solid"}
    censor.apply_medium(data, tmp_path / "planned.webp", plan=plan)
    censor.apply_medium(data, tmp_path / "once.webp")
    assert (tmp_path / "planned.webp").read_bytes() == (tmp_path / "once.webp").read_bytes()


class Stubborn(RedSeer):
    """Says that a picture whose corner is white is NSFW until its square is black, and not where."""

    def _one(self, image: RGBImage, heat: bool) -> Scores:
        suspicious = (image[0, 0] == 255).all() and image[28, 30].any()
        return Scores(np.array([0.1, 0.9] if suspicious else [0.9, 0.1]), self.names, ("nsfw",))


def test_a_thing_that_one_frame_shows_solid_round_trips(tmp_path: Path) -> None:
    """In the first frame all is solid at last, and no mosaic of it has been shown."""
    truth = [blobs(24) for _ in range(3)]
    for row, each in enumerate(truth):
        each[0, 0] = 255 - row
        each[20:36, 25:40:2] = 60 * row
    both = Policy(name="both", rules=censor_of(expand=0.1).policy.rules, heat=HEAT.heat, picture=HEAT.picture)
    censor = Censor(both, detector=RedBlobs(LABEL), classifiers=[Stubborn()])
    data = moving(truth)
    plan = again(censor.plan(data))
    assert plan.things[0].effect == "solid"
    assert [(each.first, each.end, each.effect) for each in plan.things[0].boxes] == [(0, 1, None), (1, 3, "pixelate")]
    censor.apply_medium(data, tmp_path / "once.webp")
    censor.apply_medium(data, tmp_path / "planned.webp", plan=plan)
    assert (tmp_path / "planned.webp").read_bytes() == (tmp_path / "once.webp").read_bytes()


def test_a_plan_is_refused_for_what_it_is_not_of(encoded: Encode, tmp_path: Path) -> None:
    censor = censor_of()
    data, other = encoded(blobs(20), "PNG"), encoded(blobs(21), "PNG")
    plan = censor.plan(data)
    with pytest.raises(PlanError, match="bytes: not what the plan is of: its SHA-256 is"):
        censor.apply(other, plan=plan)
    with pytest.raises(PlanError, match="made under the policy 'red', and this is another"):
        censor_of(expand=0.2).apply_file(data, tmp_path / "out.png", plan=plan)
    with pytest.raises(PlanError, match="made by other models than look here: 320n"):
        censor.apply(data, plan=replace(plan, models=(*plan.models, ModelUsed(name="320n", sha256="0" * 64))))
    with pytest.raises(PlanError, match="the plan is of a picture of 160 x 99 pixels, and this one has 160 x 64"):
        censor.apply(data, plan=replace(plan, height=99))
    with pytest.raises(ValueError, match="also and keep belong in the plan"):
        censor.apply(data, plan=plan, also=[(1, 1, 9, 9)])
    with pytest.raises(TypeError, match="a plan is of a path, bytes or a binary file object, not of a ndarray"):
        censor.plan(blobs(20))
    with pytest.raises(TypeError, match="not of a ndarray"):
        censor.apply(blobs(20), plan=plan)
    with pytest.raises(BoxError, match="lies wholly outside"):
        censor.plan(data, keep=[(500, 500, 510, 510)])
    with pytest.raises(DamagedImageError):
        censor.plan(data[:-200])
    assert not list(tmp_path.iterdir())


def test_an_animations_plan_is_refused_with_other_times(tmp_path: Path) -> None:
    data, censor = moving([blobs(20), blobs(24)]), censor_of()
    plan = censor.plan(data)
    with pytest.raises(PlanError, match="bytes: the plan's times are not those of its frames"):
        censor.apply_medium(data, tmp_path / "out.webp", plan=replace(plan, times=(Fraction(0), Fraction(1, 7))))
    assert not list(tmp_path.iterdir())


def test_models_are_told_by_their_files(models_folder: Path) -> None:
    from detect.installed import load_classifiers
    from detect.load import load_detector

    file = models_folder / "centerface.onnx"
    (seer,) = load_classifiers(["open_nsfw"], folder=models_folder)
    censor = Censor("default", detector=load_detector(models_folder / "320n.onnx"), classifiers=[seer])
    found = {each.name: each.sha256 for each in censor.models}
    assert found["320n"] == hashlib.sha256((models_folder / "320n.onnx").read_bytes()).hexdigest()
    assert found["open_nsfw"] == hashlib.sha256((models_folder / "open_nsfw.onnx").read_bytes()).hexdigest()
    assert [each.name for each in Censor("faces", detector=load_detector(file)).models] == ["centerface"]
    assert censor_of().models == (ModelUsed(name="detector"),)


def test_the_plan_of_an_avif_sequence_applied_is_what_hiding_gives(tmp_path: Path) -> None:
    data = moving([red_square(8 * each) for each in range(4)], "AVIF", duration=[100, 70] * 2)
    censor = Censor("boxes", detector=finder(tolerance=8), classifiers=())
    plan = again(censor.plan(data))
    censor.apply_medium(data, tmp_path / "once.avif")
    done = censor.apply_medium(data, tmp_path / "planned.avif", plan=plan)
    assert (tmp_path / "planned.avif").read_bytes() == (tmp_path / "once.avif").read_bytes()
    assert (*plan.times, plan.end) == tuple(Fraction(each, 100) for each in (0, 10, 17, 27, 34))
    assert len(done.hidden) == len(plan.things) == 1
