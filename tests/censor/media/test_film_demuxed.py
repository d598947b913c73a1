"""What is kept of a film, as demuxers that are not FFmpeg's read it from the files before and after."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from demuxers import Track, boxed, matroska
from film_files import RedSeer, blob, film

from censor import Censor
from censor.policy import Policy
from censor.rules import Rule

LABEL = "FEMALE_BREAST_EXPOSED"
RULE = Rule(censor_at=0.3, review_at=0.3, nsfw_at=0.6, shape="box", expand=0.0, effect="solid")
POLICY = Policy(name="one", rules={LABEL: RULE})
FRAMES = [blob(4 * each) for each in range(10)]
UNEVEN = [0, 40, 60, 140, 141, 250, 400, 401, 520, 1000]
LATE = [300 + each for each in UNEVEN]
TAGS = {"color_range": 2, "colorspace": 1, "color_primaries": 1, "color_trc": 1}
WIDE = {**TAGS, "sample_aspect_ratio": Fraction(4, 3)}

Read = Callable[[bytes], list[Track]]
CASES: dict[str, tuple[Read, dict[str, Any]]] = {
    "mp4": (boxed, {"settings": WIDE, "times": UNEVEN}),
    "mp4, sound first": (boxed, {"times": LATE, "rotation": 90}),
    "mp4, turned": (boxed, {"rotation": 180, "settings": TAGS}),
    "mov": (boxed, {"container": "mov", "settings": WIDE, "times": UNEVEN, "rotation": -90}),
    "mp4, AV1": (boxed, {"codec": "libsvtav1", "times": UNEVEN, "settings": TAGS, "options": {"preset": "12"}}),
    "matroska": (matroska, {"container": "matroska", "times": LATE, "settings": WIDE}),
    "webm": (matroska, {"container": "webm", "codec": "libvpx-vp9", "times": UNEVEN, "settings": TAGS}),
}


@pytest.mark.parametrize("case", CASES)
def test_another_demuxer_reads_the_same_times_sound_and_tags(tmp_path: Path, case: str) -> None:
    read, how = CASES[case]
    data = film(FRAMES, base=Fraction(1, 1000), language="deu", **how)
    done = Censor(POLICY, detector=RedSeer(LABEL), classifiers=()).apply_medium(data, tmp_path / "out")
    before, after = read(data), read((tmp_path / "out").read_bytes())
    assert len(done.hidden) == 1
    assert [(each.kind, each.language) for each in before] == [(each.kind, each.language) for each in after]
    assert sorted(each.kind for each in before) == ["soun", "vide"]
    for one, other in zip(before, after, strict=True):
        assert one.said == other.said
        assert sorted(one.shown) == sorted(other.shown)
        if one.kind == "soun":
            assert one == other
        else:
            assert [round(each * 1000) for each in sorted(one.shown)] == how.get(
                "times", [42 * each for each in range(10)]
            )
            assert one.samples != other.samples
