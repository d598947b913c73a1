"""How a JPEG was saved, so that its censored copy can be saved that way too.

Of one saved again with its own tables nearly every coefficient comes out as it went in: it is closer to its source than
at any other quality, and about as large.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.JpegImagePlugin import JpegImageFile

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

_SAMPLINGS = {0: "444", 1: "422", 2: "420"}
"""What Pillow calls how chroma was sampled, and the common name of that."""


class Saving(NamedTuple):
    """How a JPEG was saved.

    Attributes:
        quality: 1-100, as libjpeg counts it: the least whose tables, by their sums, are as fine as the picture's.
        subsampling: Of chroma, as the field writes it: "444", "422", "440" or "420".
    """

    quality: int
    subsampling: str


def saving_of(image: JpegImageFile, *, turned: bool) -> Saving | None:
    """How a picture was saved, by what its header says; None if that does not say it.

    Args:
        image: Need not be loaded.
        turned: What will be saved lies on its side, as most pictures taken upright do in their files.
    """
    from PIL import JpegImagePlugin

    sampling = _SAMPLINGS.get(JpegImagePlugin.get_sampling(image), "420")
    if turned and sampling == "422":
        sampling = "440"
    tables = [sum(table) for _, table in sorted(image.quantization.items())]  # of luminance, then chrominance
    coarser = [int(np.count_nonzero(sums > mine)) for sums, mine in zip(_sums(), tables, strict=False)]
    return Saving(min(100, 1 + max(coarser)), sampling) if coarser else None


@functools.cache
def _sums() -> tuple[NDArray[np.int64], ...]:
    """Sums of both standard tables at qualities 1 to 100, which fall, or at the coarsest stay, from each to the next.

    Source:
        libjpeg's jcparam.c, `jpeg_quality_scaling` and `jpeg_add_quant_table`.
    """
    quality = np.arange(1, 101)
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None]
    luminance, chrominance = (np.array(table.split(), np.int64) for table in (_LUMINANCE, _CHROMINANCE))
    return tuple(np.clip((table * percent + 50) // 100, 1, 255).sum(axis=1) for table in (luminance, chrominance))
