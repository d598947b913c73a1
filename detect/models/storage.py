"""The folder of models that were added: one file each, written whole, read-only, and checked whenever it is read."""

from __future__ import annotations

from pathlib import Path

from detect.atomic import write_whole
from detect.errors import MissingModelError, ModelError
from detect.models.catalogue import KnownModel, find
from detect.models.checksum import append_checksum, verify_checksum

__all__ = ["added_path", "is_added", "read_model", "store_model"]


def added_path(folder: Path, name: str) -> Path:
    """Where a known model lies once it was added; it need not be there.

    Raises:
        ModelError: No known model has that name.
    """
    return folder / f"{find(name).name}.onnx"


def is_added(folder: Path, name: str) -> bool:
    """Whether there is a file for a known model; `read_model` says whether it is sound.

    Raises:
        ModelError: No known model has that name, or the folder cannot be looked at.
    """
    path = added_path(folder, name)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ModelError(f"{path}: cannot be looked at: {error.strerror or error}") from error
    return True


def read_model(folder: Path, name: str) -> bytes:
    """The converted file of a known model.

    Args:
        folder: Where models were added.
        name: One of the catalogue's.

    Returns:
        The whole file, its checksum verified.

    Raises:
        MissingModelError: It has not been added.
        ModelError: No known model has that name, or its file cannot be read, is damaged, was changed, or is another
            model's.
    """
    known, path = find(name), added_path(folder, name)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingModelError(f"{path}: the model {name} has not been added") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    verify_checksum(content, str(path))
    if known.sha256.encode() not in content:  # it stands in the metadata, which the checksum covers
        raise ModelError(f"{path}: was not made from the file of {known.source} that {name} is")
    return content


def store_model(folder: Path, known: KnownModel, converted: bytes) -> Path:
    """Keep a converted model, in the place of one that is there.

    Args:
        folder: Made if it is missing, with those above it.
        known: What the file is.
        converted: The whole file, as `detect.models.conversion` makes it.

    Returns:
        Where it lies now. Nobody may write to it, its owner neither.

    Raises:
        ModelError: The folder cannot be made or written, or the disk is full; what was there is as it was.
    """
    path = folder / f"{known.name}.onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, append_checksum(converted), overwrite=True)
        path.chmod(path.stat().st_mode & 0o555)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
