"""What a `Censor` does with what moves: films and animations, as files and live."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from censor.equipment import Equipped
from censor.manual import boxes_of
from censor.media.writing import room_for, write_atomic
from censor.timing import timed
from censor.verdict import Level, Verdict
from detect.pictures.still import Source

if TYPE_CHECKING:
    from censor.first_pass import Progress
    from censor.live import Live, LiveFrame
    from censor.plan import Plan
    from censor.timeline import CensoredAnimation, CheckedAnimation

__all__ = ["InTime"]


class InTime(Equipped):
    """The methods of `Censor` for what moves; a class by itself for the length of its file alone."""

    def check_medium(
        self,
        source: Source,
        *,
        every: int | None = None,
        first: bool = False,
        progress: Progress | None = None,
    ) -> CheckedAnimation:
        """Judge something that moves, by its frames, without changing it.

        Args:
            source: A path, an encoded film or GIF, WebP, PNG, AVIF or HEIF of several frames, or a binary file object.
            every: Look at each so-many-th frame, and at the first and the last of each shot; by default at about eight
                a second of a film, and at each of an animation.
            first: Stop at the first frame that is NSFW: the film is, whatever follows.
            progress: Told of frames that are done, and of how many there are; 0 where nobody knows.

        Raises:
            PolicyError: As for `require_verdict`.
            CensorError: A frame could not be judged, or the extra `video` is missing.
            DetectError: It is neither animation nor film, a frame could not be decoded, or the network failed.
            TypeError: `source` is pixels or a Pillow image.
            ValueError: `every` is below 1.
        """
        self.require_verdict()
        from censor import moving  # few inputs move

        opened = moving.open_moving(source, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        with closing(opened) as medium:
            enough = _is_nsfw if first else None
            return moving.check_medium(
                medium, self._networks, self.policy, every=every, enough=enough, progress=progress
            )

    def apply_medium(  # noqa: PLR0913  # what options of the command say
        self,
        source: Source,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        also: Iterable[Sequence[float]] = (),
        keep: Iterable[Sequence[float]] = (),
        plan: Plan | None = None,
        format: str | None = None,  # noqa: A002  # Pillow's own word
        quality: int | None = None,
        overwrite: bool = False,
        every: int | None = None,
        codec: str | None = None,
        progress: Progress | None = None,
    ) -> CensoredAnimation:
        """Censor something that moves into a file, which is written whole or not at all.

        What is found in some frames is hidden in all in between and around; a mosaic goes with what it hides, and shows
        no more of it in a hundred frames than in one.

        Args:
            source: As for `check_medium`.
            target: Where it goes: a path, or a binary file that can be written, read and sought in, and is of no use
                after an error.
            also: Boxes to hide in every frame, as for `apply`.
            keep: Boxes to leave alone in every frame, as for `apply`.
            plan: As for `apply`.
            format: "GIF", "PNG", "WEBP" or "AVIF", or the film's own. By default what the suffix of `target` says, else
                that of the source.
            quality: As `censor.media.encoding.encode` takes it; of a film 1-100 along its encoder's scale.
            overwrite: Replace `target` if it is there, as one step.
            every: As for `check_medium`.
            codec: "h264", "hevc", "vp9" or "av1", for films; by default the film's own.
            progress: As for `check_medium`; every frame counts twice.

        Raises:
            BoxError: A box lies wholly outside the frames.
            CensorError: A frame could not be judged or censored, the output could not be written, or the extra `video`
                is missing.
            DetectError: As for `check_medium`.
            TypeError: As for `check_medium`.
            ValueError: As for `apply`, or a quality out of range, or a codec that the film's container does not hold.
        """
        from censor import moving
        from censor.media.film_kinds import FILMS, named_format

        path = target if isinstance(target, str | os.PathLike) else None
        named = None if path is None else named_format(path)
        checked = self._planned(source, plan, also, keep)
        opened = moving.open_moving(checked, max_bytes=self._max_bytes, max_pixels=self._max_pixels, codec=codec)
        with closing(opened) as medium, room_for(target, large=medium.format in FILMS) as out:
            done = moving.apply_medium(
                medium, out, self._networks, self.policy, sticker=self._sticker,
                again=self._recheck or plan is not None, format=format or named, quality=quality,
                also=boxes_of(also, "also"), keep=boxes_of(keep, "keep"), every=every, progress=progress, planned=plan,
            )  # fmt: skip
            if path is not None:
                with timed(done.seconds, "write"):
                    write_atomic(path, out, overwrite=overwrite)
        return done

    def frames(
        self, source: str | os.PathLike[str] | Live, *, delay: float = 0.25, hide_unjudged: bool = False
    ) -> Iterator[LiveFrame]:
        """Censor frames as they come: from a camera, or from whatever gives them with their times.

        Every frame is looked at, and again when it is hidden in. What is found in one is hidden in those of the quarter
        of a second after it, and in those before it that still wait. All is hidden by solid colour: a mosaic that moves
        would tell more with every frame.

        Less is promised than of a file. Nobody knows what comes later than `delay`: a thing is not hidden before that
        where it is found late, is not followed where it is lost for longer than a quarter of a second, and what has
        been given out cannot be taken back. Where everything is there already, `apply_medium` hides more.

        Args:
            source: The second and the RGB pixels of each frame, uint8 (H, W, 3), one after the other, all of one size;
                or the path of a film or an animation.
            delay: Seconds by which frames come later than they were given, at most 64 frames.
            hide_unjudged: Give a frame that could not be judged or hidden in as one that is black all over. By default
                that is an error, and nothing more comes.

        Returns:
            As many frames as there were, in their order.

        Raises:
            ValueError: `delay` is negative.
            CensorError: A frame could not be judged or censored.
            DetectError: It could not be decoded, its size is another, its time does not follow, or a network failed.
        """
        if delay < 0:
            raise ValueError(f"delay must be 0 or more, not {delay}")
        from censor.live import censored_frames

        return censored_frames(
            source, self._networks, self.policy, delay=delay, hide_unjudged=hide_unjudged,
            max_bytes=self._max_bytes, max_pixels=self._max_pixels,
        )  # fmt: skip


def _is_nsfw(verdict: Verdict) -> bool:
    return verdict.level is Level.NSFW
