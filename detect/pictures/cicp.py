"""Code points that say what colours numbers stand for, as PNG, AVIF and HEIC carry them.

An SDR kind becomes a profile of ours, and then goes the way of all profiles. PQ and HLG hold more light than a screen
shows; they are brought down to sRGB as Chromium shows them on an ordinary screen.

Source:
    Rec. ITU-T H.273 (07/2024), tables 2 and 3; Rec. ITU-R BT.2100-3; the reference white tone mapping of SMPTE ST
    2094-50 (candidate draft 2), annex D, which is what Skia does with PQ and HLG.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detect.pictures.icc import SRGB_FROM_XYZ, Shaper, encoded, xyz_of_primaries

__all__ = ["SRGB", "Cicp", "lit", "unknown"]

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_NTSC = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)
_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, *_NTSC),
    7: (*_D65, *_NTSC),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""White, red, green and blue, x and y of each; whatever is not here counts as sRGB's."""

_PQ, _HLG = 16, 18
_TRANSFERS = frozenset({1, *range(4, 19)})
_REFUSED = (9, 10, 11, 12)
"""Logarithmic and extended curves."""

_WHITE, _PEAK = 203.0, 1000.0
"""cd/m² of diffuse white (BT.2408) and of what is taken to be the brightest where nobody says."""

_BRIGHTEST = 10_000.0
"""cd/m²: the most that PQ can say."""

_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])
"""Of light in BT.2020: BT.2100-3, table 4."""

_LEVELS = np.arange(256) / 255


