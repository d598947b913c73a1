from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.errors import PolicyError
from censor.policy import EFFECTS, NSFW_REGION, SHAPES, PictureRule, Policy, Rule, parse_color, reached
from censor.policy_toml import format_policy, load_policy, parse_policy
from detect.errors import UnknownLabelError
from detect.labels import KNOWN_LABELS

TWO = {"open_nsfw": ("sfw", "nsfw"), "image-safety-s": ("NSFL", "NSFW", "SFW")}


def hidden_by(policy: Policy) -> set[str]:
    return {label for label, rule in policy.rules.items() if rule.censor_at is not None}


thresholds = st.none() | st.floats(0, 1)


@given(
    st.dictionaries(
        st.sampled_from([*KNOWN_LABELS, "ten of spades", 'q"uote', "ümläut"]),
        st.builds(
            Rule, censor_at=st.floats(0, 1), nsfw_at=st.just(0.5), confirm_at=thresholds,
            min_area=st.floats(0, 1), expand=st.floats(0, 9),
            effect=st.sampled_from(EFFECTS), shape=st.sampled_from(SHAPES), required=st.booleans(),
        ),
        min_size=1, max_size=4,
    ),
    st.sampled_from([
        PictureRule(),
        PictureRule(classifiers=("a", 'q"'), review_at=0.25, nsfw_at=0.5, votes=2, required=False),
        PictureRule(hide_at=0.5, heat_at=0.5, hide_first=("a", 'q"')),
        PictureRule(hide_at=0.5, hide_votes=2, sure_at=0.75, heat_at=0.125, labels=(("NSFL", 0.5), ('x"y', 0.1))),
    ]),
    st.text(max_size=20), st.integers(1, 8), st.tuples(*[st.integers(0, 255)] * 3), st.floats(0, 1),
)  # fmt: skip
def test_any_policy_survives_a_round_trip(
    rules: dict[str, Rule], picture: PictureRule, name: str, cells: int, color: tuple[int, int, int], feather: float
) -> None:
    heat = Rule(effect="blur", shape="ellipse", expand=0.25) if picture.hides else None
    policy = Policy(
        name=name, rules=rules, picture=picture, heat=heat, cells=cells, color=color, feather=feather,
        base=Rule(nsfw_at=0.5, confirm_at=0.1),
    )  # fmt: skip
    assert parse_policy(format_policy(policy)) == policy


