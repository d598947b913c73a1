from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from censor.stickers import STICKERS, load_sticker
from detect.errors import DamagedImageError, ReadError


@pytest.mark.parametrize(("name", "emoji"), STICKERS.items())
def test_built_in_stickers_by_name_and_emoji(name: str, emoji: str) -> None:
    drawn = load_sticker(name)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (512, 512, 4)
    assert drawn[256, 256, 3] == 255
    assert drawn[0, 0, 3] == 0
    assert 0.2 < (drawn[..., 3] > 0).mean() < 0.9
    assert (load_sticker(emoji) == drawn).all()
    assert (load_sticker(emoji + "\N{VARIATION SELECTOR-16}") == drawn).all()


def test_stickers_differ() -> None:
    assert len({load_sticker(name).tobytes() for name in STICKERS}) == len(STICKERS)


def test_any_picture_is_a_sticker(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    Image.fromarray(astronaut[:20, :30]).save(tmp_path / "s.png")
    stamp = load_sticker(tmp_path / "s.png")
    assert stamp.shape == (20, 30, 4)
    assert (stamp[..., 3] == 255).all()
    Image.fromarray(stamp).save(tmp_path / "t.png")
    assert (load_sticker(str(tmp_path / "t.png")) == stamp).all()


def test_what_is_no_sticker(tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        load_sticker("🦄")
    (tmp_path / "e.png").write_bytes(b"")
    with pytest.raises(DamagedImageError):
        load_sticker(tmp_path / "e.png")
