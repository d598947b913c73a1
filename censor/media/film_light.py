"""What a film in HDR says of its light besides its code points: of the screen it was made on, and how bright it gets.

Players map by it what is brighter than their screen. It says nothing of what the pictures show.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from censor.media.film_kinds import Codec
from detect.pictures.cicp import Cicp

if TYPE_CHECKING:
    from av import VideoFrame
    from av.sidedata.sidedata import SideData

__all__ = ["Light", "let_side_data_go", "shown_alike", "side_data", "with_light"]

_CHROMA, _LUMINANCE = 50_000, 10_000  # H.265, D.3.28: steps of .00002, and of .0001 cd/m²
_CHROMA_AV1, _BRIGHTEST_AV1, _DARKEST_AV1 = 2**16, 2**8, 2**14  # AV1, 6.7.4
_LARGEST_CHROMA, _LARGEST_LUMINANCE, _LARGEST_LEVEL = Fraction(1), 2**17, 2**16 - 1

_MASTERING, _CONTENT = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"
_WORDS = {_MASTERING: "mastering display", _CONTENT: "content light level"}

_DOLBY = "DOVI"
_PROFILE, _WITHOUT_RESIDUAL = 4, 16
"""Bytes of FFmpeg's AVDOVIRpuDataHeader: profile of the metadata (not of the film), and whether no layer is added."""

_LEFT_OUT = {
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "DOVI_METADATA": "Dolby Vision metadata",
}
"""Kinds of side data of frames that do not come out, in words: no encoder here writes them."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Static metadata of a film in HDR.

    Attributes:
        mastering: The screen that it was made on: x and y of red, green, blue and white, then what is darkest and what
            is brightest in cd/m²; None where nobody says.
        content: cd/m² of the brightest pixel, and of the brightest frame on average; None where nobody says.
        left_out: What else it says and no encoder here writes, in words.

    Source:
        SMPTE ST 2086; CTA-861.3.
    """

    mastering: tuple[Fraction, ...] | None = None
    content: tuple[int, int] | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: VideoFrame) -> Light:
        """What a frame says; what no encoder would take is left out."""
        said = {each.type.name: bytes(each) for each in side_data(frame)}
        words = [_LEFT_OUT[each] for each in _LEFT_OUT if each in said]
        mastering = _mastering(said[_MASTERING]) if _MASTERING in said else None
        if _MASTERING in said and mastering is None:
            words.append(_WORDS[_MASTERING])
        content = None
        if _CONTENT in said:
            most, mean = np.frombuffer(said[_CONTENT], np.uint32)[:2].tolist()
            if max(most, mean) <= _LARGEST_LEVEL:
                content = (most, mean)
            else:
                words.append(_WORDS[_CONTENT])
        return cls(mastering=mastering, content=content, left_out=tuple(words))

    def dropped(self, codec: Codec) -> tuple[str, ...]:
        """Words for what does not come out, if it is written in a codec."""
        if codec.name in _WRITERS:
            return self.left_out
        lost = [(_MASTERING, self.mastering), (_CONTENT, self.content)]
        return (*self.left_out, *(_WORDS[kind] for kind, said in lost if said is not None))


def side_data(frame: VideoFrame) -> list[SideData]:
    """What came with a frame. PyAV's stubs call it a dictionary, and it is a sequence."""
    container: Any = frame.side_data
    return list(container)


def let_side_data_go(frame: VideoFrame) -> None:
    """Once nobody asks for it any more: from then on `side_data` says of this frame that there is none.

    PyAV's frame and the sequence of its side data hold each other, so that frames would stay until the garbage
    collector comes by, which does not know how large they are: a hundred and more, in full HD 3 MB each.
    """
    container: Any = frame.side_data
    container.__init__(type(frame)())


