"""What is kept of a censored picture, and how it becomes a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor import Censor, Policy, Rule
from censor.errors import OutputExistsError, WriteError
from detect.pictures.still import decode

LABEL = "FEMALE_BREAST_EXPOSED"


def one_rule(**values: object) -> Policy:
    given: dict[str, object] = {"censor_at": 0.5, "nsfw_at": 0.5, "shape": "box", "expand": 0.0, **values}
    return Policy(name="test", rules={LABEL: Rule(**given)})  # type: ignore[arg-type]


def red(image: NDArray[np.uint8]) -> int:
    return int((image[..., :3] == RED).all(axis=2).sum())


def test_files_keep_their_format_unless_the_target_says_otherwise(
    scene: NDArray[np.uint8], encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(encoded(scene, "PNG"))
    censor = Censor(policy=one_rule(), detector=RedFinder())
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG"), ("c", "PNG"), ("d.odd", "PNG")):
        censor.apply_file(source, tmp_path / name)
        assert decode(tmp_path / name).format == kind
    censor.apply_file(scene, tmp_path / "e")
    assert decode(tmp_path / "e").format == "PNG"
    censor.apply_file(source, tmp_path / "f.png", format="WEBP")
    assert decode(tmp_path / "f.png").format == "WEBP"
    assert set(censor.apply_file(scene, tmp_path / "g").seconds) == {
        "decode", "detect", "hide", "recheck", "encode", "write",
    }  # fmt: skip
    assert set(censor.apply(scene).seconds) == {"decode", "detect", "hide", "recheck"}


def test_files_are_not_overwritten_unless_told(scene: NDArray[np.uint8], tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_text("mine")
    censor = Censor(policy=one_rule(), detector=RedFinder())
    with pytest.raises(OutputExistsError):
        censor.apply_file(scene, target)
    assert target.read_text() == "mine"
    censor.apply_file(scene, target, overwrite=True)
    assert red(decode(target).pixels) == 0


def test_a_result_is_saved_and_encoded_as_its_name_its_source_or_png_says(
    scene: NDArray[np.uint8], encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    censor = Censor(one_rule(), detector=RedFinder())
    done = censor.apply(encoded(scene, "WEBP", lossless=True))
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG"), ("c", "WEBP"), ("d.odd", "WEBP")):
        done.save(tmp_path / name)
        assert decode(tmp_path / name).format == kind
        censor.apply_file(encoded(scene, "WEBP", lossless=True), tmp_path / ("whole-" + name))
        assert (tmp_path / name).read_bytes() == (tmp_path / ("whole-" + name)).read_bytes()
    done.save(str(tmp_path / "e.png"), format="BMP")
    assert decode(tmp_path / "e.png").format == "BMP"
    assert decode(done.encode()).format == "WEBP"
    assert decode(done.encode("TIFF")).format == "TIFF"
    assert decode(censor.apply(scene).encode()).format == "PNG"
    assert len(done.encode("JPEG", quality=10)) < len(done.encode("JPEG"))
    with pytest.raises(OutputExistsError, match=r"b\.jpg: exists already"):
        done.save(tmp_path / "b.jpg")
    done.save(tmp_path / "b.jpg", overwrite=True, quality=10)
    assert (tmp_path / "b.jpg").read_bytes() == done.encode("JPEG", quality=10)
    with pytest.raises(ValueError, match="format must be one of AVIF, BMP"):
        done.save(tmp_path / "f", format="JPG")
    with pytest.raises(ValueError, match="quality lies in 1"):
        done.encode("JPEG", quality=0)
    with pytest.raises(WriteError):
        done.save(tmp_path / "missing" / "g.png")
    assert not (tmp_path / "f").exists()


# --- what goes wrong ------------------------------------------------------------------------------------------------
