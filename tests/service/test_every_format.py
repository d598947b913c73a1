"""Each format that the decoder takes has a title and a media type, and the service takes it and answers in it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from fakes import finder
from numpy.typing import NDArray

from censor.media.encoding import encode
from censor.service.policies import Censoring
from detect.errors import UnsupportedImageError
from detect.pictures.formats import FORMATS, MEDIA_TYPES, SUFFIXES, Format, format_of, sniff
from detect.pictures.still import Picture, decode


@pytest.mark.parametrize("taken", FORMATS, ids=lambda each: each.name)
def test_the_service_takes_it_and_answers_in_it(
    started: Callable[..., httpx.Client], photo: NDArray[np.uint8], scene_png: bytes, taken: Format
) -> None:
    client = started(finder())
    data = encode(Picture(photo), format=taken.name)
    assert sniff(data) == decode(data).format == taken.name
    as_it_came = client.post("/v1/censor", content=data, headers={"content-type": taken.media_type})
    assert (as_it_came.status_code, as_it_came.headers["content-type"]) == (200, taken.media_type)
    assert sniff(as_it_came.content) == taken.name
    headers = {"content-type": "image/png", "accept": "application/json"}
    asked_for = client.post(f"/v1/censor?format={taken.name.lower()}", content=scene_png, headers=headers).json()
    assert asked_for["picture"]["media_type"] == taken.media_type
    assert sniff(base64.b64decode(asked_for["picture"]["base64"])) == taken.name
    assert client.post("/v1/check", content=data, headers={"content-type": "image/png"}).status_code == 200


def test_it_is_told_wherever_formats_are_told(client: httpx.Client) -> None:
    told = {each["name"].upper(): each for each in client.get("/v1/options").json()["formats"]}
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/v1/censor"]["post"]["requestBody"]["content"]
    answer = paths["/v1/censor"]["post"]["responses"]["200"]["content"]
    meaning = client.get("/problems/not-a-picture").json()["meaning"]
    with pytest.raises(UnsupportedImageError) as refused:
        decode(b"no picture")
    assert list(told) == [each.name for each in FORMATS]
    for each in FORMATS:
        assert told[each.name]["title"] == each.title
        assert told[each.name]["media_type"] == each.media_type
        assert format_of(f"x{told[each.name]['suffix']}") == each.name
        assert each.media_type in body
        assert each.media_type in answer
        assert each.title in meaning
        assert each.title in str(refused.value)
    lossy = Censoring.model_fields["quality"].description or ""
    assert [each.name for each in FORMATS if each.title in lossy.partition(";")[0]] == ["JPEG", "WEBP", "AVIF", "HEIF"]


def test_no_two_formats_share_anything() -> None:
    for names in ([each.title for each in FORMATS], [*MEDIA_TYPES.values()], [each.name for each in FORMATS]):
        assert len(set(names)) == len(FORMATS)
    assert len(SUFFIXES) == sum(len(each.suffixes) for each in FORMATS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)
