"""Films, animations and pages through the service, at once and as jobs."""

from __future__ import annotations

import base64
import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from animations import encoded, red_square
from fakes import OTHERS
from film_files import RedSeer, blob, film, frames_of, red_in, times_of
from leaks.test_film_leaks import MARKER, planted
from numpy.typing import NDArray
from paged import pages
from paged import planted as planted_pages
from processes import workers_of
from test_memory_limit import resident

from censor.service import Settings
from censor.service.spool import Spool
from detect.detections import Detections, RGBImage
from detect.pictures.animation import decode_frames
from detect.pictures.formats import MEDIA_TYPES
from detect.pictures.tiff_pages import decode_pages

MP4 = {"content-type": "video/mp4"}
HOW: dict[str, Any] = {"options": {"preset": "ultrafast"}, "audio": None}
SLOW = (64, 64)
"""Size of the films at which `Seer` takes its time."""

ENDLESS = (80, 80)

TIFF = {"content-type": "image/tiff"}
SCAN = [np.full((40, 60, 3), 128, np.uint8), red_square(8), red_square(24)]


class Seer(RedSeer):
    """Red, for every policy; slow at one size, deadly at another, and without end at a third."""

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = (self.names[0], *OTHERS)  # type: ignore[assignment]  # wider than the parent's

    def _find(self, image: RGBImage) -> Detections:
        if image.shape[:2] == SLOW:
            time.sleep(0.3)
        if image.shape[:2] == (48, 48):
            os._exit(1)
        if image.shape[:2] == ENDLESS:
            time.sleep(600)
        return super()._find(image)


def clip(count: int = 6, size: tuple[int, int] = (96, 160), **options: Any) -> bytes:
    return film([blob(4 + 2 * (each % 20), top=8, side=16, size=size) for each in range(count)], **{**HOW, **options})


@pytest.fixture(scope="module")
def short() -> bytes:
    return clip()


@pytest.fixture(scope="module")
def threads() -> Iterator[httpx.Client]:
    """One service for most tests, which works in threads."""
    yield from _served(Seer())


@pytest.fixture(scope="module")
def processes() -> Iterator[httpx.Client]:
    """One service whose workers are processes, with little patience."""
    yield from _served(None, load=Seer, workers=1, picture_seconds=5.0)


