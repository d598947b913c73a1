"""The upload service under load, beside the pipeline alone on the same pictures, in one run.

    python benchmarks/service_load.py [--photos DIR] [--seconds S] [--rounds N] [--json FILE]

Prints requests a second against pictures a second in process, p50 and p99 at half load, and what happens at three times
the capacity: how fast refusals come, whether every accepted answer is right, and the peak of memory.

The load comes from aiohttp in this process: it costs about 1 ms a request where a picture costs 50, can hold a
constant rate whatever the answers take (closed-loop generators slow down with the server and flatter its p99), and can
hold every answer against the expected bytes, which oha, wrk and hey cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
from suite.photographs import make_photos

from censor import Censor
from censor.batch import run
from censor.loading import load_networks
from censor.media.encoding import encode
from censor.policy_toml import load_policy
from censor.service import Settings

JPEG = {"content-type": "image/jpeg"}

_TIMES = 4
"""Rounds of a second would measure how they begin and end."""


class Service:
    """`censor serve` in processes of its own, and the peak of their memory."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "censor", "serve", "--port", "0", "--policy", "faces", *options]
        self._log = tempfile.NamedTemporaryFile()  # noqa: SIM115  # closed in `stop`; a pipe would have to be read
        self.process = subprocess.Popen(command, stderr=self._log)
        self.url = ""
        while not self.url:
            if self.process.poll() is not None:
                raise RuntimeError(Path(self._log.name).read_text())
            if found := re.search(r"http://127\.0\.0\.1:\d+", Path(self._log.name).read_text()):
                self.url = found[0]
            time.sleep(0.05)
        while True:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)

    def family(self) -> dict[int, bytes]:
        """Process ids of the service and all that it started, with their command lines."""
        found, parents = {}, [self.process.pid]
        while parents:
            parent = parents.pop()
            with contextlib.suppress(OSError):  # it has just ended
                found[parent] = Path(f"/proc/{parent}/cmdline").read_bytes()
                for children in Path(f"/proc/{parent}/task").glob("*/children"):
                    parents.extend(map(int, children.read_text().split()))
        return found

    def workers(self) -> list[int]:
        """Process ids of those who work on pictures."""
        return [pid for pid, line in self.family().items() if b"censor.service.worker" in line]

    def peak_mb(self) -> float:
        """Peak resident memory of all processes together."""
        peaks = [Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0] for pid in self.family()]
        return sum(map(int, peaks)) / 1024

    def stop(self) -> None:
        """Drain and end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self._log.close()


@dataclass
class Tally:
    """What came back."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    wrong: int = 0
    broken: Counter[str] = field(default_factory=Counter)

    def of(self, status: int) -> list[float]:
        """Seconds of all answers of one status, in order of size."""
        return sorted(self.seconds.get(status, []))


async def ask(client: aiohttp.ClientSession, photo: bytes, expected: bytes, tally: Tally) -> None:
    """One request, held against the expected answer."""
    start = time.perf_counter()
    try:
        async with client.post("/v1/censor", data=photo, headers=JPEG) as response:
            content = await response.read()
    except aiohttp.ClientError as error:
        tally.broken[type(error).__name__] += 1
        return
    tally.seconds.setdefault(response.status, []).append(time.perf_counter() - start)
    if response.status == 200:
        tally.wrong += content != expected


def session(url: str, connections: int) -> aiohttp.ClientSession:
    """Keeps so many connections; 0 for as many as there are requests."""
    return aiohttp.ClientSession(
        url, connector=aiohttp.TCPConnector(limit=connections), timeout=aiohttp.ClientTimeout(total=60)
    )


async def closed(url: str, photos: dict[bytes, bytes], connections: int) -> float:
    """All photos `_TIMES` times, so many requests at a time; requests a second."""
    todo, tally = list(photos.items()) * _TIMES, Tally()
    async with session(url, connections) as client:

        async def worker() -> None:
            while todo:
                await ask(client, *todo.pop(), tally)

        start = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(connections)))
        seconds = time.perf_counter() - start
    if tally.wrong or tally.broken or set(tally.seconds) != {200}:
        raise RuntimeError(f"{tally.wrong} wrong, {dict(tally.broken)} broken, statuses {sorted(tally.seconds)}")
    return _TIMES * len(photos) / seconds


