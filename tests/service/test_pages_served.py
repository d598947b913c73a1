"""Files of several pages that the service does not take, or not so many of."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import numpy as np
from paged import pages, retagged
from test_films_served import SCAN, TIFF, Seer, ended, figure, held, problem


def test_one_bad_page_fails_the_file_and_is_named(started: Callable[..., httpx.Client]) -> None:
    client = started(Seer(), jobs=2)
    cases = {
        "damaged-picture": pages(SCAN)[:-400],
        "not-a-picture": retagged(SCAN, 3, {330: 8}),
        "too-many-pixels": pages([*SCAN[:2], np.zeros((5001, 5000), np.uint8)], compression="tiff_adobe_deflate"),
    }
    for name, data in cases.items():
        for path in ("/v1/censor", "/v1/check"):
            refused = client.post(path, content=data, headers=TIFF)
            assert (refused.status_code, problem(refused)) == (422, name)
            assert refused.json()["detail"].startswith("page 3: ")
        place = client.post("/v1/jobs", content=data, headers=TIFF).headers["location"]
        assert ended(client, place)["problem"] == refused.json()
        assert problem(client.get(place + "/result")) == name
    other = client.post("/v1/censor?format=png", content=pages(SCAN), headers=TIFF)
    assert (problem(other), other.json()["detail"]) == ("cannot-encode", "PNG holds no pages; TIFF does")
    assert held(client) == 0


def test_more_pages_than_frames_are_taken_are_refused_before_any_is_looked_at(
    started: Callable[..., httpx.Client],
) -> None:
    seer = Seer()
    client = started(seer, film_seconds=2 / 60)
    before = seer.calls  # a test picture
    for path in ("/v1/censor", "/v1/check"):
        refused = client.post(path, content=pages(SCAN), headers=TIFF)
        assert (problem(refused), refused.json()["detail"]) == ("too-long", "A file may have 2 pages here.")
    many = client.post("/v1/check", content=pages([np.zeros((1, 1), np.uint8)] * 1001), headers=TIFF)
    assert "1,000 pages" in many.json()["detail"]
    assert seer.calls == before
    assert client.post("/v1/censor", content=pages(SCAN[:2]), headers=TIFF).status_code == 200
    assert figure(client, "censor_frames_total") == 2
