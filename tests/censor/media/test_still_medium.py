"""A still as a medium: one part in, one part out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from censor.errors import WriteError
from censor.media.medium import Part, Where
from censor.media.opening import open_medium
from detect.errors import DamagedImageError, LimitError
from detect.pictures.still import Picture, decode


def test_a_still_has_one_part_that_stands_nowhere(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    medium = open_medium(encoded(scene, "PNG"))
    for _ in range(2):  # as often as it is asked
        (part,) = medium.parts()
        assert np.array_equal(part.picture.pixels, scene)
        assert part.picture.format == "PNG"
        assert part.where == Where() == Where(frame=None, seconds=None, page=None, member=None)


def test_nothing_is_read_before_a_part_is_asked_for(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    stream = io.BytesIO(encoded(scene, "PNG"))
    parts = open_medium(stream).parts()
    assert stream.tell() == 0
    next(parts)
    assert stream.tell() > 0


def test_a_stream_is_read_but_once(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    medium = open_medium(io.BytesIO(encoded(scene, "PNG")))
    list(medium.parts())
    with pytest.raises(DamagedImageError):
        list(medium.parts())


def test_limits_and_the_spare_factor_reach_the_decoder(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    data = encoded(scene, "JPEG")
    for limits in ({"max_bytes": len(data) - 1}, {"max_pixels": scene.shape[0] * scene.shape[1] - 1}):
        with pytest.raises(LimitError):
            list(open_medium(data, **limits).parts())
    (part,) = open_medium(data).parts(spare=lambda rows, columns: 2)
    assert part.picture.reduced == (*scene.shape[:2], 2)
    with pytest.raises(ValueError, match="reduced in decoding"):
        open_medium(data).write([part], io.BytesIO(), format="PNG")


@pytest.mark.parametrize("kind", ["array", "read-only", "image", "bytes"])
def test_pixels_to_paint_are_nobody_elses(scene: NDArray[np.uint8], encoded: Callable[..., bytes], kind: str) -> None:
    sources: dict[str, Any] = {
        "array": scene,
        "read-only": scene.copy(),
        "image": Image.fromarray(scene),
        "bytes": None,
    }
    source = sources[kind]
    if kind == "read-only":
        source.flags.writeable = False
    before = scene.copy()
    (part,) = open_medium(encoded(scene, "PNG") if source is None else source).parts()
    part.to_paint().pixels[:] = 7
    assert np.array_equal(scene, before)
    if source is not None:
        assert np.array_equal(np.asarray(source), before)
    else:
        assert part.to_paint() is part.picture  # nobody else has them, and so they are not copied


def test_what_is_written_is_the_part_that_is_given(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    out = io.BytesIO()
    medium = open_medium(encoded(scene, "PNG"))
    (part,) = medium.parts()
    medium.write((Part(Picture(255 - each.picture.pixels)) for each in [part]), out, format="PNG")
    assert np.array_equal(decode(out.getvalue()).pixels, 255 - scene)


def test_quality_reaches_the_encoder(scene: NDArray[np.uint8]) -> None:
    sizes = []
    for quality in (20, 90):
        out = io.BytesIO()
        open_medium(scene).write(open_medium(scene).parts(), out, format="JPEG", quality=quality)
        sizes.append(len(out.getvalue()))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("count", [0, 2])
def test_more_or_fewer_parts_than_one_are_refused_and_nothing_is_written(scene: NDArray[np.uint8], count: int) -> None:
    out = io.BytesIO()
    with pytest.raises(WriteError, match=f"a still has one part, not {count}"):
        open_medium(scene).write([Part(Picture(scene))] * count, out, format="PNG")
    assert out.getvalue() == b""


def test_a_part_that_fails_fails_the_whole(scene: NDArray[np.uint8]) -> None:
    def failing() -> Iterator[Part]:
        yield Part(Picture(scene))
        raise DamagedImageError("the second part is broken")

    out = io.BytesIO()
    with pytest.raises(DamagedImageError):
        open_medium(scene).write(failing(), out, format="PNG")
    assert out.getvalue() == b""
