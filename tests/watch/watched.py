"""An inbox, a public folder and a quarantine, with a watcher whose detector looks for red."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fakes import RED, RedFinder
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from censor.policy import Policy, Rule
from censor.watch.claims import Claims
from censor.watch.inbox import STATE, Inbox
from censor.watch.processor import KEEP, UploadProcessor
from censor.watch.watcher import Watcher
from detect.detections import Detector

LABEL = "FEMALE_BREAST_EXPOSED"


def scene(seed: int) -> NDArray[np.uint8]:
    """Noise with a red chessboard, no two alike."""
    image = np.random.default_rng(seed).integers(40, 200, (60, 80, 3), np.uint8)
    image[20:40:2, 20:60:2] = image[21:40:2, 21:60:2] = RED
    return image


def is_censored(path: Path) -> bool:
    """Whether a file decodes whole and shows no red."""
    with Image.open(path) as image:
        return not bool((np.asarray(image.convert("RGB")) == RED).all(axis=2).any())


def files(folder: Path) -> list[str]:
    """Everything below a folder that is no folder, apart from the watchers' own state."""
    walked = (Path(root) / name for root, below, names in os.walk(folder) for name in below + names)
    found = (path.relative_to(folder) for path in walked if path.is_symlink() or not path.is_dir())
    return sorted(str(path) for path in found if path.parts[0] != STATE)


class WatchedFolders:
    """The folders of one test, and what its watchers said."""

    def __init__(self, root: Path) -> None:
        self.inbox, self.public, self.quarantine = (root / name for name in ("inbox", "public", "quarantine"))
        self.moved = root / "moved"
        for folder in (self.inbox, self.public, self.quarantine, self.moved):
            folder.mkdir(exist_ok=True)
        self.said: list[dict[str, Any]] = []

    def send(self, name: str, seed: int = 0, body: bytes | None = None) -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if body is None:
            Image.fromarray(scene(seed)).save(path, format="PNG")
        else:
            path.write_bytes(body)
        return path

    def claims(self, originals: str | Path = KEEP) -> Claims:
        return Claims(self.inbox, keep=originals == KEEP)

    def processor(
        self, claims: Claims, *, originals: str | Path = KEEP, detector: Detector | None = None, attempts: int = 3,
        nsfw_at: float | None = 0.6, censor: Censor | None = None,
    ) -> UploadProcessor:  # fmt: skip
        policy = Policy(name="red", rules={LABEL: Rule(censor_at=0.5, nsfw_at=nsfw_at, effect="solid")})
        return UploadProcessor(
            censor=censor or Censor(policy=policy, detector=detector or RedFinder()),
            claims=claims,
            public=self.public,
            quarantine=self.quarantine,
            originals=originals,
            quality=95,
            attempts=attempts,
            report=self.log,
        )

    def watcher(
        self, *, originals: str | Path = KEEP, settle: float = 0.0, threads: int = 2, rescan: float = 30.0,
        beat: Callable[[dict[str, Any]], None] = lambda health: None, once: bool = True, **options: Any
    ) -> Watcher:  # fmt: skip
        claims = self.claims(originals)
        return Watcher(
            inbox=Inbox(self.inbox, settle=settle, report=lambda path, why: self.log("ignored", upload=str(path))),
            claims=claims,
            processor=self.processor(claims, originals=originals, **options),
            threads=threads,
            settle=settle,
            rescan=rescan,
            log=self.log,
            beat=beat,
            once=once,
        )

    def once(self, **options: Any) -> Watcher:
        watcher = self.watcher(**options)
        watcher.run()
        return watcher

    def log(self, event: str, *, serious: bool = False, **fields: Any) -> None:
        self.said.append({"event": event, **fields})

    def events(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == event]

    def claimed(self) -> list[Path]:
        return sorted((self.inbox / STATE / "claims").iterdir())


def reason(watched: WatchedFolders, name: str) -> dict[str, str]:
    said = json.loads((watched.quarantine / f"{name}.json").read_text())
    assert set(said) == {"upload", "error", "bytes", "attempts", "time", "claim"}
    error: dict[str, str] = said["error"]
    return error


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
