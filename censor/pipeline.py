"""Detect, judge, hide, and look again: the whole way of one picture, in memory or from file to file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from censor.errors import PolicyError, RecheckError
from censor.files import encode, output_format, write_atomic
from censor.finding import detect_again, find
from censor.manual import boxes_of
from censor.policy import Policy
from censor.policy_toml import load_policy
from censor.redact import Evidence, Frame, Redaction, kept, load_sticker, paint, plan
from censor.results import Censored, Checked
from censor.timing import timed
from censor.verdict import Verdict, judge
from censor.views import Canvas, Views
from detect.detections import Detections, Detector
from detect.load import load_detector
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Picture, Source, decode
from detect.reduction import reduction
from detect.tiling import joined, lowest_score

__all__ = ["Censor", "Censored", "Checked", "Redaction"]

_TRIES = 3
"""Looks at the output: what the first finds is hidden as the policy says, what the second finds is hidden solid, and
if the third finds anything there is no output."""


class Censor:
    """Hides in pictures what a policy says must not be shown.

    May be called from several threads; keeps no state between pictures. Whatever goes wrong raises, and then there is
    neither a picture nor a verdict.
    """

    def __init__(
        self,
        policy: Policy | str | os.PathLike[str] = "default",
        *,
        detector: Detector | None = None,
        recheck: bool = True,
        overlap: bool = False,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Bring a policy and a detector together.

        Args:
            policy: A `Policy`, the name of a preset, or the path of a TOML file.
            detector: By default the one that `load_detector` picks, reporting down to the policy's lowest threshold.
            recheck: Look at the output again, and hide what is still found.
            overlap: Have `apply_file` encode meanwhile, in a second thread: for one picture at a time and a core to
                spare. If the look finds anything, that was in vain.
            max_bytes: Cap on an encoded picture.
            max_pixels: Cap on width times height.

        Raises:
            PolicyError: The policy is not valid, or this detector cannot serve it.
            UnknownLabelError: The policy names a label that nobody knows.
            WeightsError: There is no detector to load.
            TypeError: `policy` or `detector` is something else.
        """
        if not isinstance(policy, Policy | str | os.PathLike):
            expected = "a Policy, the name of a preset, or the path of a TOML file"
            raise TypeError(f"policy must be {expected}, not {type(policy).__name__}: {policy!r}")
        if detector is not None and not isinstance(detector, Detector):
            raise TypeError(f"detector must have `names` and `detect(images)`, and {type(detector).__name__} has not")
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self.detector = load_detector(min_score=self.policy.lowest) if detector is None else detector
        self.policy.require(self.detector.names)
        if (floor := lowest_score(self.detector)) > self.policy.lowest:
            raise PolicyError(
                f"policy {self.policy.name!r} acts on scores from {self.policy.lowest:g}, but the detector reports "
                f"none below {floor:g}; load it with a min_score that low"
            )
        self._sticker = load_sticker(self.policy)
        self._recheck, self._overlap = recheck, overlap
        self._max_bytes, self._max_pixels = max_bytes, max_pixels

    def check(self, source: Source, *, whole: bool = False) -> Checked:
        """Judge a picture without changing it.

        Args:
            source: As for `apply`.
            whole: Decode all pixels of a JPEG, as `apply` does, in half as much time again. By default it is decoded no
                larger than the detector looks at; of a file made to deceive, that may show something else than the
                whole does, since levels are cut off at black and white before they are averaged or after.

        Raises:
            PolicyError: The policy has no rule for a verdict about anything that this detector reports.
            CensorError: It could not be judged.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in.
        """
        self.policy.require(self.detector.names, judging=True)
        seconds: dict[str, float] = {}
        with timed(seconds, "decode"):
            picture = self._decode(source, spare=None if whole else partial(reduction, self.detector))
        with timed(seconds, "detect"):
            boxes = find(picture, self.detector).boxes
        return Checked(
            verdict=self._judge(boxes, picture),
            detections=boxes,
            width=picture.width,
            height=picture.height,
            seconds=seconds,
        )

    def apply(
        self, source: Source, *, also: Iterable[Sequence[float]] = (), keep: Iterable[Sequence[float]] = ()
    ) -> Censored:
        """Censor a picture in memory; the source is left alone.

        Args:
            source: A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels.
            also: Boxes to hide whatever is found, ``(x0, y0, x1, y1)`` in pixels of the upright picture: with effect
                and shape of the policy's base rule, and not expanded.
            keep: Boxes to leave alone. What any look finds is passed over if every pixel that its box touches lies in
                one of them; what reaches beyond is hidden whole. It still counts for the verdict. `also` wins.

        Raises:
            BoxError: A box lies wholly outside the picture.
            CensorError: It could not be judged or censored.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in.
            ValueError: A box is not four finite numbers with ``x0 < x1`` and ``y0 < y1``.
        """
        return self._apply(source, also, keep)[0]

    def apply_file(
        self,
        source: Source,
        target: str | os.PathLike[str],
        *,
        also: Iterable[Sequence[float]] = (),
        keep: Iterable[Sequence[float]] = (),
        format: str | None = None,  # noqa: A002  # Pillow's own word
        quality: int | None = None,
        overwrite: bool = False,
    ) -> Censored:
        """Censor a picture into a file, written whole or not at all.

        Args:
            source: As for `apply`.
            target: Where it goes.
            also: Boxes to hide, as for `apply`.
            keep: Boxes to leave alone, as for `apply`.
            format: As for `Censored.save`.
            quality: As `censor.files.encode` takes it.
            overwrite: Replace `target` if it is there, as one step.

        Raises:
            CensorError: As for `apply`, or the output could not be written.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in.
            ValueError: As for `apply`, or an unknown format, or a quality out of range.
        """

        def encode_it(picture: Picture) -> bytes:
            return encode(picture, format=output_format(picture, target=target, format=format), quality=quality)

        done, data = self._apply(source, also, keep, encode_it)
        if data is None:
            with timed(done.seconds, "encode"):
                data = encode_it(done.picture)
        with timed(done.seconds, "write"):
            write_atomic(target, data, overwrite=overwrite)
        return done

    def _apply(
        self,
        source: Source,
        also: Iterable[Sequence[float]],
        keep: Iterable[Sequence[float]],
        encode_it: Callable[[Picture], bytes] | None = None,
    ) -> tuple[Censored, bytes | None]:
        """The second value is the encoded result if it was begun early and the second look has found nothing more."""
        drawn = {"also": boxes_of(also, "also"), "keep": boxes_of(keep, "keep")}
        seconds: dict[str, float] = {}
        with timed(seconds, "decode"):
            picture = self._decode(source)
            frame = Frame.of(picture, **drawn)
            if isinstance(source, np.ndarray) or not picture.pixels.flags.writeable:
                picture = replace(picture, pixels=picture.pixels.copy())
        with timed(seconds, "detect"):
            found = find(picture, self.detector)
        evidence = Evidence(boxes=found.visible)
        redactions, passed_over = plan(evidence, self.policy, frame), kept(evidence, self.policy, frame)
        canvas = Canvas(picture.pixels)
        with timed(seconds, "hide"):
            self._paint(canvas, redactions)
        shown, data = replace(picture, beneath=None, readings=()), None
        if self._recheck and redactions:
            first = len(redactions)
            with ThreadPoolExecutor(1) as pool:
                early = [pool.submit(encode_it, shown)] if encode_it is not None and self._overlap else []
                with timed(seconds, "recheck"):
                    redactions, more = self._look_again(
                        shown, frame, canvas, found.views, redactions, before_painting=partial(wait, early)
                    )
                passed_over = joined(Detections.concatenate([passed_over, *more])) if any(more) else passed_over
                if early and len(redactions) == first:
                    with timed(seconds, "encode"):
                        data = early[0].result()
        done = Censored(
            verdict=self._judge(found.boxes, picture) if self.policy.judges(self.detector.names) else None,
            detections=found.boxes,
            width=picture.width,
            height=picture.height,
            seconds=seconds,
            picture=shown,
            redactions=tuple(redactions),
            kept=passed_over,
        )
        return done, data

    def _decode(self, source: Source, *, spare: Callable[[int, int], int] | None = None) -> Picture:
        return decode(source, max_bytes=self._max_bytes, max_pixels=self._max_pixels, spare=spare)

    def _judge(self, found: Detections, picture: Picture) -> Verdict:
        return judge(Evidence(boxes=found), self.policy, width=picture.width, height=picture.height)

    def _paint(self, canvas: Canvas, redactions: Sequence[Redaction]) -> None:
        """Paint onto the original, which the canvas keeps a copy of where it is painted over."""
        pixels = canvas.begin([each.region for each in redactions])
        paint(pixels, redactions, self.policy, sticker=self._sticker)

    def _look_again(
        self,
        picture: Picture,
        frame: Frame,
        canvas: Canvas,
        views: Views,
        redactions: list[Redaction],
        *,
        before_painting: Callable[[], object],
    ) -> tuple[list[Redaction], list[Detections]]:
        """Detect on the output until nothing is left that should be hidden.

        A box that lies wholly where nothing of the picture is left (under solid colour or a sticker) shows nothing, and
        is passed over: a smiling sticker may well be found to be a face.

        Returns:
            All that was hidden, and what each look found in boxes to be left alone.
        """
        frame, passed_over = replace(frame, also=()), []
        for attempt in range(1, _TRIES + 1):
            views.refresh(picture.pixels, canvas.window)
            again = Evidence(boxes=detect_again(views, picture, self.detector))
            effect = None if attempt == 1 else "solid"
            blank = _blank(picture, redactions)
            wanted = plan(again, self.policy, frame, rechecked=True, effect=effect)
            fresh = [each for each in wanted if not each.region.within(blank)]
            passed_over.append(kept(again, self.policy, frame))
            if not fresh:
                return redactions, passed_over
            if attempt < _TRIES:
                redactions = [*redactions, *fresh]
                before_painting()  # nobody reads pixels that change
                self._paint(canvas, redactions)
        left = ", ".join(f"{each.label} {each.score:.2f}" for each in fresh)
        raise RecheckError(f"{picture.name}: after {_TRIES} looks at the output the detector still finds {left}")


def _blank(picture: Picture, redactions: Sequence[Redaction]) -> NDArray[np.bool_]:
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for each in redactions:
        if each.effect in ("solid", "sticker"):
            each.region.mark(mask)
    return mask
