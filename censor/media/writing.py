"""Outputs to disk, whole or not at all."""

from __future__ import annotations

import os
from typing import BinaryIO

from censor.errors import OutputExistsError, WriteError
from detect.atomic import write_whole

__all__ = ["write_atomic"]


def write_atomic(
    path: str | os.PathLike[str], data: bytes | BinaryIO, *, overwrite: bool = False, durable: bool = False
) -> None:
    """`detect.atomic.write_whole` with errors that name the file.

    Args:
        path: Where it goes; of a `PathBeneath`, no link below its root is followed.
        data: What is written, or a file that holds it, which is read from its beginning.
        overwrite: Replace what is there, as one step.
        durable: Return only when the file would survive a loss of power.

    Raises:
        OutputExistsError: The file is there and `overwrite` is false.
        WriteError: The folder is missing or may not be written, the disk is full …; nothing is left behind.
    """
    try:
        write_whole(path, data, overwrite=overwrite, durable=durable)
    except FileExistsError as error:
        raise OutputExistsError(f"{path}: exists already, and is not overwritten unless told to") from error
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
