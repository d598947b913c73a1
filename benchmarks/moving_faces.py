"""Films with a face in them that somebody knows the place of, frame by frame: what moves, turns, hides and comes back.

The face is the one of scikit-image's public-domain portrait, cut out and laid over pictures that it ships, which move
too. Nothing in a frame is darker than `FLOOR`, so that what was painted black in an output was hidden.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from face_drawing import BACKGROUNDS, SIZE, Mask, Pixels, Pose, behind, box_of, grain_of, laid, texture

__all__ = ["FLOOR", "KINDS", "SIZE", "Face", "Frame", "Scene", "encoded", "scenes", "write"]

FLOOR = 64
"""The least value in a frame."""

_VISIBLE = 0.4  # share of its core from which on there is a face to be hidden


class Face(NamedTuple):
    """A face in a frame.

    Attributes:
        number: Which one of the film's, the same as long as it is one.
        core: Where brows, eyes, nose, mouth and chin are seen, bool (rows, columns).
        box: What a detector would draw around it, xyxy, beyond the edges too.
        due: Whether so much of it is seen that it has to be hidden.
    """

    number: int
    core: Mask
    box: tuple[float, float, float, float]
    due: bool


class Frame(NamedTuple):
    """A frame and all faces in it.

    Attributes:
        pixels: RGB, uint8 (rows, columns, 3).
        faces: Those in it.
        shot: Which shot of the film it is of, from 0.
    """

    pixels: Pixels
    faces: tuple[Face, ...]
    shot: int = 0


class Shown(NamedTuple):
    """What a frame is made of.

    Attributes:
        poses: Faces, the last one in front.
        bar: Columns and width of what stands before all; None for nothing.
        shot: Which shot it is of.
    """

    poses: tuple[Pose, ...]
    bar: tuple[float, float] | None = None
    shot: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A film to be made.

    Attributes:
        kind: Of what happens in it.
        name: Of its own.
        frames: How many.
        rate: Frames a second.
        show: What each is made of, by its number.
        background: Name of a picture of scikit-image's.
        drift: Columns and rows a frame that it moves.
        noise: Standard deviation of a sensor's noise.
    """

    kind: str
    name: str
    frames: int
    rate: int
    show: Callable[[int], Shown]
    background: str
    drift: tuple[float, float] = (1.5, 0.7)
    noise: float = 2.0

    def __iter__(self) -> Iterator[Frame]:
        """Its frames, the same each time."""
        return (self.frame(number) for number in range(self.frames))

    def frame(self, number: int) -> Frame:
        """One of them."""
        shown = self.show(number)
        canvas = behind(self.background, number, self.drift, shown.shot)
        layers: list[tuple[Pose, Mask, float]] = []
        for pose in shown.poses:
            canvas, core, whole = laid(canvas, pose)
            layers = [(other, mask & ~core, of) for other, mask, of in layers]
            layers.append((pose, core, whole))
        if shown.bar is not None:
            left, width = shown.bar
            first, last = max(0, round(left)), max(0, min(SIZE[1], round(left + width)))
            canvas[:, first:last] = texture("gravel")[: SIZE[0], : max(0, last - first)]
            for _, mask, _ in layers:
                mask[:, first:last] = False
        if self.noise:
            canvas = canvas + self.noise * np.roll(grain_of(), (53 * number, 97 * number), (0, 1))
        lifted = FLOOR + np.clip(canvas, 0, 255) * (255 - FLOOR) / 255
        faces = tuple(
            Face(pose.number, mask, box_of(pose), bool(mask.sum() >= _VISIBLE * whole and pose.alpha >= 0.5))
            for pose, mask, whole in layers
        )
        return Frame(np.clip(lifted.round(), FLOOR, 255).astype(np.uint8), faces, shown.shot)


def encoded(scene: Scene) -> bytes:
    """The film of a scene: H.264 in MP4."""
    stream = io.BytesIO()
    write(stream, (frame.pixels for frame in scene), scene.rate)
    return stream.getvalue()


def write(target: str | BinaryIO, frames: Iterable[Pixels], rate: int) -> None:
    """Encode frames of one size as H.264 in MP4."""
    import av

    with av.open(target, "w", format="mp4") as out:
        video: Any = out.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        video.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            if number == 0:
                video.height, video.width = pixels.shape[:2]
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, rate)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))


def scenes() -> list[Scene]:
    """Two of each kind, with other backgrounds, sizes, ways and rates."""
    made = []
    for number, (kind, make) in enumerate(KINDS.items()):
        for variant in range(2):
            background = BACKGROUNDS[(2 * number + 3 * variant) % len(BACKGROUNDS)]
            rate = (25, 30)[variant]
            made.append(
                Scene(
                    kind=kind,
                    name=f"{kind.replace(' ', '-')}-{variant + 1}",
                    frames=3 * rate,
                    rate=rate,
                    show=make(variant, 3 * rate),
                    background=background,
                    drift=((1.5, 0.7), (-2.5, 0.4))[variant],
                    noise=(2.0, 4.0)[variant],
                )
            )
    return made


_Show = Callable[[int], Shown]
_ROWS, _COLUMNS = SIZE


def _one(pose: Callable[[float, int], Pose], frames: int) -> _Show:
    """A single face; `pose` is asked with the share of time that is over and the frame's number."""
    return lambda number: Shown((pose(number / (frames - 1), number),))


def _passes(variant: int, frames: int) -> _Show:
    height = (100, 44)[variant]
    return _one(lambda t, n: Pose(x=120 + 400 * t, y=150 + 20 * math.sin(n / 6), height=height), frames)


