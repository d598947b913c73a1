"""What can go wrong between a picture and its boxes.

Misuse in code raises `ValueError`. Everything here is about a user's data (a label, a model file, what a model
answered) and says which file, which field, which value and what was expected.
"""

from __future__ import annotations

__all__ = ["AnnotationsError", "DetectError", "EngineError", "InferenceError", "UnknownLabelError", "WeightsError"]


class DetectError(Exception):
    """Base of every error that `detect` raises about data it was given."""


class UnknownLabelError(DetectError):
    """A label nobody knows. Were it let pass, a misspelt label would mean an uncensored picture."""


class WeightsError(DetectError):
    """Weights that are missing, unreadable, damaged, altered, or do not describe themselves."""


class EngineError(DetectError):
    """An engine, a precision or a device that was asked for and is not to be had here."""


class InferenceError(DetectError):
    """A network that failed, or answered something that cannot be boxes."""


class AnnotationsError(DetectError):
    """Annotations, or a picture they speak of, that are missing, damaged, inconsistent or in an unknown form."""
