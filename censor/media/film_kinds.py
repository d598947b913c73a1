"""Which films are taken, how a file's first bytes tell them, and in what they are written again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from detect.pictures.formats import SUFFIXES, format_of, refused_kind

__all__ = ["CODECS", "FILMS", "Codec", "FilmKind", "film_in", "film_named", "named_format", "suffix_of"]


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A family of codecs that films are written in.

    Attributes:
        name: As people and FFmpeg's decoders call it.
        encoder: FFmpeg's name of what writes it.
        crf: What its encoder takes as "constant rate factor" by default: smaller is finer.
        scale: Its largest such number.
        options: What else its encoder is told.
    """

    name: str
    encoder: str
    crf: int
    scale: int
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def settings(self, quality: int | None) -> dict[str, str]:
        """What the encoder is told.

        Args:
            quality: 1-100, along the finer half of its scale; None for the default.
        """
        crf = self.crf if quality is None else round(self.scale * (100 - quality) / 100)
        return {**self.options, "crf": str(crf)}


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        each.name: each
        for each in (
            Codec(name="h264", encoder="libx264", crf=19, scale=51, options={"preset": "medium"}),
            Codec(
                name="hevc",
                encoder="libx265",
                crf=19,
                scale=51,
                options={"preset": "fast", "x265-params": "log-level=none:info=0"},
            ),
            Codec(
                name="vp9",
                encoder="libvpx-vp9",
                crf=24,
                scale=63,
                options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
            ),
            Codec(name="av1", encoder="libsvtav1", crf=24, scale=63, options={"preset": "8"}),
        )
    }
)
"""Those that are written; the first stands for codecs that are not."""


@dataclass(frozen=True, kw_only=True)
class FilmKind:
    """One container of films that is taken and written.

    Attributes:
        name: What a record and `format` call it.
        title: As people call it.
        demuxer: FFmpeg's name of what reads it: no other is ever tried.
        muxer: FFmpeg's name of what writes it.
        media_type: As it is called on the web.
        suffixes: Of files; new files get the first.
        codecs: Names of those of `CODECS` that it holds; the first stands for the others.
        options: What its muxer is told.
    """

    name: str
    title: str
    demuxer: str
    muxer: str
    media_type: str
    suffixes: tuple[str, ...]
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_EVERY = ("h264", "hevc", "vp9", "av1")
_FAST = {"movflags": "+faststart"}

FILMS: Mapping[str, FilmKind] = MappingProxyType(
    {
        each.name: each
        for each in (
            FilmKind(
                name="MP4", title="MP4", demuxer="mov", muxer="mp4", media_type="video/mp4",
                suffixes=(".mp4", ".m4v"), codecs=_EVERY,
                options=_FAST,
            ),
            FilmKind(
                name="MOV", title="QuickTime", demuxer="mov", muxer="mov", media_type="video/quicktime",
                suffixes=(".mov", ".qt"),
                codecs=("h264", "hevc"), options=_FAST,
            ),
            FilmKind(
                name="MKV", title="Matroska", demuxer="matroska", muxer="matroska", media_type="video/x-matroska",
                suffixes=(".mkv",), codecs=_EVERY
            ),
            FilmKind(
                name="WEBM", title="WebM", demuxer="matroska", muxer="webm", media_type="video/webm",
                suffixes=(".webm",), codecs=("vp9", "av1")
            ),
            FilmKind(name="AVI", title="AVI", demuxer="avi", muxer="avi", media_type="video/x-msvideo",
                suffixes=(".avi",), codecs=("h264",)),
            FilmKind(
                name="TS", title="MPEG transport stream", demuxer="mpegts", muxer="mpegts", media_type="video/mp2t",
                suffixes=(".ts",),
                codecs=("h264", "hevc"), options={"mpegts_copyts": "1"},
            ),
        )
    }
)  # fmt: skip
"""Those that are taken, by name."""

_BY_SUFFIX = {suffix: each.name for each in FILMS.values() for suffix in each.suffixes}
_PACKET, _SYNC = 188, 0x47  # ISO/IEC 13818-1, 2.4.3.2


def film_in(start: bytes) -> FilmKind | None:
    """The film that a file's first `SNIFF_BYTES` bytes announce; None for one that is not taken, and for no film.

    Source:
        ISO/IEC 14496-12, 4.3; RFC 8794, 11.2; ISO/IEC 13818-1, 2.4.3.2.
    """
    match refused_kind(start):
        case "a film (MP4)" | "a film (3GPP)":
            return FILMS["MP4"]
        case "a film (QuickTime)":
            return FILMS["MOV"]
        case "a film (Matroska or WebM)":
            at = start.find(b"\x42\x82")  # DocType, and a length of one byte
            return FILMS["WEBM" if at >= 0 and start[at + 3 : at + 7] == b"webm" else "MKV"]
        case "a film (AVI)":
            return FILMS["AVI"]
        case "a film (MPEG transport stream)":
            return FILMS["TS"] if all(byte == _SYNC for byte in start[::_PACKET]) else None
    return None


def film_named(path: str | os.PathLike[str]) -> str | None:
    """The film that a path's suffix asks for, None if it asks for none that is written."""
    return _BY_SUFFIX.get(Path(path).suffix.lower())


def named_format(path: str | os.PathLike[str]) -> str | None:
    """The format that a path's suffix asks for, of pictures or of films; None if it asks for none that is written."""
    return format_of(path) or film_named(path)


def suffix_of(name: str) -> str:
    """What new files of a format are called, of pictures or of films."""
    if name in FILMS:
        return FILMS[name].suffixes[0]
    return next(suffix for suffix, format_ in SUFFIXES.items() if format_ == name)
