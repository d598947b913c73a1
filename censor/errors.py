"""What can go wrong between a picture and its censored copy.

Misuse in code raises `ValueError`. Everything here is about a user's data and names the file, the reason and what was
expected. Whoever catches one has no output: nothing was written. What is wrong with the picture itself is a
`detect.errors.DetectError`: a `ReadError` or an `ImageError`.
"""

from __future__ import annotations

__all__ = [
    "BoxError",
    "CensorError",
    "ChangedObjectError",
    "ClassifierError",
    "CrashedError",
    "CropError",
    "DataFolderError",
    "DetectorError",
    "ExtraError",
    "JobError",
    "OtherModelsError",
    "OutputExistsError",
    "OutputIsSourceError",
    "OutputTakenError",
    "PlanError",
    "PolicyError",
    "RecheckError",
    "StillNsfwError",
    "StoreError",
    "WriteError",
]


class CensorError(Exception):
    """Base of every error that `censor` raises about data it was given."""


class PolicyError(CensorError):
    """A policy with a key, value or label that makes no sense, or that the detector cannot serve."""


class BoxError(CensorError):
    """A box that a user drew and that lies wholly outside the picture: it was meant for another one."""


class DetectorError(CensorError):
    """A detector that raised something of its own, or broke its contract."""


class ClassifierError(CensorError):
    """A classifier that raised something of its own, or broke its contract."""


class RecheckError(CensorError):
    """A picture in which, after all tries, the networks still find what should be hidden."""


class StillNsfwError(RecheckError):
    """A picture that still looks NSFW to a classifier after all tries."""


class PlanError(CensorError):
    """A plan that makes no sense, or that is of another input, policy or models than it is applied to."""


class OtherModelsError(PlanError):
    """A plan that was made by other models than are to look again."""


class CropError(CensorError):
    """A picture of which no crop of the shape that was asked for is safe."""


class WriteError(CensorError):
    """An output that could not be encoded or written."""


class OutputExistsError(WriteError):
    """An output that is there already, and nobody said it may be overwritten."""


class OutputIsSourceError(OutputExistsError):
    """An output that would be written over a picture that is to be read."""


class OutputTakenError(OutputExistsError):
    """An output that is another picture's, too."""


class DataFolderError(CensorError):
    """A user without a home, so that there is no folder for models."""


class ExtraError(CensorError):
    """A file that needs what an extra of this package brings, and that is not installed."""


class CrashedError(CensorError):
    """A picture at whose processing the process ended, again and again."""


class StoreError(CensorError):
    """A bucket or a folder that is not there, may not be used, or does not keep what it must promise."""


class ChangedObjectError(CensorError):
    """A picture that vanished or was replaced after it was listed."""


class JobError(CensorError):
    """Work on a cluster that cannot begin, or cannot go on."""
