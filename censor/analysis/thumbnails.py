"""Small pictures for pages, never uncensored: what cannot be hidden for sure is not shown."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from censor.errors import CensorError, PolicyError
from censor.finding import Networks
from censor.pipeline import Censor
from censor.plan import Plan
from censor.policy import Policy
from detect.detections import RGBImage
from detect.errors import DetectError, UnknownLabelError
from detect.pictures.color import settled_srgb
from detect.pictures.rgb import on_white
from detect.pictures.still import Source
from detect.runtime.letterbox import shrink

__all__ = ["Thumbnail", "censored_thumbnail", "thumbnail_censor"]

_GRAY = 128
_EVERYWHERE = (0.0, 0.0, 1e7, 1e7)
"""A box around any picture that can be decoded."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, nothing of it uncensored; plain gray where nothing can be shown.
        refused: Why nothing is shown; None where something is.
    """

    pixels: RGBImage
    refused: str | None = None

    def encode(self) -> bytes:
        """As a JPEG file."""
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "JPEG", quality=80)
        return stream.getvalue()


def thumbnail_censor(networks: Networks, policy: Policy, *, max_bytes: int, max_pixels: int) -> tuple[Censor, bool]:
    """Who censors thumbnails: the preset `strict`, which hides most.

    Args:
        networks: Who looks.
        policy: What goes in the preset's place where these networks cannot serve it.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.

    Returns:
        What hides; and whether each picture must be hidden from edge to edge, since the preset could not be served.

    Raises:
        PolicyError: The networks cannot serve `policy` either.
    """

    def censor(chosen: Policy | str) -> Censor:
        detector, classifiers = networks.detector, networks.classifiers
        return Censor(chosen, detector=detector, classifiers=classifiers, max_bytes=max_bytes, max_pixels=max_pixels)

    try:
        return censor("strict"), False
    except (PolicyError, UnknownLabelError):
        return censor(policy), True


def censored_thumbnail(
    source: Source, censor: Censor, *, side: int = 240, whole: bool = False, plan: Plan | None = None
) -> Thumbnail:
    """Censor a picture and make it small.

    It is censored in its own size, where finds are best, and shrunk afterwards.

    Args:
        source: As for `Censor.apply`.
        censor: What hides.
        side: The longer side at most, in pixels.
        whole: Hide the picture from edge to edge, whatever is found: for one that people call NSFW although the product
            finds nothing to hide in it.
        plan: What is hidden instead of what is found, as for `Censor.apply`; None with `whole`.

    Returns:
        The picture, or plain gray with the reason where there is no censored one.
    """
    try:
        done = censor.apply(source, also=[_EVERYWHERE] if whole else [], plan=plan)
    except (CensorError, DetectError) as error:
        return Thumbnail(np.full((side * 3 // 4, side, 3), _GRAY, np.uint8), str(error))
    shown = on_white(done.picture)
    if done.picture.icc is not None:
        shown = settled_srgb(shown, done.picture.icc)
    factor = min(1.0, side / max(shown.shape[:2]))
    rows, columns = (max(1, round(length * factor)) for length in shown.shape[:2])
    return Thumbnail(shrink(shown, rows=rows, columns=columns))
