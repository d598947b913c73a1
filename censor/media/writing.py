"""Outputs to disk, whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from censor.errors import OutputExistsError, WriteError
from detect.atomic import write_whole

__all__ = ["room_for", "write_atomic"]


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


@contextmanager
def room_for(target: str | os.PathLike[str] | BinaryIO, *, large: bool) -> Iterator[BinaryIO]:
    """A file in which an output grows until it is whole: in memory, or without a name in the folder that it goes to.

    Where it goes into a file that somebody holds open, it grows there.

    Args:
        target: Where it goes in the end.
        large: More than memory should hold.

    Raises:
        WriteError: The folder is missing or may not be written.
    """
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    if not large:
        yield io.BytesIO()
        return
    try:
        out = tempfile.TemporaryFile(dir=Path(target).parent, prefix=".censor-", suffix=".tmp")  # noqa: SIM115  # closed below
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror or error}") from error
    with out:
        yield out
