"""Films in HDR: looked at as a screen shows them, hidden in their own planes, and what they say of their light kept."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from film_files import RedSeer, blob, film, red_in
from hevc_metadata import dolby_vision, hdr10_plus, with_units
from hiding_films import policy
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from censor.analysis.plan_sheet import plan_sheet
from censor.media.film import open_film
from censor.media.film_kinds import CODECS, FILMS
from censor.media.film_light import Light, side_data, with_light
from censor.media.film_writing import codec_for
from censor.media.opening import read_encoded
from censor.policy import Policy
from censor.timeline import CensoredAnimation
from detect.errors import UnsupportedImageError
from detect.pictures.cicp import Cicp

PQ, HLG = Cicp(9, 16, video=True), Cicp(9, 18, video=True)
STEPS = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
DECIMALS = "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(4000,0.005)"
LIGHTS = {
    "libx264": {"x264-params": f"mastering-display={STEPS}:cll=1000,400"},
    "libx265": {"x265-params": f"log-level=none:info=0:master-display={STEPS}:max-cll=1000,400"},
    "libsvtav1": {"preset": "12", "svtav1-params": f"mastering-display={DECIMALS}:content-light=1000,400"},
}
STATIC = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
TAGS = ("colorspace", "color_range", "color_trc", "color_primaries")


def hdr(cicp: Cicp, container: str = "mp4", codec: str = "libx265", lefts: Any = (0, 8, 16, 24), **how: Any) -> bytes:
    """A red square that moves, its white as bright as paper: 203 cd/m²."""
    settings = {"color_trc": cicp.transfer, "color_primaries": cicp.primaries, "colorspace": 9, "color_range": 1}
    how = {"options": LIGHTS[codec], "pixels": "yuv420p10le", **how}
    return film([cicp.coded(blob(each)) for each in lefts], container, codec, matrix=9, settings=settings, **how)


def hidden(data: bytes, target: Path, how: Policy | None = None, **options: Any) -> tuple[CensoredAnimation, bytes]:
    censor = Censor(how or policy("pixelate"), detector=RedSeer(), classifiers=())
    return censor.apply_medium(data, target, **options), target.read_bytes()


def decoded(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


def light_of(frame: Any) -> dict[str, bytes]:
    return {each.type.name: bytes(each) for each in side_data(frame) if each.type.name in STATIC}


def luma(frame: Any) -> NDArray[np.int64]:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width].astype(np.int64)


def shown(frame: Any, cicp: Cicp) -> NDArray[np.uint8]:
    coded: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", src_colorspace=9)
    return cicp.tone_mapped(coded)


@pytest.mark.parametrize(
    ("cicp", "container", "codec"),
    [
        (PQ, "mp4", "libx265"),
        (HLG, "mov", "libx265"),
        (PQ, "mpegts", "libx265"),
        (PQ, "matroska", "libx264"),
        (HLG, "webm", "libsvtav1"),
        (PQ, "mp4", "libsvtav1"),
    ],
)
def test_what_is_red_on_a_screen_is_hidden_and_all_else_kept(
    tmp_path: Path, cicp: Cicp, container: str, codec: str
) -> None:
    data = hdr(cicp, container, codec)
    done, out = hidden(data, tmp_path / "out")
    before, after = decoded(data), decoded(out)
    assert len(done.hidden) == 1
    assert done.dropped == ()
    assert len(before) == len(after) == 4
    assert all(red_in(shown(each, cicp)).sum() > 50 for each in before)
    assert not any(red_in(shown(each, cicp)).any() for each in after)
    for one, other in zip(before, after, strict=True):
        assert other.format.name == "yuv420p10le"
        assert [getattr(one, each) for each in TAGS] == [getattr(other, each) for each in TAGS]
        aside = np.s_[:, 64:]
        error = np.square(luma(one)[aside] - luma(other)[aside]).mean()
        assert 10 * np.log10(1023**2 / max(error, 1e-6)) >= 42
    assert set(light_of(before[0])) == set(STATIC)
    assert light_of(before[0]) == light_of(after[0])


def test_light_goes_from_one_codec_to_another(tmp_path: Path) -> None:
    data = hdr(PQ)
    _, out = hidden(data, tmp_path / "out", codec="av1")
    one, other = light_of(decoded(data)[0]), light_of(decoded(out)[0])
    assert one["CONTENT_LIGHT_LEVEL"] == other["CONTENT_LIGHT_LEVEL"]
    first, second = (np.frombuffer(each[STATIC[0]], np.int32)[:20].reshape(10, 2) for each in (one, other))
    np.testing.assert_allclose(first[:, 0] / first[:, 1], second[:, 0] / second[:, 1], atol=2**-14)


@pytest.mark.parametrize("cicp", [PQ, HLG])
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (30, 90, 200)])
def test_a_color_is_the_one_that_was_asked_for(tmp_path: Path, cicp: Cicp, color: tuple[int, int, int]) -> None:
    how = Policy(name="one", rules=policy().rules, color=color)
    _, out = hidden(hdr(cicp, lefts=(8,) * 4), tmp_path / "out", how)
    frame = decoded(out)[0]
    coded = frame.to_ndarray(format="rgb24", src_colorspace=9)[40:48, 16:24].astype(int)
    wanted = cicp.coded(np.array(color, np.uint8)).astype(int)
    assert np.abs(coded - wanted).max() <= 4


def test_a_sticker_has_its_colors(tmp_path: Path) -> None:
    _, out = hidden(hdr(PQ, lefts=(8,) * 4), tmp_path / "out", policy("sticker"))
    face = PQ.coded(np.array((255, 204, 51), np.uint8)).astype(int)
    coded = decoded(out)[0].to_ndarray(format="rgb24", src_colorspace=9)[34:54, 10:30].reshape(-1, 3)
    assert np.abs(np.median(coded, axis=0) - face).max() <= 8


@pytest.mark.parametrize("cicp", [PQ, HLG, Cicp(9, 14, video=True)])
def test_networks_see_what_players_show_and_what_others_do(cicp: Cicp) -> None:
    seen: list[NDArray[np.uint8]] = []

    class Light(RedSeer):
        def _find(self, image: Any) -> Any:
            seen.append(image.copy())
            return super()._find(image)

    Censor(policy(), detector=Light(), classifiers=()).check_medium(hdr(cicp, lefts=(8,) * 4), every=1)
    plain = cicp.coded(blob(8))
    screen = cicp.tone_mapped(plain) if cicp.hdr else blob(8)
    assert len(seen) in (2, 4, 6, 8)
    assert np.abs(seen[0].astype(int) - screen).mean() < 4
    assert np.abs(seen[1].astype(int) - plain).mean() < 4


def test_what_only_players_show_that_know_no_hdr_is_hidden(tmp_path: Path) -> None:
    square = np.full((96, 160, 3), 60, np.uint8)
    square[32:56, 40:64] = (150, 105, 105)
    data = film(
        [square] * 4, codec="libx265", pixels="yuv420p10le", matrix=9,
        settings={"color_trc": 18, "color_primaries": 9, "colorspace": 9},
    )  # fmt: skip
    assert red_in(square).any()
    assert not red_in(shown(decoded(data)[0], HLG)).any()
    done, out = hidden(data, tmp_path / "out", policy("solid"))
    assert len(done.hidden) == 1
    assert not any(red_in(each.to_ndarray(format="rgb24", src_colorspace=9)).any() for each in decoded(out))


def test_a_plan_does_the_same_and_its_sheet_shows_colors_of_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(hdr(PQ))
    censor = Censor(policy("pixelate"), detector=RedSeer(), classifiers=())
    plan = censor.plan(path)
    censor.apply_medium(path, tmp_path / "planned.mp4", plan=plan)
    _, at_once = hidden(path.read_bytes(), tmp_path / "out")
    assert (tmp_path / "planned.mp4").read_bytes() == at_once
    page = plan_sheet(read_encoded(path), plan, censor)
    (first, *_) = re.findall(r"data:image/\w+;base64,([^\"]+)", page)
    thumbnail = np.asarray(Image.open(io.BytesIO(base64.b64decode(first))).convert("RGB")).astype(int)
    screen = PQ.tone_mapped(PQ.coded(blob(0)))
    assert thumbnail.shape == screen.shape
    assert np.median(np.abs(thumbnail - screen)) <= 6 < np.median(np.abs(thumbnail - PQ.coded(blob(0))))


def test_frames_that_are_given_are_in_colors_of_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(hdr(PQ, lefts=(-1,) * 4))
    frames = list(Censor(policy(), detector=RedSeer(), classifiers=()).frames(path))
    assert len(frames) == 4
    assert np.abs(frames[0].pixels.astype(int) - PQ.tone_mapped(PQ.coded(blob(-1)))).mean() < 4


def test_colors_that_no_player_shows_are_refused(tmp_path: Path) -> None:
    for settings, why in (({"colorspace": 14}, "matrix 14"), ({"color_trc": 9}, "which no player shows")):
        data = film([blob(0)] * 4, pixels="yuv420p10le", settings=settings, audio=None)
        with pytest.raises(UnsupportedImageError, match=why):
            hidden(data, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A transport stream, to which units can be added."""
    return hdr(PQ, "mpegts", lefts=range(0, 64, 8), audio=None)


