"""How a JPEG was saved, so that its censored copy can be saved that way too.

Of one saved again with the tables it has nearly every coefficient comes out as it went in: it is closer to its source
than at any other quality, and about as large. That holds for the standard tables, which libjpeg and all that is
built on it use; others are told apart, for no quality would give them back.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Saving", "saving_of"]

_LUMINANCE = """
16 11 10 16  24  40  51  61  12 12 14 19  26  58  60  55  14 13 16 24  40  57  69  56  14 17 22 29  51  87  80  62
18 22 37 56  68 109 103  77  24 35 55 64  81 104 113  92  49 64 78 87 103 121 120 101  72 92 95 98 112 100 103  99
"""
_CHROMINANCE = """
17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
"""
"""ITU-T T.81, tables K.1 and K.2."""

_SAMPLINGS = {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420"}
"""Samples of luminance to one of chrominance, across and down, and what the field calls that."""


class Saving(NamedTuple):
    """How a JPEG was saved.

    Attributes:
        quality: 1-100, as libjpeg counts it; None where the tables are not the standard ones at any quality, or it has
            other components than luminance and chrominance.
        subsampling: Of chrominance, as the field writes it: "444", "422", "440" or "420"; "444" where it is none of the
            others.
    """

    quality: int | None
    subsampling: str


def saving_of(image: Image.Image, *, turned: bool) -> Saving | None:
    """How a picture was saved, by what its header says.

    Args:
        image: As Pillow opened it; need not be loaded.
        turned: What will be saved lies on its side, as most pictures taken upright do in their files.

    Returns:
        None if Pillow opened no JPEG.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    if not isinstance(image, JpegImageFile):
        return None
    tables = [image.quantization.get(table, []) for _, _, _, table in image.layer]
    return Saving(_quality(tables), _subsampling([layer[1:3] for layer in image.layer], turned=turned))


def _quality(tables: Sequence[Sequence[int]]) -> int | None:
    """The quality at which the tables of all components, in their order, are the standard ones."""
    if len(tables) not in (1, 3) or any(len(table) != 64 for table in tables):
        return None
    luminance, chrominance = _standard()
    matches = np.ones(100, np.bool_)
    for table, standard in zip(tables, (luminance, chrominance, chrominance), strict=False):  # grey has the first alone
        matches &= (standard == table).all(axis=1)
    return 1 + int(matches.argmax()) if matches.any() else None


def _subsampling(factors: Sequence[tuple[int, int]], *, turned: bool) -> str:
    """By the sampling factors of the components, across and down (ITU-T T.81, A.1.1)."""
    if len(factors) == 1:
        return "420"  # grey has no chrominance
    (across, down), (least_across, least_down) = factors[0], factors[1]
    ratio = (across // least_across, down // least_down)
    return _SAMPLINGS.get(ratio[::-1] if turned else ratio, "444")


@functools.cache
def _standard() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both standard tables at qualities 1 to 100, each (100, 64).

    Source:
        libjpeg's jcparam.c, `jpeg_quality_scaling` and `jpeg_add_quant_table`.
    """
    quality = np.arange(1, 101)
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None]
    luminance, chrominance = (
        np.clip((np.array(table.split(), np.int64) * percent + 50) // 100, 1, 255)
        for table in (_LUMINANCE, _CHROMINANCE)
    )
    return luminance, chrominance
