"""What can go wrong between a picture and its censored copy.

Misuse in code raises `ValueError`. Everything here is about a user's data and names the file, the reason and what was
expected. Whoever catches one has no output: nothing was written.
"""

from __future__ import annotations

__all__ = [
    "AnimatedImageError",
    "CensorError",
    "CrashedError",
    "DamagedImageError",
    "DetectorError",
    "ImageError",
    "LimitError",
    "OutputExistsError",
    "PolicyError",
    "ReadError",
    "RecheckError",
    "UnsupportedImageError",
    "WriteError",
]


class CensorError(Exception):
    """Base of every error that `censor` raises about data it was given."""


class ReadError(CensorError):
    """A file that is missing or may not be read."""


class ImageError(CensorError):
    """A file that was read and is no picture we may go on with."""


class UnsupportedImageError(ImageError):
    """Not a picture, or one of a kind that is not taken."""


class DamagedImageError(ImageError):
    """A picture that is cut short or broken, and would have been judged on half its content."""


class AnimatedImageError(ImageError):
    """A file with several frames or pages, where a still picture is expected."""


class LimitError(ImageError):
    """More bytes or more pixels than the caps allow."""


class PolicyError(CensorError):
    """A policy with a key, value or label that makes no sense, or that the detector cannot serve."""


class DetectorError(CensorError):
    """A detector that raised something of its own, or broke its contract."""


class RecheckError(CensorError):
    """A picture in which, after all tries, the detector still finds what should be hidden."""


class WriteError(CensorError):
    """An output that could not be encoded or written."""


class OutputExistsError(WriteError):
    """An output that is there already, and nobody said it may be overwritten."""


class CrashedError(CensorError):
    """A picture at whose processing the process ended, again and again."""
