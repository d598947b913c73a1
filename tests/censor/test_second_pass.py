"""What waits between look and output: how many frames of a film are held, and what they are hidden by."""

from __future__ import annotations

import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from film_files import RedSeer, blob, film
from hiding_films import censored, left_of, moving

import censor.media.film as film_module
from censor import second_pass
from detect.errors import LimitError


def test_no_more_than_a_few_frames_are_held(tmp_path: Path) -> None:
    """Frames that are alive at once, counted where they are made."""
    alive, most = 0, 0
    real = film_module.FilmFrame.__init__

    def counted(self: Any, *rest: Any) -> None:
        nonlocal alive, most
        real(self, *rest)
        alive += 1
        most = max(most, alive)
        weakref.finalize(self, gone)

    def gone() -> None:
        nonlocal alive
        alive -= 1

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(film_module.FilmFrame, "__init__", counted)
        censored(film([blob(each % 120) for each in range(96)], audio=None), tmp_path / "out")
    assert 8 < most < 24


def test_what_a_late_look_finds_is_hidden_in_all_the_time_before_it_whatever_the_rate(tmp_path: Path) -> None:
    """At 480 frames a second a quarter of a second has 120 of them; only that at frame 90 sees."""

    class Late(RedSeer):
        def _find(self, image: Any) -> Any:
            return super()._find(image if image[:8, :8].mean() > 200 else image[:1])

    frames = [blob(40) for _ in range(121)]
    frames[90][:8, :8] = 255
    data = film(frames, rate=480, base=Fraction(1, 48_000), audio=None)
    _, out = censored(data, tmp_path / "out", Late())
    assert left_of(out) == [0] * 121


def test_more_frames_than_can_be_held_give_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_pass, "_HELD_PIXELS", 5 * 96 * 160)
    with pytest.raises(LimitError, match=r"6 frames of 160 x 96 pixels within 0.25 s"):
        censored(moving(audio=None), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
