"""What comes of a picture, and what can be done with it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from censor.media.encoding import output_format
from censor.media.medium import Part
from censor.media.still import write_still
from censor.media.writing import write_atomic
from censor.redact import Redaction
from censor.verdict import Verdict
from detect.classifier.scores import Scores
from detect.detections import Detections
from detect.pictures.still import Picture

__all__ = ["Censored", "Checked", "Result"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What was found in a picture.

    Attributes:
        detections: All the detector's boxes, those that no rule names too.
        width: The upright picture's columns.
        height: Its rows.
        scores: Each classifier's answer by its name, with heat where it counted; empty where none was asked.
        seconds: Time by stage.
    """

    detections: Detections
    width: int
    height: int
    scores: Mapping[str, Scores] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Checked(Result):
    """What was found in a picture, and what it is.

    Attributes:
        verdict: The judgement, with reasons.
    """

    verdict: Verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class Censored(Result):
    """A censored picture and what was found in the original.

    Attributes:
        verdict: The judgement on the original, with reasons; None if the policy hides, but has no rule for a verdict
            about anything that the detector reports. That is not "safe": nobody has looked.
        picture: The censored pixels with the format and colour profile of the source.
        redactions: What was hidden, in the order it was planned.
        kept: What would have been hidden, but lies wholly in a box to be left alone. Of heat it is the box around it,
            with the label `NSFW_REGION` and its classifier's probability. What several looks found in one place is one
            box around all.
        unhidden: What makes a picture NSFW under the policy, and is not hidden: see `Policy.unhidden`.
    """

    verdict: Verdict | None
    picture: Picture
    redactions: tuple[Redaction, ...]
    kept: Detections
    unhidden: tuple[str, ...] = ()

    @property
    def image(self) -> NDArray[np.uint8]:
        """The censored pixels: uint8 (H, W, 3) RGB, or (H, W, 4) RGBA if the source had transparency."""
        return self.picture.pixels

    def encode(
        self,
        format: str | None = None,  # noqa: A002  # Pillow's own word
        quality: int | None = None,
    ) -> bytes:
        """The censored picture as a file's bytes, with nothing of the source's file in it.

        Args:
            format: Name of one of `detect.pictures.formats.FORMATS`, such as "JPEG". By default that of the source, and
                PNG for bare pixels.
            quality: As `censor.media.encoding.encode` takes it.

        Raises:
            WriteError: The format cannot hold it.
            ValueError: An unknown format, or a quality out of range.
        """
        out = io.BytesIO()
        write_still([Part(self.picture)], out, format=output_format(self.picture, format=format), quality=quality)
        return out.getvalue()

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        quality: int | None = None,
        format: str | None = None,  # noqa: A002
    ) -> None:
        """Write the censored picture, whole or not at all.

        Args:
            path: Where it goes.
            overwrite: Replace what is there, as one step.
            quality: As `censor.media.encoding.encode` takes it.
            format: As for `encode`, but by default what the suffix of `path` says, if it says anything.

        Raises:
            OutputExistsError: `path` is there, and `overwrite` is false.
            WriteError: The format cannot hold it, or it could not be written.
            ValueError: An unknown format, or a quality out of range.
        """
        data = self.encode(output_format(self.picture, target=path, format=format), quality)
        write_atomic(path, data, overwrite=overwrite)
