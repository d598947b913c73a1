"""Films from file to file: what is hidden in them, and what is kept."""

import io
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from film_files import RedSeer, add_sound, blob, changing, film, frames_of, packets_of, red_in, times_of
from hiding_films import LABEL, PATH, censored, left_of, moving, policy
from numpy.typing import NDArray

from censor import Censor
from censor.errors import ExtraError, WriteError
from detect.errors import DamagedImageError, LimitError, ReadError, UnsupportedImageError


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = float(((one.astype(float) - other) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


KINDS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "libx265", "yuv420p10le"),
    ("mov", "libx264", "yuv444p"),
    ("matroska", "libx264", "yuv422p10le"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("mp4", "libsvtav1", "yuv420p10le"),
    ("avi", "libx264", "yuv420p"),
    ("mpegts", "libx264", "yuv420p"),
]


@pytest.mark.parametrize(("container", "codec", "pixels"), KINDS, ids=["-".join(each) for each in KINDS])
def test_it_is_hidden_in_every_frame_and_the_rest_is_kept(
    tmp_path: Path, container: str, codec: str, pixels: str
) -> None:
    data = moving(container=container, codec=codec, pixels=pixels)
    seer = RedSeer()
    done, out = censored(data, tmp_path / "out", seer)
    assert min(left_of(data)) > 200
    assert left_of(out) == [0] * 24
    assert times_of(out) == times_of(data)
    assert packets_of(out) == packets_of(data) != []
    assert done.frames == 24
    assert [each.start for each in done.hidden] == [0]
    assert seer.calls < 30  # and not 24 at the first look alone, and 24 at the second
    for before, after, left in zip(frames_of(data), frames_of(out), PATH, strict=True):
        assert psnr(before[:24], after[:24]) > 38
        assert psnr(before[:, left + 48 :], after[:, left + 48 :]) > 38
        assert after[32:56, left : left + 24].mean() < 40
    with av.open(io.BytesIO(data), "r") as one, av.open(io.BytesIO(out), "r") as two:
        assert one.format.name == two.format.name
        assert [each.codec_context.name for each in one.streams] == [each.codec_context.name for each in two.streams]
        assert one.streams.video[0].codec_context.pix_fmt == two.streams.video[0].codec_context.pix_fmt == pixels
        assert abs((one.duration or 0) - (two.duration or 0)) < 50_000


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_film_is_judged_upright_and_stays_turned(tmp_path: Path, rotation: int) -> None:
    data = film([blob(left, size=(96, 176)) for left in PATH], rotation=rotation)
    seer = RedSeer()
    _, out = censored(data, tmp_path / "out", seer)
    assert set(seer.sizes) == {(176, 96) if rotation % 180 else (96, 176)}
    assert left_of(out) == [0] * 24
    with av.open(io.BytesIO(out), "r") as container:
        assert next(container.decode(video=0)).rotation % 360 == rotation % 360
    for before, after, left in zip(frames_of(data), frames_of(out), PATH, strict=True):
        assert psnr(before[:, left + 48 :], after[:, left + 48 :]) > 38


def test_irregular_times_tags_aspect_and_languages_are_kept(tmp_path: Path) -> None:
    times = [0, 25, 50, 80, 100, 120, 121, 200, *range(240, 560, 20)]
    tags = {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1}
    data = moving(times=times, settings={**tags, "sample_aspect_ratio": Fraction(4, 3)}, language="deu")
    seer = RedSeer()
    _, out = censored(data, tmp_path / "out", seer)
    assert left_of(out) == [0] * 24
    assert set(seer.sizes) == {(96, 213)}  # as players show it
    assert times_of(out) == times_of(data)
    with av.open(io.BytesIO(out), "r") as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        frame = next(container.decode(video))
        assert {name: int(getattr(frame, name)) for name in tags} == tags
        assert video.sample_aspect_ratio == Fraction(4, 3)
        assert (video.language, sound.language) == ("deu", "deu")
    assert out.find(b"moov") < out.find(b"mdat")


@pytest.mark.parametrize("effect", ["pixelate", "blur"])
def test_a_mosaic_hides_it_too(tmp_path: Path, effect: str) -> None:
    done, out = censored(moving(), tmp_path / "out", effect=effect)
    assert left_of(out) == [0] * 24
    assert len(done.hidden) == 1


def test_what_appears_for_a_moment_between_two_looks_is_found_by_the_look_again(tmp_path: Path) -> None:
    frames = [blob(-1) for _ in range(48)]
    for row in (10, 11, 12):
        frames[row] = blob(60)
    done, out = censored(film(frames), tmp_path / "out", every=8)
    assert sum(left_of(out)) == 0
    assert [each.first.rechecked for each in done.hidden] == [True]


def test_check_says_when(tmp_path: Path) -> None:
    frames = [blob(60 + row if 12 <= row < 24 else -1) for row in range(48)]
    seer = RedSeer()
    censor = Censor(policy(), detector=seer, classifiers=())
    checked = censor.check_medium(film(frames))
    assert [each.verdict.level.value for each in checked.spans] == ["safe", "nsfw", "safe"]
    assert checked.spans[1].start == pytest.approx(0.5, abs=0.13)
    assert checked.spans[1].end == pytest.approx(1.0, abs=0.13)
    assert checked.spans[2].end == pytest.approx(2.0, abs=0.01)
    all_of_it, seer.calls = seer.calls, 0
    assert censor.check_medium(film(frames), first=True).verdict == checked.verdict
    assert seer.calls < all_of_it


def test_a_cut_is_looked_at_on_both_sides(tmp_path: Path) -> None:
    """A shot of two frames between two looks, in which all is bright."""
    frames = [blob(-1) for _ in range(40)]
    for row in (17, 18):
        frames[row] = 255 - blob(-1)
        frames[row][32:56, 40:64] = blob(40)[32:56, 40:64]
    _, out = censored(film(frames), tmp_path / "out", every=16)
    assert sum(left_of(out)) == 0


def test_progress_counts_every_frame_twice(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    censored(moving(), tmp_path / "out", progress=lambda done, total: told.append((done, total)))
    assert told == [(each, 48) for each in range(1, 49)]


def test_other_codecs_become_h264_or_what_was_asked_for(tmp_path: Path) -> None:
    data = moving(container="matroska", codec="mpeg4")
    for codec, name in ((None, "h264"), ("vp9", "vp9")):
        _, out = censored(data, tmp_path / f"{codec}", codec=codec)
        assert left_of(out) == [0] * 24
        with av.open(io.BytesIO(out), "r") as container:
            assert container.streams.video[0].codec_context.name == name
    with pytest.raises(ValueError, match="WebM is written with vp9, av1, not 'h264'"):
        censored(moving(container="webm", codec="libvpx-vp9"), tmp_path / "no", codec="h264")


def test_a_film_goes_where_it_came_from_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("out.mkv", "out.gif"):
        with pytest.raises(WriteError, match="written in the container that it came in, MP4"):
            censored(moving(), tmp_path / name)
        assert not (tmp_path / name).exists()


def damaged(data: bytes) -> bytes:
    with av.open(io.BytesIO(data), "r") as container:
        packet = [bytes(each) for each in container.demux(video=0) if each.size][10]
    at = data.index(packet)
    return data[: at + 8] + bytes(len(packet) - 8) + data[at + len(packet) :]


def test_what_cannot_be_decoded_whole_gives_nothing(tmp_path: Path) -> None:
    good = moving()
    cases: list[tuple[bytes, type[Exception], str]] = [
        (b"", DamagedImageError, "the file is empty"),
        (good[:-200], DamagedImageError, "cut short"),
        (moving(container="matroska")[:-500], DamagedImageError, "cut short"),
        (moving(container="avi")[:-500], DamagedImageError, "cut short"),
        (moving(container="mpegts")[:-100], DamagedImageError, "cut short"),
        (damaged(good), DamagedImageError, "behind frame"),
        (damaged(moving(container="mpegts", codec="libx265")), DamagedImageError, "cut short"),
        (changing([(96, 160), (64, 96)]), UnsupportedImageError, "changes to 96 x 64 yuv420p midway"),
        (good[:64], DamagedImageError, "cut short"),
    ]
    for number, (data, error, why) in enumerate(cases):
        target = tmp_path / f"out{number}"
        with pytest.raises(error, match=why):
            censored(data, target)
        with pytest.raises(error, match=why):
            Censor(policy(), detector=RedSeer(), classifiers=()).check_medium(data)
        assert not target.exists()
    assert list(tmp_path.iterdir()) == []


def test_caps_hold(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="over the cap of 1,000"):
        Censor(policy(), detector=RedSeer(), classifiers=(), max_pixels=1000).check_medium(moving())


def test_a_film_of_one_frame_and_one_without_sound(tmp_path: Path) -> None:
    data = film([blob(20)], audio=None)
    done, out = censored(data, tmp_path / "out")
    assert (done.frames, left_of(out)) == (1, [0])
    assert times_of(out) == times_of(data)


def sound_alone() -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as out:
        add_sound(out, out.add_stream("aac", rate=44100, layout="mono"))
    return stream.getvalue()


REFUSED: dict[str, tuple[Any, str]] = {
    "interlaced": (lambda: moving(options={"x264-params": "tff=1"}), "interlaced"),
    "transparent": (lambda: moving(container="webm", codec="libvpx-vp9", pixels="yuva420p"), "transparency"),
    "repeating times": (
        lambda: film([blob(0)] * 4, "matroska", times=[0, 25, 25, 50]),
        "missing, repeat or go back",
    ),
    "sound alone": (sound_alone, "without pictures that move"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_players_show_in_other_ways_is_refused(tmp_path: Path, case: str) -> None:
    make, why = REFUSED[case]
    data = make()
    with pytest.raises(UnsupportedImageError, match=why):
        censored(data, tmp_path / "out")
    with pytest.raises(UnsupportedImageError, match=why):
        Censor(policy(), detector=RedSeer(), classifiers=()).check_medium(data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "container", "codec", "pixels"),
    [((97, 161), "webm", "libvpx-vp9", "yuv420p"), ((97, 161), "mp4", "libx264", "yuv444p")],
)
def test_odd_sizes_stay_odd(tmp_path: Path, size: tuple[int, int], container: str, codec: str, pixels: str) -> None:
    data = film([blob(left, size=size) for left in PATH[:8]], container, codec, pixels=pixels)
    _, out = censored(data, tmp_path / "out")
    assert left_of(out) == [0] * 8
    assert {each.shape for each in frames_of(out)} == {(*size, 3)}


def test_a_pixel_and_a_size_that_no_encoder_takes(tmp_path: Path) -> None:
    dot = film([np.full((1, 1, 3), 90, np.uint8)] * 3, "webm", "libvpx-vp9")
    assert censored(dot, tmp_path / "dot")[0].frames == 3
    odd = film([blob(0, size=(97, 161))] * 3, "matroska", "mpeg4")
    with pytest.raises(WriteError, match="libx264 does not take 161 x 97"):
        censored(odd, tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


def test_a_film_in_avi_keeps_the_order_of_its_frames(tmp_path: Path) -> None:
    data = moving(container="avi", codec="mpeg4")
    _, out = censored(data, tmp_path / "out")
    for each in (data, out):
        with av.open(io.BytesIO(each), "r") as container:
            assert [packet.dts for packet in container.demux(video=0) if packet.size] == list(range(24))
    assert left_of(out) == [0] * 24


def test_what_changes_between_the_passes_gives_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(moving())

    class Swaps(RedSeer):
        def detect(self, images: Any) -> Any:
            if self.calls == 0:
                source.write_bytes(film([blob(-1)] * 24) + bytes(8))
            return super().detect(images)

    with pytest.raises(ReadError, match="was changed while it was read"):
        Censor(policy(), detector=Swaps(), classifiers=()).apply_medium(source, tmp_path / "out.mp4")
    assert [each.name for each in tmp_path.iterdir()] == ["in.mp4"]


def test_without_the_extra_one_line_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = moving()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraError, match=r"pip install 'nsfw-censor\[video\]'"):
        censored(data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_said_on_standard_error(tmp_path: Path) -> None:
    """In a process of its own: SVT-AV1 remembers what it was told first."""
    (tmp_path / "in.mp4").write_bytes(moving())
    (tmp_path / "bad.mp4").write_bytes(damaged(moving()))
    lines = [
        "import sys",
        "from film_files import RedSeer",
        "from hiding_films import Censor, policy",
        "censor = Censor(policy(), detector=RedSeer(), classifiers=())",
        "for codec in ('h264', 'hevc', 'av1'):",
        "    censor.apply_medium('in.mp4', codec + '.mp4', codec=codec)",
        "try: censor.apply_medium('bad.mp4', 'no.mp4')",
        "except Exception as error: print(type(error).__name__)",
    ]
    paths = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("DamagedImageError\n", "")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux alone says how threads are scheduled")
def test_no_thread_gets_a_priority_by_which_the_machine_would_stand_still(tmp_path: Path) -> None:
    """To root's threads SVT-AV1 gives real-time priority; in a process of its own, lest these tests' keep it."""
    (tmp_path / "in.mp4").write_bytes(moving())
    lines = [
        "import os",
        "from film_files import RedSeer",
        "from hiding_films import Censor, policy",
        "seen = set()",
        "def look(done, total):",
        "    seen.update(os.sched_getscheduler(int(each)) for each in os.listdir('/proc/self/task'))",
        "censor = Censor(policy(), detector=RedSeer(), classifiers=())",
        "censor.apply_medium('in.mp4', 'out.mp4', codec='av1', progress=look)",
        "look(0, 0)",
        "print(seen)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.stdout == f"{{{os.SCHED_OTHER}}}\n"


def test_a_film_goes_from_one_open_file_into_another_and_both_stay_open() -> None:
    source, out = io.BytesIO(film([blob(8 + 4 * each) for each in range(6)])), io.BytesIO()
    done = Censor(policy(), detector=RedSeer(LABEL), classifiers=()).apply_medium(source, out)
    assert done.frames == len(frames_of(out.getvalue())) == 6
    assert not any(red_in(each).any() for each in frames_of(out.getvalue()))
    assert source.seek(0) == out.seek(0) == 0
