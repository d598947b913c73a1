"""Which networks the service loads: what the policies that it offers need, of the models that are here."""

from __future__ import annotations

from pathlib import Path

from censor.loading import folder_of_models, load_networks, parse_classifiers
from censor.service.networks import NamedLoader
from censor.service.policies import Policies
from censor.service.settings import Settings
from detect.classifier.scores import Classifier
from detect.installed import added_classifiers, found_labels, load_classifiers
from detect.load import SessionOptions

__all__ = ["loader", "named_classifiers"]


def loader(settings: Settings, policies: Policies, *, pictures: int | None = None) -> NamedLoader:
    """What loads the networks in each process that works on pictures.

    Args:
        settings: What runs them, and which are named.
        policies: Those that are offered.
        pictures: How many there will be; None if nobody knows.

    Raises:
        DetectError: The folder of models cannot be looked at, no known model has that name, or there is no model at
            all.
    """
    folder = folder_of_models()
    named = _named(settings)
    if named is None:
        named = policies.counted(added_classifiers(folder))
    classifiers = named if policies.ask_classifiers else ()
    labels = () if settings.weights is not None else found_labels(policies.labels, folder=folder)
    if settings.weights is None and not labels and not classifiers:
        load_networks(policies.named(None), classifiers=())  # says which model would do
    return NamedLoader(
        labels=labels,
        classifiers=classifiers,
        folder=folder,
        weights=settings.weights,
        min_score=min(0.05, policies.lowest),
        options=_options(settings, pictures),
    )


def named_classifiers(settings: Settings) -> tuple[Classifier, ...]:
    """The classifiers that the settings name, loaded here; none where they name none.

    Raises:
        DetectError: One cannot be loaded.
    """
    return load_classifiers(_named(settings) or (), folder=folder_of_models(), **_options(settings, None))


def _named(settings: Settings) -> tuple[str | Path, ...] | None:
    if settings.classifiers is None:
        return None
    return parse_classifiers(settings.classifiers or ("none",))


def _options(settings: Settings, pictures: int | None) -> SessionOptions:
    return {
        "threads": settings.detector_threads,
        "streams": settings.at_once if settings.batch == 1 else 1,
        "engine": settings.engine,
        "precision": settings.precision,
        "provider": settings.provider,
        "pictures": pictures,
    }