@pytest.mark.parametrize(
    ("units", "word"),
    [
        ({"before": hdr10_plus()}, "HDR10+ metadata"),
        ({"behind": dolby_vision()}, "Dolby Vision metadata"),
    ],
)
def test_metadata_by_frame_are_dropped_and_said(
    tmp_path: Path, stream: bytes, units: dict[str, bytes], word: str
) -> None:
    data = with_units(stream, **units)
    assert {each.type.name for each in side_data(decoded(data)[0])} - {*STATIC}
    done, out = hidden(data, tmp_path / "out")
    assert done.dropped == (word,)
    (unit,) = units.values()
    assert unit[4:12] in data
    assert unit[4:12] not in out
    assert {each.type.name for each in side_data(decoded(out)[0])} == {*STATIC}


def test_what_only_players_of_dolby_vision_show_aright_is_refused(tmp_path: Path, stream: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="Dolby Vision that other players show otherwise"):
        hidden(with_units(stream, behind=dolby_vision(profile=0)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_dolby_vision_without_colors_of_its_base_is_refused(tmp_path: Path) -> None:
    bare = film([blob(8)] * 4, "mpegts", "libx265", pixels="yuv420p10le", audio=None)
    with pytest.raises(UnsupportedImageError, match="Dolby Vision"):
        hidden(with_units(bare, behind=dolby_vision()), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_container_for_players_of_dolby_vision_alone_is_refused(tmp_path: Path) -> None:
    data = hdr(PQ, audio=None)
    assert data.count(b"hev1") == 1
    with pytest.raises(UnsupportedImageError, match="Dolby Vision"):
        hidden(data.replace(b"hev1", b"dvh1"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "codec", "pixels", "written"),
    [
        ("WEBM", "vp9", "yuv420p", "vp9"),
        ("WEBM", "vp9", "yuv420p10le", "av1"),
        ("MP4", "vp9", "yuv444p10le", "hevc"),
        ("MKV", "av1", "yuv444p10le", "hevc"),
        ("MP4", "h264", "yuv420p10le", "h264"),
        ("MOV", "prores", "yuv444p12le", "hevc"),
        ("WEBM", "vp9", "yuv444p12le", "vp9"),
    ],
)
def test_more_bits_than_an_encoder_takes_go_to_one_that_takes_them(
    kind: str, codec: str, pixels: str, written: str
) -> None:
    info = replace(open_film(film([blob(8)] * 4)).info, codec=codec, pixel_format=pixels)
    assert codec_for(info, FILMS[kind]).name == written


def test_what_no_encoder_writes_of_light_is_said() -> None:
    light = Light.of(decoded(hdr(PQ, audio=None))[0])
    assert light.dropped(CODECS["hevc"]) == ()
    assert light.dropped(CODECS["vp9"]) == ("mastering display", "content light level")
    assert with_light({"crf": "9"}, light, CODECS["vp9"]) == {"crf": "9"}
    assert with_light({"crf": "9"}, Light(), CODECS["hevc"]) == {"crf": "9"}
