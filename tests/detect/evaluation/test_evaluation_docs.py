"""What docs/evaluate.md says is run, or compared with the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect.classifier.scores import Scores
from detect.detections import RGBImage
from detect.evaluation.binomial import fewest_without_mistakes
from detect.evaluation.labeled import read_labeled

TEXT = (Path(__file__).parents[3] / "docs" / "evaluate.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


class Cyan:
    """Takes pictures with little red in them for NSFW."""

    name = "cyan"
    names = ("sfw", "nsfw")

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        shares = [1 - float(image[..., 0].mean()) / 255 for image in images]
        return [Scores(np.array([1 - share, share], np.float32), self.names, ("nsfw",)) for share in shares]


def test_the_snippets_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for side in ("SAFE", "NSFW"):
        (tmp_path / "labelled" / side).mkdir(parents=True)
        for number in range(80):
            cells = rng.integers(0, 256, (6, 6, 3), np.uint8)
            cells[..., 0] = 255 * rng.beta(*((2, 4) if side == "NSFW" else (4, 2)))
            Image.fromarray(cells).resize((32, 32)).save(tmp_path / "labelled" / side / f"{number}.png")
    (tmp_path / "labelled" / "SAFE" / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"classifier": Cyan()}
    for snippet in blocks("python"):
        exec(snippet, names)  # noqa: S102  # it is ours
    unreadable, auc, _, _, errors, guarantee = capsys.readouterr().out.strip().splitlines()
    assert "notes.txt" in unreadable
    assert 0.8 < float(auc.split()[0]) < 1
    assert len(errors.split()) == 2
    assert guarantee.endswith(" 40")


def test_the_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(blocks("text")[0])
    assert [(each.path.name, each.nsfw, each.group) for each in read_labeled(tmp_path / "t.csv")] == [
        ("001.jpg", False, "beach"),
        ("002.jpg", False, "beach"),
        ("upload-77.png", True, None),
    ]


def test_the_numbers_of_pictures_are_those_of_the_code() -> None:
    lines = TEXT.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| at most |"))
    header, row = ([cell.strip() for cell in lines[start + down].strip("|").split("|")] for down in (0, 2))
    for rate, count in zip(header[1:], row[1:], strict=True):
        assert fewest_without_mistakes(float(rate.rstrip(" %")) / 100, 0.95) == int(count.replace(",", ""))
