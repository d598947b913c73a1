"""PNG chunk by chunk: what damage is, what viewers pass over, and what reaches the pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from encoding import Encode, png_chunk, png_of, profile
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from detect.errors import AnimatedImageError, DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.png import seen, without_profile
from detect.pictures.still import decode

KEY = (10, 20, 30)
TURNED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # EXIF: orientation 6
SEE_THROUGH = struct.pack(">HHH", *KEY)


@pytest.fixture(scope="module")
def pixels(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels of the portrait, some of the one colour that `SEE_THROUGH` names."""
    image = photo[:30, :40].copy()
    image[:, :20] = KEY
    return image


def rows(image: NDArray[np.uint8]) -> bytes:
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in image))


def picture(image: NDArray[np.uint8], *before: bytes, after: bytes = b"", kind: int = 2) -> bytes:
    """A PNG of RGB (2) or of palette indices (3), with chunks before and after its pixels."""
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, kind, 0, 0, 0)
    return png_of((b"IHDR", header), *before, (b"IDAT", rows(image)), after, (b"IEND", b""))


def spoiled(data: bytes, kind: bytes) -> bytes:
    """With another checksum in the chunk of a kind."""
    start = data.index(kind)
    at = start + 4 + int.from_bytes(data[start - 4 : start], "big")
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def swapped_colors(padding: int = 0) -> bytes:
    """sRGB with red and blue changed over, and as many bytes behind it."""
    icc = bytearray(profile("sRGB"))
    at = {bytes(icc[entry : entry + 4]): entry for entry in range(132, 132 + 12 * icc[131], 12)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    icc[red : red + 4], icc[blue : blue + 4] = icc[blue : blue + 4], icc[red : red + 4]
    icc += bytes(padding)
    icc[:4] = struct.pack(">I", len(icc))
    return bytes(icc)


def packed_profile(icc: bytes) -> bytes:
    return png_chunk(b"iCCP", b"x\0\0" + zlib.compress(icc))


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_a_wrong_checksum_where_pixels_hang_on_it(photo: NDArray[np.uint8], encoded: Encode, kind: bytes) -> None:
    data = encoded(Image.fromarray(photo).quantize(16), "PNG")
    assert decode(data).pixels.shape == photo.shape
    with pytest.raises(DamagedImageError, match=f"checksum of its {kind.decode()} chunk"):
        decode(spoiled(data, kind))


def test_no_flipped_bit_in_the_pixels_passes(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "PNG")
    start = data.index(b"IDAT")
    for bit in np.random.default_rng(0).integers(8 * start, 8 * (len(data) - 12), 300):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(ImageError):
            decode(bytes(flipped))


@pytest.mark.parametrize("kind", [b"tRNS", b"iCCP", b"eXIf", b"gAMA", b"cHRM", b"tEXt", b"sBIT"])
def test_a_wrong_checksum_elsewhere_drops_the_chunk(pixels: NDArray[np.uint8], kind: bytes) -> None:
    body = {
        b"tRNS": SEE_THROUGH,
        b"iCCP": b"x\0\0" + zlib.compress(swapped_colors()),
        b"eXIf": TURNED,
        b"gAMA": struct.pack(">I", 10_000),
        b"cHRM": struct.pack(">8I", *[30_000] * 8),
        b"tEXt": b"Comment\0x",
        b"sBIT": b"\1\1\1",
    }[kind]
    plain = picture(pixels)
    whole = picture(pixels, png_chunk(kind, body))
    assert seen(spoiled(whole, kind), "p") == seen(plain, "p")
    shown = decode(spoiled(whole, kind))
    assert (shown.pixels == pixels).all()
    if kind in (b"tRNS", b"iCCP", b"eXIf"):
        assert decode(whole).pixels.shape != pixels.shape or (decode(whole).pixels != pixels).any()


@pytest.mark.parametrize(
    "extra", [(b"tRNS", SEE_THROUGH), (b"eXIf", TURNED), (b"iCCP", b"x\0\0" + zlib.compress(swapped_colors()))]
)
def test_what_stands_behind_the_pixels_is_not_heeded(pixels: NDArray[np.uint8], extra: tuple[bytes, bytes]) -> None:
    assert (decode(picture(pixels, after=png_chunk(*extra))).pixels == pixels).all()


def test_of_chunks_given_twice_the_first_counts(pixels: NDArray[np.uint8]) -> None:
    upright = TURNED.replace(b"\0\6\0\0", b"\0\1\0\0")
    once = picture(pixels, png_chunk(b"tRNS", bytes(6)), png_chunk(b"eXIf", upright))
    twice = picture(
        pixels,
        png_chunk(b"tRNS", bytes(6)),
        png_chunk(b"tRNS", SEE_THROUGH),
        png_chunk(b"eXIf", upright),
        png_chunk(b"eXIf", TURNED),
    )
    assert (decode(once).pixels == decode(twice).pixels).all()
    srgb = profile("sRGB")
    ours = decode(picture(pixels, packed_profile(srgb))).icc
    assert ours is not None
    assert decode(picture(pixels, packed_profile(srgb), packed_profile(swapped_colors()))).icc == ours


@pytest.mark.parametrize("length", [0, 4, 5, 8])
def test_transparency_that_decoders_understand_differently(pixels: NDArray[np.uint8], length: int) -> None:
    with pytest.raises(DamagedImageError, match=f"a tRNS chunk of {length} bytes"):
        decode(picture(pixels, png_chunk(b"tRNS", (SEE_THROUGH + b"\0\0")[:length])))


def test_palettes() -> None:
    index = np.repeat(np.arange(4, dtype=np.uint8), 10)[None].repeat(8, axis=0)
    four, two = (png_chunk(b"PLTE", bytes(range(3 * number))) for number in (4, 2))
    assert decode(picture(index, four, kind=3)).pixels[0, 39].tolist() == [9, 10, 11]
    clear = png_chunk(b"tRNS", b"\xff\xff\xff\0")
    assert decode(picture(index, four, clear, kind=3)).pixels.shape[2] == 4
    assert decode(picture(index, clear, four, kind=3)).pixels.shape[2] == 3
    for chunks, says in (
        ([two], "more colours than the 2"),
        ([two, clear], "tRNS chunk of 4"),
        ([four, four], "PLTE chunk is out of place"),
        ([png_chunk(b"PLTE", bytes(11))], "a palette of 3"),
        ([], "a palette of 0"),
    ):
        with pytest.raises(DamagedImageError, match=says):
            decode(picture(index, *chunks, kind=3))
    with pytest.raises(DamagedImageError, match=r"a palette of 0|PLTE chunk is out of place"):
        decode(picture(index, after=four, kind=3))


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize(
    ("chunk", "kind", "says"),
    [
        ((b"IHDR", struct.pack(">IIBBBBB", 20, 30, 8, 2, 0, 0, 0)), DamagedImageError, "IHDR chunk is out of place"),
        ((b"ABCD", b"x"), UnsupportedImageError, "not known, ABCD"),
    ],
)
def test_chunks_that_must_not_be_there(
    pixels: NDArray[np.uint8], at: str, chunk: tuple[bytes, bytes], kind: type[ImageError], says: str
) -> None:
    extra = png_chunk(*chunk)
    with pytest.raises(kind, match=says):
        decode(picture(pixels, extra) if at == "before" else picture(pixels, after=extra))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 2),
        struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 1, 0),
        struct.pack(">IIBBBBB", 40, 30, 8, 2, 1, 0, 0),
        struct.pack(">IIBBBBB", 40, 30, 4, 2, 0, 0, 0),
        struct.pack(">IIBBBBB", 40, 30, 8, 5, 0, 0, 0),
        struct.pack(">IIBBBBBB", 40, 30, 8, 2, 0, 0, 0, 0),
    ],
)
def test_headers_that_make_no_sense(pixels: NDArray[np.uint8], header: bytes) -> None:
    with pytest.raises(DamagedImageError, match="header that makes no sense"):
        decode(png_of((b"IHDR", header), (b"IDAT", rows(pixels)), (b"IEND", b"")))


