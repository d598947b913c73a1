"""Pages of a TIFF: each decoded as the still that it would be, and what is no page refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from animations import red_square, stripes
from paged import links, pages, retagged

from detect.errors import DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.tiff_pages import decode_pages, pages_in

PICTURES = [red_square(0), stripes(40, 50), red_square(30)]


def decoded(data: bytes, **caps: int) -> list[Any]:
    return [each.pixels for each in decode_pages(data, "scan.tif", **caps)]


@pytest.mark.parametrize("how", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}], ids=str)
def test_every_page_comes_as_the_still_that_it_is(how: dict[str, Any]) -> None:
    data = pages(PICTURES, **how)
    assert len(pages_in(data, "scan.tif")) == 3
    for before, after in zip(PICTURES, decoded(data), strict=True):
        assert np.array_equal(before, after)


def test_pages_may_be_transparent_and_turned() -> None:
    clear = np.dstack([stripes(), np.full((64, 96), 200, np.uint8)])
    turned = retagged([stripes(), stripes(40, 50)], 2, {274: 6})
    assert [each.shape for each in decoded(pages([stripes(), clear]))] == [(64, 96, 3), (64, 96, 4)]
    assert [each.shape for each in decoded(turned)] == [(64, 96, 3), (50, 40, 3)]


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({254: 1}, "page 2: a smaller copy"),
        ({254: 4}, "page 2: a smaller copy of another page, or a mask"),
        ({254: 3}, "page 2: a smaller copy"),
        ({255: 2}, "page 2: a smaller copy"),
        ({330: 8}, "page 2: a camera's raw file or a multi-resolution TIFF"),
    ],
)
def test_what_is_no_page_is_refused(tags: dict[int, int], why: str) -> None:
    with pytest.raises(UnsupportedImageError, match=why):
        decoded(retagged(PICTURES, 2, tags))


def changed(page: int, tag: int, value: int) -> bytes:
    """Pages, one of which says something else in one of its tags."""
    data = bytearray(pages(PICTURES))
    start = pages_in(bytes(data), "x")[page - 1]
    entries = range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12)
    at = next(each for each in entries if struct.unpack_from("<H", data, each)[0] == tag)
    data[at + 8 : at + 12] = value.to_bytes(4, "little")
    return bytes(data)


def test_the_strictness_of_stills_holds_on_every_page() -> None:
    with pytest.raises(UnsupportedImageError, match="page 2: a TIFF with fax or JPEG compression"):
        decoded(changed(2, 259, 7))


def test_a_chain_that_is_broken_or_bites_its_tail_is_refused_before_a_page_is_decoded() -> None:
    data = bytearray(pages(PICTURES))
    *_, last = links(bytes(data))
    for where, why in ((8, "comes twice"), (len(data) - 1, "beyond the end"), (2**31, "beyond the end")):
        struct.pack_into("<I", data, last, where)
        with pytest.raises(DamagedImageError, match=why):
            next(decode_pages(bytes(data), "scan.tif"))
    with pytest.raises(DamagedImageError, match="without pages"):
        pages_in(b"II*\0\0\0\0\0", "scan.tif")
    with pytest.raises(UnsupportedImageError, match="big-endian BigTIFF"):
        pages_in(b"MM\0+" + bytes(20), "scan.tif")


def test_a_page_that_is_cut_fails_after_those_before_it() -> None:
    each = decode_pages(changed(2, 279, 2**30), "scan.tif")
    next(each)
    with pytest.raises(ImageError, match=r"scan\.tif, page 2"):
        next(each)


def test_caps_hold() -> None:
    data = pages(PICTURES)
    for caps in ({"max_pages": 2}, {"max_total_pixels": 64 * 96 * 2}, {"max_pixels": 100}):
        with pytest.raises(LimitError):
            decoded(data, **caps)
