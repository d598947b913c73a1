"""A Django storage that keeps pictures censored, or not at all.

    photo = models.ImageField(storage=CensoredStorage(policy="default"))

The picture is read from the upload as it is saved, censored in memory, and only the result is handed to the storage
underneath. Whatever cannot be censored raises `SuspiciousFileOperation`, and nothing is saved: neither file nor row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import SuspiciousFileOperation, ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible

from censor import Censor, CensorError
from detect import DetectError
from detect.pictures.formats import SUFFIXES

__all__ = ["CensoredStorage", "validate_censorable"]


@functools.cache
def censor_for(policy: str) -> Censor:
    """One detector a policy and process, loaded at the first upload."""
    return Censor(policy=policy)


@deconstructible
class CensoredStorage(FileSystemStorage):
    """Files in MEDIA_ROOT, censored on their way there."""

    def __init__(self, *, policy: str = "default", **options: Any) -> None:
        super().__init__(**options)
        self.policy = policy

    def save(self, name: str | None, content: File, max_length: int | None = None) -> str:  # type: ignore[type-arg]
        """Censor, then save under a name whose suffix tells the truth."""
        content.seek(0)
        try:
            done = censor_for(self.policy).apply(content.read())
            kind = done.picture.format or "PNG"
            data = done.encode(kind)
        except (CensorError, DetectError) as error:
            raise SuspiciousFileOperation(f"not saved: {error}") from error
        suffix = next(suffix for suffix, format_ in SUFFIXES.items() if format_ == kind)
        path = PurePosixPath(name or "picture")
        return super().save(str(path.with_suffix(suffix)), ContentFile(data), max_length)


def validate_censorable(policy: str = "default") -> Callable[[Any], None]:
    """A form field's validator, so that people see a message where the storage alone would answer 400."""

    def validate(upload: Any) -> None:
        upload.seek(0)
        try:
            censor_for(policy).check(upload.read())
        except (CensorError, DetectError) as error:
            raise ValidationError("This picture cannot be taken: %(why)s", params={"why": error}) from error
        finally:
            upload.seek(0)

    return validate
