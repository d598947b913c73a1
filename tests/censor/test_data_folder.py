"""Where models lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from censor.data_folder import models_folder
from censor.errors import DataFolderError


@pytest.mark.skipif(sys.platform != "linux", reason="each system has its own folder")
@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"CENSOR_MODELS": "/srv/models", "XDG_DATA_HOME": "/data"}, "/srv/models"),
        ({"CENSOR_MODELS": "models"}, "models"),
        ({"CENSOR_MODELS": "", "XDG_DATA_HOME": "/data"}, "/data/nsfw-censor/models"),
        ({"XDG_DATA_HOME": ""}, "/home/me/.local/share/nsfw-censor/models"),
        ({"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/nsfw-censor/models"),
        ({}, "/home/me/.local/share/nsfw-censor/models"),
    ],
)
def test_the_variable_wins_then_the_specification(environment, folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert models_folder(environment) == Path(folder)


def test_nobody_without_a_home(monkeypatch):
    def homeless(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(homeless))
    with pytest.raises(
        DataFolderError, match=r"^nobody knows where your home is: name a folder .* with CENSOR_MODELS$"
    ):
        models_folder({})
    assert models_folder({"CENSOR_MODELS": "/srv/models"}) == Path("/srv/models")
