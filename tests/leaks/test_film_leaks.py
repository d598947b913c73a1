"""Nothing of a film's file but pixels, sound, texts and times comes out: markers in every place that holds bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from film_files import RedSeer, blob, film, frames_of, packets_of, red_in

from censor import Censor
from censor.policy import Policy
from censor.rules import Rule
from detect.errors import UnsupportedImageError

MARKER = b"Mc7Qz-4711-planted"
TEXT = MARKER.decode()
LABEL = "FEMALE_BREAST_EXPOSED"
RULE = Rule(censor_at=0.3, review_at=0.3, nsfw_at=0.6, shape="box", expand=0.0, effect="solid")
POLICY = Policy(name="one", rules={LABEL: RULE})

KINDS = {
    "mp4": "libx264", "mov": "libx264", "matroska": "libx264", "webm": "libvpx-vp9", "avi": "libx264",
    "mpegts": "libx264",
}  # fmt: skip
SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}


def sei() -> bytes:
    """A NAL unit of unregistered user data (ITU-T H.264, D.1.7)."""
    body = b"\x06\x05" + bytes([16 + len(MARKER)]) + b"0123456789abcdef" + MARKER + b"\x80"
    return len(body).to_bytes(4) + body


def planted(container: str) -> bytes:
    """A film with markers in its tags, those of its streams, chapters, attachments, a cover, and its pictures."""
    source = film([blob(4 * each) for each in range(12)], container, KINDS[container], language="eng")
    stream = io.BytesIO()
    with av.open(io.BytesIO(source), "r") as read, av.open(stream, "w", format=container) as out:
        for key in ("title", "comment", "artist", "location", "service_name", "service_provider"):
            out.metadata[key] = TEXT
        copies: dict[int, Any] = {each.index: out.add_stream_from_template(each) for each in read.streams}
        for each in copies.values():
            each.metadata.update({"title": TEXT, "handler_name": TEXT, "language": "eng"})
        if container == "matroska":
            out.add_attachment("font.ttf", "font/ttf", 20 * b"x" + MARKER)
            out.add_attachment("cover.jpg", "image/jpeg", b"\xff\xd8\xff\xe0" + MARKER)
        text: Any = out.add_mux_stream(SUBTITLES[container]) if container in SUBTITLES else None
        ass: Any = out.add_mux_stream("ass") if container == "matroska" else None
        chapter: Any = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": TEXT}}
        out.set_chapters([chapter])
        for packet in read.demux():
            if packet.size:
                video = packet.stream.type == "video" and container in ("mp4", "mov", "matroska")
                out.mux(renewed(packet, sei() + bytes(packet) if video else bytes(packet), copies[packet.stream.index]))
        if text is not None:
            out.mux(said(b"\0\2hi" if container in ("mp4", "mov") else b"hi", text))
        if ass is not None:
            out.mux(said(b"0,0,Default,,0,0,0,," + MARKER, ass))
    return stream.getvalue()


def renewed(packet: Any, data: bytes, stream: Any) -> Any:
    copy: Any = av.Packet(data)
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.is_keyframe, copy.stream = packet.is_keyframe, stream
    return copy


def said(data: bytes, stream: Any) -> Any:
    packet: Any = av.Packet(data)
    packet.pts = packet.dts = 0
    packet.duration, packet.time_base, packet.stream = 400, Fraction(1, 1000), stream
    return packet


def censored(data: bytes, target: Path) -> tuple[bytes, tuple[str, ...]]:
    done = Censor(POLICY, detector=RedSeer(LABEL), classifiers=()).apply_medium(data, target)
    return target.read_bytes(), done.dropped


@pytest.mark.parametrize("container", KINDS)
def test_no_marker_comes_out(tmp_path: Path, container: str) -> None:
    data = planted(container)
    assert data.count(MARKER) >= 2
    out, dropped = censored(data, tmp_path / "out")
    assert out.count(MARKER) == 0
    assert not any(red_in(each).any() for each in frames_of(out))
    assert len(packets_of(out)) == len(packets_of(data)) > 0
    if container in SUBTITLES:
        texts = [body for _, _, body in packets_of(out, "subtitle")]
        assert [body for body in texts if body.strip(b"\0")] == [b"\0\2hi" if container in ("mp4", "mov") else b"hi"]
        assert "chapters" in dropped
    if container == "matroska":
        assert {"subtitle stream that is not plain text", "metadata"} <= set(dropped)
        assert any("attachment" in each or "cover" in each for each in dropped)


def box(kind: bytes) -> bytes:
    return (8 + len(MARKER)).to_bytes(4) + kind + MARKER


@pytest.mark.parametrize(
    "plant",
    [
        lambda data: data + box(b"free"),
        lambda data: data + box(b"uuid") + box(b"skip"),
        lambda data: data + box(b"mdat"),
        lambda data: data + b"\0\0\0\0free" + MARKER,
    ],
    ids=["free", "uuid", "mdat", "to the end"],
)
def test_boxes_that_nobody_reads_do_not_come_out(tmp_path: Path, plant: Callable[[bytes], bytes]) -> None:
    data = plant(film([blob(8)] * 4))
    assert MARKER in data
    out, _ = censored(data, tmp_path / "out")
    assert MARKER not in out


def test_frames_before_the_beginning_do_not_come_out(tmp_path: Path) -> None:
    """An edit list leaves out the first frames: they are in the file, and nobody sees them."""
    frames = [blob(-1) if each >= 4 else 255 - blob(40) for each in range(12)]
    data = film(frames, times=[-100 + 25 * each for each in range(12)])
    out, _ = censored(data, tmp_path / "out")
    assert b"elst" in data
    with av.open(io.BytesIO(out), "r", container_options={"ignore_editlist": "1"}) as container:
        shown = [each.to_ndarray(format="rgb24") for each in container.decode(video=0)]
    assert len(shown) == len(frames_of(data)) == 8
    assert all(each[32:56, 40:64].mean() < 150 for each in shown)


def test_a_further_stream_of_pictures_does_not_come_out(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as out:
        videos: list[Any] = [out.add_stream("libx264", rate=24) for _ in range(2)]
        for each in videos:
            each.height, each.width, each.pix_fmt = 96, 160, "yuv420p"
        for number in range(6):
            for each, pixels in zip(videos, (blob(-1), blob(40)), strict=True):
                frame = av.VideoFrame.from_ndarray(pixels).reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 24)
                out.mux(each.encode(frame))
        for each in videos:
            out.mux(each.encode(None))
    done, dropped = censored(stream.getvalue(), tmp_path / "out")
    assert dropped == ("further video stream",)
    with av.open(io.BytesIO(done), "r") as container:
        assert len(container.streams) == 1


def test_ffmpeg_opens_no_other_file(tmp_path: Path) -> None:
    """A playlist is no film, and what a film refers to is not followed: FFmpeg is given one file, and no path."""
    (tmp_path / "other.mp4").write_bytes(film([blob(8)] * 3))
    for text in (
        f"#EXTM3U\n#EXTINF:10,\n{tmp_path}/other.mp4\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/other.mp4'\n",
    ):
        for name in ("list.m3u8", "list.mp4"):
            (tmp_path / name).write_text(text)
            with pytest.raises(UnsupportedImageError, match="not an animation"):
                censored((tmp_path / name).read_bytes(), tmp_path / "out")
            with pytest.raises(UnsupportedImageError, match="not an animation"):
                Censor(POLICY, detector=RedSeer(LABEL), classifiers=()).check_medium(tmp_path / name)
