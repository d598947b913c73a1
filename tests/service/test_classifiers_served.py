"""Policies that ask classifiers, over HTTP: who judged is said, what they saw is hidden, and no failure is "safe"."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from classifying import JUDGED, Failing, Seer, Slow, Sworn, both, failing
from fakes import OTHERS, RED, RedFinder, finder
from numpy.typing import NDArray
from PIL import Image
from test_api import is_problem

from censor.errors import PolicyError
from censor.service import Settings, create_app
from detect.classifier.scores import Scores
from detect.errors import InferenceError

PNG = {"content-type": "image/png"}
JSON = {**PNG, "accept": "application/json"}
GREEN = (0, 255, 0)

Started = Callable[..., httpx.Client]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "judged.toml").write_text(JUDGED)
    return folder


@pytest.fixture
def meadow(encoded: Callable[..., bytes]) -> bytes:
    """160 x 160, with one of eight by eight cells green."""
    pixels = np.random.default_rng(3).integers(60, 130, (160, 160, 3), np.uint8)
    pixels[40:60, 80:100] = GREEN
    return encoded(pixels, "PNG")


def asked(client: httpx.Client, path: str, data: bytes) -> Any:
    response = client.post(path, content=data, headers=JSON)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("way", ["threads", "processes"])
def test_who_judged_is_said_and_what_they_saw_is_hidden(started: Started, house: Path, meadow: bytes, way: str) -> None:
    given: dict[str, Any] = {"classifiers": [Seer()]} if way == "threads" else {"load": both, "workers": 1}
    client = started(**given, policies=house, policy="judged")
    checked = asked(client, "/v1/check", meadow)
    assert checked["verdict"]["level"] == "nsfw"
    assert checked["verdict"]["models"] == ["detector", "seer"]
    (reason,) = checked["verdict"]["reasons"]
    assert (reason["classifier"], reason["label"], reason["score"], reason["area"]) == ("seer", "NSFW", 1.0, 1.0)
    censored = asked(client, "/v1/censor", meadow)
    assert censored["verdict"]["reasons"][0]["xyxy"] == [80, 40, 100, 60]
    assert [(each["label"], each["xyxy"]) for each in censored["hidden"]] == [("NSFW_REGION", [80, 40, 100, 60])]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(censored["picture"]["base64"]))).convert("RGB"))
    assert not shown[40:60, 80:100].any()
    assert asked(client, "/v1/check?policy=boxes", meadow)["verdict"]["models"] == ["detector"]
    assert client.get("/readyz").status_code == 200
    figures = client.get("/metrics").text
    assert 'censor_network_seconds_count{network="seer"} 2.0' in figures
    assert 'censor_network_seconds_count{network="detector"} 3.0' in figures
    assert "censor_second_look_refused_total 0.0" in figures


def test_a_policy_asks_those_alone_that_it_counts(started: Started, house: Path, meadow: bytes) -> None:
    seer, other = Seer(), Seer("other")
    client = started(classifiers=[seer, other], policies=house, policy="judged")
    before = other.calls
    assert asked(client, "/v1/check", meadow)["verdict"]["models"] == ["detector", "seer"]
    assert other.calls == before
    assert asked(client, "/v1/check?policy=default", meadow)["verdict"]["models"] == ["detector", "seer", "other"]


FAILURES = {
    "raises": RuntimeError("secret of the inside"),
    "fails": InferenceError("secret of the inside"),
    "nan": lambda: [Scores(np.array([np.nan, 0.5, 0.5]), Seer.names, ("nsfw",))],
    "outside": lambda: [Scores(np.array([-0.5, 1.5, 0]), Seer.names, ("nsfw",))],
    "nothing": None,
    "none": [],
    "text": ["secret of the inside"],
    "others": [Scores(np.array([0.5, 0.5]), ("secret", "nsfw"), ("nsfw",))],
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_classifier_that_fails_is_never_safe(started: Started, house: Path, meadow: bytes, how: str) -> None:
    client = started(classifiers=[Failing(FAILURES[how])], policies=house, policy="judged")
    for route in ("check", "censor"):
        response = client.post(f"/v1/{route}", content=meadow, headers=PNG)
        assert is_problem(response, "classifier-failed")
        assert "secret" not in response.text
    assert client.post("/v1/check?policy=boxes", content=meadow, headers=PNG).status_code == 200


def test_in_a_process_of_its_own_neither(started: Started, house: Path, meadow: bytes) -> None:
    client = started(load=failing, workers=1, policies=house, policy="judged")
    response = client.post("/v1/check", content=meadow, headers=PNG)
    assert is_problem(response, "classifier-failed")
    assert "secret" not in response.text


def test_a_classifier_without_memory(started: Started, house: Path, meadow: bytes) -> None:
    client = started(classifiers=[Failing(MemoryError("secret"))], policies=house, policy="judged")
    assert is_problem(client.post("/v1/check", content=meadow, headers=PNG), "memory-limit")


def test_the_time_limit_holds_for_classifiers(started: Started, house: Path, meadow: bytes) -> None:
    client = started(classifiers=[Slow()], policies=house, policy="judged", picture_seconds=0.3)
    assert is_problem(client.post("/v1/censor", content=meadow, headers=PNG), "time-limit")


def test_what_still_looks_nsfw_does_not_come_out(started: Started, house: Path, meadow: bytes) -> None:
    client = started(classifiers=[Sworn()], policies=house, policy="judged")
    response = client.post("/v1/censor", content=meadow, headers=PNG)
    assert is_problem(response, "still-nsfw")
    assert "seer says NSFW 0.99" in response.json()["detail"]
    assert "censor_second_look_refused_total 1.0" in client.get("/metrics").text
    assert asked(client, "/v1/check", meadow)["verdict"]["level"] == "nsfw"


def test_readiness_looks_with_every_network(started: Started, house: Path, meadow: bytes) -> None:
    broken = Failing(RuntimeError("no"), also_tests=True)
    client = started(classifiers=[broken], policies=house, policy="boxes")  # which does not ask it
    assert is_problem(client.get("/readyz"), "not-ready")
    assert client.get("/healthz").status_code == 200
    assert asked(client, "/v1/check", meadow)["verdict"]["level"] == "safe"


def test_a_preset_that_needs_a_network_that_is_not_loaded(started: Started, meadow: bytes) -> None:
    client = started(RedFinder(others=OTHERS[:4]))
    response = client.post("/v1/check?policy=strict", content=meadow, headers=PNG)
    assert is_problem(response, "policy-not-served")
    assert "the detector never reports BELLY_EXPOSED" in response.json()["detail"]


def test_a_policy_of_the_users_own_stops_the_start_where_its_classifier_is_missing(house: Path) -> None:
    import asyncio

    async def start(**given: Any) -> None:
        app = create_app(Settings(policies=house, in_flight=1), finder(), **given)
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(PolicyError, match="nobody knows a classifier seer"):
        asyncio.run(start())
    asyncio.run(start(classifiers=[Seer()]))
    with pytest.raises(ValueError, match="classifiers go with a detector"):
        create_app(Settings(), classifiers=[Seer()])


def test_what_classifiers_see_can_be_named_where_it_is_hidden(started: Started, house: Path, meadow: bytes) -> None:
    client = started(classifiers=[Seer()], policies=house, policy="judged")
    assert len(asked(client, "/v1/censor?label=NSFW_REGION", meadow)["hidden"]) == 1
    assert asked(client, "/v1/censor?label=BELLY_EXPOSED&policy=boxes", meadow)["hidden"] == []
    refused = client.post("/v1/censor?label=NSFW_REGION&policy=boxes", content=meadow, headers=PNG)
    assert is_problem(refused, "unknown-label")
    labels = {each["label"]: each for each in client.get("/v1/labels").json()["labels"]}
    assert labels["NSFW_REGION"] == {"label": "NSFW_REGION", "class": None, "reported": True, "aliases": []}
    assert "NSFW_REGION" not in {each["label"] for each in started().get("/v1/labels").json()["labels"]}


def test_policies_and_options_say_who_is_asked(started: Started, house: Path) -> None:
    client = started(classifiers=[Seer()], policies=house)
    policies = {each["name"]: each for each in client.get("/v1/policies").json()["policies"]}
    assert policies["judged"]["classifiers"] == ["seer"]
    assert policies["judged"]["picture"]["nsfw_at"] == 0.6
    assert policies["judged"]["heat"]["effect"] == "solid"
    assert policies["boxes"]["classifiers"] == []
    assert policies["boxes"]["heat"] is None
    networks = client.get("/v1/options").json()["networks"]
    assert networks == {"detectors": ["detector"], "classifiers": {"seer": ["sfw", "nsfw", "gore"]}}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("none", ()),
        ("open_nsfw", ("open_nsfw",)),
        (" open_nsfw, own.onnx ", ("open_nsfw", "own.onnx")),
        ("", None),
    ],
)
def test_the_setting(monkeypatch: pytest.MonkeyPatch, said: str, meant: tuple[str, ...] | None) -> None:
    monkeypatch.setenv("CENSOR_CLASSIFIERS", said)
    assert Settings().classifiers == meant


def test_none_stands_alone() -> None:
    with pytest.raises(ValueError, match="none stands alone"):
        Settings.model_validate({"classifiers": "none,open_nsfw"})


def test_networks_beyond_the_first_are_in_the_bound() -> None:
    settings = Settings(workers=2, in_flight=3)
    assert settings.bound_with(1) == settings.memory_bound
    assert settings.bound_with(3) - settings.memory_bound == 2 * 2 * (128 + 3 * 384) * 2**20


@pytest.fixture
def portrait_jpeg(astronaut: NDArray[np.uint8], encoded: Callable[..., bytes]) -> bytes:
    return encoded(astronaut, "JPEG", quality=92)


def test_the_real_models_end_to_end(started: Started, models_folder: Path, portrait_jpeg: bytes) -> None:
    client = started(real=True, workers=1, in_flight=1)
    known = client.get("/v1/options").json()["networks"]
    assert known["detectors"] == ["320n", "centerface"]
    assert list(known["classifiers"]) == ["open_nsfw", "image-safety-s"]
    judged = asked(client, "/v1/check", portrait_jpeg)["verdict"]
    assert judged["level"] == "safe"
    assert judged["models"] == ["320n", "open_nsfw", "image-safety-s"]
    assert 0 < judged["score"] < 0.2
    faces = asked(client, "/v1/censor?policy=faces", portrait_jpeg)
    assert faces["verdict"] is None
    assert {each["label"] for each in faces["boxes"]} == {"FACE"}
    assert asked(client, "/v1/check?policy=boxes", portrait_jpeg)["verdict"]["models"] == ["320n"]
    women = asked(client, "/v1/censor?label=FACE_FEMALE", portrait_jpeg)
    assert {each["label"] for each in women["hidden"]} == {"FACE_FEMALE"}
    strict = asked(client, "/v1/censor?policy=strict", portrait_jpeg)
    assert {each["label"] for each in strict["hidden"]} <= {"NSFW_REGION"}
    assert client.get("/readyz").status_code == 200
    figures = client.get("/metrics").text
    for name in ("320n", "centerface", "open_nsfw", "image-safety-s"):
        assert f'censor_network_seconds_count{{network="{name}"}}' in figures


def test_without_classifiers_none_is_loaded(started: Started, models_folder: Path, portrait_jpeg: bytes) -> None:
    client = started(real=True, workers=1, in_flight=1, classifiers=())
    assert client.get("/v1/options").json()["networks"]["classifiers"] == {}
    assert asked(client, "/v1/check", portrait_jpeg)["verdict"]["models"] == ["320n"]


def test_red_is_found_beside_what_classifiers_see(
    started: Started, house: Path, encoded: Callable[..., bytes], scene: NDArray[np.uint8]
) -> None:
    client = started(classifiers=[Seer()], policies=house, policy="judged")
    answer = asked(client, "/v1/censor", encoded(scene, "PNG"))
    assert [each["label"] for each in answer["hidden"]] == ["FEMALE_BREAST_EXPOSED"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["picture"]["base64"]))).convert("RGB"))
    assert not (shown == RED).all(axis=2).any()
