"""Files of every kind for `compare_viewers.py`: the fixed ones by name, the random ones by a generator."""

from __future__ import annotations

import functools
import io
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pillow_heif
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from making import (
    ADOBE,
    P3,
    PROPHOTO,
    SRGB,
    Chunk,
    bmp,
    chrm,
    cicp,
    exif_block,
    gama,
    gif_with_profile,
    iccp,
    lut_profile,
    matrix_profile,
    png,
    with_segments,
    xmp_orientation,
)
from viewer_sequences import sequence_cases

MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif",
        "bmp": "image/bmp", "avis": "image/avif", "tiff": "", "heic": ""}  # fmt: skip
"""Families, and as what Chromium is given them."""

RGB = NDArray[np.uint8]


class Case(NamedTuple):
    """A file, its family, and what is odd about it."""

    family: str
    name: str
    data: bytes

    @property
    def mime(self) -> str:
        """Empty for what Chromium does not show."""
        return MIME[self.family]


@functools.cache
def portrait() -> RGB:
    """A face beside ramps of every primary, 96 x 160."""
    pixels = np.zeros((96, 160, 3), np.uint8)
    pixels[:, :96] = skimage.data.astronaut()[16:208:2, 128:320:2]
    ramp = np.linspace(0, 255, 96).astype(np.uint8)[:, None]
    for column, channels in enumerate(([0, 1, 2], [0], [1], [2])):
        for channel in channels:
            pixels[:, 96 + 16 * column : 112 + 16 * column, channel] = ramp
    return pixels


def saved(kind: str, image: RGB | Image.Image, **options: Any) -> bytes:
    """A file by Pillow, or by pillow-heif."""
    stream = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(stream, **options)
    else:
        picture.save(stream, kind, **options)
    return stream.getvalue()


@functools.cache
def profiles() -> dict[str, bytes]:
    """Profiles that are sound, odd and broken."""
    linear = matrix_profile(SRGB, 1.0)
    inverse = np.array([[255 - 255 * (each >> 2), 128, 128] for each in range(8)], np.uint8)
    shuffle = np.zeros(256, np.uint16)
    shuffle[np.arange(256) * 37 % 256] = np.round((np.arange(256) / 255) ** 2.2 * 65535)

    def patched(at: int, value: bytes) -> bytes:
        return linear[:at] + value + linear[at + len(value) :]

    lcms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "srgb": matrix_profile(SRGB, 2.2), "p3": matrix_profile(P3, 2.2), "adobe": matrix_profile(ADOBE, 563 / 256),
        "prophoto": matrix_profile(PROPHOTO, 1.8), "linear": linear, "shuffled": matrix_profile(SRGB, shuffle),
        "swapped": matrix_profile(SRGB[::-1], 2.2), "lcms": lcms,
        "lut": lut_profile(inverse), "lut colorimetric": lut_profile(inverse, tag=b"A2B1"), "junk": b"junk" * 50,
        "d65": patched(68, struct.pack(">3i", 62289, 65536, 71372)), "version 5": patched(8, b"\x05"),
        "version 1": patched(8, b"\x01"), "too long": patched(0, struct.pack(">I", 9999)),
        "too short": patched(0, struct.pack(">I", 200)), "link": patched(12, b"link"), "luv": patched(20, b"Luv "),
        "no length": patched(132 + 6 * 12 + 8, bytes(4)), "beyond white": lcms.replace(b"\0\0\x0d\x59", b"\0\0\x80\0"),  # b of its curves
        "trailing": linear + b"x" * 100, "no signature": patched(36, b"xxxx"), "grey": patched(16, b"GRAY"),
    }  # fmt: skip


