"""Kills workers and drivers of `censor cluster` while its store fails requests, and counts what became of all objects.

    python benchmarks/cluster_faults.py [--objects N] [--driver-kills N] [--worker-kill SECONDS] [--fail SHARE]

A server that speaks like S3 (benchmarks/s3_server.py) fails some requests, half of them after it has done what they
ask. A Ray cluster of two workers hides red squares in small pictures; every few seconds a worker gets SIGKILL, now and
then the driver does and another begins, and once two drivers work at the same time. The networks look for pure red:
what is measured is everything around networks. Counted are

    in        objects that there were; one in fifty is no picture
    out       outputs that rows of the verdicts name
    failed    rows with an error
    lost      objects without a row: must be 0
    twice     objects with several rows: must be 0
    partial   outputs that are missing, cannot be decoded, are of another picture or show red: must be 0
    strays    outputs that no row names: must be 0
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from censor.batch import run
from censor.cluster.job import Job, Loaded, claim_output
from censor.cluster.running import Cluster, run_job
from censor.cluster.sources import open_source
from censor.cluster.stores import Store, open_store
from censor.cluster.verdicts import DONE, FAILED, committed, read_shard, verdicts_name
from censor.pipeline import Censor
from censor.policy_toml import format_policy, load_policy
from detect.detections import Detections, RGBImage
from detect.errors import ImageError
from detect.pictures.still import decode

RED = (250, 10, 20)
IN, OUT = "s3://pictures/in", "s3://pictures/out"
ACCESS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

HEAD = """
import sys
from detect.runtime.telemetry import import_quietly
ray = import_quietly("ray")
ray.init(address="local", num_cpus=int(sys.argv[1]), _temp_dir=sys.argv[2], include_dashboard=False,
         log_to_driver=False, object_store_memory=100_000_000)
