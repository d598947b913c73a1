import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from animations import FORMATS, encoded, red_square, stripes
from fake_classifiers import BlueSeer, Nobody, RedSeer, picture
from fakes import RED, RedFinder, finder
from numpy.typing import NDArray

from censor import Censor
from censor.errors import BoxError, OutputExistsError, PolicyError, RecheckError, WriteError
from censor.policy import Policy
from censor.rules import PictureRule, Rule
from censor.timeline import CensoredAnimation
from censor.verdict import Level
from detect.detections import Detections, RGBImage
from detect.errors import DamagedImageError, InferenceError
from detect.pictures.animation import decode_frames

LABEL = "FEMALE_BREAST_EXPOSED"
PATH = [4 * each for each in range(12)]


class Flaky(RedFinder):
    """Finds red only in those of its calls that `sees` says."""

    def __init__(self, sees: Callable[[int], bool], score: float = 0.9) -> None:
        super().__init__(LABEL, score)
        self.sees = sees

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        found = super().detect(images)
        return found if self.sees(self.calls - 1) else [Detections.empty(self.names) for _ in found]


def policy(**values: object) -> Policy:
    rule = Rule(censor_at=0.3, review_at=0.3, nsfw_at=0.6, shape="box", expand=0.0, **values)  # type: ignore[arg-type]  # Rule checks them
    return Policy(name="one", rules={LABEL: rule})


def censored(
    data: bytes, target: Path, detector: RedFinder, rules: Policy | None = None, **options: object
) -> tuple[CensoredAnimation, list[NDArray[np.uint8]]]:
    censor = Censor(rules or policy(), detector=detector, classifiers=())
    done = censor.apply_medium(data, target, **options)  # type: ignore[arg-type]  # as the method says
    return done, [each.picture.pixels for each in decode_frames(target.read_bytes(), "out").frames]


