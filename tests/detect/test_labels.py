from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect import CLASSES, KNOWN_LABELS, DetectError, Detector, UnknownLabelError
from detect.labels import ALIASES, KINDS, canonical, resolve, serves, taken


def test_the_six_classes_stand_in_the_order_of_their_category_ids() -> None:
    assert CLASSES == (
        "BELLY_EXPOSED",
        "BUTTOCKS_EXPOSED",
        "FEMALE_BREAST_EXPOSED",
        "FEMALE_GENITALIA_EXPOSED",
        "MALE_GENITALIA_EXPOSED",
        "MALE_BREAST_EXPOSED",
    )


def test_the_table_has_nineteen_labels_the_six_first_and_none_twice() -> None:
    assert KNOWN_LABELS[:6] == CLASSES
    assert len(KNOWN_LABELS) == len(set(KNOWN_LABELS)) == 19


def test_the_table_is_what_known_detectors_can_find(installed_detector: Detector) -> None:
    assert {*installed_detector.names, "FACE"} == set(KNOWN_LABELS)


def test_an_older_spelling_means_a_label_of_the_table_and_is_none_itself() -> None:
    assert set(ALIASES.values()) <= set(KNOWN_LABELS)
    assert not set(ALIASES) & set(KNOWN_LABELS)


@pytest.mark.parametrize("label", CLASSES)
def test_each_class_has_spellings_of_both_older_generations(label: str) -> None:
    older = [old for old, today in ALIASES.items() if today == label]
    assert any(old.startswith("EXPOSED_") for old in older)
    assert any(not old.startswith("EXPOSED_") for old in older)


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ("FEMALE_BREAST_EXPOSED", "FEMALE_BREAST_EXPOSED"),
        ("EXPOSED_BREAST_F", "FEMALE_BREAST_EXPOSED"),
        ("F_BREAST", "FEMALE_BREAST_EXPOSED"),
        ("M_BREAST", "MALE_BREAST_EXPOSED"),
        ("M_GENETALIA", "MALE_GENITALIA_EXPOSED"),
        ("EXPOSED_GENITALIA_F", "FEMALE_GENITALIA_EXPOSED"),
        ("BELLY", "BELLY_EXPOSED"),
        ("COVERED_BUTTOCKS", "BUTTOCKS_COVERED"),
        ("face_m", "FACE_MALE"),
        ("female breast exposed", "FEMALE_BREAST_EXPOSED"),
        ("  Exposed-Feet\n", "FEET_EXPOSED"),
        ("face -  female", "FACE_FEMALE"),
    ],
)
def test_a_label_is_spelled_as_the_table_does(older: str, today: str) -> None:
    assert canonical(older) == today


@pytest.mark.parametrize("label", ["queen of hearts", " ace ", "FEMALE_BREAST", "", "FACE_FEMALE_"])
def test_what_the_table_does_not_know_stays_as_it_is(label: str) -> None:
    assert canonical(label) == label


@given(st.text())
def test_spelling_is_settled_by_doing_it_once(label: str) -> None:
    spelled = canonical(label)
    assert spelled == label or spelled in KNOWN_LABELS
    assert canonical(spelled) == spelled


@given(st.sampled_from([*KNOWN_LABELS, *ALIASES]), st.sampled_from(["_", "-", " ", "\t", " - "]), st.booleans())
def test_case_and_separators_are_forgiven(label: str, separator: str, lower: bool) -> None:
    typed = label.replace("_", separator)
    assert canonical(typed.lower() if lower else typed) == ALIASES.get(label, label)


def test_a_person_may_use_the_table_the_older_spellings_and_the_detectors_own_names() -> None:
    assert resolve("BELLY_EXPOSED") == "BELLY_EXPOSED"
    assert resolve("exposed belly") == "BELLY_EXPOSED"
    assert resolve("queen of hearts", ("ace", "queen of hearts")) == "queen of hearts"


def test_a_detectors_own_name_comes_before_an_older_spelling() -> None:
    assert resolve("BELLY") == "BELLY_EXPOSED"
    assert resolve("BELLY", ("BELLY",)) == "BELLY"


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("FEMALE_BREAST_EXPOSD", "FEMALE_BREAST_EXPOSED"),
        ("butocks exposed", "BUTTOCKS_EXPOSED"),
        ("EXPOSED_BREST_F", "FEMALE_BREAST_EXPOSED"),  # near an older spelling: today's is proposed
        ("FACES", "FACE"),
    ],
)
def test_an_unknown_label_is_an_error_that_proposes_the_nearest(label: str, meant: str) -> None:
    with pytest.raises(
        UnknownLabelError, match=rf"^unknown label {label!r}; did you mean .*\b{meant}\b.*\?$"
    ) as caught:
        resolve(label)
    assert isinstance(caught.value, DetectError)
    proposed = re.split(" or ", str(caught.value).partition("did you mean ")[2].rstrip("?"))
    assert set(proposed) <= set(KNOWN_LABELS)
    assert len(proposed) == len(set(proposed))


def test_a_detectors_own_names_are_proposed_however_they_are_written() -> None:
    with pytest.raises(UnknownLabelError, match=r"did you mean queen of hearts\?"):
        resolve("quen of hearts", ("ace", "queen of hearts"))


@pytest.mark.parametrize("label", ["xyzzy", "", "%"])
def test_a_label_near_nothing_says_where_the_labels_are_listed(label: str) -> None:
    with pytest.raises(UnknownLabelError, match=f"unknown label {label!r}; `censor labels` lists"):
        resolve(label)


@pytest.mark.parametrize(
    ("label", "names", "rows"),
    [
        ("FACE", ("FACE_MALE", "FEET_EXPOSED", "FACE_FEMALE"), ("FACE_MALE", "FACE_FEMALE")),
        ("FACE", ("FACE", "FACE_FEMALE"), ("FACE", "FACE_FEMALE")),
        ("FACE_FEMALE", ("FACE", "FACE_FEMALE", "FACE_MALE"), ("FACE_FEMALE",)),
        ("FACE_FEMALE", ("FACE",), ()),
        ("ace of spades", ("ace of spades", "FACE"), ("ace of spades",)),
    ],
)
def test_a_rule_takes_its_label_and_kinds_of_it(label: str, names: tuple[str, ...], rows: tuple[str, ...]) -> None:
    assert taken(label, names) == rows


@pytest.mark.parametrize(
    ("label", "names", "does"),
    [
        ("FACE", ("FACE",), True),
        ("FACE", ("FACE_MALE", "FACE_FEMALE"), True),
        ("FACE", ("FACE_FEMALE",), False),
        ("FACE", (), False),
        ("FACE_FEMALE", ("FACE",), False),
        ("FACE_FEMALE", ("FACE_FEMALE",), True),
        ("BELLY_EXPOSED", ("FACE", "FEET_EXPOSED"), False),
        ("ace of spades", ("ace of spades",), True),
    ],
)
def test_a_detector_serves_a_label_if_it_finds_all_that_it_means(
    label: str, names: tuple[str, ...], does: bool
) -> None:
    assert serves(label, names) is does


def test_kinds_are_labels_of_the_table() -> None:
    assert {*KINDS, *(kind for kinds in KINDS.values() for kind in kinds)} <= set(KNOWN_LABELS)
