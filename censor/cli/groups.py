"""What options say, each group of them a value with its types.

Named tuples, since a command waits for them before anything else: a dataclass takes four times as long to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from censor.manual import Box

__all__ = [
    "FilmOptions",
    "HidingOptions",
    "LimitOptions",
    "MessageOptions",
    "NetworkOptions",
    "OutputOptions",
    "PolicyOptions",
    "SharedOptions",
    "ViewOptions",
    "WatchOptions",
]

_T = TypeVar("_T")


class PolicyOptions(NamedTuple):
    """What is judged, and from which score on.

    Attributes:
        source: A preset's name, or a TOML file.
        thresholds: ``SCORE`` or ``LABEL=SCORE``, as they were typed.
    """

    source: str
    thresholds: tuple[str, ...]


class NetworkOptions(NamedTuple):
    """Which networks, and what runs them.

    Attributes:
        weights: A file in the place of every detector.
        classifiers: Names and files, or ``none``, as they were typed; empty for the policy's.
        engine: One of `detect.choices.ENGINES`.
        precision: One of `detect.choices.PRECISIONS`.
        provider: One of `detect.choices.PROVIDERS`.
    """

    weights: Path | None
    classifiers: tuple[str, ...]
    engine: str
    precision: str
    provider: str


class ViewOptions(NamedTuple):
    """What of a picture the detector looks at, beside the whole.

    Attributes:
        tile: Overlapping tiles.
        tile_size: Longest side of a tile, in pixels.
        flip: The mirror image.
    """

    tile: bool
    tile_size: int
    flip: bool


class LimitOptions(NamedTuple):
    """What is worked on.

    Attributes:
        workers: Pictures at once.
        max_pixels: Cap on width times height.
        max_bytes: Cap on an encoded picture.
    """

    workers: int
    max_pixels: int
    max_bytes: int

    def at_once(self, pictures: int | None) -> int:
        """How many of so many pictures are worked on at once; None for who knows how many."""
        return self.workers if pictures is None else min(self.workers, max(1, pictures))


class MessageOptions(NamedTuple):
    """What a person is told."""

    quiet: bool
    verbose: bool


class SharedOptions(NamedTuple):
    """The options that `hide`, `check` and `watch` have in common."""

    policy: PolicyOptions
    network: NetworkOptions
    views: ViewOptions
    limits: LimitOptions
    messages: MessageOptions

    @classmethod
    def taken(cls, given: dict[str, object]) -> SharedOptions:
        """Take these options out of what click made of a command line."""
        return cls(
            policy=_taken(PolicyOptions, PolicyOptions._fields, given),
            network=_taken(NetworkOptions, NetworkOptions._fields, given),
            views=_taken(ViewOptions, ViewOptions._fields, given),
            limits=_taken(LimitOptions, LimitOptions._fields, given),
            messages=_taken(MessageOptions, MessageOptions._fields, given),
        )


class HidingOptions(NamedTuple):
    """The options that `hide` and `watch` have in common; None leaves it to the policy.

    Attributes:
        labels: Hide these and no others; empty for the policy's.
        replacewith: The effect.
        shape: Of the regions.
        mask_scale: How many times a box's width and height are hidden.
        feather: Width of the soft edge, as a share of the box's shorter side.
        cells: Squares along a region.
        color: Of solid regions, as it was typed.
        sticker: A name or an image file.
        quality: Of lossy formats, in 1..100; None for the source's.
        no_recheck: Do not look at the output.
    """

    labels: tuple[str, ...]
    replacewith: str | None
    shape: str | None
    mask_scale: float | None
    feather: float | None
    cells: int | None
    color: str | None
    sticker: str | None
    quality: int | None
    no_recheck: bool

    @classmethod
    def taken(cls, given: dict[str, object]) -> HidingOptions:
        """Take these options out of what click made of a command line."""
        return _taken(cls, cls._fields, given)


class FilmOptions(NamedTuple):
    """What `hide` is told about films.

    Attributes:
        every: Look at each so-many-th frame; None for the default.
        video_codec: What they are written in; None for their own.
    """

    every: int | None
    video_codec: str | None

    @classmethod
    def taken(cls, given: dict[str, object]) -> FilmOptions:
        """Take these options out of what click made of a command line."""
        return _taken(cls, cls._fields, given)


class OutputOptions(NamedTuple):
    """What `hide` alone is told: where copies go, and what is drawn by hand.

    Attributes:
        out: A folder, a file, or None for beside the source.
        in_place: They take their sources' places.
        force: They replace what is there.
        boxes: Where further copies with boxes go, if anywhere.
        quality: Of lossy formats; None for the source's.
        also: Boxes to hide.
        keep: Boxes to leave alone.
        films: What is said about films.
    """

    out: Path | None
    in_place: bool
    force: bool
    boxes: Path | None
    quality: int | None
    also: Sequence[Box]
    keep: Sequence[Box]
    films: FilmOptions


class WatchOptions(NamedTuple):
    """What `watch` alone is told; see its options."""

    inbox: Path
    out: Path
    failed: Path
    originals: str | Path
    settle: float
    rescan: float
    attempts: int
    once: bool
    health: Path | None


def _taken(kind: Callable[..., _T], names: Iterable[str], given: dict[str, object]) -> _T:
    """The one place where options have no types yet: click's parameters say what they convert to."""
    return kind(**{name: given.pop(name) for name in names})
