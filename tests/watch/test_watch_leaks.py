"""Uploads with a secret in a side channel: it is nowhere but in the uploads themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from leaks.carrier import Carrier
from leaks.carriers import CARRIERS
from leaks.search import finds
from numpy.typing import NDArray
from watched import WatchedFolders


def check(watched: WatchedFolders, root: Path, carriers: list[Carrier], pixels: NDArray[np.uint8]) -> None:
    """Every carrier, whole and cut short, through the watcher: no other file than the uploads, and no event, has it."""
    uploads = set()
    for number, carrier in enumerate(carriers):
        data = carrier.make(pixels)
        for name, body in ((f"{number}", data), (f"{number}-cut", data[: len(data) * 2 // 3])):
            watched.send(f"{name}{carrier.suffix}", body=body)
            uploads.add(body)
    watched.once()
    secrets = {secret for carrier in carriers for secret in carrier.secrets}
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    others = {path: data for path, data in files.items() if data not in uploads}
    assert len([path for path in others if path.is_relative_to(watched.public)]) > 0.7 * len(carriers)
    assert any(path.is_relative_to(watched.quarantine) for path in others)
    assert {str(path): found for path, data in others.items() if (found := finds(data, secrets))} == {}
    assert watched.said
    assert finds(repr(watched.said).encode(), secrets) == []


def test_a_secret_does_not_come_out_of_the_inbox(
    watched: WatchedFolders, tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    check(watched, tmp_path, CARRIERS[::8], photo)


@pytest.mark.slow
def test_no_secret_comes_out_of_the_inbox(watched: WatchedFolders, tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    check(watched, tmp_path, CARRIERS, photo)