class Cicp(NamedTuple):
    """Colour primaries and transfer characteristics.

    Attributes:
        primaries: H.273, table 2.
        transfer: H.273, table 3.
        video: The curves of BT.709 and its kin are taken for sRGB's, as browsers do in AVIF. In PNG they take them for
            those of a screen (BT.1886).
        peak: cd/m² of the brightest; it counts for HDR alone.
    """

    primaries: int
    transfer: int
    video: bool = False
    peak: float = _PEAK

    @property
    def specified(self) -> bool:
        """Whether both numbers mean something."""
        return self.primaries in _PRIMARIES and self.transfer in _TRANSFERS

    @property
    def hdr(self) -> bool:
        """Whether more light is meant than a screen shows."""
        return self.transfer in (_PQ, _HLG)

    @property
    def shaper(self) -> Shaper | None:
        """Curves and matrix; None if it is sRGB. Of an HDR kind, the matrix alone counts."""
        known = self.primaries if self.primaries in _PRIMARIES else 1
        curve = _curve(self.transfer, video=self.video)
        if known == 1 and curve is None and not self.hdr:
            return None
        colorants = xyz_of_primaries(_PRIMARIES[known])
        if colorants is None:
            raise AssertionError(f"primaries {known} make no colour space")
        return Shaper(colorants, np.stack([_srgb() if curve is None else curve] * 3))

    def tone_mapped(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """PQ or HLG as an ordinary screen shows it.

        Args:
            pixels: uint8 (H, W, 3), full range.

        Returns:
            sRGB, uint8 (H, W, 3).
        """
        shown = np.empty_like(pixels)
        for top in range(0, len(pixels), 64):  # in strips: floats take many times the memory
            shown[top : top + 64] = self._strip(pixels[top : top + 64])
        return shown

    def coded(self, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The numbers that stand for colours of sRGB: what they show is the colour, or the nearest that they can.

        Args:
            colors: uint8 (..., 3), sRGB.

        Returns:
            uint8 (..., 3), full range.

        Source:
            Rec. ITU-R BT.2408-7, 2.1 and 5.1: white of a screen is diffuse white, 203 cd/m², also of what comes from
            SDR. `tone_mapped` shows it half as bright, like all that is as bright as it.
        """
        flat = _srgb()[colors.reshape(-1, 3)]
        if not self.hdr:
            shaper = self.shaper
            if shaper is None:
                return colors
            own = flat @ np.linalg.inv(SRGB_FROM_XYZ @ shaper.colorants).T
            levels = np.stack([np.interp(own[:, each], shaper.curves[each], _LEVELS) for each in range(3)], axis=1)
        else:
            to_2020, to_srgb = _matrices(self.primaries if self.primaries in _PRIMARIES else 1)
            light = np.maximum(flat @ np.linalg.inv(to_srgb), 0)
            if self.transfer == _HLG:
                luminance = light @ _LUMINANCE * (_WHITE / _PEAK)
                light *= (np.maximum(luminance, 1e-6) ** (1 / 1.2 - 1) * _WHITE / _PEAK)[:, None]
            curve = _pq() if self.transfer == _PQ else _hlg()
            levels = np.interp(light @ np.linalg.inv(to_2020), curve, _LEVELS)
        return np.asarray(np.round(255 * levels), np.uint8).reshape(colors.shape)

    def _strip(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        to_2020, to_srgb = _matrices(self.primaries if self.primaries in _PRIMARIES else 1)
        if self.transfer == _PQ:
            light = _pq()[pixels] @ to_2020
        else:
            scene = _hlg()[pixels] @ to_2020
            luminance = scene @ _LUMINANCE
            light = scene * (np.maximum(luminance, 1e-6) ** 0.2 * _PEAK / _WHITE)[..., None]
        peaks, gains = _gains(self.peak)
        light *= np.interp(light.max(axis=-1), peaks, gains)[..., None]
        linear = np.clip(light @ to_srgb, 0, 1)
        return np.asarray(np.round(encoded(linear)), np.uint8)


SRGB = Cicp(1, 13)


def lit(cicp: Cicp, said: Iterable[float]) -> list[Cicp]:
    """Colours with the brightest light that is said of them, and, since not every viewer asks for that, without.

    Args:
        cicp: Code points.
        said: cd/m², that first which browsers go by; 0 says nothing.
    """
    peaks = [each for each in said if each] if cicp.hdr else []
    return list(dict.fromkeys([*(cicp._replace(peak=each) for each in peaks), cicp]))


def unknown(cicp: Cicp) -> bool:
    """Whether no browser shows such colours, or nobody uses them: HDR in the primaries of XYZ, or beyond PQ's light."""
    return cicp.transfer in _REFUSED or (cicp.hdr and (cicp.primaries == 10 or cicp.peak > _BRIGHTEST))


def _srgb() -> NDArray[np.float64]:
    return np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)


def _curve(transfer: int, *, video: bool) -> NDArray[np.float64] | None:
    """Linear light at every 8-bit level; None if that is sRGB's."""
    if transfer in (1, 6, 14, 15) and not video:
        return np.asarray(_LEVELS**2.4)
    if transfer == 7:
        return np.where(_LEVELS < 0.0913, _LEVELS / 4.0, ((_LEVELS + 0.1115) / 1.1115) ** (1 / 0.45))
    if transfer == 17:
        return np.minimum(_LEVELS**2.6 * 52.37 / 48, 1)
    gamma = {4: 2.2, 5: 2.8, 8: 1.0}.get(transfer)
    return None if gamma is None else np.asarray(_LEVELS**gamma)


@functools.cache
def _matrices(primaries: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """To BT.2020 and from there to sRGB, for rows of RGB on the left."""
    own, wide = xyz_of_primaries(_PRIMARIES[primaries]), xyz_of_primaries(_PRIMARIES[9])
    if own is None or wide is None:
        raise AssertionError(f"primaries {primaries} make no colour space")
    return (np.linalg.inv(wide) @ own).T, (SRGB_FROM_XYZ @ wide).T


@functools.cache
def _pq() -> NDArray[np.float64]:
    """Light over diffuse white at every 8-bit level: BT.2100-3, table 4."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    powered = _LEVELS ** (1 / m2)
    return np.asarray(10_000 / _WHITE * (np.maximum(powered - c1, 0) / (c2 - c3 * powered)) ** (1 / m1))


@functools.cache
def _hlg() -> NDArray[np.float64]:
    """Light of the scene in [0, 1] at every 8-bit level: BT.2100-3, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(_LEVELS <= 0.5, _LEVELS**2 / 3, (np.exp((_LEVELS - c) / a) + b) / 12)


@functools.lru_cache(maxsize=64)
def _gains(peak: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By what to multiply light, by the brightest component: the less up to diffuse white, the more is above it.

    Source:
        ST 2094-50, formulae D.2 and D.5, for a screen without headroom; from white on a shoulder up to the peak. Held
        against Chromium 156 with peaks from 1 to 10,000 cd/m²: .4 of 255 off on average at most.
    """
    if peak <= _WHITE:
        return np.array([0.0, 1.0]), np.ones(2)
    most, kappa = peak / _WHITE, 0.65
    knee = 1 - 0.5 * min(float(np.log2(most) / np.log2(_PEAK / _WHITE)), 1)
    x_mid, y_mid = (1 - kappa) + kappa / knee, (1 - kappa) * knee + kappa
    t = np.linspace(0, 1, 65)
    x = (1 - t) ** 2 + 2 * t * (1 - t) * x_mid + t**2 * most
    y = (1 - t) ** 2 * knee + 2 * t * (1 - t) * y_mid + t**2
    beyond = most * np.geomspace(1.01, 60, 200)
    return np.concatenate([[0], x, beyond]), np.concatenate([[knee], y / x, 1 / beyond])
