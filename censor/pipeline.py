"""Detect, judge, hide, and look again: the whole way of one picture, in memory or from file to file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from censor.errors import DetectorError, PolicyError, RecheckError
from censor.files import encode, write_atomic
from censor.policy import Policy
from censor.policy_toml import load_policy
from censor.redact import Frame, Hidden, Redaction, load_sticker, paint, plan
from censor.verdict import Verdict, judge
from censor.views import Canvas, Views, upright, views_of
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.load import load_detector
from detect.pictures.formats import format_of
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Picture, Source, decode
from detect.reduction import reduction
from detect.tiling import joined, lowest_score

__all__ = ["Censor", "Censored", "Checked", "Hidden"]

_TRIES = 3
"""Looks at the output: what the first finds is hidden as the policy says, what the second finds is hidden solid, and
if the third finds anything there is no output."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """What was found in a picture.

    Attributes:
        detections: All the detector's boxes, those that no rule names too.
        width: The upright picture's columns.
        height: Its rows.
        seconds: Time by stage.
    """

    detections: Detections
    width: int
    height: int
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Checked(_Found):
    """What was found in a picture, and what it is.

    Attributes:
        verdict: The judgement, with reasons.
    """

    verdict: Verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class Censored(_Found):
    """A censored picture and what was found in the original.

    Attributes:
        verdict: The judgement on the original, with reasons; None if the policy hides, but has no rule for a verdict
            about anything that the detector reports. That is not "safe": nobody has looked.
        picture: The censored pixels with the format and colour profile of the source.
        hidden: What was hidden, in the order it was painted.
    """

    verdict: Verdict | None
    picture: Picture
    hidden: tuple[Hidden, ...]

    @property
    def image(self) -> NDArray[np.uint8]:
        """The censored pixels: uint8 (H, W, 3) RGB, or (H, W, 4) RGBA if the source had transparency."""
        return self.picture.pixels


class Censor:
    """Hides in pictures what a policy says must not be shown.

    May be called from several threads; keeps no state between pictures. Whatever goes wrong raises, and then there is
    neither a picture nor a verdict.
    """

    def __init__(
        self,
        *,
        policy: Policy | str | os.PathLike[str] = "default",
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
        """
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
            CensorError: It could not be decoded or judged.
            DetectError: The network failed.
        """
        self.policy.require(self.detector.names, judging=True)
        seconds: dict[str, float] = {}
        with _timed(seconds, "decode"):
            picture = self._decode(source, spare=None if whole else partial(reduction, self.detector))
        found, _, _ = self._find(picture, seconds)
        return Checked(
            verdict=self._judge(found, picture),
            detections=found,
            width=picture.width,
            height=picture.height,
            seconds=seconds,
        )

    def apply(self, source: Source) -> Censored:
        """Censor a picture in memory; the source is left alone.

        Args:
            source: A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels.

        Raises:
            CensorError: It could not be decoded, judged or censored.
            DetectError: The network failed.
        """
        return self._apply(source)[0]

    def _apply(
        self, source: Source, encode_it: Callable[[Picture], bytes] | None = None
    ) -> tuple[Censored, bytes | None]:
        """The second value is the encoded result if it was begun early and the second look has found nothing more."""
        seconds: dict[str, float] = {}
        with _timed(seconds, "decode"):
            picture = self._decode(source)
            pixels = picture.pixels
            if isinstance(source, np.ndarray) or not pixels.flags.writeable:
                picture = replace(picture, pixels=pixels.copy())
        found, visible, looks = self._find(picture, seconds)
        canvas = Canvas(picture.pixels)
        redactions = plan(visible, self.policy, _frame(picture))
        with _timed(seconds, "hide"):
            self._paint(canvas, redactions)
        picture = replace(picture, beneath=None, readings=())
        data = None
        if self._recheck and redactions:
            first = len(redactions)
            with ThreadPoolExecutor(1) as pool:
                early = [pool.submit(encode_it, picture)] if encode_it is not None and self._overlap else []
                with _timed(seconds, "recheck"):
                    redactions = self._look_again(
                        picture, canvas, looks, redactions, before_painting=partial(wait, early)
                    )
                if early and len(redactions) == first:
                    with _timed(seconds, "encode"):
                        data = early[0].result()
        done = Censored(
            verdict=self._judge(found, picture) if self.policy.judges(self.detector.names) else None,
            detections=found,
            width=picture.width,
            height=picture.height,
            seconds=seconds,
            picture=picture,
            hidden=tuple(each.hidden for each in redactions),
        )
        return done, data

    def apply_file(
        self,
        source: Source,
        target: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002  # Pillow's own word
        quality: int | None = None,
        overwrite: bool = False,
    ) -> Censored:
        """Censor a picture into a file, written whole or not at all.

        Args:
            source: As for `apply`.
            target: Where it goes.
            format: "JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP" or "GIF". By default what the suffix of
                `target` says; without one that of the source, and PNG for bare pixels.
            quality: As `censor.files.encode` takes it.
            overwrite: Replace `target` if it is there, as one step.

        Raises:
            CensorError: As for `apply`, or the output could not be written.
            DetectError: The network failed.
        """

        def encode_it(picture: Picture) -> bytes:
            kind = format or format_of(target) or picture.format or "PNG"
            return encode(picture, format=kind, quality=quality)

        done, data = self._apply(source, encode_it)
        if data is None:
            with _timed(done.seconds, "encode"):
                data = encode_it(done.picture)
        with _timed(done.seconds, "write"):
            write_atomic(target, data, overwrite=overwrite)
        return done

    def _decode(self, source: Source, *, spare: Callable[[int, int], int] | None = None) -> Picture:
        return decode(source, max_bytes=self._max_bytes, max_pixels=self._max_pixels, spare=spare)

    def _find(self, picture: Picture, seconds: dict[str, float]) -> tuple[Detections, Detections, Views]:
        """All there is to judge, what of it must be hidden, and the looks.

        What other viewers show counts, and is hidden where they show it. Colours beneath full transparency count too,
        but they are gone from the output.
        """
        with _timed(seconds, "detect"):
            looks = Views.at(picture, self.detector)
            visible = self._detect(looks, picture)
            if picture.readings:
                seen = [upright(self._detect_view(view, picture.name), each) for each in picture.readings
                        for view in views_of(each.pixels)]  # fmt: skip
                visible = joined(Detections.concatenate([visible, *seen]))
            found = visible
            if picture.beneath is not None:
                found = joined(Detections.concatenate([found, self._detect_view(picture.beneath, picture.name)]))
        return found, visible, looks

    def _judge(self, found: Detections, picture: Picture) -> Verdict:
        return judge(found, self.policy, width=picture.width, height=picture.height)

    def _detect(self, looks: Views, picture: Picture) -> Detections:
        found = [self._detect_view(view, picture.name) for view in looks]  # one at a time: each may be 300 MB
        return looks.restore(found[0] if len(found) == 1 else joined(Detections.concatenate(found)), picture)

    def _detect_view(self, view: RGBImage, name: str) -> Detections:
        try:
            found = self.detector.detect([view])
        except DetectError as error:
            raise type(error)(f"{name}: {error}") from error
        except Exception as error:
            raise DetectorError(f"{name}: the detector failed: {type(error).__name__}: {error}") from error
        if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], Detections):
            raise DetectorError(f"{name}: the detector must answer a list of one Detections for each image")
        if found[0].names != self.detector.names:
            raise DetectorError(f"{name}: the detector must answer Detections with its own names")
        return found[0]

    def _paint(self, canvas: Canvas, redactions: Sequence[Redaction]) -> None:
        """Paint onto the original, which the canvas keeps a copy of where it is painted over."""
        pixels = canvas.begin([each.region for each in redactions])
        paint(pixels, redactions, self.policy, sticker=self._sticker)

    def _look_again(
        self,
        picture: Picture,
        canvas: Canvas,
        looks: Views,
        redactions: list[Redaction],
        *,
        before_painting: Callable[[], object],
    ) -> list[Redaction]:
        """Detect on the output until nothing is left that should be hidden, and return all that was.

        A box that lies wholly where nothing of the picture is left (under solid colour or a sticker) shows nothing, and
        is passed over: a smiling sticker may well be found to be a face.
        """
        for attempt in range(1, _TRIES + 1):
            looks.refresh(picture.pixels, canvas.window)
            again = self._detect(looks, picture)
            effect = None if attempt == 1 else "solid"
            blank = _blank(picture, redactions)
            fresh = [
                each
                for each in plan(again, self.policy, _frame(picture), rechecked=True, effect=effect)
                if not each.region.within(blank)
            ]
            if not fresh:
                return redactions
            if attempt < _TRIES:
                redactions = [*redactions, *fresh]
                before_painting()  # nobody reads pixels that change
                self._paint(canvas, redactions)
        left = ", ".join(f"{each.hidden.label} {each.hidden.score:.2f}" for each in fresh)
        raise RecheckError(f"{picture.name}: after {_TRIES} looks at the output the detector still finds {left}")


def _frame(picture: Picture) -> Frame:
    return Frame(width=picture.width, height=picture.height, blocks=picture.blocks)


def _blank(picture: Picture, redactions: Sequence[Redaction]) -> NDArray[np.bool_]:
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for each in redactions:
        if each.hidden.effect in ("solid", "sticker"):
            each.region.mark(mask)
    return mask


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
