from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import save_twins

from detect.annotations import split as module
from detect.annotations.document import read_json
from detect.annotations.split import split_document
from detect.errors import AnnotationsError, ReadError

SAMPLE = Path(__file__).parents[3] / "annotations" / "sample"


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    return save_twins(tmp_path_factory.mktemp("twins"))


def _paths(folder):
    return sorted(folder.iterdir())


def _document(folder):
    names = [path.name for path in _paths(folder)]
    return {
        "info": {"year": 2000},
        "categories": [{"id": 1, "name": "king"}],
        "images": [{"id": n, "file_name": name, "width": 96, "height": 96} for n, name in enumerate(names, 1)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 9, 9]} for n in range(1, 7)],
    }


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_on_one_side(seed, twins):
    train, val = split_document(_document(twins), images_dir=twins, held_back=0.4, seed=seed)
    sides = [{image["id"] for image in part["images"]} for part in (train, val)]
    assert sides[0] | sides[1] == set(range(1, 7))
    assert not sides[0] & sides[1]
    for pair in ({1, 5}, {2, 6}):
        assert pair <= sides[0] or pair <= sides[1]


def test_parts_keep_their_ids_their_boxes_and_the_rest_of_the_document(twins):
    document = _document(twins)
    for part in split_document(document, images_dir=twins):
        assert part["info"] == document["info"]
        assert part["categories"] == document["categories"]
        assert [item["image_id"] for item in part["annotations"]] == [image["id"] for image in part["images"]]


def test_each_class_and_the_negatives_are_divided_in_the_share(tmp_path):
    document = read_json(SAMPLE / "train.json")
    assert isinstance(document, dict)
    train, val = split_document(document, images_dir=SAMPLE / "train", held_back=0.25)
    everything, back = (Counter(item["category_id"] for item in part["annotations"]) for part in (document, val))
    for number, total in everything.items():
        assert abs(back[number] - total * 0.25) <= 1.5
    with_boxes = {item["image_id"] for item in document["annotations"]}
    assert sum(image["id"] not in with_boxes for image in val["images"]) in (1, 2)  # of six
    assert split_document(document, images_dir=SAMPLE / "train", held_back=0.25) == (train, val)


def test_pictures_that_are_all_alike_cannot_be_split(twins):
    with pytest.raises(AnnotationsError, match="6 pictures make 1 groups of near-duplicates"):
        split_document(_document(twins), images_dir=twins, max_distance=64)


def test_a_picture_that_cannot_be_decoded(twins):
    document = _document(twins)
    document["images"][0]["file_name"] = "gone.png"
    with pytest.raises(ReadError, match=r"gone\.png: cannot be read"):
        split_document(document, images_dir=twins)


@pytest.mark.parametrize(
    "wrong", [{"held_back": 0}, {"held_back": 1}, {"max_distance": -1}, {"max_distance": 65}, {"seed": -1}]
)
def test_numbers_out_of_range_are_misuse(wrong, twins):
    with pytest.raises(ValueError, match="need held_back in"):
        split_document(_document(twins), images_dir=twins, **wrong)


@given(
    counts=st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), min_size=10, max_size=60),
    seed=st.integers(0, 99),
)
def test_no_single_group_on_the_other_side_would_fit_better(counts, seed):
    table = np.array(counts, np.float64)
    back = module._choose(table, held_back=0.3, rng=np.random.default_rng(seed))
    totals = table.sum(axis=0)

    def misfit(chosen):
        return float(((table[chosen].sum(axis=0) - 0.3 * totals) ** 2 / np.maximum(totals, 1)).sum())

    for group in range(len(table)):
        other = back.copy()
        other[group] = not other[group]
        assert misfit(back) <= misfit(other) + 1e-6


def test_shares_of_single_boxes_are_met_exactly():
    table = np.eye(2)[np.arange(40) % 2]
    back = module._choose(table, held_back=0.25, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(table[back].sum(axis=0), [5, 5])
