"""What docs/evaluate.md says is run, or compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect.evaluation.binomial import fewest_without_mistakes
from detect.evaluation.labeled import read_labeled

TEXT = (Path(__file__).parents[3] / "docs" / "evaluate.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_snippets_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for side in ("SAFE", "NSFW"):
        (tmp_path / "labelled" / side).mkdir(parents=True)
        for number in range(80):
            noise = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
            noise.resize((32, 32)).save(tmp_path / "labelled" / side / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"scores": np.concatenate([rng.beta(1, 3, 80), rng.beta(3, 1, 80)])}
    for snippet in blocks("python"):
        exec(snippet, names)  # noqa: S102  # it is ours
    auc, _, _, errors, guarantee = capsys.readouterr().out.strip().splitlines()
    assert float(auc.split()[0]) > 0.9
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
