"""What is said of labelled pictures, against numbers worked out another way."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from labeled_pictures import labeled_folder, looked
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from censor.analysis.evaluate import PEOPLE, Evaluation, evaluate, four_classes
from censor.analysis.evaluation_page import (
    PLOTS,
    detector_table,
    evaluation_page,
    evaluation_plots,
)
from censor.analysis.evaluation_tables import evaluation_tables, scores_csv
from censor.analysis.page import Table
from censor.analysis.thumbnails import Thumbnails
from censor.errors import PolicyError
from censor.policy import Policy, Rule
from censor.policy_toml import load_policy
from censor.rules import PictureRule
from censor.verdict import Level
from detect.errors import EvaluationError
from detect.evaluation.labeled import read_labeled

POLICY = Policy(
    name="p", rules={"FEMALE_BREAST_EXPOSED": Rule(nsfw_at=0.8)}, picture=PictureRule(review_at=0.5, nsfw_at=0.75)
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    look = looked(labeled_folder(tmp_path_factory.mktemp("l") / "l"))
    return evaluate(look, [POLICY, Policy(name="boxes", rules=POLICY.rules)], resamples=50)


def test_each_judges_areas_are_those_of_scikit_learn(evaluation: Evaluation) -> None:
    for judge in evaluation.judges:
        labels, scores = judge.data.labels, judge.data.scores
        assert judge.auc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert judge.ap.value == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
        assert judge.auc.interval is not None
        assert judge.auc.interval.low <= judge.auc.value <= judge.auc.interval.high
    assert [(judge.kind, judge.name) for judge in evaluation.judges] == [
        ("policy", "p"), ("policy", "boxes"), ("classifier", "reds"), ("label", "FEMALE_BREAST_EXPOSED"),
    ]  # fmt: skip
    assert "FACE_MALE" in evaluation.silent


def test_scores_are_what_the_networks_said(evaluation: Evaluation) -> None:
    columns = evaluation.columns()
    boxes = columns["label FEMALE_BREAST_EXPOSED"]
    assert np.flatnonzero(boxes).tolist() == [3, 7, 10, 12, 15, 18, 19]
    assert np.unique(boxes[boxes > 0]) == pytest.approx([0.9])
    reds = columns["classifier reds"]
    assert reds[:3].tolist() == pytest.approx([0, 13 / 255, 26 / 255], abs=0.01)
    assert columns["policy p"].tolist() == np.maximum(boxes, reds).tolist()


def test_verdicts_are_counted_by_level_and_label(evaluation: Evaluation) -> None:
    main = evaluation.policies[0]
    levels = np.array([verdict.level.value for verdict in main.verdicts])
    safe = np.arange(20) < 10
    for level in Level:
        of_level = levels == level.value
        assert main.weights[level] == ((of_level & safe).sum(), (of_level & ~safe).sum())
    assert main.missed[Level.REVIEW].value == (levels[~safe] == "safe").mean()
    assert main.missed[Level.NSFW].value == (levels[~safe] != "nsfw").mean()
    assert main.flagged[Level.NSFW].value == (levels[safe] == "nsfw").mean() == 0.2


def test_all_or_nothing_is_no_certainty(evaluation: Evaluation) -> None:
    bold = Policy(name="bold", rules={}, picture=PictureRule(review_at=0.3))
    rate = evaluate(evaluation.look, [bold], resamples=50).policies[0].missed[Level.REVIEW]
    assert rate.value == 0
    assert rate.interval is not None
    assert 0.2 < rate.interval.high < 0.4  # Wilson's, of 0 in 10


def test_agreements_add_up_to_all_pictures(evaluation: Evaluation) -> None:
    assert len(evaluation.agreements) == 6
    for found in evaluation.agreements.values():
        assert found.both + found.first_only + found.second_only + found.neither == 20
    people = evaluation.agreements[PEOPLE, "policy p"]
    assert people.second_only == evaluation.policies[0].weights[Level.NSFW][0]


def test_pictures_that_look_alike_are_one_group(tmp_path: Path) -> None:
    folder = labeled_folder(tmp_path / "l")
    alone = evaluate(looked(folder), [POLICY], resamples=10).truth.groups
    copy = folder / "SAFE" / "copy.bmp"
    from PIL import Image

    Image.open(folder / "SAFE" / "004.png").resize((128, 96)).save(copy)
    groups = evaluate(looked(folder), [POLICY], resamples=10).truth.groups
    assert len(groups) == len(alone) + 1
    assert len(np.unique(groups)) == len(np.unique(alone)) == 20


def test_too_few_groups_have_no_interval(tmp_path: Path) -> None:
    folder = labeled_folder(tmp_path / "l")
    pictures = [*read_labeled(folder)[:5], read_labeled(folder)[-1]]
    found = evaluate(looked(pictures), [POLICY], resamples=10)
    assert {judge.auc.interval for judge in found.judges} == {None}
    assert found.policies[0].missed[Level.REVIEW].interval is None
    assert "(-)" in evaluation_page(found, evaluation_plots(found)).replace("\xa0", " ")


def test_what_cannot_be_evaluated_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="policies of different names: p, p"):
        evaluate(evaluation.look, [POLICY, POLICY])
    with pytest.raises(ValueError, match="policies of different names: none"):
        evaluate(evaluation.look, [])
    nothing = Policy(name="n", rules={"ANKLE": Rule(nsfw_at=0.5, required=False)})
    with pytest.raises(PolicyError, match="judges nothing"):
        evaluate(evaluation.look, [nothing])
    folder = labeled_folder(tmp_path / "l")
    for path in (folder / "NSFW").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match=r"none of 10 pictures is positive \(NSFW\)"):
        evaluate(looked(folder), [POLICY])


def test_json_says_it_all_in_numbers(evaluation: Evaluation) -> None:
    said = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert said["pictures"] == {"safe": 10, "nsfw": 10, "groups": 20, "unreadable": []}
    assert [each["name"] for each in said["judges"]] == [judge.name for judge in evaluation.judges]
    assert said["policies"][0]["false_alarms"]["at least nsfw"]["value"] == 0.2
    assert said["seconds_per_picture"]["decode"]["pictures"] == 20
    assert said["seconds_per_picture"]["decode"]["total"] > 0


def rows_of(evaluation: Evaluation, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(evaluation_tables(evaluation)[name].decode())))


def test_reliability_is_in_json_and_in_a_table_and_is_what_scores_say(evaluation: Evaluation) -> None:
    (reds,) = (each for each in json.loads(json.dumps(evaluation.to_dict()))["judges"] if each["name"] == "reds")
    scores, labels = evaluation.columns()["classifier reds"], evaluation.truth.labels
    assert reds["brier_score"] == pytest.approx(((scores - labels) ** 2).mean())
    errors = []
    for found, row in zip(reds["reliability"]["bins"], rows_of(evaluation, "reliability.csv"), strict=True):
        inside = (scores >= found["from"]) & (scores < found["to"])
        assert found["weight"] == inside.sum() == float(row["weight"])
        if inside.any():
            assert found["said"] == pytest.approx(scores[inside].mean())
            assert found["observed"] == pytest.approx(labels[inside].mean()) == pytest.approx(float(row["observed"]))
            errors.append(abs(found["said"] - found["observed"]) * inside.sum() / 20)
        else:
            assert (found["said"], row["said"]) == (None, "")
    assert reds["reliability"]["expected_calibration_error"] == pytest.approx(sum(errors))
    assert not any("reliability" in judge.to_dict() for judge in evaluation.judges if judge.kind != "classifier")


def test_what_the_policys_thresholds_do_is_counted_for_each_who_counts(evaluation: Evaluation) -> None:
    points = {judge.name: judge.to_dict()["points"] for judge in evaluation.judges}
    for name, column, key, at in (
        ("reds", "classifier reds", "review_at", 0.5),
        ("reds", "classifier reds", "nsfw_at", 0.75),
        ("FEMALE_BREAST_EXPOSED", "label FEMALE_BREAST_EXPOSED", "nsfw_at", 0.8),
    ):
        flagged, nsfw = evaluation.columns()[column] >= at, evaluation.truth.labels
        found = points[name][f"policy's {key}"]  # type: ignore[index]  # for JSON
        assert found["threshold"] == at
        assert found["true_positives"] == (flagged & nsfw).sum()
        assert found["false_negatives"] == (~flagged & nsfw).sum()
        assert found["false_positives"] == (flagged & ~nsfw).sum()
        assert found["true_negatives"] == (~flagged & ~nsfw).sum()
        (row,) = (
            each
            for each in rows_of(evaluation, "thresholds.csv")
            if (each["name"], each["aim"]) == (name, f"policy's {key}")
        )
        assert float(row["false_alarm_rate"]) == found["false_alarm_rate"]
    assert not any("policy" in aim for aim in points["p"])  # type: ignore[attr-defined]  # a verdict has levels
    assert "review_at" not in str(points["FEMALE_BREAST_EXPOSED"])


def test_curves_and_measures_are_tables(evaluation: Evaluation) -> None:
    measures, curves = rows_of(evaluation, "measures.csv"), rows_of(evaluation, "curves.csv")
    assert [(row["kind"], row["name"]) for row in measures] == [(each.kind, each.name) for each in evaluation.judges]
    for row, judge in zip(measures, evaluation.judges, strict=True):
        assert judge.auc.interval is not None
        assert float(row["auc low"]) == judge.auc.interval.low
        own = [each for each in curves if (each["kind"], each["name"]) == (judge.kind, judge.name)]
        recalls, alarms = ([float(each[key]) for each in own] for key in ("recall", "false_alarm_rate"))
        assert auc(alarms, recalls) == pytest.approx(judge.auc.value, abs=1e-5)
        assert (own[0]["threshold"], recalls[-1], alarms[-1]) == ("", 1, 1)
    assert [row["counts"] for row in measures] == ["yes", "no", "yes", "yes"]
    assert [bool(row["brier_score"]) for row in measures] == [False, False, True, False]


def test_pictures_on_which_models_contradict_each_other_are_named_everywhere(evaluation: Evaluation) -> None:
    reds = evaluation.columns()["classifier reds"]
    boxes = evaluation.columns()["label FEMALE_BREAST_EXPOSED"] > 0
    expected = set(np.flatnonzero((boxes & (reds < 0.2)) | (~boxes & (reds >= 0.8))).tolist())
    assert expected
    assert set(evaluation.disputed) == expected
    gaps = [why.strength for why in evaluation.disputed.values()]
    assert gaps == sorted(gaps, reverse=True)
    rows = rows_of(evaluation, "scores.csv")
    assert {number for number, row in enumerate(rows) if row["disputed"]} == expected
    assert [each["gap"] for each in evaluation.to_dict()["disputed"]] == gaps  # type: ignore[attr-defined]  # for JSON
    page = evaluation_page(
        evaluation, evaluation_plots(evaluation), thumbnails=Thumbnails(censor=None, key="k"), worst=1
    )
    assert next(iter(evaluation.disputed.values())).text.replace("_", "_<wbr>") in page
    assert (f"widest gaps of {len(expected)}" in page) == (len(expected) > 1)


def test_the_rule_of_four_classes_is_no_more_than_that(evaluation: Evaluation) -> None:
    rule = four_classes()
    assert set(rule.rules) == {
        "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED",
    }  # fmt: skip
    assert {each.nsfw_at for each in rule.rules.values()} == {0.4}
    found = evaluate(evaluation.look, [POLICY, rule], resamples=10).policies[1]
    assert [verdict.nsfw for verdict in found.verdicts] == (
        evaluation.columns()["label FEMALE_BREAST_EXPOSED"] >= 0.4
    ).tolist()


def test_the_table_of_scores_has_a_line_for_each_picture(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(scores_csv(evaluation))))
    assert len(rows) == 20
    assert Path(rows[3]["path"]).name == "003.png"
    assert rows[3]["label"] == "safe"
    assert rows[3]["level p"] == "nsfw"
    assert float(rows[3]["label FEMALE_BREAST_EXPOSED"]) == pytest.approx(0.9)


def test_the_page_shows_every_part_and_the_worst_mistakes_censored(evaluation: Evaluation) -> None:
    plots, thumbnails = evaluation_plots(evaluation), Thumbnails(censor=None, key="k")
    page = evaluation_page(evaluation, plots, thumbnails=thumbnails, worst=3)
    assert set(plots) == set(PLOTS)
    assert page.count("data:image/png") == 3
    mistakes = page.split(">Where models contradict each other</h2>")[0]
    alarms, misses = (re.findall(r"<figcaption>(\d+)\.png: ", part) for part in mistakes.split(">Worst misses</h2>"))
    assert alarms == ["003", "007"]
    reds = evaluation.columns()["policy p"][10:]
    assert misses == [f"{row:03}" for row in np.argsort(reds)[:3]]
    for said in ("Verdicts", "AUC", "Brier", "kappa", "Worst misses", "median"):
        assert said in page
    assert "Worst misses" not in evaluation_page(evaluation, plots, thumbnails=thumbnails, worst=0)


def test_without_classifiers_nothing_is_called_a_probability(tmp_path: Path) -> None:
    from labeled_pictures import FACTS, networks

    from censor.analysis.looking import look_at
    from censor.finding import Networks

    pictures = read_labeled(labeled_folder(tmp_path / "l"))
    look = look_at(pictures, Networks(detector=networks().detector), FACTS)
    found = evaluate(look, [Policy(name="boxes", rules=POLICY.rules)], resamples=10)
    plots = evaluation_plots(found)
    assert "reliability.png" not in plots
    assert "No classifier was asked" in evaluation_page(found, plots)


def test_a_detectors_own_measures_are_a_table(tmp_path: Path) -> None:
    row = {"name": "BELLY_EXPOSED", "boxes": 4, "ap": 0.25, "ap50": 0.5, "ar": None}
    (table,) = detector_table({"classes": [row]}, "m.json")
    assert isinstance(table, Table)
    assert table.rows == [["BELLY_EXPOSED", "4", "0.250", "0.500", "-"]]
    for wrong in ({}, {"classes": [{"name": "a"}]}, {"classes": "a"}):
        with pytest.raises(ValueError, match=r"m.json: is no metrics.json"):
            detector_table(wrong, "m.json")


def test_the_presets_can_be_evaluated(evaluation: Evaluation) -> None:
    found = evaluate(evaluation.look, [load_policy("default"), load_policy("strict")], resamples=10)
    assert [each.policy.name for each in found.policies] == ["default", "strict"]
