"""`python -m detect autolabel`, and what commands say without a detector."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

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

    def test_several_files_are_several_detectors(self, run: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
        files = ["--weights", tmp_path / "one.onnx", "--weights", tmp_path / "two.onnx"]
        result = run("autolabel", pictures, "-o", tmp_path / "auto.json", *files)
        assert result.exit_code == 0, result.output
        assert loaded(tmp_path / "auto.json")["annotations"][0]["votes"] == {"one": 0.5, "two": 0.5}
        result = run(
            "autolabel", pictures, "-o", tmp_path / "b.json", *files, "--weights", tmp_path / "sub" / "one.onnx"
        )
        assert result.exit_code == 1
        assert result.stderr == (
            f"Error: {tmp_path / 'sub' / 'one.onnx'}: another detector is called one already; name the file otherwise\n"
        )

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


def test_a_folder_of_models_is_asked_whole(
    run: Callable[..., Any], tmp_path: Path, models_folder: Path, astronaut: NDArray[np.uint8]
) -> None:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(astronaut).save(tmp_path / "pictures" / "one.png")
    out = tmp_path / "auto.json"
    result = run("autolabel", tmp_path / "pictures", "-o", out, "--models", models_folder)
    assert result.exit_code == 0, result.output
    assert "most disagreement: one.png: " in result.stdout
    document = loaded(out)
    (face,) = [
        each for each in document["annotations"] if "centerface" in each.get("votes", {}) and each["score"] > 0.5
    ]
    assert document["categories"][face["category_id"] - 1]["name"] == "FACE_FEMALE"
    assert min(face["votes"].values()) > 0.5
    assert face["votes"].keys() == {"320n", "centerface"}


def test_a_classifier_that_is_none(run: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"text")
    result = run("autolabel", pictures, "-o", tmp_path / "auto.json", "--classifier", tmp_path / "no.onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path / 'no.onnx'}: ")
    assert result.stderr.count("\n") == 1
