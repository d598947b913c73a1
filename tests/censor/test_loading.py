"""Which of the models that are here serve a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import RedFinder
from numpy.typing import NDArray
from tiny_classifiers import Reds, reds

from censor import Censor
from censor.errors import DataFolderError
from censor.loading import load_networks
from censor.policy import PictureRule, Policy, Rule
from censor.policy_toml import load_policy
from censor.verdict import Level
from detect.errors import MissingModelError, ModelError, UnknownLabelError, WeightsError
from detect.tiling import models_of

PERMISSIVE = ("centerface", "open_nsfw", "image-safety-s")
QUICK = {"engine": "onnxruntime", "threads": 1, "pictures": 1}


@pytest.fixture
def added(models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``added(name, …)``: some of the known models and no others, not even those of a distribution."""

    def add(*names: str) -> None:
        folder = tmp_path / "models"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.onnx").symlink_to(models_folder / f"{name}.onnx")
        monkeypatch.setenv("CENSOR_MODELS", str(folder))
        monkeypatch.setattr("detect.load._installed_weights", lambda: None)

    return add


def loaded(policy: Policy | str, **options: object) -> tuple[list[str], list[str]]:
    """Names of the detectors and of the classifiers that are loaded for a policy."""
    detector, classifiers = load_networks(
        load_policy(policy) if isinstance(policy, str) else policy,
        **(QUICK | options),  # type: ignore[arg-type]
    )
    return [] if detector is None else list(models_of(detector)), [each.name for each in classifiers]


@pytest.mark.parametrize(
    ("policy", "models", "serve"),
    [
        ("default", (*PERMISSIVE, "320n"), (["320n"], ["open_nsfw", "image-safety-s"])),
        ("strict", ("320n", "open_nsfw"), (["320n"], ["open_nsfw"])),
        ("default", ("320n", "centerface"), (["320n"], [])),
        ("default", PERMISSIVE, ([], ["open_nsfw", "image-safety-s"])),
        ("strict", ("open_nsfw",), ([], ["open_nsfw"])),
        ("boxes", (*PERMISSIVE, "320n"), (["320n"], [])),
        ("faces", (*PERMISSIVE, "320n"), (["centerface"], [])),
        ("faces", PERMISSIVE, (["centerface"], [])),
        ("faces", ("320n",), (["320n"], [])),
    ],
)
def test_a_preset_goes_by_what_is_here(
    added: Callable[..., None], policy: str, models: Sequence[str], serve: tuple[list[str], list[str]]
) -> None:
    added(*models)
    assert loaded(policy) == serve


@pytest.mark.parametrize(
    ("policy", "models", "missing", "wanted"),
    [
        ("default", (), "BUTTOCKS_EXPOSED", "all"),
        ("default", ("centerface",), "BUTTOCKS_EXPOSED", "all"),
        ("boxes", PERMISSIVE, "BUTTOCKS_EXPOSED", "320n"),
        ("faces", ("open_nsfw",), "FACE", "centerface"),
    ],
)
def test_what_cannot_be_served_is_refused_by_the_name_of_what_is_missing(
    added: Callable[..., None], policy: str, models: Sequence[str], missing: str, wanted: str
) -> None:
    added(*models)
    with pytest.raises(MissingModelError, match=f"finds {missing} .*; get it with: censor models add {wanted}$"):
        loaded(policy)
    with pytest.raises(MissingModelError, match=f"censor models add {wanted}$"):
        Censor(policy)


def test_classifiers_never_stand_for_a_label_that_is_only_hidden(added: Callable[..., None]) -> None:
    added(*PERMISSIVE[1:])
    default = load_policy("default")
    for part in (default.only(["FACE"]), default.only(["FACE", "NSFW_REGION"])):
        with pytest.raises(MissingModelError):
            loaded(part)
    added("centerface")  # nor for what a person should look at, where a detector is here that does not know it
    with pytest.raises(MissingModelError, match="BUTTOCKS_EXPOSED"):
        loaded(default.only(["FACE", "NSFW_REGION"]))


def test_only_what_has_a_rule_that_acts_is_looked_for(added: Callable[..., None]) -> None:
    added("320n", "centerface")
    assert loaded(load_policy("faces").only(["FACE_FEMALE"])) == (["320n"], [])


def test_with_classifiers_alone_a_picture_is_judged_by_them(
    added: Callable[..., None], astronaut: NDArray[np.uint8]
) -> None:
    added(*PERMISSIVE)
    censor = Censor()
    assert censor.detector is None
    for verdict in (censor.check(astronaut).verdict, censor.apply(astronaut).verdict):
        assert verdict is not None
        assert (verdict.level, verdict.models) == (Level.SAFE, ("open_nsfw", "image-safety-s"))


def test_what_is_given_takes_the_place_of_what_was_added(added: Callable[..., None], tmp_path: Path) -> None:
    added(*PERMISSIVE, "320n")
    (tmp_path / "own.onnx").write_bytes(reds(name="own"))
    assert loaded("default", detector=RedFinder()) == (["detector"], ["open_nsfw", "image-safety-s"])
    assert loaded("default", classifiers=()) == (["320n"], [])
    assert loaded("default", classifiers=["open_nsfw"]) == (["320n"], ["open_nsfw"])
    assert loaded("default", classifiers=[Reds(), tmp_path / "own.onnx"]) == (["320n"], ["reds", "own"])
    assert loaded("boxes", classifiers=[Reds()]) == (["320n"], [])
    with pytest.raises(WeightsError, match="gone"):
        loaded("default", detector=tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="unknown model 'close_nsfw'"):
        loaded("default", classifiers=["close_nsfw"])


def test_a_label_that_nobody_knows_is_refused_before_anything_is_loaded(added: Callable[..., None]) -> None:
    added()
    with pytest.raises(UnknownLabelError, match="policy 'p': unknown label 'queen'"):
        loaded(Policy(name="p", rules={"queen": Rule(censor_at=0.5)}))


def test_a_user_without_a_home_has_added_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise DataFolderError("nobody knows where your home is")

    monkeypatch.setattr("censor.loading.models_folder", homeless)
    assert loaded("default") == (["320n"], [])  # of the distribution
    needs = Policy(name="p", rules={}, picture=PictureRule(review_at=0.5))
    with pytest.raises(DataFolderError):
        loaded(needs)