def shown_alike(frame: VideoFrame, cicp: Cicp) -> bool:
    """Whether a frame is what players show, be it those that know Dolby Vision or others; as it is without any of it.

    Its metadata map a base, which is decoded here, to what is shown. In some profiles the base is in colours of its
    own, and in some an enhancement layer is added, which may hold another picture. Where neither is so, and the
    film says in which colours the base is, they change no more than how bright it is and how colourful.

    Args:
        frame: Any of the film's.
        cicp: Code points of its colours.

    Source:
        ETSI GS CCM 001, 5.3.1; FFmpeg's AVDOVIMetadata and AVDOVIRpuDataHeader.
    """
    said = {each.type.name: bytes(each) for each in side_data(frame) if each.type.name.startswith(_DOLBY)}
    if not said:
        return True
    metadata = said.get(f"{_DOLBY}_METADATA", b"")
    header = metadata[int.from_bytes(metadata[:8], sys.byteorder) :] if metadata else b""
    if len(header) <= _WITHOUT_RESIDUAL:
        return False
    return header[_PROFILE] == 1 and header[_WITHOUT_RESIDUAL] == 1 and cicp.specified


def with_light(settings: Mapping[str, str], light: Light, codec: Codec) -> dict[str, str]:
    """What an encoder is told, and what a film says of its light with it, if the encoder writes that."""
    if codec.name not in _WRITERS or (light.mastering is None and light.content is None):
        return dict(settings)
    option, mastering, content = _WRITERS[codec.name]
    told = [settings[option]] if option in settings else []
    if light.mastering is not None:
        told.append(f"{mastering}={(_decimals if codec.name == 'av1' else _steps)(light.mastering)}")
    if light.content is not None:
        told.append(f"{content}={light.content[0]},{light.content[1]}")
    return {**settings, option: ":".join(told)}


_WRITERS = {
    "h264": ("x264-params", "mastering-display", "cll"),
    "hevc": ("x265-params", "master-display", "max-cll"),
    "av1": ("svtav1-params", "mastering-display", "content-light"),
}
"""By codec: FFmpeg's option for what its encoder is told, and the encoder's own names of both."""


def _mastering(data: bytes) -> tuple[Fraction, ...] | None:
    """An AVMasteringDisplayMetadata: ten rationals, and whether they are there."""
    numbers = np.frombuffer(data, np.int32)[:22].tolist()
    if len(numbers) < 22 or not (numbers[20] and numbers[21]):
        return None
    pairs = list(zip(numbers[:20:2], numbers[1:20:2], strict=True))
    if any(below <= 0 or above < 0 for above, below in pairs):
        return None
    said = tuple(Fraction(above, below) for above, below in pairs)
    fits = all(each < _LARGEST_CHROMA for each in said[:8]) and all(each < _LARGEST_LUMINANCE for each in said[8:])
    return said if fits else None


def _steps(mastering: Iterable[Fraction]) -> str:
    """In whole steps, as H.264 and HEVC hold them."""
    *chroma, darkest, brightest = mastering
    steps = [str(round(each * _LUMINANCE)) for each in (brightest, darkest)]
    return _written([str(round(each * _CHROMA)) for each in chroma], *steps)


def _decimals(mastering: Iterable[Fraction]) -> str:
    """In decimal fractions, exact enough for the whole step that each of them is of in AV1."""
    *chroma, darkest, brightest = mastering
    return _written(
        [_decimal(each, _CHROMA_AV1) for each in chroma],
        _decimal(brightest, _BRIGHTEST_AV1),
        _decimal(darkest, _DARKEST_AV1),
    )


def _decimal(value: Fraction, steps: int) -> str:
    return f"{float(Fraction(min(round(value * steps), 2**32 - 1), steps)):.9f}"


def _written(chroma: list[str], brightest: str, darkest: str) -> str:
    red, green, blue, white = (f"({chroma[each]},{chroma[each + 1]})" for each in range(0, 8, 2))
    return f"G{green}B{blue}R{red}WP{white}L({brightest},{darkest})"