print("at", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
"""Ends with whoever holds its standard input; `ray start` would import almost three times as much."""


class RedFinder:
    """The box around all pixels of exactly `RED`."""

    names = (
        "FEMALE_BREAST_EXPOSED", "BUTTOCKS_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED",
        "ANUS_EXPOSED", "BELLY_EXPOSED", "MALE_BREAST_EXPOSED",
    )  # fmt: skip

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find it in each picture."""
        return [self._find(image) for image in images]

    def _find(self, image: RGBImage) -> Detections:
        ys, xs = np.nonzero((image == RED).all(axis=2))
        if not len(ys):
            return Detections.empty(self.names)
        box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
        return Detections(box, np.array([0.9]), np.array([0]), self.names)


def load(cores: int) -> Loaded:  # noqa: ARG001  # as `censor.cluster.job.Load` has it
    """Networks that take no time."""
    return Loaded(Censor("boxes", detector=RedFinder(), classifiers=()), {"red": "0"})


def drive(address: str, shard: int) -> None:
    """One driver, to its end."""
    rules = format_policy(load_policy("boxes"))
    job = Job(kind="hide", root=IN, out=OUT, policy="boxes", rules=rules, models={"red": "0"}, max_bytes=2**20)
    store = open_store(OUT)
    claim_output(store, job)
    chosen = Cluster(address=address, workers=2)
    summary = run_job(job, load, open_source(IN), store, chosen, size=shard, max_failures=1.0)
    if summary.progress.lost:
        sys.exit(
            f"{len(summary.progress.lost)} shards are to be done again: {next(iter(summary.progress.lost.values()))}"
        )


def pixels_of(number: int) -> NDArray[np.uint8]:
    """32 x 32 that say which they are, with a chequered red square."""
    pixels = np.full((32, 32, 3), 90 + number % 60, np.uint8)
    pixels[:1, :4] = np.frombuffer(number.to_bytes(12, "big"), np.uint8).reshape(1, 4, 3)
    pixels[10:26:2, 10:26:2] = pixels[11:27:2, 11:27:2] = RED
    return pixels


def content_of(number: int) -> bytes:
    """An object: a picture, or, one time in fifty, half of one."""
    out = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(out, "PNG", compress_level=1)
    return out.getvalue()[:150] if number % 50 == 7 else out.getvalue()


def name_of(number: int) -> str:
    """Where it lies."""
    return f"{number % 100:02}/{number:06}.png"


class Run:
    """The store, the cluster, and the drivers."""

    def __init__(self, given: argparse.Namespace, address: str, ray: int, log: Path) -> None:
        self._given, self._address, self._ray, self._log = given, address, ray, log
        self._random = random.Random(given.seed)  # noqa: S311  # when to kill is no secret
        self.killed: Counter[str] = Counter()

    def driver(self) -> subprocess.Popen[bytes]:
        """A new one."""
        command = [sys.executable, __file__, "--drive", self._address, "--shard", str(self._given.shard)]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def work(self) -> float:
        """Until all is done; seconds that it took."""
        drivers: list[subprocess.Popen[bytes]] = []
        try:
            return self._worked_off(drivers)
        finally:
            for each in drivers:
                each.kill()
                each.wait()

    def _worked_off(self, drivers: list[subprocess.Popen[bytes]]) -> float:
        began = last = time.monotonic()
        kills = [began + (1 + number) * self._given.driver_every for number in range(self._given.driver_kills)]
        drivers[:] = [self.driver()]
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            if now - began > self._given.limit:
                sys.exit(f"not done after {self._given.limit} s; see {self._log}")
            if kills and now > kills[0]:
                kills.pop(0)
                for each in drivers:
                    each.send_signal(signal.SIGKILL)
                    each.wait()
                self.killed["drivers"] += len(drivers)
                drivers[:] = [self.driver() for _ in range(2 if len(kills) == 1 else 1)]
            enough = self.killed["workers"] >= self._given.worker_kills
            if now - last > self._given.worker_kill and not enough and self.kill_worker():
                last = now
            done = [each.poll() for each in drivers]
            if all(code is not None for code in done):
                if not kills and all(code == 0 for code in done):
                    return time.monotonic() - began
                drivers[:] = [self.driver()]

    def kill_worker(self) -> bool:
        """SIGKILL for one of the actors of this cluster, and of no other; not while it loads, with nothing to lose.

        Nor, but for the first time, where it is the only one that does not: where loading takes longer than the time
        between two kills, nothing would ever be done.
        """
        raylets = [each for each in _children(self._ray) if "raylet" in _command(each)]
        below = [(each, _command(each)) for raylet in raylets for each in _children(raylet)]
        actors = [each for each, command in below if "ray::MapWorker" in command and "__init__" not in command]
        enough = len(actors) > (1 if self.killed["workers"] else 0)
        if enough:
            os.kill(self._random.choice(actors), signal.SIGKILL)
            self.killed["workers"] += 1
        return enough


def _children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == process:
            found.append(int(path.parent.name))
    return found


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def count(objects: int) -> dict[str, int]:
    """What became of every object."""
    store = open_store(OUT)
    rows: Counter[str] = Counter()
    outputs: dict[str, str] = {}
    outcomes: Counter[str] = Counter()
    for shard in committed(store):
        for row in read_shard(store.read(verdicts_name(shard)))[0].to_pylist():
            rows[row["file"]] += 1
            outcomes[row["outcome"]] += 1
            if row["output"]:
                outputs[row["file"]] = row["output"]
    sent = {f"{IN}/{name_of(number)}": number for number in range(objects)}
    there = {f"{OUT}/{each.name}" for each in store.entries() if not each.name.startswith("_censor/")}
    whole = run(
        sent.items(), lambda each: each[0] not in outputs or is_whole(store, outputs[each[0]], each[1]), threads=8
    )
    return {
        "in": objects,
        "out": len(outputs),
        "failed": outcomes[FAILED],
        "lost": len(sent.keys() - rows.keys()),
        "twice": sum(each > 1 for each in rows.values()) + len(rows.keys() - sent.keys()),
        "partial": sum(not each for each in whole) + (outcomes[DONE] != len(outputs)),
        "strays": len(there - set(outputs.values())),
    }


def is_whole(store: Store, output: str, number: int) -> bool:
    """Whether an output is there, of this picture, and shows no red."""
    try:
        shown = decode(store.read(output.removeprefix(f"{OUT}/"))).pixels
    except ImageError:
        return False
    mark = pixels_of(number)[:1, :4]
    return shown.shape == (32, 32, 3) and (shown[:1, :4] == mark).all() and not (shown == RED).all(axis=2).any()


@contextmanager
def s3_server(*, fail: float = 0.0, latency: float = 0.0, seed: int = 0, folder: Path | None = None) -> Iterator[str]:
    """The URL of a server with the bucket `pictures`, as it is in a folder, for as long as the context is."""
    command = [sys.executable, str(Path(__file__).with_name("s3_server.py")), "--bucket", "pictures"]
    command += [] if folder is None else ["--from", str(folder)]
    command += ["--fail", str(fail), "--latency", str(latency), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.kill()


@contextmanager
def ray_cluster(folder: Path, *, cores: int = 2) -> Iterator[tuple[str, int]]:
    """A cluster of its own, for as long as the context is: its address, and the process that started it."""
    # Whoever reaches its ports could run anything there: drivers have the token from the environment.
    os.environ.update(
        {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    )
    os.environ.update({"RAY_worker_niceness": "0"})  # as the command has it: Ray would nice them by 15
    for last in (False, False, True):  # Ray gives its own processes 30 s to start, which is short where others work
        head, address = _started(folder, cores)
        if address is not None:
            break
        _ended(head)
        if last:
            raise RuntimeError(f"Ray did not start: {(folder / 'start.log').read_text(errors='replace')[-1000:]}")
    try:
        yield str(address), head.pid
    finally:
        _ended(head)


def _started(folder: Path, cores: int) -> tuple[subprocess.Popen[str], str | None]:
    with (folder / "start.log").open("wb") as log:
        head = subprocess.Popen(
            [sys.executable, "-c", HEAD, str(cores), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    said = next((line for line in head.stdout or () if line.startswith("at ")), None)
    return head, said.split()[1] if said else None


def _ended(head: subprocess.Popen[str]) -> None:
    if head.stdin:
        head.stdin.close()
    try:
        head.wait(20)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()


def _sent(folder: Path, objects: int) -> Path:
    for number in range(objects):
        path = folder / "in" / name_of(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(number))
    return folder


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    with (
        tempfile.TemporaryDirectory(prefix="cf-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryDirectory() as sent,
        s3_server(fail=given.fail, seed=given.seed, folder=_sent(Path(sent), given.objects)) as url,
    ):  # Ray's sockets need a short path
        os.environ.update({**ACCESS, "AWS_ENDPOINT_URL": url})
        with ray_cluster(Path(folder)) as (address, process):
            going = Run(given, address, process, Path(folder) / "drivers.log")
            try:
                seconds = going.work()
            finally:
                if given.verbose:
                    sys.stderr.write((Path(folder) / "drivers.log").read_text(errors="replace"))
        counts = count(given.objects)
        with urllib.request.urlopen(f"{url}/_faults") as answer:  # noqa: S310  # ours
            faults = json.load(answer)
    return {**counts, **{f"killed {name}": each for name, each in going.killed.items()},
            "failed requests": sum(faults.get(name, 0) for name in ("refused", "answered", "cut")),
            "requests": faults.get("well", 0), "seconds": round(seconds, 1)}  # fmt: skip


def main() -> None:
    """Run, print, and fail where a count must be 0 and is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--shard", type=int, default=50)
    parser.add_argument("--fail", type=float, default=0.05)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--driver-every", type=float, default=45.0, help="seconds between a driver's begin and its end")
    parser.add_argument("--worker-kill", type=float, default=5.0, help="seconds between two")
    parser.add_argument("--worker-kills", type=int, default=10**6, help="at most so many")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which it is given up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true", help="say what the drivers say")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive, given.shard)
        return
    counts = measure(given)
    for name, value in counts.items():
        print(f"{value:>10,}  {name}")
    if given.json:
        given.json.write_text(json.dumps(counts, indent=1) + "\n")
    if counts["lost"] or counts["twice"] or counts["partial"] or counts["strays"]:
        sys.exit("an object was lost, doubled or left half done")


if __name__ == "__main__":
    main()
