"""The formats that the service takes and answers in, as clients name and see them."""

from __future__ import annotations

from dataclasses import dataclass

from detect.pictures.formats import SUFFIXES

__all__ = ["FORMATS", "MEDIA_TYPES", "Format", "listed"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        kind: As Pillow calls it; in small letters, what requests name.
        title: As people call it.
        media_type: As HTTP calls it.
        in_browsers: Whether browsers of all kinds show it.
    """

    kind: str
    title: str
    media_type: str
    in_browsers: bool

    @property
    def name(self) -> str:
        """What requests name."""
        return self.kind.lower()

    @property
    def suffix(self) -> str:
        """What new files end in."""
        return next(suffix for suffix, kind in SUFFIXES.items() if kind == self.kind)


FORMATS = (
    Format(kind="JPEG", title="JPEG", media_type="image/jpeg", in_browsers=True),
    Format(kind="PNG", title="PNG", media_type="image/png", in_browsers=True),
    Format(kind="WEBP", title="WebP", media_type="image/webp", in_browsers=True),
    Format(kind="AVIF", title="AVIF", media_type="image/avif", in_browsers=True),
    Format(kind="HEIF", title="HEIC", media_type="image/heic", in_browsers=False),
    Format(kind="TIFF", title="TIFF", media_type="image/tiff", in_browsers=False),
    Format(kind="BMP", title="BMP", media_type="image/bmp", in_browsers=True),
    Format(kind="GIF", title="GIF", media_type="image/gif", in_browsers=True),
)

MEDIA_TYPES = {each.kind: each.media_type for each in FORMATS}


def listed() -> str:
    """Their titles, as a sentence has them."""
    *most, last = (each.title for each in FORMATS)
    return f"{', '.join(most)} and {last}"
