"""Detect, judge, hide, and look again: the whole way of one picture, in memory or from file to file."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from censor.calibration import calibrated_evidence
from censor.censoring import censor_part
from censor.checking import check, check_together
from censor.finding import Found, networks_for, recall
from censor.in_pages import InPages
from censor.in_time import InTime
from censor.manual import Box, boxes_of
from censor.media.encoding import output_format
from censor.media.medium import Medium, Part
from censor.media.opening import Encoded, EncodedFilm, announced, open_medium, read_encoded, still_or_moving
from censor.media.writing import write_atomic
from censor.policy import Policy
from censor.policy_toml import load_policy
from censor.redact import Evidence, Frame, Redaction, load_sticker
from censor.results import Censored, Checked
from censor.timing import timed
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Picture, Source

if TYPE_CHECKING:
    from censor.plan import Plan

__all__ = ["Censor", "Censored", "Checked", "Redaction"]


class Censor(InTime, InPages):
    """Hides in pictures what a policy says must not be shown.

    May be called from several threads; keeps no state between pictures. Whatever goes wrong raises, and then there is
    neither a picture nor a verdict.
    """

    def __init__(
        self,
        policy: Policy | str | os.PathLike[str] = "default",
        *,
        detector: Detector | None = None,
        classifiers: Sequence[Classifier] | None = None,
        recheck: bool = True,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Bring a policy and networks together.

        Args:
            policy: A `Policy`, the name of a preset, or the path of a TOML file.
            detector: Takes the place of every model that finds boxes. By default the best that is here for each of the
                policy's labels, reporting down to its lowest threshold; see `censor.loading.load_networks`.
            classifiers: By default those that the policy counts, of the models that were added; ``()`` for none.
            recheck: Look at the output again, and hide what is still found.
            max_bytes: Cap on an encoded picture.
            max_pixels: Cap on width times height.

        Raises:
            DataFolderError: Nobody knows where models would be, and the policy needs them.
            PolicyError: The policy is not valid, or these networks cannot serve it.
            UnknownLabelError: The policy names a label that nobody knows.
            WeightsError: There is no detector and the policy does not hold without, or a model cannot be loaded.
            TypeError: `policy`, `detector` or a classifier is something else.
        """
        if not isinstance(policy, Policy | str | os.PathLike):
            expected = "a Policy, the name of a preset, or the path of a TOML file"
            raise TypeError(f"policy must be {expected}, not {type(policy).__name__}: {policy!r}")
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self._networks = networks_for(self.policy, detector, classifiers)
        self._sticker = load_sticker(self.policy)
        self._recheck = recheck
        self._max_bytes, self._max_pixels = max_bytes, max_pixels
        self._open = partial(open_medium, max_bytes=max_bytes, max_pixels=max_pixels)

    @property
    def detector(self) -> Detector | None:
        """What finds boxes; None where no model that does is here, and classifiers look alone."""
        return self._networks.detector

    @property
    def classifiers(self) -> tuple[Classifier, ...]:
        """What says how likely a picture as a whole is NSFW."""
        return self._networks.classifiers

    def asking(self, detector: Detector | None, classifiers: Sequence[Classifier]) -> Censor:
        """The same, but for who is asked.

        Args:
            detector: One that answers as this one's does, in another way; None where it has none.
            classifiers: As many that answer as its own do.
        """
        other, asked = copy.copy(self), replace(self._networks, detector=detector, classifiers=tuple(classifiers))
        other._networks = asked  # noqa: SLF001  # its own
        return other

    def require_verdict(self) -> None:
        """Check that there can be a verdict: `check` begins with it.

        Raises:
            PolicyError: The policy has no rule for a verdict about anything that these networks report.
        """
        self.policy.require(self._networks.names, judging=True, classifiers=self._networks.says)

    def check(self, source: Source, *, whole: bool = False) -> Checked:
        """Judge a picture without changing it.

        Args:
            source: As for `apply`.
            whole: Decode all pixels of a JPEG, as `apply` does, in half as much time again. By default it is decoded no
                larger than the detector looks at; of a file made to deceive, that may show something else than the
                whole does, since levels are cut off at black and white before they are averaged or after.

        Raises:
            PolicyError: As for `require_verdict`.
            CensorError: It could not be judged.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in.
        """
        self.require_verdict()
        return check(self._open(source), self._networks, self.policy, whole=whole)

    def check_together(self, sources: Sequence[Source], *, whole: bool = False) -> list[Checked | Exception]:
        """Judge several pictures in a fifth less time than one after the other: each network looks at all of them.

        Worth it for some eight small ones, or JPEGs, which are decoded small. What is found in one may differ by
        rounding from what `check` finds, where the engine computes batches in another order; OpenVINO on one thread
        does not.

        Args:
            sources: As for `apply`, each.
            whole: As for `check`.

        Returns:
            Of each in its turn what `check` returns, or what it raises.

        Raises:
            PolicyError: As for `require_verdict`.
        """
        self.require_verdict()
        return check_together(sources, self._open, self._networks, self.policy, whole=whole)

    def apply(
        self,
        source: Source,
        *,
        also: Iterable[Sequence[float]] = (),
        keep: Iterable[Sequence[float]] = (),
        plan: Plan | None = None,
    ) -> Censored:
        """Censor a picture in memory; the source is left alone.

        Args:
            source: A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels.
            also: Boxes to hide whatever is found, ``(x0, y0, x1, y1)`` in pixels of the upright picture: with effect
                and shape of the policy's base rule, and not expanded.
            keep: Boxes to leave alone. What any look finds is passed over if every pixel that its box touches lies in
                one of them; what reaches beyond is hidden whole. It still counts for the verdict. `also` wins.
            plan: What is hidden and left alone in the place of what is found; see `plan`. The look at the output
                follows in any case, and hides what it finds besides.

        Raises:
            BoxError: A box lies wholly outside the picture.
            PlanError: The plan is of another input, or was made under another policy or by other models.
            CensorError: It could not be judged or censored.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in, or there is a plan and it is no file's bytes.
            ValueError: A box is not four finite numbers with ``x0 < x1`` and ``y0 < y1``; or there are boxes beside a
                plan, where they belong.
        """
        return self._apply(self._open(self._planned(source, plan, also, keep)), also, keep, plan)

    def apply_known(self, picture: Picture, known: Evidence) -> Censored:
        """Censor a decoded picture of which the networks have said already what is in it; the output is looked at.

        Args:
            picture: All its pixels, or what is left of them after a reduction that `reduction` allows: then what comes
                back has those pixels alone. It is painted in place.
            known: What these networks said of the picture, in the pixels of the whole, before any calibration.

        Raises:
            CensorError: It could not be censored.
            DetectError: A network failed.
        """
        across, down = picture.pixels.shape[1] / picture.width, picture.pixels.shape[0] / picture.height
        whole = picture if picture.reduced is None else replace(picture, reduced=None, saving=None, blocks=None)
        scale = np.array((across, down, across, down), np.float32)
        known = replace(known, boxes=known.boxes.replace(xyxy=known.boxes.xyxy * scale))
        found = recall(whole, self._networks, calibrated_evidence(known, self.policy.calibrations))
        return self._censor(whole, Frame.of(whole), {}, found=found)

    def reduction(self, height: int, width: int) -> int:
        """How many times fewer rows and columns of a picture will do for all networks."""
        return self._networks.reduction(height, width)

    def apply_file(
        self,
        source: Source,
        target: str | os.PathLike[str],
        *,
        also: Iterable[Sequence[float]] = (),
        keep: Iterable[Sequence[float]] = (),
        plan: Plan | None = None,
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
            plan: As for `apply`.
            format: As for `Censored.save`.
            quality: As `censor.media.encoding.encode` takes it.
            overwrite: Replace `target` if it is there, as one step.

        Raises:
            CensorError: As for `apply`, or the output could not be written.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is nothing that a picture can come in.
            ValueError: As for `apply`, or an unknown format, or a quality out of range.
        """
        medium, out = self._open(self._planned(source, plan, also, keep)), io.BytesIO()
        done = self._apply(medium, also, keep, plan)
        with timed(done.seconds, "encode"):
            kind = output_format(done.picture, target=target, format=format)
            medium.write([Part(done.picture)], out, format=kind, quality=quality)
        with timed(done.seconds, "write"):
            write_atomic(target, out, overwrite=overwrite)
        return done

    def plan(
        self, source: Source, *, also: Iterable[Sequence[float]] = (), keep: Iterable[Sequence[float]] = ()
    ) -> Plan:
        """What would be hidden, to be looked at, changed, and applied: `apply` with it gives what it gives without.

        Args:
            source: A path, an encoded picture, animation, film or TIFF of pages, or a binary file object.
            also: Boxes to hide, as for `apply`.
            keep: Boxes to leave alone, as for `apply`.

        Raises:
            BoxError: A box lies wholly outside the picture.
            CensorError: It could not be judged or censored.
            DetectError: It could not be decoded, or the network failed.
            TypeError: `source` is pixels or a Pillow image, which a plan could not be bound to.
            ValueError: As for `apply`.
        """
        encoded = read_encoded(source, max_bytes=self._max_bytes)
        drawn, kept = boxes_of(also, "also"), boxes_of(keep, "keep")
        if isinstance(encoded, EncodedFilm):
            return self._plan_medium(encoded, drawn, kept)
        return still_or_moving(
            announced(encoded),
            still=lambda: self._plan_still(encoded, drawn, kept),
            moving=lambda: self._plan_medium(encoded.again(), drawn, kept),
            paged=lambda: self._plan_pages(encoded.again(), drawn, kept),
        )

    def _plan_still(self, encoded: Encoded, also: tuple[Box, ...], keep: tuple[Box, ...]) -> Plan:
        from censor.planning import plan_of_still

        done = self._apply(self._open(encoded), also, keep)
        return plan_of_still(encoded, done.picture, done.redactions, keep, policy=self.policy, models=self.models)

    def _plan_medium(self, encoded: Encoded | EncodedFilm, also: tuple[Box, ...], keep: tuple[Box, ...]) -> Plan:
        from censor.moving import open_moving, plan_medium

        with closing(open_moving(encoded, max_bytes=self._max_bytes, max_pixels=self._max_pixels)) as medium:
            return plan_medium(
                medium, encoded, self._networks, self.policy, models=self.models,
                sticker=self._sticker, again=self._recheck, also=also, keep=keep,
            )  # fmt: skip

    def _apply(
        self,
        medium: Medium,
        also: Iterable[Sequence[float]],
        keep: Iterable[Sequence[float]],
        planned: Plan | None = None,
    ) -> Censored:
        """Censor the one part of a medium."""
        drawn = {"also": boxes_of(also, "also"), "keep": boxes_of(keep, "keep")}
        seconds: dict[str, float] = {}
        with timed(seconds, "decode"):
            (part,) = medium.parts()
            picture = part.to_paint()
        frame = Frame.of(picture, **drawn) if planned is None else planned.frame(picture)
        return self._censor(picture, frame, seconds, planned=planned)

    def _censor(
        self,
        picture: Picture,
        frame: Frame,
        seconds: dict[str, float],
        *,
        found: Found | None = None,
        planned: Plan | None = None,
    ) -> Censored:
        return censor_part(
            picture, frame, seconds, networks=self._networks, policy=self.policy, sticker=self._sticker,
            again=self._recheck or planned is not None, found=found,
            planned=None if planned is None else planned.redactions(frame),
        )  # fmt: skip
