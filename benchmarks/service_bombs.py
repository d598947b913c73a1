"""Bombs, stalled uploads and readers who do not read, against the upload service, beside clients that behave.

    python benchmarks/service_bombs.py [--seconds S] [--stalled N] [--readers N]

Well-behaved clients send the portrait all the while, first alone, then beside the faults: a 16384² AVIF behind a header
that says 100 x 100, a progressive JPEG of thousands of scans, a lossless JPEG of more than 800 pixels, and a PNG of a
gigapixel in a few hundred kilobytes, each sent again and again; uploads that come fast up to their last bytes and then
stand still; readers who ask for large answers and never read them. Prints what became of each, how long the
well-behaved waited, and the peak of all processes' resident memory, sampled together, beside the stated bound. Fails if
that was exceeded, if any answer was wrong, or if a well-behaved request failed otherwise than by 503.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import os
import socket
import statistics
import struct
import threading
import time
import zlib
from collections import Counter
from urllib.parse import urlsplit

import httpx
from PIL import Image
from service_faults import REQUEST, portrait
from service_load import JPEG, Service

from censor import Censor
from censor.loading import load_networks
from censor.media.encoding import encode
from censor.policy_toml import load_policy
from censor.service import Settings
from censor.service.metrics import resident_bytes

MAX_BYTES = 20 * 2**20

_GRAIN = {"film-grain-test": "1"}
"""Film grain is put on a copy of the frame: twice the memory."""


def png_bomb(side: int = 32_000) -> bytes:
    """A PNG of one color and a gigapixel."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(deflate.compress(row * 100) for _ in range(side // 100)) + deflate.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def avif_bomb(side: int = 16_384) -> bytes:
    """An AVIF whose header says 100 x 100 and whose frame has so many pixels along its sides."""
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, "AVIF", quality=1, speed=10, subsampling="4:4:4", advanced=_GRAIN)
    return stream.getvalue().replace(struct.pack(">II", side, side), struct.pack(">II", 100, 100))