def test_order(pixels: NDArray[np.uint8]) -> None:
    header, body = (b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)), rows(pixels)
    split = [(b"IDAT", body[:20]), (b"IDAT", b""), (b"IDAT", body[20:])]
    assert (decode(png_of(header, *split, (b"IEND", b""))).pixels == pixels).all()
    assert (decode(png_of(header, (b"IDAT", body))).pixels == pixels).all()  # no end: browsers show it, too
    for chunks, says in (
        ([header, split[0], (b"tEXt", b"a\0b"), split[2], (b"IEND", b"")], "IDAT chunk is out of place"),
        ([(b"tEXt", b"a\0b"), header, (b"IDAT", body), (b"IEND", b"")], "tEXt chunk is out of place"),
        ([header, (b"IEND", b""), (b"IDAT", body)], "IEND chunk is out of place"),
        ([header, (b"IEND", b"")], "IEND chunk is out of place"),
        ([header], "without pixels"),
    ):
        with pytest.raises(DamagedImageError, match=says):
            decode(png_of(*chunks))
    with pytest.raises(UnsupportedImageError, match="CgBI"):
        decode(png_of((b"CgBI", bytes(4)), header, (b"IDAT", body), (b"IEND", b"")))


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "xmp"])
def test_text_of_any_length_is_passed_over(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    info = PngImagePlugin.PngInfo()
    text = "long " * 2_000_000
    if kind == "iTXt":
        info.add_itxt("Comment", text, zip=True)
    else:
        info.add_text("XML:com.adobe.xmp" if kind == "xmp" else "Comment", text, zip=kind != "tEXt")
    assert (decode(encoded(photo, "PNG", pnginfo=info)).pixels == photo).all()


@pytest.mark.parametrize("size", [2 * 2**20, 20 * 2**20])
def test_a_large_profile_counts_as_a_small_one_does(pixels: NDArray[np.uint8], size: int) -> None:
    shown = decode(picture(pixels, packed_profile(swapped_colors(size))))
    assert shown.icc is None
    assert np.abs(shown.pixels.astype(int) - pixels[..., ::-1]).max() <= 2


def test_a_profile_without_end_is_passed_over(pixels: NDArray[np.uint8]) -> None:
    endless, cut = packed_profile(swapped_colors(65 * 2**20)), zlib.compress(swapped_colors())[:-8]
    for chunk in (endless, png_chunk(b"iCCP", b"x\0\0" + cut), png_chunk(b"iCCP", b"x\0\1" + cut)):
        assert without_profile(seen(picture(pixels, chunk), "p")) == (seen(picture(pixels), "p"), None)


def test_animation_control_is_no_animation(photo: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    one, two = (png_chunk(b"acTL", struct.pack(">II", number, 0)) for number in (1, 2))
    frame = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 40, 30, 0, 0, 1, 10, 0, 0))
    assert (decode(picture(pixels, one, frame)).pixels == pixels).all()
    for before in ([two, frame], [one, frame, frame]):
        with pytest.raises(AnimatedImageError):
            decode(picture(pixels, *before))


def test_a_flood_of_chunks(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(LimitError, match="chunks"):
        decode(picture(pixels, png_chunk(b"teXt", b"") * 100_001))


def test_a_profile_that_pillow_unpacks_is_the_one_found_here(photo: NDArray[np.uint8], encoded: Encode) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert without_profile(seen(encoded(photo, "PNG", icc_profile=icc), "p"))[1] == icc