async def constant(url: str, photos: dict[bytes, bytes], rate: float, seconds: float) -> Tally:
    """Requests at a constant rate, whatever the answers take."""
    tally, pairs, tasks = Tally(), list(photos.items()), set()
    async with session(url, 0) as client:
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            tasks.add(asyncio.create_task(ask(client, *pairs[number % len(pairs)], tally)))
        await asyncio.gather(*tasks)
    return tally


def percentile(values: list[float], share: float) -> float:
    """In milliseconds, of sorted seconds; not a number without any."""
    return 1000 * values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def in_process(censor: Censor, photos: dict[bytes, bytes], workers: int) -> float:
    """The pipeline alone, on threads; pictures a second."""
    start = time.perf_counter()
    for _ in run(
        list(photos) * _TIMES, lambda photo: encode(censor.apply(photo).picture, format="JPEG"), threads=workers
    ):
        pass
    return _TIMES * len(photos) / (time.perf_counter() - start)


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=Path, help="folder of JPEGs, of about half a megapixel each")
    parser.add_argument("--seconds", type=float, default=60, help="length of each run at a constant rate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    censor = Censor("faces", detector=load_networks(load_policy("faces"), min_score=0.05, threads=1)[0])
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.photos.glob("*.jpg"))[:100] if options.photos else make_photos(Path(folder), 100)
        files = [path.read_bytes() for path in paths]
    photos = {data: encode(censor.apply(data).picture, format="JPEG") for data in files}
    print(f"{platform.machine()}, {cores} cores; {len(photos)} photographs")
    service = Service()
    try:
        report = measure(service, censor, photos, options, cores)
    finally:
        service.stop()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(
    service: Service, censor: Censor, photos: dict[bytes, bytes], options: argparse.Namespace, cores: int
) -> dict[str, float]:
    """All figures, printed as they come."""
    sides: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.rounds):
        sides[0].append(in_process(censor, photos, cores))
        sides[1].append(asyncio.run(closed(service.url, photos, 4 * cores)))
        print(f"round: {sides[0][-1]:.1f} pictures/s, {sides[1][-1]:.1f} requests/s", file=sys.stderr, flush=True)
    alone, served = (statistics.median(side) for side in sides)
    ratio = statistics.median(b / a for a, b in zip(*sides, strict=True))
    print(f"in process {alone:.1f} pictures/s, over HTTP {served:.1f} requests/s: {ratio:.0%} (paired median)")
    half = asyncio.run(constant(service.url, photos, served / 2, options.seconds))
    p50, p99 = percentile(half.of(200), 0.5), percentile(half.of(200), 0.99)
    print(f"half load: p50 {p50:.0f} ms, p99 {p99:.0f} ms, {half.wrong} wrong, {len(half.of(503))} refused")
    over = asyncio.run(constant(service.url, photos, 3 * served, options.seconds))
    refused, accepted = over.of(503), over.of(200)
    print(
        f"three times capacity: {len(accepted)} accepted ({over.wrong} wrong), {len(refused)} refused in p50 "
        f"{percentile(refused, 0.5):.0f} ms, p99 {percentile(refused, 0.99):.0f} ms, at most "
        f"{percentile(refused, 1):.0f} ms; other statuses {sorted(set(over.seconds) - {200, 503})}, "
        f"broken {dict(over.broken)}; peak memory {service.peak_mb():.0f} MB of a bound of "
        f"{Settings().memory_bound / 2**20:.0f} MB"
    )
    return {
        "in_process": alone,
        "over_http": served,
        "ratio": ratio,
        "half_p50_ms": p50,
        "half_p99_ms": p99,
        "over_accepted": len(accepted),
        "over_wrong": over.wrong + half.wrong,
        "over_refused": len(refused),
        "over_refused_p99_ms": percentile(refused, 0.99),
        "over_refused_max_ms": percentile(refused, 1),
        "over_broken": sum(over.broken.values()),
        "peak_mb": service.peak_mb(),
    }


if __name__ == "__main__":
    main()
