"""Nothing of an animation's file but pixels, times and plays comes out: markers in every place that holds bytes."""

from __future__ import annotations

import copy
import io
import zlib
from pathlib import Path

import pytest
from animations import FORMATS, encoded, red_square
from fakes import finder
from heif_files import box
from PIL import Image
from sequence_files import Node, entry_of, read, track_of, whole

from censor import Censor
from detect.pictures.animation import animated, decode_frames

MARKER = b"Mc7Qz-4711-planted"

IN_BOXES = ("AVIF", "HEIF")
KINDS = (*FORMATS, *IN_BOXES)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def planted(kind: str) -> bytes:
    data = encoded([red_square(left) for left in (0, 4, 8)], kind)
    if kind == "PNG":
        texts = [chunk(b"tEXt", b"Comment\0" + MARKER), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + MARKER)]
        texts += [
            chunk(b"zTXt", b"c\0\0" + zlib.compress(MARKER, 0)),
            chunk(b"prVt", MARKER),
            chunk(b"eXIf", b"MM\0*" + MARKER),
        ]
        return data[:33] + b"".join(texts) + data[33:] + MARKER
    if kind == "GIF":
        comment = b"!\xfe" + bytes([len(MARKER)]) + MARKER + b"\0"
        xmp = b"!\xff\x0bXMP DataXMP" + bytes([len(MARKER)]) + MARKER + b"\0"
        at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
        return data[:at] + comment + xmp + data[at:-1] + comment + b";" + MARKER
    if kind in IN_BOXES:
        return planted_in_boxes(data)
    extra = b"".join(
        name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)
        for name, body in ((b"EXIF", b"MM\0*" + MARKER), (b"XMP ", MARKER), (b"prVt", MARKER))
    )
    body = data[8:] + extra
    return b"RIFF" + len(body).to_bytes(4, "little") + body + MARKER


def planted_in_boxes(data: bytes) -> bytes:
    """In EXIF and XMP, in names, in user data at every depth, in a track of sound, between samples and behind all."""
    root = read(data)
    movie, track = root.find(b"moov"), track_of(root)
    sound = copy.deepcopy(track)
    sound.find(b"mdia", b"hdlr").put(8, ">4s", b"soun")
    sound.find(b"mdia").drop(b"minf")
    sound.find(b"mdia").inner.append(Node(b"nmhd", MARKER))
    user = Node(b"udta", box(b"\xa9nam", MARKER))
    track.find(b"mdia", b"hdlr").body = track.find(b"mdia", b"hdlr").body[:24] + MARKER + b"\0"
    entry = entry_of(root)
    entry.body = entry.body[:42] + bytes([len(MARKER)]) + MARKER + entry.body[43 + len(MARKER) :]
    entry.inner.append(Node(b"free", MARKER))
    track.inner += [
        user,
        Node(b"meta", bytes(4), [Node(b"hdlr", bytes(8) + b"pict" + bytes(13)), Node(b"Exif", MARKER)]),
    ]
    movie.inner += [sound, user]
    samples = root.find(b"mdat")
    samples.body += MARKER
    for meta in root.all(b"meta"):
        meta.inner.append(Node(b"uuid", MARKER))
    root.inner += [user, Node(b"uuid", b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac" + MARKER)]
    return whole(root) + MARKER


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_no_marker_comes_through(tmp_path: Path, kind: str, target: str) -> None:
    data = planted(kind)
    assert MARKER in data
    assert animated(data)
    out = tmp_path / "out"
    Censor("boxes", detector=finder(), classifiers=()).apply_medium(data, out, format=target)
    written = out.read_bytes()
    assert MARKER not in written
    assert len(list(decode_frames(written, "out").frames)) == 3
    if target == "HEIF":
        return  # nothing is told of a sequence by pillow-heif, which reads none
    image = Image.open(io.BytesIO(written))
    told = {
        key
        for key in image.info
        if key
        not in (
            "duration",
            "loop",
            "background",
            "timestamp",
            "version",
            "extension",
            "transparency",
            "disposal",
            "blend",
            "bbox",
            "default_image",
        )
    }
    assert not told


@pytest.mark.parametrize(("source", "kind"), [*(("WEBP", kind) for kind in KINDS), ("AVIF", "AVIF"), ("HEIF", "HEIF")])
def test_nothing_hidden_stays_in_a_palette_or_a_later_frame(tmp_path: Path, source: str, kind: str) -> None:
    """Pixels that are shown for no time, and a palette that names the colours of what was hidden, would tell."""
    out = tmp_path / "out"
    data = encoded([red_square(left) for left in (0, 4, 8)], source, duration=[100, 1 if source == "HEIF" else 0, 100])
    seeing = finder(tolerance=8)
    policy = Censor("boxes", detector=seeing, classifiers=()).policy.each(effect="solid")
    Censor(policy, detector=seeing, classifiers=()).apply_medium(data, out, format=kind)
    written = out.read_bytes()
    for frame in decode_frames(written, "out").frames:
        assert (abs(frame.picture.pixels.astype(int) - (250, 10, 20)).max(axis=2) > 40).all()
    if kind == "GIF":
        assert bytes((250, 10, 20)) not in written
