"""Too much, too slow, gone away, broken off: every limit, over a real connection."""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from fakes import OTHERS, RedFinder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from censor.service import Settings
from detect.detections import Detections, RGBImage

PNG = {"content-type": "image/png"}


class Gate(RedFinder):
    """Looks at pictures only while the gate is open; the service's test picture passes."""

    def __init__(self) -> None:
        super().__init__(others=OTHERS)
        self.open = threading.Event()
        self.inside = threading.Semaphore(0)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        if images[0].shape != (96, 96, 3):
            self.inside.release()
            assert self.open.wait(20)
        return super().detect(images)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def problem(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    name: str = response.json()["type"]
    return name.removeprefix("/problems/")


def big_png(encoded: Callable[..., bytes]) -> bytes:
    """Three megabytes of noise, with red in it."""
    noise = np.random.default_rng(1).integers(0, 200, (1000, 1000, 3), np.uint8)
    noise[100:200:2, 100:200:2] = (250, 10, 20)
    return encoded(noise, "PNG", compress_level=0)


def test_bytes_over_the_cap_are_cut_off(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    client = started(max_bytes=100_000)
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield bytes(10_000)

    assert problem(client.post("/v1/censor", content=bytes(100_001), headers=PNG)) == "too-large"
    assert problem(client.post("/v1/censor", files={"file": bytes(100_001)})) == "too-large"
    assert problem(client.post("/v1/censor", content=body(), headers=PNG)) == "too-large"
    assert sent < 20_000_000  # of 100: what the sockets buffer, and no more
    assert problem(client.post("/v1/censor", content=bytes(30_000_000), headers=PNG)) == "too-large"
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200


def test_an_announced_length_is_refused_before_any_byte(listening: Callable[..., int]) -> None:
    with socket.create_connection(("127.0.0.1", listening(max_bytes=1000))) as connection:
        connection.settimeout(5)
        connection.sendall(
            b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n"
        )
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer


def test_nothing_is_written_anywhere(
    started: Callable[..., httpx.Client], encoded: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client, data = started(), big_png(encoded)
    for kind in ("PNG", "WEBP", "AVIF", "TIFF", "HEIF"):  # loads every codec
        small = encoded(np.zeros((40, 40, 3), np.uint8), kind)
        assert client.post("/v1/censor", content=small, headers=PNG).status_code == 200
    written: list[str] = []
    with _watched(written):
        with tempfile.SpooledTemporaryFile(max_size=10) as control:
            control.write(bytes(100))
        assert written  # the watch sees what a form parser would do
        written.clear()
        assert client.post("/v1/censor", content=data, headers=PNG).headers["censor-regions"] == "1"
        assert client.post("/v1/censor", files={"file": ("private.png", data)}).headers["censor-regions"] == "1"
        assert client.post("/v1/check", files={"file": ("private.png", data)}).status_code == 200
        assert problem(client.post("/v1/censor", files={"file": data[:-2000]})) == "damaged-picture"
        for kind in ("PNG", "WEBP", "AVIF", "TIFF", "HEIF", "JPEG"):
            small = encoded(np.zeros((40, 40, 3), np.uint8), kind)
            assert client.post("/v1/censor", files={"file": small}).status_code == 200
    assert written == []
    assert list(tmp_path.iterdir()) == []


class _watched:  # noqa: N801  # reads as a function
    """Notes every file that Python opens for writing, makes or renames while it lasts; a hook cannot be taken away."""

    _notes: list[str] | None = None
    _hooked = False

    def __init__(self, notes: list[str]) -> None:
        self._mine = notes

    def __enter__(self) -> None:
        _watched._notes = self._mine
        if not _watched._hooked:
            sys.addaudithook(_watched._hook)
            _watched._hooked = True

    def __exit__(self, *_: object) -> None:
        _watched._notes = None

    @staticmethod
    def _hook(event: str, args: tuple[object, ...]) -> None:
        if _watched._notes is None:
            return
        flags = args[2] if event == "open" else 0
        writes = isinstance(flags, int) and flags & 0o3103  # write, read and write, create, truncate
        if writes or event in ("os.mkdir", "os.rename", "os.link", "tempfile.mkstemp", "tempfile.mkdtemp"):
            _watched._notes.append(f"{event} {args[0]!r}")


def test_a_full_room_refuses_at_once_and_serves_on(
    started: Callable[..., httpx.Client], gate: Gate, scene_png: bytes
) -> None:
    client = started(gate, in_flight=1, queue=1)
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=client.base_url, timeout=20, trust_env=False) as own:
            answers.append(own.post("/v1/censor", content=scene_png, headers=PNG).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert gate.inside.acquire(timeout=5)
    _until(lambda: "censor_queue_depth 1.0" in client.get("/metrics").text)
    start = time.perf_counter()
    refused = client.post("/v1/censor", content=scene_png, headers=PNG)
    assert time.perf_counter() - start < 0.1
    assert problem(refused) == "busy"
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    gate.open.set()
    for thread in threads:
        thread.join(10)
    assert answers == [200, 200]
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200


def test_a_picture_that_takes_too_long(started: Callable[..., httpx.Client], gate: Gate, scene_png: bytes) -> None:
    client = started(gate, in_flight=1, picture_seconds=0.2)
    start = time.perf_counter()
    assert problem(client.post("/v1/censor", content=scene_png, headers=PNG)) == "time-limit"
    assert time.perf_counter() - start < 2
    assert client.get("/readyz").status_code == 503  # its only slot is held by what never ends
    gate.open.set()
    _until(lambda: client.get("/readyz").status_code == 200)
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200


def test_work_that_overruns_ends_at_the_next_look(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    class Slow(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            if images[0].shape != (96, 96, 3):
                time.sleep(0.3)
            return super().detect(images)

    slow = Slow(others=OTHERS)
    client = started(slow, picture_seconds=0.1)
    assert problem(client.post("/v1/censor", content=scene_png, headers=PNG)) == "time-limit"
    _until(lambda: "censor_pictures_inside 0.0" in client.get("/metrics").text)
    assert slow.calls == 2  # the test picture and the picture; never at the output


def test_uploads_share_one_sum_of_memory(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    client = started(upload_memory=len(scene_png) + 1000)
    assert client.post("/v1/check", content=scene_png, headers=PNG).status_code == 200
    busy = client.post("/v1/check", content=scene_png + bytes(2000), headers=PNG)
    assert problem(busy) == "busy"
    assert busy.headers["retry-after"]
    assert client.post("/v1/check", content=scene_png, headers=PNG).status_code == 200  # all was given back


def _request(port: int, header: bytes, *rest: bytes, pause: float = 0.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(header)
        for part in rest:
            time.sleep(pause)
            try:
                connection.sendall(part)
            except OSError:
                break
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass
        return answer


REQUEST = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"


def test_a_client_that_hangs_or_sends_a_byte_now_and_then(listening: Callable[..., int], scene_png: bytes) -> None:
    port = listening(upload_seconds=0.3, upload_rate=1000)
    for sent in ([], [b"x"] * 30):
        answer = _request(port, REQUEST, *sent, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"/problems/upload-timeout" in answer
    assert httpx.post(f"http://127.0.0.1:{port}/v1/check", content=scene_png, headers=PNG).status_code == 200


def test_a_slow_client_that_keeps_the_pace_is_served(listening: Callable[..., int], scene_png: bytes) -> None:
    port = listening(upload_seconds=0.3, upload_rate=20_000)
    header = REQUEST.replace(b"1000", str(len(scene_png)).encode())
    header = header.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    parts = [scene_png[at : at + 4000] for at in range(0, len(scene_png), 4000)]
    assert _request(port, header, *parts, pause=0.1).startswith(b"HTTP/1.1 200")


def test_request_headers_have_a_deadline(listening: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("censor.service.server._HEADER_SECONDS", 0.3)
    port = listening()
    start = time.monotonic()
    assert _request(port, b"POST /v1/check HTT") == b""
    assert _request(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he").startswith(b"HTTP/1.1 200")
    assert time.monotonic() - start < 3


def test_clients_that_go_away_leave_nothing_behind(
    started: Callable[..., httpx.Client], gate: Gate, scene_png: bytes
) -> None:
    client = started(gate, in_flight=1, queue=4)
    address = ("127.0.0.1", client.base_url.port)
    header = REQUEST.replace(b"1000", str(len(scene_png)).encode())
    with socket.create_connection(address) as connection:  # in the middle of its body
        connection.sendall(header + scene_png[:100])
    with socket.create_connection(address) as first, socket.create_connection(address) as second:
        first.sendall(header + scene_png)
        assert gate.inside.acquire(timeout=5)  # the first is worked on, the second waits
        second.sendall(header + scene_png)
        _until(lambda: "censor_queue_depth 1.0" in client.get("/metrics").text)
    _until(lambda: "censor_pictures_inside 1.0" in client.get("/metrics").text)  # the one that waited is gone
    _until(lambda: 'outcome="client-gone",route="/v1/check"} 3.0' in client.get("/metrics").text)
    gate.open.set()
    _until(lambda: "censor_pictures_inside 0.0" in client.get("/metrics").text)
    assert "censor_upload_bytes_held 0.0" in client.get("/metrics").text
    assert client.post("/v1/check", content=scene_png, headers=PNG).status_code == 200


def test_a_client_that_does_not_read_its_answer_is_cut_off(
    started: Callable[..., httpx.Client], scene_png: bytes, encoded: Callable[..., bytes]
) -> None:
    client = started(upload_seconds=0.5, upload_rate=2**40)
    data = encoded(np.zeros((2000, 3000, 3), np.uint8), "PNG")
    header = REQUEST.replace(b"1000", str(len(data)).encode()).replace(b"/v1/check", b"/v1/censor?format=bmp")
    with socket.create_connection(("127.0.0.1", client.base_url.port)) as connection:
        connection.sendall(header + data)
        _until(lambda: "censor_upload_bytes_held 1.8" in client.get("/metrics").text)  # 18 MB to be sent
        _until(lambda: "censor_upload_bytes_held 0.0" in client.get("/metrics").text)
    assert 'outcome="client-slow",route="/v1/censor"} 1.0' in client.get("/metrics").text
    full = client.post("/v1/censor?format=bmp", content=data, headers=PNG)
    assert len(full.content) == 18_000_054
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200


def test_the_stated_bound_on_memory_is_the_sum_of_the_limits() -> None:
    chosen = Settings(workers=2, in_flight=3, max_bytes=10, max_pixels=1000, upload_memory=500)
    worker = 320 * 2**20 + 3 * (160 * 2**20 + 3 * 10 + 1000 * 48)
    assert chosen.memory_bound == 384 * 2**20 + 500 + 2 * worker


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + header.encode() + b"\r\n\r\n" + body + b"\r\n" for header, body in parts) + end


FILE = 'Content-Disposition: form-data; name="file"; filename="a.png"'
FIELD = 'Content-Disposition: form-data; name="policy"'


@pytest.mark.parametrize(
    ("parts", "end", "expected"),
    [
        ([(FILE, b"x"), (FILE, b"y")], b"--x--\r\n", "two-pictures"),
        ([(FILE, b"x"), (FILE.replace("file", "other", 1), b"y")], b"--x--\r\n", "two-pictures"),
        ([(FILE.replace("file", "image", 1), b"y")], b"--x--\r\n", "no-picture"),
        ([(FILE, b"")], b"--x--\r\n", "no-picture"),
        ([('Content-Disposition: form-data; name="policy"', b"faces")], b"--x--\r\n", "no-picture"),
        ([], b"--x--\r\n", "no-picture"),
        ([(FILE, b"x")], b"", "malformed-upload"),
        ([(FILE, b"x")], b"--y--", "malformed-upload"),
        ([("Content-Disposition: form-data", b"x")], b"--x--\r\n", "malformed-upload"),
        ([("X: y", b"x")], b"--x--\r\n", "malformed-upload"),
        ([(FILE + "\r\nContent-Transfer-Encoding: base64", b"eA==")], b"--x--\r\n", "malformed-upload"),
        ([('Content-Disposition: form-data; name="a"', b"x")] * 65, b"--x--\r\n", "malformed-upload"),
        ([('Content-Disposition: form-data; name="policy"', b"x" * 2000)], b"--x--\r\n", "bad-option"),
        ([(FILE, b"x"), ('Content-Disposition: form-data; name="url"', b"http://x")], b"--x--\r\n", "bad-option"),
    ],
)
def test_broken_forms(client: httpx.Client, parts: list[tuple[str, bytes]], end: bytes, expected: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert problem(client.post("/v1/censor", content=form(*parts, end=end), headers=headers)) == expected


MALFORMED = [
    ("multipart/form-data; boundary=" + "x" * 257, b"", "malformed-upload"),
    ("multipart/form-data; boundary=" + "x" * 5000, b"", "malformed-upload"),
    ("multipart/form-data", b"", "malformed-upload"),
    ("multipart/form-data; boundary=", b"", "malformed-upload"),
    ('multipart/form-data; boundary=""', b"", "malformed-upload"),
    ("multipart/form-data; boundary=x", b"", "malformed-upload"),
    ("multipart/form-data; boundary=x", b"--x", "malformed-upload"),
    ("multipart/form-data; boundary=x", b"--y\r\n", "malformed-upload"),
    ("multipart/form-data; boundary=x", form((FILE + "\r\nX: " + "y" * 10**6, b"x")), "too-large malformed-upload"),
    ("multipart/form-data; boundary=x", form((FILE + "\r\nX: " + "y" * 60_000, b"x")), "malformed-upload"),
    ("multipart/form-data; boundary=x", form((FILE + "\r\nX: y" * 1000, b"x")), "malformed-upload"),
    ("multipart/form-data; boundary=x", form((FIELD, b"x"), end=b"") * 1000 + b"--x--\r\n", "malformed-upload"),
    ("multipart/form-data; boundary=x", form(("no colon", b"x")), "malformed-upload"),
    ("multipart/form-data; boundary=x", form((FILE.replace("file", "\x00"), b"x")), "no-picture"),
    (
        "multipart/form-data; boundary=x",
        form((FILE + "\r\nContent-Type: multipart/mixed; boundary=y", b"--y\r\n\r\nx\r\n--y--")),
        "not-a-picture",
    ),
    ("multipart/mixed; boundary=x", form((FILE, b"x")), "unsupported-media-type"),
]


def test_malformed_forms_are_problems(started: Callable[..., httpx.Client]) -> None:
    client = started(max_bytes=100_000)
    for kind, body, expected in MALFORMED:
        for content in (body, iter([body[:100], body[100:]])):
            answer = client.post("/v1/check", content=content, headers={"content-type": kind})
            assert problem(answer) in expected.split(), (kind[:60], body[:100])


def test_a_boundary_may_have_spaces(client: httpx.Client, scene_png: bytes) -> None:
    body = form((FILE, scene_png)).replace(b"--x", b"--a b:c")
    headers = {"content-type": 'multipart/form-data; boundary="a b:c"'}
    assert client.post("/v1/check", content=body, headers=headers).status_code == 200


PIECES = st.sampled_from(
    [b"--x", b"\r\n", b"--", b"\r", b"\n", b": ", b"x", b"\x00", b"\xff", b";", b'"', FILE.encode(), FIELD.encode()]
)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["x", '"x"', "x; boundary=y", '"', "x;", "\xff"]),
    body=st.lists(PIECES | st.binary(max_size=5), max_size=25).map(b"".join),
)
def test_no_form_is_an_error_of_ours(client: httpx.Client, kind: str, body: bytes) -> None:
    headers = {b"content-type": f"multipart/form-data; boundary={kind}".encode("latin-1")}
    assert 400 <= client.post("/v1/check", content=body, headers=headers).status_code < 500


def test_a_form_may_come_in_any_pieces(client: httpx.Client, scene: NDArray[np.uint8], scene_png: bytes) -> None:
    body = form((FILE, scene_png), ('Content-Disposition: form-data; name="format"', b"bmp"))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for size in (1999, 977):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        response = client.post("/v1/censor", content=pieces, headers=headers)
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/bmp"