def scans_bomb(scans: int = 4000) -> bytes:
    """A progressive JPEG of 24 megapixels that refines the same coefficient again and again."""
    stream = io.BytesIO()
    Image.new("L", (4896, 4896), 90).save(stream, "JPEG", progressive=True, quality=30)
    data = stream.getvalue()
    # The last scan refines the AC coefficients; all of its blocks are empty, and so are all of its copies.
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (min(scans, MAX_BYTES // (len(data) - last) - 1)) + b"\xff\xd9"


def lossless_bomb(side: int = 801) -> bytes:
    """A JPEG of the lossless process (SOF3), three components, every difference zero."""
    frame = b"\xff\xc3" + struct.pack(">HBHHB", 17, 8, side, side, 3) + bytes((1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0))
    table = b"\xff\xc4" + struct.pack(">H", 20) + bytes((0, 1, *[0] * 15, 0))  # one code, "0": no difference
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes((3, 1, 0, 2, 0, 3, 0, 1, 0, 0))
    return b"\xff\xd8" + frame + table + scan + bytes(side * side * 3 // 8 + 1) + b"\xff\xd9"


def large_answer() -> bytes:
    """A small PNG that is 18 MB as a bitmap: more than the system itself keeps for a connection."""
    stream = io.BytesIO()
    Image.new("RGB", (3000, 2000), (90, 90, 90)).save(stream, "PNG")
    return stream.getvalue()


class Faults:
    """Clients that misbehave until told to stop."""

    def __init__(self, url: str) -> None:
        self.url, self.counts = url, Counter[str]()
        self.over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, *clients: threading.Thread) -> None:
        """Have them begin."""
        self._threads += clients
        for each in clients:
            each.start()

    def stop(self) -> None:
        """Have them end."""
        self.over.set()
        for each in self._threads:
            each.join()

    def bomb(self, name: str, data: bytes) -> None:
        """Send a picture again and again, to be censored and to be judged by turns."""
        paths = itertools.cycle(("censor", "check?policy=default"))
        while not self.over.is_set():
            try:
                url = f"{self.url}/v1/{next(paths)}"
                response = httpx.post(url, content=data, headers=JPEG, timeout=300, trust_env=False)
                told = "done" if response.status_code == 200 else response.json()["type"].rpartition("/")[2]
            except httpx.HTTPError as error:
                told = type(error).__name__
            self.counts[f"{name}: {told}"] += 1
            self.over.wait(1)

    def stand(self, name: str, data: bytes) -> None:
        """Send bytes as fast as they are taken, then nothing, and read nothing until it is cut off."""
        address = urlsplit(self.url)
        while not self.over.is_set():
            try:
                with socket.socket() as connection:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
                    connection.settimeout(60)
                    connection.connect((address.hostname, address.port))
                    connection.sendall(data)
                    self.counts[f"{name}: begun"] += 1
                    self.over.wait(20)
            except OSError:
                self.counts[f"{name}: cut off while sending"] += 1
                self.over.wait(0.5)


class Watch:
    """The peak of all processes' resident memory, taken together."""

    def __init__(self, service: Service) -> None:
        self._service, self._over = service, threading.Event()
        self.peak = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            sizes = {pid: resident_bytes(pid) for pid in self._service.family()}
            self.peak = max(self.peak, sum(sizes.values()))

    def stop(self) -> None:
        """No more looks."""
        self._over.set()
        self._thread.join()


def well_behaved(url: str, photo: bytes, expected: str, seconds: float) -> tuple[Counter[str], list[float]]:
    """Two clients that send, check, and send again."""
    counts, took = Counter[str](), list[float]()

    def client() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            response = httpx.post(f"{url}/v1/censor", content=photo, headers=JPEG, timeout=120, trust_env=False)
            took.append(time.monotonic() - begin)
            right = response.status_code == 200 and hashlib.sha256(response.content).hexdigest() == expected
            counts["right" if right else "refused" if response.status_code == 503 else "wrong"] += 1
            time.sleep(0.1)

    threads = [threading.Thread(target=client) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return counts, sorted(took)


def told(name: str, counts: Counter[str], took: list[float]) -> None:
    """One line of what became of the well-behaved."""
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    print(f"{name}: {dict(counts)}; seconds: median {p50:.2f}, p99 {p99:.2f}, most {took[-1]:.2f}")


def main() -> None:
    """Run the faults, print what came of them, and fail if anything that is promised did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stalled", type=int, default=13)
    parser.add_argument("--readers", type=int, default=3)
    options = parser.parse_args()
    photo, large = portrait(), large_answer()
    censor = Censor("faces", detector=load_networks(load_policy("faces"), min_score=0.05, threads=1)[0])
    expected = hashlib.sha256(encode(censor.apply(photo).picture, format="JPEG")).hexdigest()
    bombs = {"avif": avif_bomb(), "scans": scans_bomb(), "lossless": lossless_bomb(), "png": png_bomb()}
    print("bytes:", {name: len(data) for name, data in bombs.items()}, flush=True)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    service = Service("--workers", "2", "--max-bytes", str(MAX_BYTES))
    bound = Settings(workers=2, max_bytes=MAX_BYTES).memory_bound
    watch, faults = Watch(service), Faults(service.url)
    try:
        told("alone", *well_behaved(service.url, photo, expected, options.seconds / 4))
        upload = REQUEST % MAX_BYTES + bytes(MAX_BYTES - 2**16)
        reader = REQUEST.replace(b"/v1/censor", b"/v1/censor?format=bmp") % len(large) + large
        stalled = [threading.Thread(target=faults.stand, args=("stalled", upload)) for _ in range(options.stalled)]
        readers = [threading.Thread(target=faults.stand, args=("readers", reader)) for _ in range(options.readers)]
        faults.start(*readers, *stalled)
        still = well_behaved(service.url, photo, expected, options.seconds / 2)
        told(f"beside {options.stalled} stalled uploads and {options.readers} readers", *still)
        faults.start(*[threading.Thread(target=faults.bomb, args=each) for each in bombs.items()])
        all_faults = well_behaved(service.url, photo, expected, options.seconds)
        told("beside these and four bombs", *all_faults)
        faults.stop()
        after = httpx.post(f"{service.url}/v1/censor", content=photo, headers=JPEG, timeout=120, trust_env=False)
        print("faults:", dict(sorted(faults.counts.items())))
        print(f"afterwards: status {after.status_code}")
        print(f"peak of all processes together {watch.peak / 2**20:.0f} MiB, bound {bound / 2**20:.0f} MiB")
        if watch.peak > bound or still[0]["wrong"] or all_faults[0]["wrong"] or after.status_code != 200:
            raise SystemExit(1)
    finally:
        faults.stop()
        watch.stop()
        service.stop()


if __name__ == "__main__":
    main()
