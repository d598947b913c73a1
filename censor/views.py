"""What networks look at: a picture, and the same picture after painting, without shrinking all of it twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.anchors import Anchors
from censor.policy import Policy
from censor.redact import Redaction, paint
from detect import boxes
from detect.classifier.scores import Scores
from detect.detections import Detections, RGBImage
from detect.pictures.alpha import over
from detect.pictures.still import Picture, Reading
from detect.reduction import reduced

__all__ = ["Canvas", "Views", "Window", "turned", "upright", "views_of"]

Window = tuple[slice, slice]
"""Rows and columns of a picture."""

_CELL, _GLASSY = 16, 0.5
"""Pixels along a cell, and the share of them that are partly transparent where it is an area and no smooth edge."""


class Canvas:
    """Pixels that are painted in place: one picture in memory, not two.

    Attributes:
        window: What has been painted lies in here.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        policy: Policy,
        *,
        sticker: NDArray[np.uint8] | None = None,
        anchors: Anchors | None = None,
    ) -> None:
        """Nothing is painted yet; how it will be is as `paint` takes it."""
        self._pixels, self._policy, self._sticker, self._anchors = pixels, policy, sticker, anchors
        self.window: Window = (slice(0, 0), slice(0, 0))
        self._original = pixels[self.window].copy()

    def paint(self, redactions: Sequence[Redaction]) -> None:
        """Paint these, and nothing else, onto the pixels as they came, of which a copy is kept where they change."""
        self._pixels[self.window] = self._original
        regions = [each.region for each in redactions]
        if regions:
            rows = slice(min(each.y0 for each in regions), max(each.y1 for each in regions))
            columns = slice(min(each.x0 for each in regions), max(each.x1 for each in regions))
            self.window = (rows, columns)
            self._original = self._pixels[self.window].copy()
        paint(self._pixels, redactions, self._policy, sticker=self._sticker, anchors=self._anchors)


class Views:
    """The views of a picture that networks look at.

    With transparency there is more than one thing that somebody may see: the colours as they are once a careless
    program drops the transparency, and laid on a light page or a dark one. A body may show in any of them and not in
    the others. Without it there is one, and it is reduced as far as they allow, so that a second look has
    to reduce anew only what was painted.
    """

    def __init__(self, pixels: NDArray[np.uint8], factor: int) -> None:
        """Views of pixels that have `factor` times fewer rows and columns than the picture."""
        self._pixels, self._factor = pixels, factor

    @classmethod
    def at(cls, picture: Picture, reduction: Callable[[int, int], int]) -> Views:
        """The views of a picture, which may have been reduced in decoding.

        Args:
            picture: The picture.
            reduction: How many times fewer rows and columns will do for all that look, given those that there are.
        """
        pixels = picture.pixels
        if picture.reduced is not None:
            return cls(pixels, picture.reduced[2])
        factor = reduction(picture.height, picture.width) if pixels.shape[2] == 3 else 1
        return cls(reduced(pixels, factor), factor)

    def __iter__(self) -> Iterator[RGBImage]:
        """One view after the other: each may take 300 MB."""
        return views_of(self._pixels)

    def refresh(self, pixels: NDArray[np.uint8], window: Window) -> None:
        """Take over what was painted onto the whole picture inside a window."""
        if self._factor == 1:
            return  # the same pixels
        factor = self._factor
        rows, columns = (slice(side.start // factor, -(-side.stop // factor)) for side in window)
        whole = pixels[rows.start * factor : rows.stop * factor, columns.start * factor : columns.stop * factor]
        self._pixels[rows, columns] = reduced(whole, factor)

    def restore(self, found: Detections, picture: Picture) -> Detections:
        """Boxes in what was looked at to boxes in the whole picture."""
        if self._factor == 1:
            return found
        xyxy = boxes.clip(found.xyxy * np.float32(self._factor), width=picture.width, height=picture.height)
        return found.replace(xyxy=xyxy, masks=None)


def views_of(pixels: NDArray[np.uint8]) -> Iterator[RGBImage]:
    """RGB of all that somebody may see of RGB or RGBA.

    Between a black page and a white one lie all the others. What noise hides on both may be plain on grey, so that is
    looked at too where an area is partly transparent, not only an edge.
    """
    if pixels.shape[2] == 3:
        yield pixels
        return
    yield np.ascontiguousarray(pixels[..., :3])
    alpha = pixels[..., 3]
    if (alpha == 255).all():
        return
    yield over(pixels, 255)
    yield over(pixels, 0)
    if _has_glassy_area(alpha):
        yield over(pixels, 128)


def _has_glassy_area(alpha: NDArray[np.uint8]) -> bool:
    rows, columns = (max(1, side // _CELL) for side in alpha.shape)
    high, wide = alpha.shape[0] // rows, alpha.shape[1] // columns
    glassy = (alpha[: rows * high, : columns * wide] - np.uint8(1)) < 254  # 0 wraps round
    return bool((glassy.reshape(rows, high, columns, wide).mean(axis=(1, 3)) > _GLASSY).any())


def upright(found: Detections, reading: Reading) -> Detections:
    """Boxes in another viewer's reading to boxes in the picture (EXIF 2.32, 4.6.4, undone)."""
    height, width = reading.pixels.shape[:2]
    x0, y0, x1, y1 = found.xyxy.T
    if reading.orientation in (2, 3, 6, 7):
        x0, x1 = width - x1, width - x0
    if reading.orientation in (3, 4, 7, 8):
        y0, y1 = height - y1, height - y0
    corners = (y0, x0, y1, x1) if reading.orientation >= 5 else (x0, y0, x1, y1)
    xyxy = np.stack(corners, axis=1).reshape(-1, 4)
    return found.replace(xyxy=xyxy, masks=None)


def turned(scores: Scores, reading: Reading) -> Scores:
    """A map of another viewer's reading to one of the picture, as `upright` turns boxes."""
    if scores.heat is None:
        return scores
    heat = scores.heat
    if reading.orientation in (2, 3, 6, 7):
        heat = heat[:, ::-1]
    if reading.orientation in (3, 4, 7, 8):
        heat = heat[::-1]
    return replace(scores, heat=heat.T if reading.orientation >= 5 else heat)
