"""JPEGs whose headers are odd: what never reaches a pixel is ignored, what cannot be told is refused by its name."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import simplejpeg
from encoding import Encode
from numpy.typing import NDArray
from PIL import Image

from detect.errors import AnimatedImageError, DamagedImageError, LimitError, UnsupportedImageError
from detect.pictures.jpeg_segments import MAX_SCANS, MAX_SEGMENTS, take_apart
from detect.pictures.still import decode

SOF, SOS = b"\xff\xc0", b"\xff\xda"
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def inserted(data: bytes, *parts: bytes) -> bytes:
    return data[:2] + b"".join(parts) + data[2:]


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return segment(0xE1, block.tobytes())


def lossless(pixels: NDArray[np.uint8], *, process: int = 0xC3) -> bytes:
    """A lossless JPEG of RGB, predicted from the left (ITU-T T.81, annex H), every category a code of five bits."""
    height, width, colors = pixels.shape
    before = np.roll(pixels.astype(int), 1, axis=1)
    before[1:, 0] = pixels[:-1, 0]
    before[0, 0] = 128
    bits = []
    for difference in (pixels.astype(int) - before).ravel().tolist():
        category = abs(difference).bit_length()
        low = difference if difference >= 0 else difference + (1 << category) - 1
        bits.append(f"{category:05b}" + (f"{low:0{category}b}" if category else ""))
    text = "".join(bits)
    packed = np.packbits(np.array([*text.ljust(-(-len(text) // 8) * 8, "1")], np.uint8)).tobytes()
    frame = struct.pack(">BHHB", 8, height, width, colors) + b"".join(bytes([c, 0x11, 0]) for c in range(1, 4))
    table = bytes([0, 0, 0, 0, 0, 10, *[0] * 11]) + bytes(range(10))
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 1, 0, 0])
    head = segment(process, frame) + segment(0xC4, table) + segment(0xDA, scan)
    return b"\xff\xd8" + head + packed.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def one_scan_a_color(pixels: NDArray[np.uint8], encoded: Encode, selection: bytes = b"\0\x3f\0") -> bytes:
    """A sequential JPEG of RGB in three scans, each the scan of a grey JPEG."""
    grey = [encoded(Image.fromarray(pixels[..., color]), "JPEG", quality=95) for color in range(3)]
    frame, scan = grey[0].index(SOF), grey[0].index(SOS)
    head, size = grey[0][:2] + grey[0][20:frame], grey[0][frame + 4 : frame + 9]  # no JFIF, which says YCbCr
    components = b"".join(bytes([color, 0x11, 0]) for color in b"RGB")
    tables = grey[0][frame + 13 : scan]
    scans = [
        segment(0xDA, bytes([1, color, 0]) + selection) + data[data.index(SOS) + 10 : -2]
        for color, data in zip(b"RGB", grey, strict=True)
    ]
    return head + segment(0xC0, size + b"\3" + components) + tables + b"".join(scans) + b"\xff\xd9"


@pytest.fixture(scope="module")
def plain(photo: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def test_a_lossless_jpeg_comes_whole_whatever_may_be_spared(photo: NDArray[np.uint8]) -> None:
    """A decoder that was asked for a part of its size wrote all of it, past the end of the room it had made."""
    data = lossless(photo)
    for factor in (1, 2, 4, 8):
        picture = decode(data, spare=lambda rows, columns, factor=factor: factor)  # type: ignore[misc]
        assert picture.reduced is None
        assert (picture.pixels == photo).all()
    with pytest.raises(DamagedImageError):
        decode(data[:-200] + b"\xff\xd9")


def test_a_jpeg_of_cosines_comes_reduced(plain: bytes) -> None:
    picture = decode(plain, spare=lambda rows, columns: 4)
    assert picture.reduced == (64, 96, 4)
    assert picture.pixels.shape == (16, 24, 3)


@pytest.mark.parametrize(
    ("process", "reason"),
    [
        (0xC5, "hierarchical"), (0xC6, "hierarchical"), (0xC7, "hierarchical"), (0xC9, "arithmetic coding"),
        (0xCA, "arithmetic coding"), (0xCB, "arithmetic coding without loss"), (0xCD, "hierarchical"),
        (0xCE, "hierarchical"), (0xCF, "hierarchical"), (0xF7, "JPEG-LS"), (0xF8, "JPEG-LS"), (0xC8, "extensions"),
        (0xF0, "extensions"),
    ],
)  # fmt: skip
def test_kinds_that_are_not_decoded_are_called_by_their_names(plain: bytes, process: int, reason: str) -> None:
    with pytest.raises(UnsupportedImageError, match=f"bytes: a JPEG with .*{reason}"):
        decode(replaced(plain, plain.index(SOF), bytes([0xFF, process])))


@pytest.mark.parametrize("marker", [0xDE, 0xDF])
def test_a_hierarchy_before_the_frame_is_named(plain: bytes, marker: int) -> None:
    frame = plain[plain.index(SOF) + 4 :][:15]
    with pytest.raises(UnsupportedImageError, match="hierarchical"):
        decode(inserted(plain, segment(marker, frame)))


@pytest.mark.parametrize(
    ("offset", "new", "reason"),
    [
        (4, b"\x0c", "12 bits a colour"), (4, b"\x10", "16 bits a colour"), (4, b"\2", "2 bits a colour"),
        (5, b"\0\0", "only told behind its pixels"), (11, b"\x13", "sampled 1x3, 1x1, 1x1"),
        (11, b"\x42", "sampled 4x2, 1x1, 1x1"), (17, b"\x12", "sampled 2x2, 1x1, 1x2"),
        (11, b"\x33", "sampled 3x3, 1x1, 1x1"),
    ],
)  # fmt: skip
def test_what_a_frame_header_may_not_ask_for_is_named(plain: bytes, offset: int, new: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedImageError, match=reason):
        decode(replaced(plain, plain.index(SOF) + offset, new))


@pytest.mark.parametrize("count", [2, 5, 255])
def test_other_numbers_of_colors_are_named(plain: bytes, count: int) -> None:
    at = plain.index(SOF)
    frame = segment(0xC0, plain[at + 4 : at + 9] + bytes([count]) + b"\1\x11\0" * count)
    with pytest.raises(UnsupportedImageError, match=f"{count} colours"):
        decode(plain[:at] + frame + plain[at + 19 :])


@pytest.mark.parametrize("sampling", [b"\x41", b"\x14"])
def test_samplings_with_and_without_a_name_are_taken(photo: NDArray[np.uint8], sampling: bytes) -> None:
    """4:1:1 and, its blocks in another order, 4:4:1, for which simplejpeg has no name."""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(photo[:32, :32]), colorsubsampling="411")
    at = data.index(SOF) + 11
    assert data[at : at + 1] == b"\x41"
    assert decode(replaced(data, at, sampling)).pixels.shape == (32, 32, 3)


@pytest.mark.parametrize("colors", [1, 3, 4])
def test_samplings_are_taken_where_a_strict_decoder_takes_them(colors: int) -> None:
    factors = [across << 4 | down for across in range(1, 5) for down in range(1, 5)]
    # Of four colours, the first two and black stand for the sets that matter.
    sets = itertools.product(factors, repeat=colors) if colors < 4 else ((a, b, b, c) for a, b, c in
            itertools.product(factors, repeat=3))  # fmt: skip
    counts = [0, 0]
    for each in sets:
        frame = struct.pack(">BHHB", 8, 8, 8, colors) + b"".join(bytes([c, f, 0]) for c, f in enumerate(each))
        scan = bytes([colors, *(value for c in range(colors) for value in (c, 0)), 0, 63, 0])
        data = b"\xff\xd8" + segment(0xC0, frame) + segment(0xDA, scan) + b"\0\xff\xd9"
        try:
            simplejpeg.decode_jpeg_header(data)
        except KeyError:  # 4:4:1, which it decodes and has no name for
            strict = True
        except ValueError:
            strict = False
        else:
            strict = True
        try:
            take_apart(data, "x")
        except UnsupportedImageError:
            taken = False
        else:
            taken = True
        assert taken == strict, each
        counts[taken] += 1
    assert counts == {1: [0, 16], 3: [4084, 12], 4: [4084, 12]}[colors]


def test_headers_that_contradict_themselves_are_damage(plain: bytes) -> None:
    at, scan = plain.index(SOF), plain.index(SOS)
    frame = plain[at : at + 19]
    smaller = replaced(frame, 5, b"\0\x08\0\x08")
    broken = [
        plain[:at] + frame + plain[at:], plain[:at] + smaller + plain[at:], plain[:scan] + smaller + plain[scan:],
        plain[:at] + plain[at + 19 :], replaced(plain, at + 9, b"\4"), replaced(plain, at + 2, b"\0\x07"),
        replaced(plain, at + 7, b"\0\0"), replaced(plain, scan + 4, b"\1"), replaced(plain, scan + 5, b"\x77"),
        inserted(plain, b"\xff\xd8"), inserted(plain, b"\xff\xd9"), inserted(plain, b"\xff\x02"),
        inserted(plain, b"\xff\xe5\0\1"), plain[:scan], plain[: scan + 9], plain[:scan] + b"\xff\xda\0\2" + bytes(99),
        inserted(plain, b"\xff\xe5\xff\xff"), replaced(plain, at + 11, b"\0"), replaced(plain, at + 11, b"\x52"),
    ]  # fmt: skip
    for data in broken:
        for spare in (None, lambda rows, columns: 2):
            with pytest.raises(DamagedImageError, match="damaged or cut short"):
                decode(data, spare=spare)


def test_a_second_frame_between_scans_is_damage(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "JPEG", progressive=True)
    at = data.index(b"\xff\xc2")
    larger = replaced(data[at : at + 19], 5, b"\x10\0\x10\0")
    second = data.index(SOS, data.index(SOS) + 2)
    with pytest.raises(DamagedImageError):
        decode(data[:second] + larger + data[second:])


def odd() -> dict[str, Sequence[bytes]]:
    """What may stand before the pixels and never reaches them."""
    return {
        "fill": [b"\xff\xff\xff\xff"],
        "stray bytes": [segment(0xE5, b"ab"), b"stray"],
        "stuffed stray bytes": [b"\xff\0\0ab\xff\0"],
        "restart and temporary markers": [b"\xff\xd0\xff\xd7\xff\x01"],
        "a number of lines": [segment(0xDC, b"\0\7")],
        "arithmetic conditions": [segment(0xCC, b"\x77\x77\x77")],
        "JFIF of another version": [segment(0xE0, b"JFIF\0\7\7\0\0\1\0\1\0\0")],
        "JFIF cut short": [segment(0xE0, b"JFIF\0"), segment(0xE0, b"JFIF")],
        "a frame in a thumbnail": [segment(0xE1, b"Exif\0\0" + simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8)))],
        "EXIF of noise": [segment(0xE1, b"Exif\0\0MM\0*" + bytes(range(256)))],
        "EXIF whose directory lies outside": [segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")],
        "an endless EXIF": [segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 300,
        "empty segments": [segment(marker, b"") for marker in (*range(0xE0, 0xF0), 0xFE)],
        "XMP of noise": [segment(0xE1, XMP + b"\xff\xfe<rdf"), segment(0xE1, XMP)],
        "Photoshop cut short": [segment(0xED, b"Photoshop 3.0\0" + b"8BIM" + end) for end in (b"", b"\4", b"\4\4\0\0")],
        "Photoshop of wrong lengths": [segment(0xED, b"Photoshop 3.0\x008BIM\3\xed\0\0\xff\xff\xff\xffab")],
        "Adobe cut short": [segment(0xEE, b"Adobe"), segment(0xEE, b"Adobe\0d\0")],
        "comments": [segment(0xFE, b"\xff\xda" * 5000), segment(0xFE, b"\xff\xd9\xff\xc0")],
        "FlashPix": [segment(0xE2, b"FPXR\0")],
        "an index of nothing": [segment(0xE2, b"MPF\0"), segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\0\0\0\0\0\0")],
    }


@pytest.mark.parametrize("kind", odd())
def test_what_never_reaches_a_pixel_refuses_nothing(plain: bytes, kind: str) -> None:
    data = inserted(plain, *odd()[kind])
    assert (decode(data).pixels == decode(plain).pixels).all()
    assert decode(data, spare=lambda rows, columns: 2).pixels.shape == (32, 48, 3)


def test_an_unknown_transform_means_to_a_decoder_what_the_known_one_does(
    photo: NDArray[np.uint8], plain: bytes
) -> None:
    without = plain[:2] + plain[20:]  # no JFIF, which outweighs it
    data = inserted(without, segment(0xEE, b"Adobe\0d\0\0\0\0\7"))
    assert (decode(data).pixels == decode(plain).pixels).all()


@pytest.mark.parametrize("selection", [b"\0\0\0", b"\x3f\0\0", b"\0\x3f\x11", b"\1\2\3"])
def test_a_spectral_selection_in_a_sequential_scan_means_nothing(
    photo: NDArray[np.uint8], encoded: Encode, plain: bytes, selection: bytes
) -> None:
    data = replaced(plain, plain.index(SOS) + 11, selection)
    assert (decode(data).pixels == decode(plain).pixels).all()
    with pytest.raises(DamagedImageError):
        decode(data[:-200] + b"\xff\xd9")
    apart = decode(one_scan_a_color(photo, encoded, selection)).pixels
    assert np.abs(apart.astype(int) - photo).mean() < 4
    progressive = encoded(photo, "JPEG", progressive=True)
    with pytest.raises(DamagedImageError):
        decode(replaced(progressive, progressive.index(SOS) + 11, b"\7\3\0"))


def profile_chunk(number: int, total: int, part: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes([number, total]) + part)


A, B = b"first half", b"second half"


@pytest.mark.parametrize(
    ("chunks", "profile"),
    [
        ([(1, 1, A)], A),
        ([(1, 2, A), (2, 2, B)], A + B),
        ([(2, 2, B), (1, 2, A)], A + B),
        ([(1, 1, A), (1, 1, A)], A),
        ([(1, 1, A), (1, 1, B)], A),
        ([(1, 2, A), (2, 2, B), (1, 3, A)], A + B),
        ([(1, 1, b""), (1, 1, A)], A),
        ([(1, 2, A), (1, 2, A), (2, 2, B)], None),
        ([(1, 2, A)], None),
        ([(2, 2, B)], None),
        ([(1, 2, A), (2, 3, B)], None),
        ([(1, 2, A), (1, 1, A)], None),
        ([(0, 2, A), (1, 2, B)], None),
        ([(0, 1, A)], None),
        ([(5, 1, A)], None),
        ([(3, 2, A), (1, 2, A), (2, 2, B)], None),
        ([(0, 0, A), (1, 1, A)], None),
        ([], None),
    ],
)
def test_a_profile_is_put_together_as_chromium_does(
    plain: bytes, chunks: list[tuple[int, int, bytes]], profile: bytes | None
) -> None:
    parts = [profile_chunk(*chunk) for chunk in chunks]
    frame = plain.index(SOF)
    for data in (inserted(plain, *parts), plain[: frame + 19] + b"".join(parts) + plain[frame + 19 :]):
        assert take_apart(data, "x").icc == profile
        assert (decode(data).pixels == decode(plain).pixels).all()


def test_the_first_exif_counts(plain: bytes) -> None:
    for blocks, turned in (
        ([exif(6), exif(1)], True),
        ([exif(1), exif(6)], False),
        ([segment(0xE1, b"Exif\0\0"), exif(6)], True),
        ([segment(0xE1, b"Exif\0\0nonsense!"), exif(6)], False),
    ):
        assert decode(inserted(plain, *blocks)).pixels.shape == ((96, 64, 3) if turned else (64, 96, 3))


@pytest.mark.parametrize(
    "damage",
    [
        lambda mpf: mpf[:4],
        lambda mpf: mpf[:20],
        lambda mpf: mpf[: mpf.index(b"\1\xb0")] + b"\1\xb0\4\0\1\0\0\0\xff\0\0\0" + mpf[mpf.index(b"\1\xb0") + 12 :],
        lambda mpf: mpf.replace(b"\1\xb0", b"\7\xb0", 1),
        lambda mpf: mpf.replace(b"\2\xb0\7\0", b"\2\xb0\4\0", 1),
        lambda mpf: mpf.replace(b"\1\xb0\4\0", b"\1\xb0\2\0", 1),
        lambda mpf: mpf[:4] + b"\0" * (len(mpf) - 4),
    ],
)
def test_a_broken_index_of_pictures_is_ignored(
    photo: NDArray[np.uint8], encoded: Encode, damage: Callable[[bytes], bytes]
) -> None:
    data = encoded(photo, "MPO", save_all=True, append_images=[Image.fromarray(photo[::-1].copy())])
    whole = data.index(b"MPF\0")
    body = data[whole : whole + int.from_bytes(data[whole - 2 : whole], "big") - 2]
    stereo = bytearray(body)
    at = 4 + 0x32 + 16
    stereo[at : at + 4] = struct.pack("<I", 0x020002)
    start = whole - 4
    rest = data[whole + len(body) :]
    with pytest.raises(AnimatedImageError, match="multi-picture"):
        decode(data[:start] + segment(0xE2, bytes(stereo)) + rest)
    picture = decode(data[:start] + segment(0xE2, damage(bytes(stereo))) + rest)
    assert np.abs(picture.pixels.astype(int) - photo).mean() < 6


def test_what_follows_the_end_is_nobodys_picture(plain: bytes) -> None:
    for tail in (bytes(99), b"\xff\xd9", plain, plain[:300], b"\xff\xda" * 3000, plain * 3):
        assert (decode(plain + tail).pixels == decode(plain).pixels).all()


def test_a_file_without_its_end_is_cut_short(plain: bytes) -> None:
    """Browsers leave out the last rows of such a file."""
    with pytest.raises(DamagedImageError):
        decode(plain[:-2])


def with_scans(data: bytes, count: int) -> bytes:
    """As many scans more, each of them of nothing."""
    return data[:-2] + segment(0xDA, b"\1\1\0\1\1\x21") * count + b"\xff\xd9"


def test_scans_are_counted_before_any_is_decoded(photo: NDArray[np.uint8], encoded: Encode) -> None:
    progressive = encoded(photo, "JPEG", progressive=True)
    scans = progressive.count(SOS)
    assert take_apart(progressive, "x").scans == scans == 10
    assert take_apart(with_scans(progressive, MAX_SCANS - scans), "x").scans == MAX_SCANS
    in_colors = one_scan_a_color(photo, encoded)
    assert take_apart(in_colors, "x").scans == 3
    for data, begun in ((progressive, scans), (in_colors, 3)):
        with pytest.raises(LimitError, match="bytes: more than 100 scans of one picture"):
            decode(with_scans(data, MAX_SCANS - begun + 1))


def test_scans_are_only_counted_where_decoders_find_them(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "JPEG", progressive=True, restart_marker_blocks=1)
    first, second = data.index(SOS), data.index(SOS, data.index(SOS) + 2)
    between = data[:second] + segment(0xFE, SOS * 500) + b"\xff\x01" + data[second:] + SOS * 500
    assert b"\xff\xd0" in data[first:second]
    assert take_apart(between, "x").scans == 10
    assert (decode(between).pixels == decode(data).pixels).all()


def test_scans_and_pixels_are_capped_together(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "JPEG", progressive=True)
    assert decode(data, max_pixels=64 * 96).pixels.shape == (64, 96, 3)
    with pytest.raises(LimitError, match="21 scans of 96 x 64 pixels are over the cap"):
        decode(with_scans(data, 11), max_pixels=64 * 96)


def test_segments_are_capped(plain: bytes, photo: NDArray[np.uint8], encoded: Encode) -> None:
    few = inserted(plain, segment(0xFE, b"") * (MAX_SEGMENTS // 2))
    assert (decode(few).pixels == decode(plain).pixels).all()
    with pytest.raises(LimitError, match="10,000 segments before its pixels"):
        decode(inserted(plain, segment(0xFE, b"") * MAX_SEGMENTS))
    progressive = encoded(photo, "JPEG", progressive=True)
    at = progressive.index(SOS, progressive.index(SOS) + 2)
    with pytest.raises(LimitError, match="10,000 segments between its scans"):
        decode(progressive[:at] + segment(0xFE, b"") * MAX_SEGMENTS + progressive[at:])