def red_left(frames: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Pixels of pure red in each frame."""
    return [int((np.abs(each[..., :3].astype(int) - RED).max(axis=2) < 40).sum()) for each in frames]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("effect", ["pixelate", "blur", "solid"])
def test_it_is_hidden_in_every_frame_and_the_rest_is_left_alone(tmp_path: Path, kind: str, effect: str) -> None:
    truth = [red_square(left) for left in PATH]
    done, frames = censored(
        encoded(truth, kind), tmp_path / "out", RedFinder(LABEL), policy(effect=effect), format=kind
    )
    assert red_left(frames) == [0] * 12 if effect == "solid" else len(frames) == 12
    for left, frame, original in zip(PATH, frames, truth, strict=True):
        changed = np.abs(frame.astype(int) - original).max(axis=2) > 12
        assert changed[24:32, left + 4 : left + 12].all() or effect != "solid"
        assert not changed[:, left + 40 :].any()
        assert not changed[:10].any()
    assert done.frames == 12
    assert len(done.hidden) == 1
    assert done.hidden[0].start == 0
    assert done.hidden[0].end == pytest.approx(1.1)


@pytest.mark.parametrize(
    "sees",
    [lambda call: call % 2 == 0, lambda call: call in (0, 4, 11), lambda call: call == 6],
    ids=["every second", "three", "one alone"],
)
def test_frames_in_which_the_detector_sees_nothing_do_not_leak(tmp_path: Path, sees: Callable[[int], bool]) -> None:
    """The look again is off: time alone has to cover it."""
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 2, (16, 16, 1)).astype(bool)
    truth = []
    for left in PATH:
        pixels = stripes()
        pixels[20:36, left : left + 16] = np.where(texture, np.array(RED, np.uint8), np.uint8(255))
        pixels[20, left] = pixels[35, left + 15] = pixels[20, left + 15] = pixels[35, left] = RED
        truth.append(pixels)
    censor = Censor(policy(effect="solid"), detector=Flaky(sees), classifiers=(), recheck=False)
    censor.apply_medium(encoded(truth), tmp_path / "out.webp")
    frames = [each.picture.pixels for each in decode_frames((tmp_path / "out.webp").read_bytes(), "out").frames]
    assert red_left(frames) == [0] * 12


def test_what_only_the_look_again_finds_is_solid(tmp_path: Path) -> None:
    """The first look sees the square on the left alone, the second the one on the right, too."""
    truth = [red_square(left) for left in (0, 2)]
    for pixels in truth:
        pixels[:, 60:] = red_square(76)[:, 60:]

    class Left(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            first = self.calls < 2
            return super().detect(
                [np.where(np.arange(96)[None, :, None] < 48, each, 0) if first else each for each in images]
            )

    done, frames = censored(encoded(truth), tmp_path / "out.webp", Left(LABEL))
    assert red_left(frames) == [0, 0]
    assert [(each.first.rechecked, each.first.effect) for each in done.hidden] == [(False, "pixelate"), (True, "solid")]


def test_a_mosaic_tells_no_more_in_many_frames_than_in_one(tmp_path: Path) -> None:
    """What lies under it changes from frame to frame, and what is shown does not."""
    rng = np.random.default_rng(7)
    truth = []
    for left in PATH:
        pixels = stripes()
        pixels[20:36, left : left + 16] = rng.integers(0, 255, (16, 16, 3))
        pixels[20:36:15, left : left + 16 : 15] = RED
        truth.append(pixels)
    _, frames = censored(encoded(truth), tmp_path / "out.webp", RedFinder(LABEL), policy(effect="pixelate"))
    ground = {tuple(pixel) for pixel in stripes().reshape(-1, 3).tolist()}
    colors = [{tuple(pixel) for pixel in each.reshape(-1, 3).tolist()} - ground for each in frames]
    assert 1 < len(colors[0]) <= 36
    assert all(each <= colors[0] for each in colors[1:])


def test_the_verdict_is_that_of_the_worst_frame_and_none_is_averaged_away(tmp_path: Path) -> None:
    truth = [*[stripes()] * 3, red_square(10), *[stripes()] * 36]
    truth[20] = red_square(40)
    censor = Censor(policy(), detector=RedFinder(LABEL), classifiers=())
    checked = censor.check_medium(encoded(truth))
    assert checked.verdict.level is Level.NSFW
    assert (checked.where.frame, checked.frames) == (1, 5)  # an encoder makes one of frames that are alike
    levels = [(round(each.start, 2), round(each.end, 2), each.verdict.level.value) for each in checked.spans]
    assert levels == [(0, 0.3, "safe"), (0.3, 0.4, "nsfw"), (0.4, 2.0, "safe"), (2.0, 2.1, "nsfw"), (2.1, 4.0, "safe")]


def test_boxes_of_a_users_own_hold_in_every_frame(tmp_path: Path) -> None:
    truth = [red_square(left) for left in (60, 62, 64)]
    also = [(0, 0, 16, 16)]
    _, frames = censored(encoded(truth), tmp_path / "a.webp", RedFinder(LABEL), policy(effect="solid"), also=also)
    base = policy().base.effect
    for frame, original in zip(frames, truth, strict=True):
        assert base != "solid" or not frame[:16, :16].any()
        assert red_left([frame]) == [0]
        assert np.array_equal(frame[40:], original[40:])
    keep = [(40, 0, 96, 64)]
    done, frames = censored(encoded(truth), tmp_path / "b.webp", RedFinder(LABEL), keep=keep)
    assert done.hidden == ()
    assert red_left(frames) == [128] * 3
    with pytest.raises(BoxError, match="lies wholly outside"):
        censored(encoded(truth), tmp_path / "c.webp", RedFinder(LABEL), also=[(500, 500, 600, 600)])


def test_what_is_still_found_gives_no_output(tmp_path: Path) -> None:
    class Sees(RedFinder):
        def _find(self, image: RGBImage) -> Detections:
            return Detections(np.array([[10, 10, 30, 30]]), np.array([0.9]), np.array([0]), self.names)

    calls: list[int] = []

    class SeesMore(Sees):
        def _find(self, image: RGBImage) -> Detections:
            calls.append(1)
            left = len(calls) % 40
            return Detections(np.array([[left, 10, left + 30, 30]]), np.array([0.9]), np.array([0]), self.names)

    target = tmp_path / "out.webp"
    with pytest.raises(RecheckError, match="the detector still finds"):
        censored(encoded([red_square(0), red_square(5)]), target, SeesMore(LABEL))
    assert not target.exists()


def test_a_frame_that_fails_fails_the_whole(tmp_path: Path) -> None:
    class Fails(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            if self.calls == 5:
                raise InferenceError("broke")
            return super().detect(images)

    data = encoded([red_square(left) for left in PATH])
    target = tmp_path / "out.webp"
    for error, source, detector in (
        (InferenceError, data, Fails(LABEL)),
        (DamagedImageError, data[:-40], RedFinder(LABEL)),
    ):
        with pytest.raises(error):
            censored(source, target, detector)
        with pytest.raises(error):
            Censor(policy(), detector=detector, classifiers=()).check_medium(source)
        assert not target.exists()


def test_outputs_are_not_overwritten_and_formats_that_hold_no_animation_are_refused(tmp_path: Path) -> None:
    data = encoded([red_square(0), red_square(5)])
    target = tmp_path / "out.webp"
    target.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        censored(data, target, RedFinder(LABEL))
    assert target.read_bytes() == b"mine"
    censored(data, target, RedFinder(LABEL), overwrite=True)
    with pytest.raises(WriteError, match="JPEG holds no animation"):
        censored(data, tmp_path / "out.jpg", RedFinder(LABEL))


def test_a_policy_that_judges_nothing_has_no_verdict(tmp_path: Path) -> None:
    data = encoded([red_square(0), red_square(5)])
    only = Policy(name="hides", rules={LABEL: Rule(censor_at=0.3, effect="solid")})
    done, frames = censored(data, tmp_path / "out.webp", RedFinder(LABEL), only)
    assert done.verdict is None
    assert done.spans == ()
    assert red_left(frames) == [0, 0]
    with pytest.raises(PolicyError):
        Censor(only, detector=RedFinder(LABEL), classifiers=()).check_medium(data)


def test_frames_with_transparency_and_without_go_together(tmp_path: Path) -> None:
    clear = np.dstack([red_square(0), np.full((64, 96), 255, np.uint8)])
    clear[50:] = 0
    whole = np.dstack([red_square(40), np.full((64, 96), 255, np.uint8)])
    stream = io.BytesIO(encoded([clear, whole], "PNG"))
    _, frames = censored(stream.getvalue(), tmp_path / "out.png", RedFinder(LABEL), policy(effect="solid"))
    assert red_left(frames) == [0, 0]
    assert not frames[0][50:, :, 3].any()


def test_presets_serve_what_moves() -> None:
    checked = Censor("strict", detector=finder(), classifiers=()).check_medium(encoded([red_square(0), stripes()]))
    assert [each.verdict.level for each in checked.spans] == [Level.NSFW, Level.SAFE]


def test_without_a_look_again_the_heat_of_all_is_hidden_at_once(tmp_path: Path) -> None:
    frames = [picture() for _ in range(2)]
    for row, pixels in enumerate(frames):
        pixels[96:112, 16:32] = (10, 10, 250)
        pixels[0, row] = 0
    rule = PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5, hide_first=("red",))
    heat = Policy(name="heat", rules={}, heat=Rule(shape="box", expand=0.0), picture=rule)
    for recheck in (True, False):
        censor = Censor(heat, detector=Nobody(), classifiers=[RedSeer(), BlueSeer("blue")], recheck=recheck)
        target = tmp_path / f"{recheck}.webp"
        done = censor.apply_medium(encoded(frames), target)
        assert [each.first.classifier for each in done.hidden] == ["red", "blue"]
        for frame in decode_frames(target.read_bytes(), "out").frames:
            assert not frame.picture.pixels[96:112, 16:32].any()


def test_a_kept_box_goes_with_others_that_are_hidden(tmp_path: Path) -> None:
    class Both(RedFinder):
        """Red on either half by itself."""

        def _find(self, image: RGBImage) -> Detections:
            halves = [np.where(side[None, :, None], image, 0) for side in (np.arange(96) < 48, np.arange(96) >= 48)]
            return Detections.concatenate([super(Both, self)._find(half) for half in halves])

    truth = [red_square(left) for left in (0, 2)]
    for pixels in truth:
        pixels[:, 60:] = red_square(76)[:, 60:]
    done, frames = censored(
        encoded(truth), tmp_path / "o.webp", Both(LABEL), policy(effect="solid"), keep=[(60, 0, 96, 64)]
    )
    assert len(done.hidden) == 1
    assert red_left(frames) == [128, 128]