def _enters(variant: int, frames: int) -> _Show:
    """It comes in from an edge, and goes out at another."""
    if variant:
        return _one(lambda t, _: Pose(x=220 + 100 * t, y=-90 + 560 * t, height=70), frames)
    return _one(lambda t, _: Pose(x=-80 + 800 * t, y=170, height=90), frames)


def _appears(variant: int, frames: int) -> _Show:
    """It fades in, or is there all at once."""
    begins = frames // 3

    def show(number: int) -> Shown:
        alpha = min(1.0, max(0.0, (number - begins) / 8)) if variant else float(number >= begins)
        pose = Pose(x=300 + 0.6 * number, y=160, height=(80, 60)[variant], alpha=alpha)
        return Shown((pose,) if alpha else ())

    return show


def _vanishes(variant: int, frames: int) -> _Show:
    appears = _appears(variant, frames)
    return lambda number: appears(frames - 1 - number)


def _turns(variant: int, frames: int) -> _Show:
    most = (60, 80)[variant]
    return _one(
        lambda t, _: Pose(x=320 + 60 * t, y=160, height=(110, 70)[variant], yaw=most * math.sin(2 * math.pi * t)),
        frames,
    )


def _rolls(variant: int, frames: int) -> _Show:
    most = (50, 75)[variant]
    return _one(
        lambda t, _: Pose(x=320, y=170, height=(90, 60)[variant], roll=most * math.sin(2 * math.pi * t)), frames
    )


def _occluded(variant: int, frames: int) -> _Show:
    """Something passes before it, or it goes behind something that stands."""

    def show(number: int) -> Shown:
        t = number / (frames - 1)
        if variant:
            return Shown((Pose(x=100 + 440 * t, y=160, height=80),), (290, 90))
        return Shown((Pose(x=330 - 40 * t, y=160, height=90),), (-220 + 1000 * t, 120))

    return show


def _crosses(variant: int, frames: int) -> _Show:
    """Two faces pass each other, one of them in front."""

    def show(number: int) -> Shown:
        t = number / (frames - 1)
        back = Pose(x=120 + 400 * t, y=165, height=(80, 70)[variant], number=0)
        front = Pose(x=540 - 440 * t, y=(175, 200)[variant], height=(95, 70)[variant], number=1, mirrored=True)
        return Shown((back, front))

    return show


def _cuts(variant: int, _: int) -> _Show:
    """Shots of less than a second, some of them without a face."""
    length = (18, 9)[variant]
    places = [(150, 130, 70), None, (470, 180, 100), (300, 200, 60), None, (220, 140, 110), (420, 160, 50)]

    def show(number: int) -> Shown:
        shot = number // length
        place = places[shot % len(places)]
        poses = () if place is None else (Pose(x=place[0] + number % length, y=place[1], height=place[2]),)
        return Shown(poses, shot=shot)

    return show


def _blurs(variant: int, frames: int) -> _Show:
    """The lens goes out of focus and back."""
    most = (6, 4)[variant]
    return _one(
        lambda t, _: Pose(x=300 + 40 * t, y=165, height=(110, 70)[variant], blur=most * math.sin(math.pi * t) ** 2),
        frames,
    )


def _comes_near(variant: int, frames: int) -> _Show:
    """It becomes larger, or smaller."""
    small, large = 20, 230

    def pose(t: float, _: int) -> Pose:
        share = 1 - t if variant else t
        return Pose(x=300 + 40 * share, y=175, height=small * (large / small) ** share)

    return _one(pose, frames)


def _fast(variant: int, frames: int) -> _Show:
    """To and fro, smeared by its own speed."""
    reach, turns = (200, 3.0) if variant == 0 else (220, 4.5)

    def pose(t: float, _: int) -> Pose:
        angle = 2 * math.pi * turns * t
        speed = reach * math.cos(angle) * 2 * math.pi * turns / (frames - 1)
        return Pose(x=320 + reach * math.sin(angle), y=170, height=(90, 60)[variant], smear=(speed / 2, 0))

    return _one(pose, frames)


def _shakes(variant: int, frames: int) -> _Show:
    """A hand that shakes: a few dozen pixels from frame to frame."""
    most = (14, 24)[variant]
    places = np.random.default_rng(7 + variant).normal(0, most, (frames, 2))

    def pose(_: float, number: int) -> Pose:
        x, y = places[number]
        return Pose(x=320 + x, y=170 + y, height=(90, 50)[variant])

    return _one(pose, frames)


def _darkens(variant: int, frames: int) -> _Show:
    dark = (0.25, 0.15)[variant]
    return _one(
        lambda t, _: Pose(
            x=280 + 80 * t, y=160, height=(90, 60)[variant], light=1 - (1 - dark) * math.sin(math.pi * t)
        ),
        frames,
    )


def _flashes(variant: int, _: int) -> _Show:
    """It is there for a fifth of a second, again and again."""
    length, every = (5, 25) if variant == 0 else (6, 20)

    def show(number: int) -> Shown:
        turn, since = divmod(number - 7, every)
        if number < 7 or since >= length:
            return Shown(())
        return Shown((Pose(x=(180, 420, 300)[turn % 3], y=160, height=80, number=turn),))

    return show


KINDS: dict[str, Callable[[int, int], _Show]] = {
    "passes": _passes,
    "enters and leaves": _enters,
    "appears": _appears,
    "vanishes": _vanishes,
    "turns": _turns,
    "rolls": _rolls,
    "is occluded": _occluded,
    "crosses another": _crosses,
    "cuts": _cuts,
    "blurs": _blurs,
    "nears and recedes": _comes_near,
    "moves fast": _fast,
    "shakes": _shakes,
    "darkens": _darkens,
    "flashes": _flashes,
}
"""What happens in films, by name; each is asked for one of two variants, with a number of frames."""
