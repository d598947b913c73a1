"""Which networks looked, told by the hashes of their files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from censor.finding import Networks
from detect.errors import ReadError
from detect.tiling import files_of

__all__ = ["SHA256", "ModelUsed", "check_digest", "models_used"]

SHA256 = re.compile(r"[0-9a-f]{64}")
"""In hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class ModelUsed:
    """A network that looked.

    Attributes:
        name: What it calls itself.
        sha256: Of its file, in hexadecimal; None for one that came from none.

    Raises:
        ValueError: That is no such hash.
    """

    name: str
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            check_digest(self.sha256)


def models_used(networks: Networks) -> tuple[ModelUsed, ...]:
    """All that look, detectors first, in the order of their names.

    Raises:
        ReadError: A file that one was loaded from can be read no more.
    """
    files = {name: path for each in (networks.detector, *networks.classifiers) for name, path in files_of(each).items()}
    names = (*sorted(networks.detectors), *sorted(networks.says))
    return tuple(ModelUsed(name=name, sha256=_digest(files[name]) if name in files else None) for name in names)


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def check_digest(text: str) -> None:
    """Refuse what is no SHA-256 in hexadecimal.

    Raises:
        ValueError: It is none.
    """
    if not SHA256.fullmatch(text):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, not {text[:80]!r}")