def _served(detector: Any, load: Any = None, **settings: Any) -> Iterator[httpx.Client]:
    import threading

    import uvicorn

    from censor.service import Settings, create_app
    from censor.service.server import configured

    chosen = Settings(port=0, jobs=2, **settings)
    app = create_app(chosen, detector, load=load)
    server = uvicorn.Server(configured(app, chosen, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join(timeout=20)


def problem(response: httpx.Response) -> str:
    return str(response.json()["type"]).removeprefix("/problems/")


def figure(client: httpx.Client, name: str) -> float:
    (line,) = [each for each in client.get("/metrics").text.splitlines() if each.startswith(f"{name} ")]
    return float(line.split()[1])


def held(client: httpx.Client) -> float:
    """Bytes of uploads and answers; the request that has just been answered may still be counted for a moment."""
    end = time.monotonic() + 5
    while (now := figure(client, "censor_upload_bytes_held")) and time.monotonic() < end:
        time.sleep(0.02)
    return now


def ended(client: httpx.Client, place: str) -> dict[str, Any]:
    """How a job stands when it has ended."""
    end = time.monotonic() + 60
    while (told := client.get(place).json())["status"] in ("receiving", "working"):
        assert time.monotonic() < end, told
        time.sleep(0.05)
    return dict(told)


@pytest.mark.parametrize("service", ["threads", "processes"])
def test_a_film_comes_out_hidden(service: str, short: bytes, request: pytest.FixtureRequest) -> None:
    client: httpx.Client = request.getfixturevalue(service)
    done = client.post("/v1/censor", content=short, headers=MP4)
    assert (done.status_code, done.headers["content-type"], done.headers["censor-verdict"]) == (
        200, "video/mp4", "nsfw",
    )  # fmt: skip
    assert done.headers["censor-regions"] == "1"
    assert times_of(done.content) == times_of(short)
    assert not any(red_in(each).any() for each in frames_of(done.content))


def test_it_is_judged_and_told_of_in_json(threads: httpx.Client, short: bytes) -> None:
    checked = threads.post("/v1/check", files={"file": short})
    assert checked.status_code == 200
    assert checked.json()["frames"] == 6
    assert [each["level"] for each in checked.json()["spans"]] == ["nsfw"]
    told = threads.post("/v1/censor", content=short, headers={**MP4, "accept": "application/json"}).json()
    assert told["picture"]["media_type"] == "video/mp4"
    assert len(told["hidden"]) == 1


@pytest.mark.parametrize("kind", ["GIF", "AVIF", "HEIF"])
def test_an_animation_too(threads: httpx.Client, kind: str) -> None:
    data = encoded([red_square(8 * each) for each in range(3)], kind)
    headers = {"content-type": MEDIA_TYPES[kind]}
    done = threads.post("/v1/censor", content=data, headers=headers)
    assert (done.status_code, done.headers["content-type"]) == (200, headers["content-type"])
    assert done.headers["censor-verdict"] == "nsfw"
    assert len(list(decode_frames(done.content, "a").frames)) == 3
    place = threads.post("/v1/jobs?policy=default", content=data, headers=headers).headers["location"]
    assert ended(threads, place)["status"] == "done"
    assert threads.get(place + "/result").headers["content-type"] == headers["content-type"]


@pytest.mark.parametrize("service", ["threads", "processes"])
def test_each_page_comes_out_hidden_and_answers_say_which(service: str, request: pytest.FixtureRequest) -> None:
    client: httpx.Client = request.getfixturevalue(service)
    url = "/v1/censor?replacewith=solid"
    done = client.post(url, content=pages(SCAN), headers=TIFF)
    assert (done.status_code, done.headers["content-type"]) == (200, "image/tiff")
    assert (done.headers["censor-verdict"], done.headers["censor-regions"]) == ("nsfw", "2")
    first, *others = [each.pixels for each in decode_pages(done.content, "out")]
    assert np.array_equal(first, SCAN[0])
    assert [red_in(each).any() for each in others] == [False, False]
    told = client.post(url, content=pages(SCAN), headers=TIFF | {"accept": "application/json"}).json()
    assert [each["page"] for each in told["hidden"]] == [2, 3]
    assert (told["pages"], told["page"], told["picture"]["media_type"]) == (3, 2, "image/tiff")
    checked = client.post("/v1/check", files={"file": pages(SCAN)}).json()
    assert (checked["levels"], checked["page"], checked["verdict"]["level"]) == (["safe", "nsfw", "nsfw"], 2, "nsfw")
    place = client.post("/v1/jobs?policy=default", content=pages(SCAN), headers=TIFF).headers["location"]
    stands = ended(client, place)
    assert (stands["status"], stands["frames_total"]) == ("done", 3)
    fetched = client.get(place + "/result")
    assert (fetched.headers["content-type"], len(list(decode_pages(fetched.content, "out")))) == ("image/tiff", 3)
    assert held(client) == 0


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda data: data[: len(data) // 2], "damaged-picture"),
        (lambda data: data[:40], "damaged-picture"),
        (lambda data: b"", "no-picture"),
        (lambda data: data + b"\0" * 33 * 2**20, "too-large"),
    ],
    ids=["cut", "header", "nothing", "large"],
)
def test_bad_films_get_a_problem(
    threads: httpx.Client, short: bytes, change: Callable[[bytes], bytes], name: str
) -> None:
    assert problem(threads.post("/v1/censor", content=change(short), headers=MP4)) == name


def test_a_film_that_claims_hours_is_refused_at_once_and_where_the_extra_is_missing_so(
    started: Callable[..., httpx.Client], short: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = started(Seer(), film_seconds=0.05)
    refused = client.post("/v1/censor", content=short, headers=MP4)
    assert (refused.status_code, problem(refused)) == (422, "too-long")
    monkeypatch.setattr("censor.service.uploads.find_spec", lambda name: None)
    assert problem(client.post("/v1/check", content=short, headers=MP4)) == "film-not-taken"
    assert "`video`" in client.post("/v1/check", content=short, headers=MP4).json()["detail"]


def test_where_films_are_off_neither_they_nor_animations_are_taken(
    started: Callable[..., httpx.Client], short: bytes
) -> None:
    client = started(Seer(), film_bytes=0)
    assert problem(client.post("/v1/censor", content=short, headers=MP4)) == "film-not-taken"
    for kind in ("GIF", "PNG", "WEBP", "AVIF", "HEIF"):
        data = encoded([red_square(8 * each) for each in range(3)], kind)
        refused = client.post("/v1/censor", content=data, headers={"content-type": MEDIA_TYPES[kind]})
        assert problem(refused) == "animated-picture"
    assert problem(client.post("/v1/check", content=pages(SCAN), headers=TIFF)) == "animated-picture"
    assert client.get("/v1/options").json()["films"] is None


@pytest.mark.parametrize("service", ["threads", "processes"])
def test_a_job_is_asked_about_fetched_once_and_gone(service: str, short: bytes, request: pytest.FixtureRequest) -> None:
    client: httpx.Client = request.getfixturevalue(service)
    begun = client.post("/v1/jobs?policy=default", content=short, headers=MP4)
    assert begun.status_code == 202
    place = begun.headers["location"]
    assert place == f"/v1/jobs/{begun.json()['id']}"
    assert len(begun.json()["id"]) == 32
    told = ended(client, place)
    assert told["status"] == "done", told
    assert told["expires_in"] > 250
    done = client.get(place + "/result")
    assert done.headers["content-type"] == "video/mp4"
    assert not any(red_in(each).any() for each in frames_of(done.content))
    for again in (client.get(place), client.get(place + "/result"), client.delete(place)):
        assert (again.status_code, problem(again)) == (404, "no-such-job")
    assert 'censor_job_ends_total{end="fetched"}' in client.get("/metrics").text
    assert "censor_upload_bytes_held 0.0" in client.get("/metrics").text


def test_progress_is_told_other_requests_are_served_and_a_job_can_be_ended(
    threads: httpx.Client, encoded: Callable[..., bytes], scene: NDArray[np.uint8]
) -> None:
    slow = clip(12, size=SLOW)
    place = threads.post("/v1/jobs?task=check", content=slow, headers=MP4).headers["location"]
    busy = threads.post("/v1/jobs", content=slow, headers=MP4).headers["location"]
    early = threads.get(place + "/result")
    assert (early.status_code, problem(early), early.headers["retry-after"]) == (409, "not-done", "1")
    full = threads.post("/v1/jobs", content=slow, headers=MP4)
    assert (full.status_code, problem(full)) == (503, "busy")
    assert int(full.headers["retry-after"]) >= 1
    assert threads.post("/v1/check", content=encoded(scene, "PNG"), headers={"content-type": "image/png"}).is_success
    seen = set()
    while (told := threads.get(place).json())["status"] == "working":
        seen.add(told["frames_done"])
        assert told["frames_total"] in (None, 12)
        time.sleep(0.05)
    assert told["status"] == "done"
    assert len(seen) > 2
    assert threads.delete(busy).status_code == 204
    assert threads.get(busy).status_code == 404
    assert threads.get(place + "/result").json()["frames"] == 12


def test_a_job_that_fails_says_why(threads: httpx.Client, short: bytes) -> None:
    place = threads.post("/v1/jobs", content=short[:-200], headers=MP4).headers["location"]
    told = ended(threads, place)
    assert told["status"] == "failed"
    assert told["problem"]["type"] == "/problems/damaged-picture"
    failed = threads.get(place + "/result")
    assert (failed.status_code, problem(failed)) == (422, "damaged-picture")
    assert threads.get(place).status_code == 404
    assert problem(threads.post("/v1/jobs?task=check&cells=3", content=short, headers=MP4)) == "bad-option"
    assert problem(threads.post("/v1/jobs?label=KNEE", content=short, headers=MP4)) == "unknown-label"
    assert problem(threads.post("/v1/jobs?task=check&policy=none", content=short, headers=MP4)) == "unknown-policy"


def test_jobs_ask_for_the_key_and_are_forgotten_after_their_time(
    started: Callable[..., httpx.Client], short: bytes
) -> None:
    client = started(Seer(), api_keys="secret", job_ttl=0.2)
    assert client.post("/v1/jobs", content=short, headers=MP4).status_code == 401
    key = {"authorization": "Bearer secret"}
    place = client.post("/v1/jobs", content=short, headers=MP4 | key).headers["location"]
    assert client.get(place).status_code == 401
    end = time.monotonic() + 30
    while client.get(place, headers=key).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "censor_upload_bytes_held 0.0" in client.get("/metrics").text


def test_a_worker_that_dies_or_stalls_ends_its_film_alone(processes: httpx.Client, short: bytes) -> None:
    deadly = processes.post("/v1/check", content=clip(size=(48, 48)), headers=MP4)
    assert (deadly.status_code, problem(deadly)) == (500, "worker-died")
    assert processes.post("/v1/check", content=short, headers=MP4).status_code == 200
    # It takes longer than a picture may, and no frame of it does.
    long = processes.post("/v1/check", content=clip(20, size=SLOW), headers=MP4)
    assert long.status_code == 200


def test_a_frame_without_end_ends_its_film_and_its_worker_alone(processes: httpx.Client, short: bytes) -> None:
    stalled = processes.post("/v1/check", content=clip(3, size=ENDLESS), headers=MP4)
    assert (stalled.status_code, problem(stalled)) == (504, "time-limit")
    assert "one frame" in stalled.json()["detail"]
    assert processes.post("/v1/check", content=short, headers=MP4).status_code == 200  # by another, once it is killed
    assert held(processes) == 0


def test_a_film_of_as_many_bytes_as_may_be_takes_no_more_memory_than_a_small_one(
    processes: httpx.Client, short: bytes
) -> None:
    most = Settings().film_bytes
    room = most - len(short)
    large = short + room.to_bytes(4) + b"free" + bytes(room - 8)
    peaks = []
    for data in (short, large):
        assert processes.post("/v1/censor", content=data, headers=MP4).status_code == 200
        peaks.append(resident(workers_of(os.getpid())))
    assert all(after - before < most for before, after in zip(*peaks, strict=True))
    bound = Settings(workers=1).film_bound_with(1)
    assert max(peaks[1]) < bound
    assert held(processes) == 0
    assert problem(processes.post("/v1/censor", content=large + bytes(1), headers=MP4)) == "too-large"


@pytest.mark.parametrize("service", ["threads", "processes"])
def test_work_for_a_client_that_leaves_ends(service: str, short: bytes, request: pytest.FixtureRequest) -> None:
    client: httpx.Client = request.getfixturevalue(service)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/censor", content=clip(400, size=SLOW), headers=MP4, timeout=1.5)
    # It would take two minutes, and the only worker is free at once, or when a frame is done.
    assert client.post("/v1/check", content=short, headers=MP4).status_code == 200
    assert held(client) == 0
    assert figure(client, "censor_pictures_inside") == 0


@pytest.mark.parametrize(
    ("make", "headers"), [(lambda: planted("mp4"), MP4), (lambda: planted_pages(SCAN, MARKER), TIFF)],
    ids=["film", "pages"],
)  # fmt: skip
def test_nothing_beside_pixels_sound_and_times_comes_out_of_the_service(
    threads: httpx.Client, make: Callable[[], bytes], headers: dict[str, str]
) -> None:
    data = make()
    assert data.count(MARKER) >= 2
    form: dict[str, Any] = {"files": {"file": (f"{MARKER.decode()}.mp4", data)}}
    responses = [
        threads.post("/v1/censor", content=data, headers=headers),
        threads.post("/v1/censor", headers={"accept": "application/json"}, **form),
        threads.post("/v1/check", **form),
        threads.get("/metrics"),
    ]
    for each in responses:
        assert each.status_code == 200
        said = [each.content, repr(each.headers).encode()]
        if "picture" in (told := each.json() if "json" in each.headers["content-type"] else {}):
            said.append(base64.b64decode(told["picture"]["base64"]))
        assert not any(MARKER in one for one in said)


def test_nobody_changes_what_goes_out() -> None:
    spool = Spool()
    other = Spool(os.dup(spool.fileno()))
    spool.write(b"censored")
    seen = spool.sealed()
    for change in (
        other.empty,
        functools.partial(other.write, b"x"),
        functools.partial(os.pwrite, other.fileno(), b"x", 0),
    ):
        with pytest.raises(PermissionError):
            change()
    spool.close()
    other.let_go()
    assert bytes(seen) == b"censored"
