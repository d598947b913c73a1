"""Networks of an actor with a GPU, which is quicker at several pictures together than at one after the other."""

from __future__ import annotations

from censor.cluster.job import Load, Loaded
from censor.service.batching import BatchingClassifier, batching

__all__ = ["load_together"]


def load_together(cores: int, *, load: Load) -> Loaded:
    """What `load` brings, with looks at the stills that an actor works on at once run as batches.

    What moves is looked at as ever: it must come out the same to the byte whoever does it over, and the last bits of a
    box depend on what else is in its batch.

    Args:
        cores: Pictures that are worked on at once; of one there is nothing to run together.
        load: See `Load`.
    """
    loaded = load(cores)
    own = loaded.censor
    if own is None or cores == 1:
        return loaded
    detector = None if own.detector is None else batching(own.detector, cores, 0.0)[0]
    classifiers = [BatchingClassifier(each, size=cores) for each in own.classifiers]
    return loaded._replace(stills=own.asking(detector, classifiers))
