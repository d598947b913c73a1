from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from watched import WatchedFolders


@pytest.fixture
def watched(tmp_path: Path) -> WatchedFolders:
    return WatchedFolders(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    folder = Path("/dev/shm") / f"censor-{os.getpid()}-{tmp_path.name}"  # noqa: S108  # and no other place that is sure to be one
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no second file system to write to")
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    yield folder
    shutil.rmtree(folder)
