from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detect import CLASSES, boxes
from detect.annotations import load_coco, sample
from detect.annotations.document import read_json, write_document
from detect.annotations.sample import SHAPES, draw_picture, draw_sample
from detect.errors import AnnotationsError
from detect.pictures.rgb import read_rgb

DATA = Path(__file__).parents[3] / "annotations"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new"
    draw_sample(folder)
    return folder


def test_the_category_file_has_the_six_classes_in_order(tmp_path: Path) -> None:
    document = read_json(DATA / "categories.json")
    assert document == {"categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]}
    write_document(tmp_path / "again.json", document)
    assert (tmp_path / "again.json").read_bytes() == (DATA / "categories.json").read_bytes()


@pytest.mark.parametrize("part", ["train", "val"])
def test_drawing_again_gives_the_committed_sample(part: str, drawn: Path) -> None:
    committed = DATA / "sample"
    assert (drawn / f"{part}.json").read_bytes() == (committed / f"{part}.json").read_bytes()
    for path in (drawn / part).iterdir():
        again, kept = read_rgb(path).astype(float), read_rgb(committed / part / path.name).astype(float)
        assert np.abs(again - kept).mean() < 2  # an encoder of another version may round otherwise


def test_the_sample_is_small() -> None:
    files = [path for path in (DATA / "sample").rglob("*") if path.is_file()]
    assert len(files) == 60 + 20 + 2
    assert sum(path.stat().st_size for path in files) < 500_000


def test_classes_are_balanced_and_some_pictures_are_negatives() -> None:
    dataset = load_coco(DATA / "sample/train.json", DATA / "sample/train", names=CLASSES)
    counts = np.bincount(np.concatenate([image.labels for image in dataset.images]), minlength=6)
    assert counts.min() >= 15
    assert np.ptp(counts) <= 1
    assert sum(len(image.labels) == 0 for image in dataset.images) == 6


def test_shapes_do_not_touch_one_another_nor_the_border() -> None:
    dataset = load_coco(DATA / "sample/train.json", DATA / "sample/train")
    for image in dataset.images:
        assert (image.xyxy[:, :2] > 1).all()
        assert (image.xyxy[:, 2:] < (image.width - 1, image.height - 1)).all()
        overlaps = boxes.iou(image.xyxy, image.xyxy)
        assert (overlaps[~np.eye(len(overlaps), dtype=bool)] < 0.2).all()  # boxes may, their shapes do not


@pytest.mark.parametrize("label", range(6))
@pytest.mark.parametrize("seed", range(5))
def test_what_is_painted_touches_its_box_on_every_side(label: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (rings,) = sample._place([label], width=160, height=160, rng=rng)
    canvas = np.full((160, 160, 3), 128.0)
    sample._fill(canvas, rings, rng=rng)
    rows, columns = np.nonzero((np.abs(canvas - 128) > 1).any(axis=2))
    painted = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    box = (*rings[0].min(axis=0), *rings[0].max(axis=0))
    np.testing.assert_allclose(painted, box, atol=2)  # pixels stand on whole numbers, and a tip fades


@pytest.mark.parametrize("label", range(6))
def test_every_shape_lies_in_the_unit_circle_and_reaches_its_edge(label: int) -> None:
    for ring in SHAPES[CLASSES[label]]():
        radii = np.hypot(ring[:, 0], ring[:, 1])
        assert radii.max() <= 1.05
    outline = SHAPES[CLASSES[label]]()[0]
    assert np.hypot(outline[:, 0], outline[:, 1]).max() >= 0.999


def test_placing_starts_afresh_when_a_shape_finds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_RADII", (28.0, 38.0))
    for seed in range(8):
        assert len(draw_picture([0, 1, 2], rng=np.random.default_rng(seed)).labels) == 3


def test_more_shapes_than_fit_are_misuse() -> None:
    with pytest.raises(ValueError, match="at most 3"):
        draw_picture([0, 1, 2, 3], rng=np.random.default_rng(0))


def test_another_seed_draws_other_pictures(tmp_path: Path) -> None:
    for seed in (1, 2):
        draw_sample(tmp_path / str(seed), train=1, val=1, seed=seed)
    assert (tmp_path / "1/train.json").read_bytes() != (tmp_path / "2/train.json").read_bytes()


@pytest.mark.parametrize("wrong", [{"train": 0}, {"val": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_misuse(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need train >= 1"):
        draw_sample(tmp_path / "new", **wrong)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(AnnotationsError, match="is not empty"):
        draw_sample(tmp_path)
    with pytest.raises(AnnotationsError, match="cannot be written"):
        draw_sample(tmp_path / "mine")
