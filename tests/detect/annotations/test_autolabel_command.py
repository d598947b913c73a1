"""`python -m detect autolabel`, and what commands say without a detector."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detect import Detections
from detect.annotations import document as documents


def loaded(path: Path) -> Any:
    return documents.read_json(path)


class TestAutolabel:
    class _Detector:
        names = ("ace", "king")

        def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            return [Detections(np.array([[1, 1, 5, 5]]), np.array([0.5]), np.array([1]), self.names) for _ in images]

    @pytest.fixture(autouse=True)
    def _loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("detect.load.load_detector", lambda *arguments, **options: self._Detector())

    def test_a_coco_file_is_written(self, run: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
        out = tmp_path / "auto.json"
        result = run("autolabel", pictures, "-o", out)
        assert (result.exit_code, result.stdout) == (0, f"{out}: 3 images, 3 boxes\n")
        assert run("check", out, "--images", pictures).exit_code == 0

    def test_what_could_not_be_decoded_is_said_and_exits_1(
        self, run: Callable[..., Any], pictures: Path, tmp_path: Path
    ) -> None:
        (pictures / "a.png").write_text("text")
        result = run("autolabel", pictures, "-o", tmp_path / "auto.json", "--min-score", 0.4)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {pictures / 'a.png'}: not a picture")
        assert result.stderr.count("\n") == 1
        assert len(loaded(tmp_path / "auto.json")["images"]) == 2


def test_without_weights_a_command_says_how_to_get_some(
    run: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)  # as if it were not installed
    monkeypatch.setenv("CENSOR_WEIGHTS", str(tmp_path))  # which is another command's
    result = run("autolabel", pictures, "-o", tmp_path / "auto.json")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: no detector weights: name a file with --weights, or install some with: "
        "pip install 'nsfw-censor[nudenet]'\n"
    )