def png_cases() -> Iterator[tuple[str, bytes]]:
    """Colour chunks by themselves, together, twice, and where they do not belong."""
    p3 = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    srgb: Chunk = (b"sRGB", b"\0")
    linear = iccp(profiles()["linear"])
    chunks: dict[str, list[Chunk]] = {
        "bare": [], "gAMA 0": [gama(0)], "gAMA huge": [(b"gAMA", b"\xff" * 4)], "gAMA + sRGB": [gama(1), srgb],
        "bad sRGB": [gama(1), (b"sRGB", b"\x09")], "cHRM": [p3], "cHRM + gAMA": [p3, gama(0.45455)], "cHRM + gAMA 1": [p3, gama(1)],
        "cHRM of zeros": [chrm(*[0] * 8), gama(1)], "cHRM far out": [chrm(0.1, 0.1, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), gama(0.4)],
        "cHRM over one": [chrm(0.3, 0.3, 1.64, 0.33, 0.3, 0.6, 0.15, 0.06), gama(1)],
        "iCCP + sRGB": [linear, srgb], "sRGB + iCCP": [srgb, linear], "iCCP + gAMA": [linear, gama(0.45455)],
        "cICP + iCCP": [cicp(1, 8, 0, 1), iccp(profiles()["p3"])], "iCCP + cICP": [linear, cicp(12, 13, 0, 1)],
        "cICP unspecified + gAMA": [cicp(2, 2, 0, 1), gama(1)], "cICP long": [(b"cICP", bytes(5))], "cICP YCbCr": [cicp(1, 13, 1, 1)],
        "gAMA twice": [gama(1), gama(0.45455)], "gAMA twice back": [gama(0.45455), gama(1)], "cICP twice": [cicp(1, 8, 0, 1), cicp(1, 13, 0, 1)],
        "iCCP twice": [linear, iccp(profiles()["p3"])], "clli": [cicp(9, 16, 0, 1), (b"cLLI", struct.pack(">II", 10**7, 10**6))],
    }  # fmt: skip
    chunks |= {f"gAMA {value}": [gama(value)] for value in (0.01, 0.2, 0.4, 0.45455, 0.55, 1, 2.5, 100)}
    chunks |= {
        f"cICP {p}/{t}": [cicp(p, t, 0, 1)]
        for p in (1, 4, 5, 6, 9, 10, 11, 12, 22)
        for t in (1, 4, 5, 6, 7, 8, 13, 14, 16, 17, 18)
    }
    chunks |= {f"cICP 1/{t}": [cicp(1, t, 0, 1)] for t in (0, 2, 3, 9, 10, 11, 12, 15, 19, 255)}
    chunks |= {f"cICP {p}/{t} narrow": [cicp(p, t, 0, 0)] for p, t in ((1, 13), (6, 1), (9, 16), (9, 18), (12, 8))}
    chunks |= {f"cICP {p}/13": [cicp(p, 13, 0, 1)] for p in (0, 2, 3, 7, 8, 13, 23, 255)}
    chunks |= {f"iCCP {name}": [iccp(icc)] for name, icc in profiles().items()}
    rgb = portrait()
    for name, each in chunks.items():
        yield name, png(rgb, each)
    yield from png_kinds(rgb)
    for name, block in orientations().items():
        yield f"eXIf {name}", png(rgb, [(b"eXIf", block)])
    yield "eXIf twice", png(rgb, [(b"eXIf", exif_block(6)), (b"eXIf", exif_block(3))])
    yield "eXIf behind the pixels", png(rgb, behind_pixels=[(b"eXIf", exif_block(6))])
    raw = b"Exif\0\0" + exif_block(6)
    yield (
        "raw profile",
        png(rgb, [(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n")]),
    )
    yield "XMP", png(rgb, [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_orientation(6))])


def png_kinds(rgb: NDArray[np.uint8]) -> Iterator[tuple[str, bytes]]:
    """Each kind of pixels with some of the colour chunks."""
    alpha = np.dstack([rgb, np.tile(np.linspace(0, 255, 160).astype(np.uint8), (96, 1))])
    grey = rgb[..., 1]
    palette = bytes(np.repeat(np.arange(256)[:, None], 3, axis=1).astype(np.uint8).tobytes())
    for name, each in (
        ("gAMA 1", [gama(1)]),
        ("iCCP linear", [iccp(profiles()["linear"])]),
        ("cICP PQ", [cicp(9, 16, 0, 1)]),
        ("bare", []),
    ):
        yield f"alpha, {name}", png(alpha, each)
        yield f"grey, {name}", png(grey, each)
        yield f"grey and alpha, {name}", png(np.dstack([grey, alpha[..., 3]]), each)
        yield f"16 bit, {name}", png(rgb.astype(int) * 257, each, bits=16)
        yield f"16 bit grey, {name}", png(grey.astype(int) * 257, each, bits=16)
        yield (
            f"16 bit grey with one transparent, {name}",
            png(grey.astype(int) * 257, [*each, (b"tRNS", b"\x40\x40")], bits=16),
        )
        yield (
            f"16 bit with one transparent, {name}",
            png(rgb.astype(int) * 257, [*each, (b"tRNS", b"\0\0" * 3)], bits=16),
        )
        yield f"16 bit alpha, {name}", png(alpha.astype(int) * 257, each, bits=16)
        yield f"palette, {name}", png(grey, each, palette=palette)
        yield f"palette, {name} behind it", png(grey, palette=palette, behind_palette=each)
        yield (
            f"palette with tRNS, {name}",
            png(grey, each, palette=palette, behind_palette=[(b"tRNS", bytes(range(256)))]),
        )
        yield f"{name} behind the pixels", png(rgb, behind_pixels=each)


def orientations() -> dict[str, bytes]:
    """EXIF blocks, good and bad."""
    return {
        **{str(each): exif_block(each) for each in range(10)}, "long": exif_block(6, kind=4), "byte": exif_block(6, kind=1),
        "count": exif_block(6, count=2), "6, 3": exif_block(6, 3), "9, 6": exif_block(9, 6), "cut": exif_block(6)[:15],
        "prefixed": b"Exif\0\0" + exif_block(6), "junk": b"junk",
    }  # fmt: skip


def jpeg_cases() -> Iterator[tuple[str, bytes]]:
    """Profiles, orientations, and what the components are."""
    rgb = portrait()
    for name, icc in profiles().items():
        yield f"ICC {name}", saved("JPEG", rgb, icc_profile=icc, quality=95)
        yield f"grey, ICC {name}", saved("JPEG", rgb[..., 1], icc_profile=icc, quality=95)
        yield f"CMYK, ICC {name}", saved("JPEG", Image.fromarray(rgb).convert("CMYK"), icc_profile=icc, quality=95)
    plain = saved("JPEG", rgb, quality=95)
    for name, block in orientations().items():
        yield f"EXIF {name}", with_segments(plain, b"Exif\0\0" + block)
    exif = b"Exif\0\0"
    pairs = {"6, 3": (exif + exif_block(6), exif + exif_block(3)), "1, 6": (exif + exif_block(1), exif + exif_block(6)),
             "empty, 6": (exif, exif + exif_block(6)), "junk, 6": (exif + b"junk", exif + exif_block(6)),
             "XMP": (b"http://ns.adobe.com/xap/1.0/\0" + xmp_orientation(6),)}  # fmt: skip
    for name, bodies in pairs.items():
        yield f"EXIF {name}", with_segments(plain, *bodies)
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield sampling, saved("JPEG", rgb, quality=95, subsampling=sampling)
    yield "progressive", saved("JPEG", rgb, quality=90, progressive=True)
    adobe = saved("JPEG", rgb, quality=95, keep_rgb=True)
    cmyk = saved("JPEG", Image.fromarray(rgb).convert("CMYK"), quality=95)
    for flag in range(4):
        for name, data in (("RGB", adobe), ("CMYK", cmyk), ("YCbCr", _with_adobe(plain))):
            at = data.index(b"Adobe") + 11
            yield f"{name}, transform {flag}", data[:at] + bytes([flag]) + data[at + 1 :]
    for name, data in (("RGB", adobe), ("CMYK", cmyk)):
        at = data.index(b"Adobe") - 4
        yield f"{name} without APP14", data[:at] + data[at + 16 :]
    jfif = plain.index(b"JFIF") - 4
    bare = plain[:jfif] + plain[jfif + 18 :]
    yield "without JFIF", bare
    yield "components R, G, B", _renamed(bare, b"RGB")
    yield "components R, G, B and JFIF", _renamed(plain, b"RGB")
    yield "components 0, 1, 2", _renamed(bare, b"\0\1\2")
    yield "components 7, 8, 9", _renamed(bare, b"\7\x08\x09")
    yield "EXIF of Adobe RGB", with_segments(plain, exif + b"MM\0*\0\0\0\x08\0\1\xa0\1\0\3\0\0\0\1\0\2\0\0\0\0\0\0")


def _with_adobe(data: bytes) -> bytes:
    return data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1" + data[2:]


def _renamed(data: bytes, names: bytes) -> bytes:
    frame, scan, out = data.index(b"\xff\xc0"), data.index(b"\xff\xda"), bytearray(data)
    for each in range(3):
        out[frame + 10 + 3 * each] = out[scan + 5 + 2 * each] = names[each]
    return bytes(out)


def webp_cases() -> Iterator[tuple[str, bytes]]:
    """Profiles with their flag and without, orientations, transparency."""
    rgb = portrait()
    for name, icc in profiles().items():
        data = saved("WEBP", rgb, lossless=True, icc_profile=icc)
        flags = data.index(b"VP8X") + 8
        yield f"ICC {name}", data
        yield f"ICC {name}, flag unset", data[:flags] + bytes([data[flags] & ~0x20]) + data[flags + 1 :]
    for each in range(1, 9):
        yield f"EXIF {each}", saved("WEBP", rgb, lossless=True, exif=b"Exif\0\0" + exif_block(each))
    yield "XMP", saved("WEBP", rgb, lossless=True, xmp=xmp_orientation(6))
    alpha = np.dstack([rgb, np.tile(np.linspace(0, 255, 160).astype(np.uint8), (96, 1))])
    yield "alpha", saved("WEBP", alpha, lossless=True, exact=True)
    yield "alpha, ICC linear", saved("WEBP", alpha, lossless=True, exact=True, icc_profile=profiles()["linear"])
    yield "lossy alpha", saved("WEBP", alpha, quality=95)


def _avif(rgb: RGB, points: tuple[int, int, int], *, full: bool = True, depth: int = 8, sampling: str = "444") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.png", Path(folder) / "out.avif"
        Image.fromarray(rgb).save(source)
        command = ["avifenc", "--min", "0", "--max", "4", "-s", "9", "-y", sampling, "-d", str(depth), "-r",
                   "full" if full else "limited", "--cicp", "/".join(map(str, points)), str(source), str(target)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        return target.read_bytes() if done.returncode == 0 else b""


def with_points(data: bytes, primaries: int, transfer: int) -> bytes:
    """An AVIF or HEIC with other code points in its box."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def avif_cases() -> Iterator[tuple[str, bytes]]:
    """Code points, depths, ranges, profiles beside them, orientations."""
    rgb = portrait()
    base = saved("AVIF", rgb, quality=97, subsampling="4:4:4")
    for primaries in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22, 99):
        yield f"primaries {primaries}", with_points(base, primaries, 13)
    for transfer in range(21):
        yield f"transfer {transfer}", with_points(base, 1, transfer)
        yield f"BT.2020, transfer {transfer}", with_points(base, 9, transfer)
    points: tuple[int, int, int]
    for points in ((9, 16, 9), (9, 18, 9), (1, 13, 1), (1, 13, 6), (12, 13, 6), (9, 1, 9), (1, 13, 0), (2, 2, 2)):
        for full in (True, False):
            for depth in (8, 10, 12):
                if data := _avif(rgb, points, full=full, depth=depth, sampling="444" if points[2] == 0 else "420"):
                    yield f"{points}, {depth} bit, {'full' if full else 'narrow'}", data
                    yield f"{points}, {depth} bit, {full}, no box", data.replace(b"colrnclx", b"freenclx")
    for name, icc in profiles().items():
        data = saved("AVIF", rgb, quality=97, subsampling="4:4:4", icc_profile=icc)
        yield f"ICC {name}", data
        if b"colrnclx" in data:
            yield f"ICC {name} and PQ", with_points(data, 9, 16)
    for each in range(1, 9):
        yield f"turned {each}", saved("AVIF", rgb, quality=97, exif=b"Exif\0\0" + exif_block(each))
    yield "XMP", saved("AVIF", rgb, quality=97, xmp=xmp_orientation(6))
    alpha = np.dstack([rgb, np.tile(np.linspace(0, 255, 160).astype(np.uint8), (96, 1))])
    yield "alpha", saved("AVIF", alpha, quality=97, subsampling="4:4:4")
    yield "alpha and PQ", with_points(saved("AVIF", alpha, quality=97, subsampling="4:4:4"), 9, 16)


def heic_cases() -> Iterator[tuple[str, bytes]]:
    """Only what heif-convert shows as people see it: it applies neither profiles nor code points."""
    rgb = portrait()
    yield "plain", saved("HEIF", rgb, quality=95)
    for each in range(1, 9):
        yield f"turned {each}", saved("HEIF", rgb, quality=95, exif=b"Exif\0\0" + exif_block(each))
    yield "XMP", saved("HEIF", rgb, quality=95, xmp=xmp_orientation(6))
    yield "alpha", saved("HEIF", np.dstack([rgb, np.full(rgb.shape[:2], 128, np.uint8)]), quality=95)


def tiff_cases() -> Iterator[tuple[str, bytes]]:
    """Kinds of samples, their layout, what they mean, and what the extra ones are."""
    rgb = portrait()
    rgba = np.dstack([rgb, np.tile(np.linspace(0, 255, 160).astype(np.uint8), (96, 1))])
    for deep in (np.uint8, np.uint16):
        scale = 257 if deep == np.uint16 else 1
        for compression in (None, "zlib"):
            for planar in ("contig", "separate"):
                for order in ("<", ">"):
                    yield from _tiffs(rgb, rgba, deep, scale, compression, planar, order)
    for name, icc in profiles().items():
        yield f"ICC {name}", saved("TIFF", rgb, icc_profile=icc)
    for each in range(1, 9):
        yield f"turned {each}", saved("TIFF", rgb, tiffinfo={274: each})
    yield "XMP", saved("TIFF", rgb, tiffinfo={700: xmp_orientation(6)})
    yield "transfer function", saved("TIFF", rgb, tiffinfo={301: tuple(range(0, 65536, 257)) * 3})
    yield "YCbCr", saved("TIFF", Image.fromarray(rgb).convert("YCbCr"))
    yield "CMYK", saved("TIFF", Image.fromarray(rgb).convert("CMYK"))
    yield "LAB", saved("TIFF", Image.fromarray(rgb).convert("LAB"))
    yield "palette", saved("TIFF", Image.fromarray(rgb).quantize(200))


def _tiffs(
    rgb: RGB, rgba: RGB, deep: type, scale: int, compression: str | None, planar: str, order: Literal["<", ">"]
) -> Iterator[tuple[str, bytes]]:
    kinds: dict[str, tuple[RGB, dict[str, Any]]] = {
        "RGB": (rgb, {"photometric": "rgb"}),
        "RGBA": (rgba, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        "RGBa": (rgba, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
        "RGBX": (rgba, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
        "grey": (rgb[..., 1], {"photometric": "minisblack"}),
        "inverted": (rgb[..., 1], {"photometric": "miniswhite"}),
        "CMYK": (255 - rgba, {"photometric": "separated"}),
    }
    for name, (pixels, plain) in kinds.items():
        options: dict[str, Any] = plain
        stream = io.BytesIO()
        values = pixels.astype(deep) * deep(scale)
        if name == "RGBa":
            values = (values.astype(float) * rgba[..., 3:] / 255).astype(deep)
            values[..., 3] = rgba[..., 3].astype(deep) * deep(scale)
        if planar == "separate":
            if values.ndim == 2:
                continue
            values, options = np.moveaxis(values, 2, 0), {**plain, "planarconfig": "separate"}
        tifffile.imwrite(stream, values, compression=compression, byteorder=order, metadata=None, **options)
        yield f"{name}, {np.dtype(deep).itemsize * 8} bit, {compression}, {planar}, {order}", stream.getvalue()


def gif_cases() -> Iterator[tuple[str, bytes]]:
    """Profiles that browsers ignore."""
    for name in ("srgb", "linear", "shuffled", "junk"):
        yield f"ICC {name}", gif_with_profile(portrait(), profiles()[name])


def bmp_cases() -> Iterator[tuple[str, bytes]]:
    """Headers with gammas and profiles."""
    for header in (108, 124):
        for space in (b"BGRs", b"\0\0\0\0", b" niW", b"KNIL"):
            yield f"{header}, {space!r}", bmp(portrait(), header=header, space=space, gamma=1)
    for name, icc in profiles().items():
        yield f"ICC {name}", bmp(portrait(), space=b"DEBM", profile=icc)
        yield f"ICC {name}, not in use", bmp(portrait(), profile=icc)


FAMILIES: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "png": png_cases, "jpeg": jpeg_cases, "webp": webp_cases, "avif": avif_cases, "gif": gif_cases, "bmp": bmp_cases,
    "tiff": tiff_cases, "heic": heic_cases, "avis": lambda: sequence_cases(portrait(), profiles()),
}  # fmt: skip


@functools.cache
def cases_of(family: str) -> tuple[Case, ...]:
    """The fixed files of a family."""
    return tuple(Case(family, name, data) for name, data in FAMILIES[family]())


def fixed_cases(only: str | None) -> Iterator[Case]:
    """All that are made without chance, or those of one family."""
    for family in FAMILIES if only is None else (only,):
        yield from cases_of(family)
