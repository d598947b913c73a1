"""A collection in order: both ends and the middle, near-duplicates once, and nothing unreadable among the scores."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from fakes import OTHERS
from labeled_pictures import collection

from censor.analysis.collection import score_by
from censor.analysis.ranking import Ranking, parts, rank_csv, rank_json, rank_page
from censor.analysis.thumbnails import Thumbnails
from censor.policy_toml import load_policy
from detect.errors import EvaluationError, UnknownLabelError

POLICY = load_policy("boxes")
NAMES = ("FEMALE_BREAST_EXPOSED", *OTHERS)


def ranking(folder: Path, by: str = "reds") -> Ranking:
    found = collection(folder)
    return Ranking(found, by, score_by(by, found.seen, POLICY, names=NAMES), POLICY)


def names(found: Ranking, rows: list[int]) -> list[str]:
    return [found.collection.paths[row].stem for row in rows]


def test_both_ends_and_the_middle_are_shown_and_near_duplicates_once(tmp_path: Path) -> None:
    found = ranking(tmp_path)
    shown = {name: names(found, rows) for name, rows in parts(found, show=3, around=0.5).items()}
    assert shown["highest"][1:] == ["010", "009"]
    assert shown["highest"][0] in ("011", "copy")
    assert shown["in doubt"] == ["007", "006", "005"]
    assert shown["lowest"] == ["002", "001", "000"]
    assert sorted(found.collection.count(row) for row in range(len(found.scores))) == [1] * 11 + [2] * 2


def test_of_few_pictures_each_part_has_a_third_and_none_is_shown_twice(tmp_path: Path) -> None:
    found = ranking(tmp_path)
    shown = [row for rows in parts(found, show=99, around=0.5).values() for row in rows]
    assert len(shown) == len(set(shown)) == 12


def test_tables_hold_all_that_could_be_read_in_order_and_the_rest_by_its_reason(tmp_path: Path) -> None:
    found = ranking(tmp_path)
    rows = list(csv.DictReader(io.StringIO(rank_csv(found).decode())))
    record = json.loads(rank_json(found))
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in rows] == [str(number) for number in range(1, 14)]
    assert {row["level"] for row in rows} == {"safe", "nsfw"}
    assert not any("broken" in row["path"] for row in rows)
    assert [each["path"] for each in record["pictures"]] == [row["path"] for row in rows]
    assert record["unreadable"][0] == "film.mp4: a film"
    assert "broken.png" in record["unreadable"][1]


def test_the_page_says_what_could_not_be_read(tmp_path: Path) -> None:
    page = rank_page(ranking(tmp_path), Thumbnails(censor=None, key="k"), show=3, around=0.5)
    assert "2 files could not be read, and have no score." in page
    assert "broken.png" in page
    assert page.count("<img") == 9
    assert "\u00d72" in page


@pytest.mark.parametrize(("by", "top"), [("verdict", "002"), ("FEMALE_BREAST_EXPOSED", "002"), ("F_BREAST", "002")])
def test_pictures_rank_by_the_verdict_or_by_a_labels_best_box(tmp_path: Path, by: str, top: str) -> None:
    found = ranking(tmp_path, by)
    assert names(found, found.order[:1]) == [top]
    assert found.scores[found.order[0]] == pytest.approx(0.9)
    assert found.scores[found.order[1]] == 0


def test_what_nobody_knows_is_no_score(tmp_path: Path) -> None:
    found = collection(tmp_path)
    with pytest.raises(UnknownLabelError, match="unknown label 'nobody'"):
        score_by("nobody", found.seen, POLICY, names=NAMES)
    with pytest.raises(EvaluationError, match="never reports FEET_EXPOSED; it reports FEMALE_BREAST"):
        score_by("FEET_EXPOSED", found.seen, POLICY, names=NAMES)