def test_all_is_inherited_and_can_be_taken_back() -> None:
    policy = parse_policy(
        """
        color = "red"
        [all]
        censor_at = 0.3
        nsfw_at = 0.5
        effect = "blur"
        [labels.EXPOSED_BREAST_F]
        nsfw_at = false
        [labels.FACE_MALE]
        effect = "solid"
        """,
        source="house/mine.toml",
    )
    assert policy.name == "mine"
    assert policy.color == (255, 0, 0)
    assert policy.rules["FEMALE_BREAST_EXPOSED"] == Rule(censor_at=0.3, effect="blur")
    assert policy.rules["FACE_MALE"] == Rule(censor_at=0.3, nsfw_at=0.5, effect="solid")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[labels.FACE_MALE]\ncensor_at = 0.2\nefect = 'blur'", 3, "unknown key 'efect'; did you mean effect?"),
        ("[all]\ncensor_at = 2\n[labels.FACE_MALE]", 2, "censor_at must be a number in [0, 1], not 2"),
        ("[labels.FACE_MALE]\ncensor_at = true", 2, "censor_at must be a number"),
        ("[labels.FACE_MALE]\ncensor_at = nan", 2, "censor_at must be a number"),
        ("[labels.FACE_MALE]\ncensor_at = .2", 2, "not valid TOML"),
        ("\n[labels.FACE_MALE]\ncensor_at=0.2\nshape = 'blob'", 4, "shape must be one of box, rounded, ellipse"),
        ("[labels.FACE_MALE]\nreview_at = 0.9\nnsfw_at = 0.5", 2, "review_at (0.9) must not be above nsfw_at (0.5)"),
        ("cells = 9\n[labels.FACE_MALE]\ncensor_at = 0.2", 1, "cells must be a whole number in 1..8, not 9"),
        ("feather = -1\n[labels.FACE_MALE]\ncensor_at = 0.2", 1, "feather must be a number in [0, 1]"),
        ("color = 'reddish'\n[labels.FACE_MALE]\ncensor_at = 0.2", 1, "color must be like"),
        ("color = [1, 2, 300]\n[labels.FACE_MALE]\ncensor_at = 0.2", 1, "color must be three numbers"),
        ("sticker = ''\n[labels.FACE_MALE]\ncensor_at = 0.2", 1, "sticker must be a name or a file"),
        ("[label.FACE_MALE]\ncensor_at = 0.2", 1, "unknown key 'label'; did you mean labels?"),
        ("zebra = 1", 1, "unknown key 'zebra'; known are all, cells, color"),
        ("labels = 3", 1, "[labels] must be a table"),
        ("all = 3", 1, "[all] must be a table"),
        ("[labels]\nFACE_MALE = 0.2", 2, "[labels.FACE_MALE] must be a table"),
        ("[labels.FACE_M]\ncensor_at = 0.2\n[labels.FACE_MALE]\ncensor_at = 0.3", 3, "label FACE_MALE is given twice"),
        ("[labels.FACE_MALE]\nrequired = 'yes'\ncensor_at = 0.1", 2, "required must be true or false"),
        ("[picture]\nreview = 0.5", 2, "unknown key 'review'; did you mean review_at?"),
        ("[picture]\nreview_at = 2", 2, "review_at must be a number in [0, 1], not 2"),
        ("[picture]\nreview_at = 0.6\nnsfw_at = 0.5", 2, "review_at (0.6) must not be above nsfw_at (0.5)"),
        ("[picture]\nnsfw_at = 0.5\nvotes = 3\nclassifiers = ['a', 'b']", 3, "votes (3) can never be reached"),
        ("[picture]\nreview_at = 0.5\nclassifiers = 'a'", 3, "classifiers must be a list of names"),
        ("[picture]\nhide_at = 0.5", 2, "hide_at needs heat_at"),
        ("\n[picture]\nhide_at = 0.5\nheat_at = 0.5", 3, "hide_at needs [labels.NSFW_REGION]"),
        ("[picture]\nreview_at = 0.5\n[labels.NSFW_REGION]", 3, "hide_at is missing in [picture]"),
        ("[labels.NSFW_REGION]\nnsfw_at = 0.5", 2, "unknown key 'nsfw_at'; known are effect, expand, shape"),
        ("[picture]\nhide_at=0.5\nheat_at=0.5\n[labels.NSFW_REGION]\nshape='x'", 5, "shape must be one of"),
        ("picture = 3", 1, "[picture] must be a table"), ("[picture]\nlabels = 3", 2, "[picture.labels] must be a"),
        ("[picture.labels]\nNSFL = 0.5", 2, "[picture.labels.NSFL] must be a table"),
        ("[picture.labels.NSFL]\nnsfw_at = 0.5", 2, "unknown key 'nsfw_at'; known are review_at"),
        ("[picture.labels.NSFL]", 1, "review_at is missing"),
        ("[picture.labels.NSFL]\nreview_at = 5", 2, "review_at must be a number in [0, 1], not 5"),
        ("[labels.FACE_MALE]\ncensor_at = 0.2\nconfirm_at = 0.1", 3, "confirm_at needs nsfw_at"),
        ("[all]\nconfirm_at = 7\n[labels.FACE_MALE]\ncensor_at = 0.2", 2, "confirm_at must be a number"),
        ("", 1, "acts on no label"),
        ("[labels.FACE_MALE]\neffect = 'blur'", 1, "acts on no label"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, source="p.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith(("p.toml, line", "p.toml: not valid TOML"))
    assert f"line {line}" in str(caught.value)


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[labels.FACE_MALE]\ncensor_at = 0.2")
    assert load_policy(path).rules["FACE_MALE"].censor_at == 0.2


@pytest.mark.parametrize(
    ("source", "says"),
    [("defualt", "did you mean default?"), ("zzz", "the presets are default, strict, boxes, faces"),
     ("missing.toml", "cannot be read: No such file")],
)  # fmt: skip
def test_a_policy_that_is_nowhere(source: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        load_policy(source)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match=r"x\.toml: cannot be read"):
        load_policy(path)


def test_require() -> None:
    policy = Policy(name="p", rules={"queen": Rule(censor_at=0.5), "ANUS_EXPOSED": Rule(censor_at=0.5, required=False)})
    policy.require(["queen", "king"])
    with pytest.raises(UnknownLabelError, match="policy 'p': unknown label 'queen'"):
        policy.require(["king"])  # nobody knows the label at all
    with pytest.raises(PolicyError, match="never reports FEMALE_BREAST_EXPOSED"):
        load_policy("default").require([label for label in KNOWN_LABELS if label != "FEMALE_BREAST_EXPOSED"])
    lenient = Policy(name="q", rules={"FACE_MALE": Rule(censor_at=0.5, required=False)})
    with pytest.raises(PolicyError, match="acts on nothing that the detector reports: king"):
        lenient.require(["king"])


def test_a_policy_that_cannot_judge_is_no_policy_for_checking() -> None:
    hider = Policy(name="p", rules={"FACE_MALE": Rule(censor_at=0.5), "BELLY_EXPOSED": Rule(required=False)})
    hider.require(["FACE_MALE"])
    with pytest.raises(PolicyError, match="judges nothing that the detector reports"):
        hider.require(["FACE_MALE"], judging=True)
    with pytest.raises(PolicyError, match="acts on nothing that the detector reports: BELLY_EXPOSED"):
        dataclasses.replace(hider, rules={**hider.rules, "FACE_MALE": Rule(required=False, censor_at=0.5)}).require(
            ["BELLY_EXPOSED"]
        )


def test_classifiers_that_a_policy_needs() -> None:
    own = Policy(name="own", rules={}, picture=PictureRule(classifiers=("open_nsfw", "mine"), review_at=0.5))
    own.require([], classifiers={"open_nsfw": ("sfw", "nsfw"), "mine": ("nsfw",)}, judging=True)
    with pytest.raises(PolicyError, match=r"'own' needs the classifier mine, which is not installed; `censor models"):
        own.require([], classifiers=TWO)
    with pytest.raises(PolicyError, match="nobody knows a classifier mine; known are open_nsfw, image-safety-s"):
        own.require([], classifiers=TWO, known=TWO)
    lenient = dataclasses.replace(own, picture=dataclasses.replace(own.picture, required=False))
    lenient.require([], classifiers=TWO, judging=True)
    with pytest.raises(PolicyError, match="nobody knows a classifier mine"):
        lenient.require([], classifiers=TWO, known=TWO)
    first = PictureRule(hide_at=0.5, heat_at=0.5, hide_first=("mine",))
    with pytest.raises(PolicyError, match="nobody knows a classifier mine"):
        Policy(name="own", rules={}, picture=first, heat=Rule()).require([], classifiers=TWO, known=TWO)
    with pytest.raises(PolicyError, match="judges nothing that the detector reports: there is none"):
        lenient.require([], judging=True)


def test_votes_that_cannot_be_reached() -> None:
    own = Policy(name="own", rules={}, picture=PictureRule(nsfw_at=0.5, votes=3))
    with pytest.raises(PolicyError, match="'own' needs 3 classifiers, and there are open_nsfw, image-safety-s"):
        own.require([], classifiers=TWO)
    with pytest.raises(PolicyError, match="'own' needs 3 classifiers, and there are none"):
        own.require(["FACE_MALE"])
    gore = Policy(name="own", rules={}, picture=PictureRule(labels=(("NSFL", 0.5),)))
    gore.require([], classifiers=TWO, judging=True)
    with pytest.raises(PolicyError, match="no classifier here can say NSFL"):
        gore.require([], classifiers={"open_nsfw": ("sfw", "nsfw")})


def test_heat_has_one_rule_and_no_thresholds() -> None:
    hiding = PictureRule(hide_at=0.5, heat_at=0.5)
    assert Policy(name="p", rules={}, picture=hiding, heat=Rule()).rule_for(NSFW_REGION) == Rule()
    for values, says in (
        ({"picture": hiding}, r"hide_at needs \[labels.NSFW_REGION\]"),
        ({"heat": Rule(), "rules": {"FACE": Rule(censor_at=0.5)}}, "needs hide_at in"),
        ({"picture": hiding, "heat": Rule(censor_at=0.5)}, "has no thresholds of its own"),
        ({"rules": {NSFW_REGION: Rule(censor_at=0.5)}}, "is no label of a box"),
    ):
        with pytest.raises(ValueError, match=says):
            Policy(**{"name": "p", "rules": {}, **values})  # type: ignore[arg-type]


def test_what_is_said_of_every_rule_goes_for_heat() -> None:
    policy = load_policy("default").each(effect="solid", censor_at=0.3)
    assert policy.heat is not None
    assert (policy.heat.effect, policy.heat.censor_at) == ("solid", None)


def test_heat_is_hidden_on_where_it_is_named() -> None:
    policy = load_policy("default")
    assert policy.only(["nsfw region"]).heat == policy.heat
    assert hidden_by(policy.only(["nsfw region"])) == set()
    assert policy.only(["BUTTOCKS_EXPOSED"]).heat is None
    assert policy.only(["BUTTOCKS_EXPOSED"]).picture.review_at == policy.picture.review_at
    with pytest.raises(UnknownLabelError, match="NSFW_REGION is never hidden"):
        load_policy("boxes").only(["NSFW_REGION"])


def test_one_kind_of_a_label_that_has_a_rule() -> None:
    faces = Policy(name="faces", rules={"FACE": Rule(censor_at=0.2)}, base=Rule(censor_at=0.2))
    assert hidden_by(faces.only(["FACE_FEMALE"])) == {"FACE_FEMALE"}
    assert faces.only(["FACE_FEMALE"]).rule_for("FACE_MALE") == dataclasses.replace(faces.rules["FACE"], censor_at=None)
    assert hidden_by(faces.only(["FACE_FEMALE"]).only(["FACE"])) == {"FACE", "FACE_FEMALE"}
    higher = faces.at(0.7, ["FACE_FEMALE"])
    assert (higher.rules["FACE_FEMALE"].censor_at, higher.rules["FACE"].censor_at) == (0.7, 0.2)


def test_a_label_named_later_takes_what_all_says() -> None:
    strict = load_policy("strict").only(["FACE_FEMALE"])
    assert strict.rules["FACE_FEMALE"] == Rule(censor_at=0.1, effect="solid", expand=0.2)


def test_only_hides_what_is_named_and_keeps_the_verdict() -> None:
    policy = load_policy("default").only(["face female", "F_BREAST"])
    assert hidden_by(policy) == {"FACE_FEMALE", "FEMALE_BREAST_EXPOSED"}
    assert policy.rules["FACE_FEMALE"].censor_at == 0.2
    assert policy.rules["BUTTOCKS_EXPOSED"].nsfw_at == load_policy("default").rules["BUTTOCKS_EXPOSED"].nsfw_at
    assert hidden_by(policy.only(["queen"], ["queen"])) == {"queen"}
    with pytest.raises(UnknownLabelError, match="did you mean FACE_FEMALE"):
        policy.only(["FACE_FEMALES"])


def test_at_moves_the_thresholds_that_there_are() -> None:
    policy = load_policy("default").only(["FACE_MALE"]).at(0.7)
    assert policy.rules["FACE_MALE"].censor_at == 0.7
    assert policy.rules["FACE_MALE"].nsfw_at is None
    assert policy.rules["BUTTOCKS_EXPOSED"].nsfw_at == 0.7
    assert policy.rules["BUTTOCKS_EXPOSED"].censor_at is None
    assert policy.picture == load_policy("default").only(["FACE_MALE"]).picture
    assert load_policy("default").at(0.7).picture == load_policy("default").picture
    one = load_policy("default").at(0.9, ["EXPOSED_ANUS"])
    assert one.rules["ANUS_EXPOSED"].censor_at == 0.9
    assert one.rules["BUTTOCKS_EXPOSED"].censor_at == 0.2
    with pytest.raises(UnknownLabelError, match="has no rule for FACE_MALE"):
        load_policy("default").at(0.9, ["FACE_MALE"])
    with pytest.raises(ValueError, match=r"_at must be a number in \[0, 1\], not 1.5"):
        policy.at(1.5)


def test_a_policy_cannot_be_changed() -> None:
    policy = load_policy("default")
    with pytest.raises(TypeError):
        policy.rules["FACE_MALE"] = Rule(censor_at=0.1)  # type: ignore[index]


def test_a_score_equal_to_the_threshold_meets_it_in_float32() -> None:
    import numpy as np

    assert float(np.float32(0.7)) < 0.7
    assert reached(float(np.float32(0.7)), 0.7)
    assert not reached(0.6999, 0.7)
    assert not reached(1.0, None)


@pytest.mark.parametrize(
    ("given", "color"),
    [("#0a0B0c", (10, 11, 12)), ("10, 11,12", (10, 11, 12)), ("white", (255, 255, 255)), ([1, 2, 3], (1, 2, 3))],
)
def test_colors(given: object, color: tuple[int, int, int]) -> None:
    assert parse_color(given) == color


@pytest.mark.parametrize("given", ["reddish", "1,2", 7, None, [1, 2], [1.0, 2, 3]])
def test_what_is_no_color(given: object) -> None:
    with pytest.raises(ValueError, match="color must be like"):
        parse_color(given)
