"""Kills `censor watch` at random moments while uploads land, and counts what became of every one.

    python benchmarks/watch_faults.py [--kills N] [--seed N] [--folder DIR] [--json FILE]

Two watchers share one inbox; one of them, or both, get SIGKILL at a random moment, and new ones take over. Some uploads
are no pictures and belong into quarantine, whose disk is full for a third of the time, if root runs this: only
root may mount the small file system that it takes. Counted are

    in            uploads that landed, no two alike
    public        censored copies, each of them decoded and compared with its source
    quarantined   with a reason beside them; "innocent" are pictures in the middle of which a watcher was killed thrice
    lost          neither in public nor in quarantine at the end: must be 0
    twice         in more than one place at the end: must be 0
    leaked        files in public that are partial, or whose face is not hidden, after any kill: must be 0
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from detect.errors import ImageError, ReadError
from detect.pictures.still import decode

FACE = (slice(90, 170), slice(85, 165))
LARGE = 200_000  # bytes of an upload that does not fit into the full quarantine


class WatchedFolders:
    """The folders, what was sent, and the watchers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox, self.public, self.quarantine = (root / name for name in ("inbox", "public", "quarantine"))
        for folder in (self.inbox, self.public, self.quarantine):
            folder.mkdir()
        self.pictures: dict[str, NDArray[np.uint8]] = {}
        self.others: set[str] = set()
        self.looked: set[tuple[str, int, int]] = set()
        self.leaked: set[str] = set()
        self.watchers: list[subprocess.Popen[bytes]] = []
        self.mounted = False
        self.full = False

    def send(self, rng: np.random.Generator) -> None:
        """One upload: a portrait in its own brightness, or, one time in six, something that is no picture."""
        number = len(self.pictures) + len(self.others)
        folder = ("", "a/", "a/b/")[number % 3]
        part = self.inbox / f"{folder}{number:05}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 1 / 6:
            name = f"{folder}{number:05}.jpg"
            part.write_bytes(b"\xff\xd8\xff" + rng.bytes(LARGE))
            self.others.add(name)
        else:
            name = f"{folder}{number:05}.png"
            shade = int(rng.integers(-25, 26))
            pixels = np.clip(skimage.data.astronaut()[:256, 100:356].astype(int) + shade, 0, 255).astype(np.uint8)
            pixels[:4, :4] = np.frombuffer(number.to_bytes(3, "big"), np.uint8)
            Image.fromarray(pixels).save(part, format="PNG", compress_level=1)
            self.pictures[name] = pixels
        part.rename(self.inbox / name)

    def start(self) -> subprocess.Popen[bytes]:
        """A watcher of the inbox."""
        command: list[str | Path] = [
            sys.executable, "-m", "censor", "watch", self.inbox, "--out", self.public, "--failed", self.quarantine,
            "--originals", "delete", "--policy", "faces", "--settle", "0.2", "--rescan", "0.5", "--workers", "2",
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(command, stderr=log, env=environment)

    def mount(self) -> bool:
        """Give the quarantine a disk of its own. Returns whether that was allowed."""
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self.quarantine)]
        self.mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self.mounted

    def fill(self, full: bool) -> None:
        """Let the quarantine's disk be full, or have space again."""
        filler = self.quarantine / ".filler"
        self.full = full
        if not full:
            filler.unlink(missing_ok=True)
        elif self.mounted:
            status = os.statvfs(self.quarantine)
            with filler.open("wb") as stream:
                stream.write(bytes(max(0, status.f_bavail * status.f_frsize - LARGE // 2)))

    def check(self) -> None:
        """Look at every file in public that was not looked at yet."""
        for name in everything(self.public):
            path = self.public / name
            status = path.lstat()
            seen = (name, status.st_ino, status.st_mtime_ns)
            if seen in self.looked:
                continue
            self.looked.add(seen)
            if name not in self.pictures or not self.is_censored(path, self.pictures[name]):
                self.leaked.add(name)

    def is_censored(self, path: Path, source: NDArray[np.uint8]) -> bool:
        """Whether a file is whole, of this source, and shows no face."""
        try:
            shown = decode(path).pixels
        except (ImageError, ReadError):
            return False
        if shown.shape != source.shape or (shown[:4, :4] != source[:4, :4]).any():
            return False
        return bool(np.abs(shown[FACE].astype(int) - source[FACE]).mean() > 8)

    def names(self, folder: Path) -> list[str]:
        """Files below a folder that are no reasons and no state of the watchers."""
        return [name for name in everything(folder) if not name.endswith(".json") and not name.startswith(".")]

    def claimed(self) -> list[str]:
        """Uploads that a watcher has taken."""
        claims = self.inbox / ".censor-watch" / "claims"
        return [name for name in everything(claims) if name.endswith("/upload")]

    def report(self) -> dict[str, int]:
        """The counts at the end."""
        public, quarantine, inbox = (self.names(each) for each in (self.public, self.quarantine, self.inbox))
        places = Counter([*public, *quarantine, *inbox])
        sent = {*self.pictures, *self.others}
        reasons = [name for name in quarantine if not (self.quarantine / f"{name}.json").is_file()]
        return {
            "in": len(sent),
            "public": len(public),
            "quarantined": len(quarantine),
            "of them innocent": len(self.pictures.keys() & set(quarantine)),
            "without a reason": len(reasons),
            "still in the inbox or claimed": len(inbox) + len(self.claimed()),
            "lost": len(sent - places.keys()),
            "twice": sum(count > 1 for count in places.values()) + len(places.keys() - sent),
            "leaked": len(self.leaked),
        }


def everything(folder: Path) -> list[str]:
    """Paths of all files below a folder, while others make and remove some."""
    found = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    return [str(path.relative_to(folder)) for path in found]


def torment(watched: WatchedFolders, *, kills: int, seed: int) -> dict[str, int]:
    """Keep two watchers going while they are killed; returns the kills, by what they hit."""
    rng = np.random.default_rng(seed)
    watchers = watched.watchers = [watched.start(), watched.start()]
    done: Counter[str] = Counter()
    while done["kills"] < kills:
        for _ in range(int(rng.integers(4, 20))):
            watched.send(rng)
        if done["kills"] % 30 == 10 and not watched.full:
            watched.fill(True)
        elif done["kills"] % 30 == 20 and watched.full:
            watched.fill(False)
        time.sleep(float(rng.uniform(0.3, 2.0)))
        for index in [[0], [1], [0, 1]][int(rng.integers(3))]:
            done["kills"] += 1
            watchers[index].kill()
            watchers[index].wait()
            done["kills with the quarantine full"] += watched.full
            done["kills with uploads claimed"] += bool(watched.claimed())
            watched.check()
            watchers[index] = watched.start()
    watched.fill(False)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and watched.report()["still in the inbox or claimed"]:
        time.sleep(0.2)
    for watcher in watchers:
        watcher.terminate()
    done["exit codes that are not 0 after SIGTERM"] = sum(watcher.wait() != 0 for watcher in watchers)
    watched.check()
    return dict(done)


def main() -> None:
    """Run, print the counts, and exit with 1 if anything was lost or leaked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work, for the sake of its file system")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="censor-faults-", dir=options.folder))
    watched = WatchedFolders(root)
    mounted = watched.mount()
    began = time.monotonic()
    try:
        torments = torment(watched, kills=options.kills, seed=options.seed)
        counts = {**torments, **watched.report()}
        log = [json.loads(line) for line in (root / "log").read_text().splitlines() if line.endswith("}")]
    finally:
        for watcher in watched.watchers:
            watcher.kill()
            watcher.wait()
        if mounted:
            subprocess.run(["umount", watched.quarantine], check=True)
        shutil.rmtree(root)
    events = Counter(line["event"] for line in log)
    where = "a small disk of its own" if mounted else "the same disk, never full: no right to mount one"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.monotonic() - began:.0f} s; quarantine on {where}")
    for name, count in counts.items():
        print(f"  {count:6}  {name}")
    print("  log: " + ", ".join(f"{count} {event}" for event, count in sorted(events.items())))
    if options.json:
        options.json.write_text(json.dumps({"counts": counts, "events": events}, indent=1))
    sys.exit(1 if counts["lost"] or counts["leaked"] or counts["twice"] else 0)


if __name__ == "__main__":
    main()
