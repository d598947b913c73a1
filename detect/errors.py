"""What can go wrong between a picture and its boxes.

Misuse in code raises `ValueError`. Everything here is about a user's data (a picture, a label, a model file,
what a model answered) and says which file, which field, which value and what was expected.
"""

from __future__ import annotations

__all__ = [
    "AnimatedImageError",
    "AnnotationsError",
    "DamagedImageError",
    "DetectError",
    "EngineError",
    "EvaluationError",
    "ExplanationError",
    "ImageError",
    "InferenceError",
    "LimitError",
    "MissingModelError",
    "MissingWeightsError",
    "ModelError",
    "ReadError",
    "UnknownLabelError",
    "UnsupportedImageError",
    "WeightsError",
]


class DetectError(Exception):
    """Base of every error that `detect` raises about data it was given."""


class UnknownLabelError(DetectError):
    """A label nobody knows. Were it let pass, a misspelt label would mean an uncensored picture."""


class WeightsError(DetectError):
    """Weights that are missing, unreadable, damaged, altered, or do not describe themselves."""


class ModelError(WeightsError):
    """A known model that cannot be had: unknown, not fetched, not what it should be, or not to be converted or kept."""


class MissingWeightsError(WeightsError):
    """No weights are named, and none are installed."""


class MissingModelError(ModelError):
    """A known model that has not been added.

    Attributes:
        models: Names of those of which one would do, the best first.
    """

    def __init__(self, message: str, models: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.models = models


class EngineError(DetectError):
    """An engine, a precision or a device that was asked for and is not to be had here."""


class InferenceError(DetectError):
    """A network that failed, or answered something that cannot be boxes."""


class AnnotationsError(DetectError):
    """Annotations, or a picture they speak of, that are missing, damaged, inconsistent or in an unknown form."""


class EvaluationError(DetectError):
    """Labelled pictures, or scores of them, by which nothing can be measured, calibrated or guaranteed."""


class ExplanationError(DetectError):
    """What cannot be explained so: too small a picture, a network without maps, an operator, layer, unit or label."""


class ReadError(DetectError):
    """A file that is missing or may not be read."""


class ImageError(DetectError):
    """A file that was read and is no picture we may go on with."""


class UnsupportedImageError(ImageError):
    """Not a picture, or one of a kind that is not taken."""


class DamagedImageError(ImageError):
    """A picture that is cut short or broken, and would have been judged on half its content."""


class AnimatedImageError(ImageError):
    """A file with several frames or pages, where a still picture is expected."""


class LimitError(ImageError):
    """More bytes or more pixels than the caps allow."""
