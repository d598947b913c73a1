"""What comes out of the API for good input and for bad."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fakes import OTHERS, RED, RedFinder, Scripted, finder
from numpy.typing import NDArray
from PIL import Image

from censor.service.problems import KINDS
from detect.detections import Detections, RGBImage
from detect.errors import InferenceError

PNG = {"content-type": "image/png"}


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def red(image: NDArray[np.uint8]) -> int:
    return int((image == RED).all(axis=2).sum())


def is_problem(response: Any, name: str) -> bool:
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"/problems/{name}", body
    assert response.status_code == body["status"] == KINDS[name].status
    assert set(body) == {"type", "title", "status", "detail"}
    return True


def test_bare_bytes_come_out_censored(client: httpx.Client, scene_png: bytes) -> None:
    response = client.post("/v1/censor", content=scene_png, headers=PNG)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["censor-verdict"] == "nsfw"
    assert response.headers["censor-score"] == "0.9000"
    assert response.headers["censor-regions"] == "1"
    assert red(pixels(scene_png)) == 800
    assert red(pixels(response.content)) == 0


def test_a_form_comes_out_censored_with_its_options(client: httpx.Client, scene_png: bytes) -> None:
    form = {"replacewith": "solid", "shape": "box", "format": "webp", "quality": "80"}
    response = client.post("/v1/censor", files={"file": ("x.png", scene_png)}, data=form)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/webp"
    assert (pixels(response.content)[40:60, 60:80] < 12).all()


def test_options_come_from_the_query_too(client: httpx.Client, scene_png: bytes) -> None:
    url = "/v1/censor?replacewith=solid&shape=box&format=png"
    assert not pixels(client.post(url, content=scene_png, headers=PNG).content)[40:60, 60:80].any()


def test_json_holds_the_verdict_the_boxes_and_the_picture(client: httpx.Client, scene_png: bytes) -> None:
    response = client.post("/v1/censor", content=scene_png, headers={**PNG, "accept": "application/json"})
    body = response.json()
    assert (body["width"], body["height"]) == (160, 120)
    assert body["verdict"]["level"] == "nsfw"
    assert body["verdict"]["reasons"][0]["xyxy"] == [50, 30, 90, 70]
    assert body["boxes"] == [{"label": "FEMALE_BREAST_EXPOSED", "score": 0.9, "xyxy": [50, 30, 90, 70]}]
    assert body["hidden"][0]["effect"] == "pixelate"
    assert body["picture"]["media_type"] == "image/png"
    assert red(pixels(base64.b64decode(body["picture"]["base64"]))) == 0
    assert "file" not in body


def test_fewer_cells_show_less(client: httpx.Client, scene_png: bytes) -> None:
    def colors(cells: int) -> int:
        url = f"/v1/censor?shape=box&cells={cells}"
        inside = pixels(client.post(url, content=scene_png, headers=PNG).content)[34:66, 54:86]
        return len(np.unique(inside.reshape(-1, 3), axis=0))

    assert colors(1) == 1
    assert colors(2) <= 4 < colors(8) <= 64


def test_check_judges_and_sends_no_picture(client: httpx.Client, scene_png: bytes) -> None:
    body = client.post("/v1/check", content=scene_png, headers=PNG).json()
    assert body["verdict"]["nsfw"] is True
    assert set(body) == {"width", "height", "verdict", "boxes", "classifiers", "seconds"}


def test_a_label_narrows_what_is_hidden(client: httpx.Client, scene_png: bytes) -> None:
    url = "/v1/censor?label=BELLY_EXPOSED&label=FEET"
    assert is_problem(client.post(url, content=scene_png, headers=PNG), "unknown-label")
    response = client.post("/v1/censor?label=belly exposed", content=scene_png, headers=PNG)
    assert response.headers["censor-regions"] == "0"
    form = {"label": ["F_BREAST", "BELLY"]}
    response = client.post("/v1/censor", files={"file": scene_png}, data=form)
    assert response.headers["censor-regions"] == "1"


def test_a_label_that_the_detector_never_reports_is_refused(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    client = started(RedFinder(others=OTHERS[:4]))
    response = client.post("/v1/censor?label=FEET_EXPOSED", content=scene_png, headers=PNG)
    assert is_problem(response, "unknown-label")


@pytest.mark.parametrize("route", ["/v1/censor", "/v1/check"])
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("policy=nonsense", "unknown-policy"),
        ("policy=/etc/passwd", "unknown-policy"),
        ("url=http://127.0.0.1/x.png", "bad-option"),
        ("policy=a&policy=b&nonsense=1", "bad-option"),
    ],
)
def test_options_of_both(client: httpx.Client, scene_png: bytes, route: str, options: str, problem: str) -> None:
    assert is_problem(client.post(f"{route}?{options}", content=scene_png, headers=PNG), problem)
    form = dict(pair.split("=", 1) for pair in options.split("&"))
    assert is_problem(client.post(route, files={"file": scene_png}, data=form), problem)


@pytest.mark.parametrize(
    "option", ["replacewith=nothing", "shape=star", "cells=0", "cells=9", "quality=0", "format=exe"]
)
def test_options_out_of_range(client: httpx.Client, scene_png: bytes, option: str) -> None:
    response = client.post(f"/v1/censor?{option}", content=scene_png, headers=PNG)
    assert is_problem(response, "bad-option")
    assert option.split("=", maxsplit=1)[0] in response.json()["detail"]


def test_an_option_given_twice(client: httpx.Client, scene_png: bytes) -> None:
    for route, options in (
        ("censor", "cells=1&cells=8"),
        ("censor", "policy=strict&policy=faces"),
        ("check", "policy=a&policy=faces"),
    ):
        response = client.post(f"/v1/{route}?{options}", content=scene_png, headers=PNG)
        assert is_problem(response, "bad-option")
        assert "more than once" in response.json()["detail"]
    twice = client.post("/v1/censor", files={"file": scene_png}, data={"quality": ["80", "81"]})
    assert is_problem(twice, "bad-option")
    both = client.post("/v1/censor?format=webp", files={"file": scene_png}, data={"format": "bmp"})
    assert both.headers["content-type"] == "image/bmp"  # what the form says wins


@pytest.mark.parametrize(
    ("route", "query", "form", "problem"),
    [
        ("censor", "policy=nonsense", {"policy": "default"}, "unknown-policy"),
        ("check", "policy=nonsense", {"policy": "default"}, "unknown-policy"),
        ("censor", "policy=", {"policy": "default"}, "unknown-policy"),
        ("censor", "label=nonsense", {"label": "BELLY_EXPOSED"}, "unknown-label"),
        ("censor", "label=FEET_EXPOSED", {"label": "BELLY_EXPOSED"}, "unknown-label"),  # known, and never reported
        ("censor", "label=BELLY_EXPOSED", {"label": "nonsense"}, "unknown-label"),
        ("censor", "cells=9", {"cells": "8"}, "bad-option"),
        ("censor", "format=exe", {"format": "png"}, "bad-option"),
    ],
)
def test_what_is_wrong_in_the_query_is_refused_though_the_form_wins(
    client: httpx.Client, scene_png: bytes, route: str, query: str, form: dict[str, str], problem: str
) -> None:
    sent: dict[str, Any] = {"files": {"file": scene_png}, "data": form}
    assert is_problem(client.post(f"/v1/{route}?{query}", **sent), problem)
    if route == "censor" and form.get("label") != "nonsense":
        assert client.post(f"/v1/{route}", **sent).status_code == 200


def test_a_label_of_the_form_wins(client: httpx.Client, scene_png: bytes) -> None:
    sent: dict[str, Any] = {"files": {"file": scene_png}, "data": {"label": "BELLY_EXPOSED", "policy": "default"}}
    response = client.post("/v1/censor?label=FEMALE_BREAST_EXPOSED&policy=strict", **sent)
    assert response.headers["censor-regions"] == "0"


def test_a_problem_repeats_little_of_what_was_sent(client: httpx.Client, scene_png: bytes) -> None:
    many = "&".join(f"x{number}={'y' * 20}" for number in range(1000))
    for options in (many, f"{'n' * 5000}=1", f"{'n' * 5000}=1&{'n' * 5000}=2", f"label={'n' * 5000}"):
        response = client.post(f"/v1/censor?{options}", content=scene_png, headers=PNG)
        assert is_problem(response, "bad-option")
        assert len(response.content) < 500
    assert client.post(f"/v1/censor?{many}", content=scene_png, headers=PNG).json()["detail"].endswith("and 995 more")
    form = [(f"{number}{'n' * 900}", (None, b"1")) for number in range(50)]
    response = client.post("/v1/censor", files=[("file", ("x.png", scene_png)), *form])
    assert is_problem(response, "bad-option")
    assert len(response.content) < 700


def bad_pictures(encoded: Callable[..., bytes]) -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
    return {
        "text": (b"hello, I am no picture", "not-a-picture"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-a-picture"),
        "truncated jpeg": (encoded(noise, "JPEG")[:-300], "damaged-picture"),
        "truncated png": (encoded(noise, "PNG")[:-300], "damaged-picture"),
        "header only": (encoded(noise, "PNG")[:40], "damaged-picture"),
        "too many pixels": (encoded(Image.new("L", (2000, 2000)), "PNG"), "too-many-pixels"),
        "a cut page": (encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])[:-9], "damaged-picture"),
        "empty": (b"", "no-picture"),
    }


@pytest.mark.parametrize("route", ["/v1/censor", "/v1/check"])
def test_pictures_that_are_refused(
    started: Callable[..., httpx.Client], encoded: Callable[..., bytes], route: str
) -> None:
    client = started(max_pixels=1_000_000)
    for name, (data, problem) in bad_pictures(encoded).items():
        assert is_problem(client.post(route, content=data, headers=PNG), problem), name
        assert is_problem(client.post(route, files={"file": ("a.png", data, "image/png")}), problem), name
    good = encoded(np.zeros((8, 8, 3), np.uint8), "PNG")
    assert client.post(route, content=good, headers=PNG).status_code == 200


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "unsupported-media-type"),
        ({"content-type": "text/plain"}, "unsupported-media-type"),
        ({"content-type": "application/json"}, "unsupported-media-type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "unsupported-media-type"),
        ({"content-type": "image/png", "content-encoding": "gzip"}, "unsupported-media-type"),
        ({"content-type": "multipart/form-data"}, "malformed-upload"),
        ({"content-type": "multipart/form-data; boundary=x"}, "malformed-upload"),
    ],
)
def test_content_types(client: httpx.Client, scene_png: bytes, headers: dict[str, str], problem: str) -> None:
    response = client.post("/v1/censor", content=scene_png, headers=headers)
    assert is_problem(response, problem)


def test_a_picture_that_the_format_cannot_hold(client: httpx.Client, encoded: Callable[..., bytes]) -> None:
    long = encoded(np.zeros((2, 17_000, 3), np.uint8), "PNG")
    assert is_problem(client.post("/v1/censor?format=webp", content=long, headers=PNG), "cannot-encode")


class Broken(RedFinder):
    """Answers well until it is broken."""

    def __init__(self, answer: Any) -> None:
        super().__init__(others=OTHERS)
        self.answer = answer

    def detect(self, images: Sequence[RGBImage]) -> Any:
        if images[0].shape == (96, 96, 3):  # the test picture of readiness
            return super().detect(images)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("secret of the inside"),
        InferenceError("secret of the inside"),
        None,
        [],
        ["secret"],
        [Detections.empty(["OTHER"])],
        [Detections.empty(finder().names), Detections.empty(finder().names)],
    ],
)
@pytest.mark.parametrize("route", ["/v1/censor", "/v1/check"])
def test_a_detector_that_breaks(
    started: Callable[..., httpx.Client], scene_png: bytes, encoded: Callable[..., bytes], answer: Any, route: str
) -> None:
    client = started(Broken(answer))
    response = client.post(route, content=scene_png, headers=PNG)
    assert is_problem(response, "detector-failed")
    assert "secret" not in response.text
    small = encoded(np.zeros((96, 96, 3), np.uint8), "PNG")
    assert client.post(route, content=small, headers=PNG).status_code == 200


def test_a_detector_without_memory(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    client = started(Broken(MemoryError("secret")))
    response = client.post("/v1/check", content=scene_png, headers=PNG)
    assert is_problem(response, "memory-limit")
    assert "secret" not in response.text


def test_what_stays_visible_does_not_come_out(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    class Stubborn(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            box = np.array([[0.0, 0, 20 + self.calls, 20 + self.calls]], np.float32)
            self.calls += 1
            return [Detections(box, np.array([0.9]), np.array([0]), self.names) for _ in images]

    client = started(Stubborn(others=OTHERS))
    assert is_problem(client.post("/v1/censor", content=scene_png, headers=PNG), "still-visible")


def test_a_bug_of_ours_is_an_internal_error(
    client: httpx.Client, scene_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("censor.media.still.encode", broken)
    response = client.post("/v1/censor", content=scene_png, headers=PNG)
    assert is_problem(response, "internal-error")
    assert "secret" not in response.text
    monkeypatch.setattr("censor.service.routes._tell", broken)
    assert is_problem(client.post("/v1/check", content=scene_png, headers=PNG), "internal-error")
    assert client.get("/healthz").status_code == 200


def test_a_policy_that_only_hides_gives_no_verdict(
    started: Callable[..., httpx.Client], scene_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "hide.toml").write_text("[labels.FEMALE_BREAST_EXPOSED]\ncensor_at = 0.2\n")
    client = started(policies=tmp_path, policy="hide")
    response = client.post("/v1/censor", content=scene_png, headers=PNG)
    assert red(pixels(response.content)) == 0
    assert response.headers["censor-regions"] == "1"
    assert not {"censor-verdict", "censor-score"} & set(response.headers)
    body = client.post("/v1/censor", content=scene_png, headers={**PNG, "accept": "application/json"}).json()
    assert body["verdict"] is None
    assert len(body["hidden"]) == 1
    assert is_problem(client.post("/v1/check", content=scene_png, headers=PNG), "policy-cannot-judge")
    text = client.get("/metrics").text
    assert "censor_pictures_total 2.0" in text
    assert "censor_verdicts_total{" not in text
    assert client.post("/v1/check?policy=strict", content=scene_png, headers=PNG).json()["verdict"]["nsfw"]


def test_labels_and_policies_can_be_listed(started: Callable[..., httpx.Client]) -> None:
    client = started(RedFinder(others=[*OTHERS[:4], "CARD"]), policy="default")
    labels = {each["label"]: each for each in client.get("/v1/labels").json()["labels"]}
    assert labels["FEMALE_BREAST_EXPOSED"]["class"] == 3
    assert "F_BREAST" in labels["FEMALE_BREAST_EXPOSED"]["aliases"]
    assert not labels["FACE_MALE"]["reported"]
    assert labels["CARD"] == {"label": "CARD", "class": None, "reported": True, "aliases": []}
    policies = client.get("/v1/policies").json()["policies"]
    assert [each["name"] for each in policies] == ["default", "boxes"]  # strict and faces need labels that it lacks
    assert policies[0]["labels"]["BUTTOCKS_EXPOSED"]["nsfw_at"] == 0.4


def test_every_problem_explains_itself(client: httpx.Client) -> None:
    for name, kind in KINDS.items():
        assert client.get(f"/problems/{name}").json()["status"] == kind.status
    assert is_problem(client.get("/problems/nonsense"), "not-found")


def test_paths_and_methods_that_are_not_there(client: httpx.Client) -> None:
    assert is_problem(client.get("/v1/nonsense"), "not-found")
    assert is_problem(client.get("/v1/censor/"), "not-found")
    refused = client.get("/v1/censor")
    assert is_problem(refused, "method-not-allowed")
    assert refused.headers["allow"] == "POST"


def test_requests_at_once_each_get_their_own(
    started: Callable[..., httpx.Client], encoded: Callable[..., bytes]
) -> None:
    client = started(in_flight=3, queue=30, batch=4)
    found: dict[int, tuple[int, ...]] = {}

    def ask(number: int) -> None:
        image = np.random.default_rng(number).integers(40, 200, (60 + number, 80, 3), np.uint8)
        image[10:30:2, 10:30:2] = RED
        response = client.post("/v1/censor?format=png", content=encoded(image, "PNG"), headers=PNG)
        assert response.status_code == 200
        found[number] = (*pixels(response.content).shape, red(pixels(response.content)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: (60 + number, 80, 3, 0) for number in range(20)}


def test_a_scripted_detector_is_asked_as_the_pipeline_asks(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    names = finder().names
    script = Scripted(names, [], [(names[0], 0.3, (10, 10, 20, 20))], [])
    response = started(script).post("/v1/censor", content=scene_png, headers=PNG)
    assert response.headers["censor-verdict"] == "review"
    assert len(script.seen) == 3  # the test picture, the picture, and the look at the output
