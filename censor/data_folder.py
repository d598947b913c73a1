"""Where this user's models lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from censor.errors import DataFolderError

__all__ = ["MODELS_VARIABLE", "models_folder"]

MODELS_VARIABLE = "CENSOR_MODELS"
"""Environment variable that names another folder: of a container, of all users of a machine."""


def models_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder that models are added to and loaded from; it need not be there.

    Args:
        environment: Variables by name; an empty one is as good as none.

    Returns:
        What `MODELS_VARIABLE` names, else ``models`` in the data folder that the system keeps for this user's programs.

    Raises:
        DataFolderError: There is no such variable, and the user has no home.

    Source:
        XDG Base Directory Specification, § 3: ``XDG_DATA_HOME``, by default ``~/.local/share``; what is not absolute is
        to be ignored. Apple, File System Programming Guide: ``~/Library/Application Support``.
    """
    if named := environment.get(MODELS_VARIABLE):
        return Path(named)
    shared = Path(environment.get("XDG_DATA_HOME", ""))
    try:
        if sys.platform == "darwin":
            data = Path.home() / "Library" / "Application Support"
        elif sys.platform == "win32":
            data = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            data = shared if shared.is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise DataFolderError(
            f"nobody knows where your home is: name a folder for models with {MODELS_VARIABLE}"
        ) from error
    return data / "nsfw-censor" / "models"
