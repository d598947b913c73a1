"""Pictures are read once, scored as production sees them, and what cannot be read has no score."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, RedFinder
from PIL import Image
from twins import save_twins

from detect.classifier.scores import Scores
from detect.detections import RGBImage
from detect.errors import EvaluationError, InferenceError
from detect.evaluation.labeled import LabeledPicture, read_labeled
from detect.evaluation.score_cache import ScoreCache, model_key
from detect.evaluation.scoring import ClassifierScorer, DetectorScorer, Scorer, ask_pictures, score_pictures
from detect.pictures.still import Picture


@dataclass
class Brightness:
    """Takes what is bright for NSFW."""

    name: str = "brightness"
    names: tuple[str, ...] = ("dark", "bright")
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.seen += [image.shape for image in images]
        means = [float(image.mean()) / 255 for image in images]
        return [Scores(np.array([1 - mean, mean], np.float32), self.names, ("bright",)) for mean in means]


@dataclass
class Says:
    """Says what it is told to."""

    numbers: list[Mapping[str, float]]
    name: str = "says"
    key: str = "k"

    def score(self, picture: Picture) -> Mapping[str, float]:
        return self.numbers.pop(0)


@pytest.fixture
def pictures(tmp_path: Path) -> list[LabeledPicture]:
    for name in ("SAFE", "NSFW"):
        (tmp_path / "p" / name).mkdir(parents=True)
    Image.new("RGB", (8, 6), (51, 51, 51)).save(tmp_path / "p/SAFE/dark.png")
    (tmp_path / "p/SAFE/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    Image.new("RGBA", (8, 6), (0, 0, 0, 0)).save(tmp_path / "p/NSFW/clear.png")
    Image.new("RGB", (8, 6), RED).save(tmp_path / "p/NSFW/red.bmp")
    return read_labeled(tmp_path / "p")


def test_columns_are_what_is_said_of_each_picture_that_can_be_read(pictures: list[LabeledPicture]) -> None:
    done: list[int] = []
    scorers: list[Scorer] = [
        ClassifierScorer(Brightness(), "b"),
        DetectorScorer(RedFinder(others=["FACE"]), "red", "r"),
    ]
    table = score_pictures(pictures, scorers, progress=done.append)
    assert [picture.path.name for picture in table.pictures] == ["dark.png", "clear.png", "red.bmp"]
    assert table.columns["brightness: probability"][:2].tolist() == pytest.approx([0.2, 1.0])  # clear is white
    assert table.columns["brightness: class dark"][0] == pytest.approx(0.8)
    assert table.columns["red: FEMALE_BREAST_EXPOSED"].tolist() == pytest.approx([0, 0, 0.9])
    assert table.columns["red: FACE"].tolist() == [0, 0, 0]
    ((picture, reason),) = table.unreadable
    assert picture.path.name == "broken.jpg"
    assert "broken.jpg" in reason
    assert done == [1, 2, 3, 4]


def test_a_second_run_asks_and_decodes_nothing(
    pictures: list[LabeledPicture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        first = score_pictures(pictures, [ClassifierScorer(Brightness(), "b")], cache=cache)
        broken = pictures.pop(0)
        assert broken.path.name == "broken.jpg"
        monkeypatch.setattr("detect.evaluation.scoring.decode", None)
        judge = Brightness()
        again = score_pictures(pictures, [ClassifierScorer(judge, "b")], cache=cache)
        assert judge.seen == []
        assert again.hashes == first.hashes
        for name, column in first.columns.items():
            assert again.columns[name].tolist() == column.tolist()


def test_another_model_and_another_content_are_asked_anew(pictures: list[LabeledPicture], tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        score_pictures(pictures, [ClassifierScorer(Brightness(), model_key(weights="a"))], cache=cache)
        Image.new("RGB", (9, 9), (1, 1, 1)).save(pictures[1].path)
        judge = Brightness()
        score_pictures(pictures, [ClassifierScorer(judge, model_key(weights="a"))], cache=cache)
        assert judge.seen == [(9, 9, 3)]
        other = Brightness()
        score_pictures(pictures, [ClassifierScorer(other, model_key(weights="b"))], cache=cache)
        assert len(other.seen) == 3


def test_what_was_scored_before_a_failure_is_kept(pictures: list[LabeledPicture], tmp_path: Path) -> None:
    class Failing(Brightness):
        def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
            if len(self.seen) == 2:
                raise InferenceError("out of memory")
            return super().classify(images, heat=heat)

    with ScoreCache(tmp_path / "c") as cache:
        with pytest.raises(InferenceError):
            score_pictures(pictures, [ClassifierScorer(Failing(), "b")], cache=cache)
        judge = Brightness()
        score_pictures(pictures, [ClassifierScorer(judge, "b")], cache=cache)
        assert len(judge.seen) == 1


def test_near_duplicates_and_named_groups_are_one_group(tmp_path: Path) -> None:
    save_twins(tmp_path)
    pictures = [
        LabeledPicture(path=path, nsfw=number % 2 == 0, group="film" if number in (2, 3) else None, weight=number + 1)
        for number, path in enumerate(sorted(tmp_path.iterdir()))
    ]
    table = score_pictures(pictures, [ClassifierScorer(Brightness(), "b")])
    data = table.scored("brightness: probability")
    assert data.groups.tolist() == [0, 1, 2, 2, 0, 1]
    assert data.weights.tolist() == [1, 2, 3, 4, 5, 6]
    assert data.labels.tolist() == [True, False] * 3
    with pytest.raises(ValueError, match=r"column must be one of brightness: probability, .*, not x"):
        table.scored("x")


def test_where_a_whole_class_cannot_be_read_nothing_is_measured(pictures: list[LabeledPicture]) -> None:
    table = score_pictures([*pictures[:1], *pictures[2:]], [ClassifierScorer(Brightness(), "b")])
    with pytest.raises(EvaluationError, match=r"none of 2 pictures is negative \(safe\)"):
        table.scored("brightness: probability")


def test_one_picture_with_two_labels_is_refused(pictures: list[LabeledPicture]) -> None:
    red = pictures[-1].path
    (red.parents[1] / "SAFE" / "same.jpg").write_bytes(red.read_bytes())
    with pytest.raises(EvaluationError, match="has two labels"):
        score_pictures(read_labeled(red.parents[1]), [ClassifierScorer(Brightness(), "b")])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([{"a": 0.5}, {"a": math.nan}], r"clear\.png: says says nan of it \(a\)"),
        ([{"a": 0.5}, {"b": 0.5}], "other columns than the pictures before: says: a, says: b"),
    ],
)
def test_what_is_no_score_is_refused(
    numbers: list[Mapping[str, float]], message: str, pictures: list[LabeledPicture]
) -> None:
    with pytest.raises(EvaluationError, match=message):
        score_pictures(pictures, [Says(numbers)])


def test_scorers_have_different_names(pictures: list[LabeledPicture]) -> None:
    with pytest.raises(ValueError, match="different names: says, says"):
        score_pictures(pictures, [Says([]), Says([])])


def test_several_threads_say_the_same_in_the_same_order(tmp_path: Path) -> None:
    class Slow(Brightness):
        """Of two at once the first waits for the second, and so is done last."""

        def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
            (image,) = images
            if image[0, 0, 0] % 2:
                both.wait(10)
            else:
                both.wait(10)
                time.sleep(0.01)
            return super().classify(images, heat=heat)

    both = threading.Barrier(2)
    rows = []
    for row in range(6):
        Image.new("RGB", (8, 6), (row, row, row)).save(tmp_path / f"{row}.png")
        rows.append(LabeledPicture(path=tmp_path / f"{row}.png", nsfw=False))
    with ScoreCache(tmp_path / "c") as cache:
        answers = ask_pictures(rows, [ClassifierScorer(Slow(), "b")], cache=cache, threads=2)
        again = ask_pictures(rows, [ClassifierScorer(Slow(), "b")], cache=cache, threads=2)
    said = [each["brightness"]["probability"] for each in answers.said]
    assert said == pytest.approx([row / 255 for row in range(6)])
    assert [each.path.name for each in answers.pictures] == [f"{row}.png" for row in range(6)]
    assert (again.said, again.contents, again.hashes) == (answers.said, answers.contents, answers.hashes)
    assert len(answers.seconds["decode"]) == 6
    assert again.seconds["decode"] == []


def test_pictures_are_decoded_no_larger_than_they_need_be(tmp_path: Path) -> None:
    Image.new("RGB", (640, 480)).save(tmp_path / "a.jpg")
    judge = Brightness()
    rows = [LabeledPicture(path=tmp_path / "a.jpg", nsfw=False)]
    ask_pictures(rows, [ClassifierScorer(judge, "b")], spare=lambda height, width: 4)
    assert judge.seen == [(120, 160, 3)]
