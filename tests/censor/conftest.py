"""Pictures and the command, for several files of tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from command import Censor
from labeled_pictures import look_with, networks
from numpy.typing import NDArray
from PIL import Image

from censor.cli import main
from censor.finding import Networks


@pytest.fixture
def censor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Censor]:
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(each) for each in arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Networks:
    """The networks that commands about many pictures look with, in the place of those that are installed."""
    given = networks()
    look_with(monkeypatch, given)
    return given


@pytest.fixture
def face(astronaut: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "face.jpg"
    path.parent.mkdir()
    Image.fromarray(astronaut[:256, 100:356]).save(path, quality=95)
    return path
