"""The commands in docs/collection.md do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from command import Censor
from numpy.typing import NDArray
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs" / "collection.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ censor (.+)$", PAGE, re.MULTILINE)


@pytest.mark.usefixtures("models_folder")
def test_every_command_runs_and_writes_what_is_named(
    censor: Censor, astronaut: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.fromarray(astronaut).save("photo.jpg")
    for number in range(3):
        Image.fromarray(astronaut[160 * number : 160 * number + 160, :240]).save(f"photos/{number}.jpg")
    for command in COMMANDS:
        done = censor(*shlex.split(command))
        assert done.exit_code == 0, (command, done.output)
    named = set(re.findall(r"`((?:ranked|mapped|mined|crops)/[\w.]+)`", PAGE))
    assert len(named) >= 8
    assert not [name for name in sorted(named) if not Path(name).exists()]
