"""`censor rank`, `censor map` and `censor mine`: what is in a collection of pictures."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from censor.cli.console import EXIT_FAILED, fail, printable
from censor.cli.labeled import (
    LabeledOptions,
    Looked,
    asking_options,
    looked_at_these,
    require_extra,
    require_place,
    thumbnails_of,
)
from censor.cli.options import FilePath, photos_argument
from censor.cli.preparing import chosen_policy, make_folder, preparing

if TYPE_CHECKING:
    from censor.analysis.collection import Collection
    from censor.analysis.thumbnails import Thumbnails
    from censor.cli.groups import SharedOptions
    from censor.policy import Policy
    from detect.folders import PathBeneath

__all__ = ["map_", "mine", "rank"]


class CollectionOptions(NamedTuple):
    """What commands about a collection have in common.

    Attributes:
        photos: Files and folders.
        out: A folder for what is written.
        force: Overwrite what is there.
        cache: Where answers and thumbnails are kept; None for nowhere.
        shared: Policy, network, views, limits, messages.
    """

    photos: tuple[str, ...]
    out: Path
    force: bool
    cache: Path | None
    shared: SharedOptions


class Found(NamedTuple):
    """A collection, the policy, and who looked."""

    collection: Collection
    policy: Policy
    looked: Looked


def collection_command(command: Callable[..., object]) -> Callable[..., object]:
    """PHOTO... and the options of `CollectionOptions`, for the command's argument `given`."""

    @functools.wraps(command)
    def call(**values: object) -> object:
        names = CollectionOptions._fields
        given = CollectionOptions(**{name: values.pop(name) for name in names})  # type: ignore[arg-type]  # click's
        return command(given=given, **values)

    wrapped = asking_options(call)
    for option in (
        click.option("--force", is_flag=True, help="Overwrite outputs that exist."),
        click.option("-o", "--output", "out", type=FilePath(file_okay=False), required=True, metavar="DIR",
                     help="Folder for what is written."),
        photos_argument,
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


@click.command()
@click.option("--by", default="verdict", show_default=True, metavar="verdict|NAME|LABEL|FILE",
              help="The policy's verdict, a classifier, a label's best box, or an ONNX classifier.")  # fmt: skip
@click.option("--show", type=click.IntRange(min=1), default=24, show_default=True, metavar="N",
              help="Pictures in each part of the page.")  # fmt: skip
@click.option("--around", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="SCORE",
              help="The score about which pictures are in doubt.")  # fmt: skip
@collection_command
def rank(given: CollectionOptions, *, by: str, show: int, around: float) -> None:
    """Rank pictures by a score: rank.html shows the highest, the lowest and those in doubt, censored; rank.csv has all.

    What cannot be read is listed, and has no score.
    """
    outputs = _outputs(given, "rank.html", "rank.csv", "rank.json")
    with _collection(given, asking=by) as (found, thumbnails):
        from censor.analysis.collection import score_by
        from censor.analysis.ranking import Ranking, rank_csv, rank_json, rank_page

        names = found.looked.networks.names
        name = _called(by, found.looked)
        scores = score_by(name, found.collection.seen, found.policy, names=names)
        ranking = Ranking(found.collection, name, scores, found.policy)
        page = rank_page(ranking, thumbnails, show=show, around=around)
        _write(outputs, {"rank.csv": rank_csv(ranking), "rank.json": rank_json(ranking), "rank.html": page.encode()},
               force=given.force)  # fmt: skip
    _told(given, found, outputs["rank.html"])


@click.command("map")
@click.option(
    "--by", metavar="NAME|FILE", help="The classifier whose features decide [default: the first that was added]."
)
@click.option("--perplexity", type=click.FloatRange(1, 1000), default=30.0, show_default=True, metavar="N",
              help="About how many neighbours each picture keeps.")  # fmt: skip
@collection_command
def map_(given: CollectionOptions, *, by: str | None, perplexity: float) -> None:
    """Lay pictures out by what a classifier sees in them: map.html can be moved, map.png is drawn, map.csv has places.

    What cannot be read is listed, and has no place.
    """
    require_extra("openTSNE")
    outputs = _outputs(given, "map.html", "map.png", "map.csv")
    with preparing():
        chosen = by or _first_classifier(given)
    with _collection(given, asking=chosen) as (found, thumbnails):
        from censor.analysis.mapping import draw_map, map_csv, map_page, places_of
        from censor.loading import folder_of_models
        from detect.evaluation.score_cache import model_key
        from detect.installed import load_features

        name, limits = _called(chosen, found.looked), given.shared.limits
        model = Path(chosen) if chosen.endswith(".onnx") else chosen
        extractor = load_features(model, folder=folder_of_models(), threads=1)
        places = places_of(
            found.collection, extractor, key=model_key(features="1", **found.looked.facts[name]),
            perplexity=perplexity, cache=thumbnails.cache, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels,
            threads=thumbnails.threads,
        )  # fmt: skip
        page, figures = map_page(found.collection, places, name, thumbnails)
        contents = {"map.csv": map_csv(found.collection, places, name), "map.png": draw_map(places, figures)}
        _write(outputs, {**contents, "map.html": page.encode()}, force=given.force)
    _told(given, found, outputs["map.html"])


def _first_classifier(given: CollectionOptions) -> str:
    from censor.loading import folder_of_models
    from detect.errors import MissingModelError
    from detect.installed import added_classifiers

    named = [name for name in given.shared.network.classifiers if name != "none"]
    if not (there := named or list(added_classifiers(folder_of_models()))):
        raise MissingModelError("no classifier has been added, and a map needs what one sees")
    return there[0]


@click.command()
@click.option("--most", type=click.IntRange(min=1), default=200, show_default=True, metavar="N",
              help="At most so many pictures.")  # fmt: skip
@click.option("--margin", type=click.FloatRange(0, 1), default=0.05, show_default=True, metavar="SCORE",
              help="How near a threshold a score wavers.")  # fmt: skip
@click.option(
    "--safe", "harmless", is_flag=True, help="All of these pictures are safe: what is found is a false alarm."
)
@click.option("--copy", is_flag=True, help="Copy the pictures, uncensored, into DIR/pictures.")
@collection_command
def mine(given: CollectionOptions, *, most: int, margin: float, harmless: bool, copy: bool) -> None:
    """Choose pictures that are worth a label: false alarms, disagreements, and scores near thresholds.

    mined.csv and mined.json (COCO, with the detector's boxes to begin from) name them, each with its reason; of
    near-duplicates one. Nothing is copied unless asked for.
    """
    outputs = _outputs(given, "mined.csv", "mined.json", *(["pictures"] if copy else []))
    with _collection(given) as (found, _):
        from censor.analysis.mining import coco_document, mined_csv, names_below
        from censor.analysis.mining import mine as choose
        from detect.annotations.document import write_document

        collection = found.collection
        mined = choose(collection, found.policy, most=most, margin=margin, harmless=harmless)
        paths = [collection.paths[each.row] for each in mined]
        folder, names = names_below(paths)
        if copy:
            folder = _copied(paths, names, outputs["pictures"], given)
        document = coco_document(collection, mined, names, found.looked.networks.names)
        _write(outputs, {"mined.csv": mined_csv(collection, mined, found.policy, names)}, force=given.force)
        write_document(outputs["mined.json"], document, overwrite=given.force)
    if not given.shared.messages.quiet:
        for kind, count in Counter(each.reasons[0].kind for each in mined).most_common():
            click.echo(f"{count:5}  {kind}")
        click.echo(printable(f"{len(mined)} of {len(collection.paths)} pictures, below {folder}"))
    _told(given, found, outputs["mined.json"])


def _copied(paths: list[Path], names: list[str], target: Path, given: CollectionOptions) -> Path:
    """Copy files as they are, so that a person can label them."""
    from detect.folders import PathBeneath
    from detect.pictures.source import read_source

    for path, name in zip(paths, names, strict=True):
        below = PathBeneath(given.out, Path(target.name) / name)
        make_folder(below)
        _write_one(below, read_source(path, given.shared.limits.max_bytes)[0], force=given.force)
    return target


@contextmanager
def _collection(given: CollectionOptions, *, asking: str | None = None) -> Iterator[tuple[Found, Thumbnails]]:
    """Look at all pictures, and make thumbnails of some; what goes wrong ends the command in one line."""
    require_extra()
    with ExitStack() as stack:
        stack.enter_context(preparing())
        found = _found(given, asking)
        yield found, stack.enter_context(thumbnails_of(found.looked, given.cache, given.shared.limits))


def _found(given: CollectionOptions, asking: str | None) -> Found:
    from censor.analysis.collection import Collection, unlabeled
    from censor.gather import gather

    items = [item for item in gather(given.photos, out=given.out).items if not item.in_output]
    readable = [item.source for item in items if item.error is None]
    refused = [str(item.error) for item in items if item.error is not None]
    if not readable:
        fail(ValueError(refused[0] if refused else f"no pictures but those in -o {given.out}"), EXIT_FAILED)
    policy = chosen_policy(given.shared.policy)
    options = LabeledOptions(given.out, given.cache, _asking(given.shared, asking))
    looked = looked_at_these(unlabeled(readable), options, [policy])
    return Found(Collection.of(looked.look, refused), policy, looked)


def _asking(shared: SharedOptions, by: str | None) -> SharedOptions:
    """The options with the classifier that pictures are ranked by among those that are asked, as the last."""
    from censor.loading import folder_of_models
    from detect.installed import added_classifiers

    if by is None or not _is_classifier(by):
        return shared
    asked = shared.network.classifiers or added_classifiers(folder_of_models())
    others = [name for name in asked if name.casefold() not in ("none", by.casefold())]
    return shared._replace(network=shared.network._replace(classifiers=(*others, by)))


def _is_classifier(by: str) -> bool:
    """Whether it is the name of a known one, or a file's."""
    from detect.models.catalogue import KNOWN

    return by.endswith(".onnx") or by.casefold() in {each.name.casefold() for each in KNOWN if each.kind != "detector"}


def _called(by: str, looked: Looked) -> str:
    """What a classifier calls itself; all else is called what it is asked for by."""
    return looked.networks.classifiers[-1].name if _is_classifier(by) else by


def _outputs(given: CollectionOptions, *names: str) -> dict[str, Path]:
    """Where each file goes; refused before hours of looking where one is there already."""
    if given.out.resolve() in [Path(photo).resolve() for photo in given.photos]:
        raise click.UsageError(f"-o {given.out}: is the folder of the pictures itself; name another")
    paths = {name: given.out / name for name in names}
    for path in paths.values():
        if (path.exists() or path.is_symlink()) and not given.force:
            raise click.UsageError(f"{path}: exists already; use --force to overwrite it")
    require_place(given.out)
    return paths


def _write(outputs: Mapping[str, Path], contents: Mapping[str, bytes], *, force: bool) -> None:
    """All files, the last one, which stands for the others, last."""
    try:
        for name, content in contents.items():
            outputs[name].parent.mkdir(parents=True, exist_ok=True)
            _write_one(outputs[name], content, force=force)
    except OSError as error:
        fail(OSError(f"{outputs[name].parent}: cannot make this folder: {error.strerror or error}"), EXIT_FAILED)


def _write_one(path: Path | PathBeneath, content: bytes, *, force: bool) -> None:
    from censor.errors import CensorError
    from censor.media.writing import write_atomic

    try:
        write_atomic(path, content, overwrite=force)
    except CensorError as error:
        fail(error, EXIT_FAILED)


def _told(given: CollectionOptions, found: Found, page: Path) -> None:
    """Say what could not be read, and where the page is; the exit code says the same."""
    for reason in found.collection.unreadable:
        click.echo(printable(" ".join(reason.split())), err=True)
    if not given.shared.messages.quiet:
        many, failed = len(found.collection.paths), len(found.collection.unreadable)
        click.echo(printable(f"{many} pictures" + (f", {failed} not read" if failed else "") + f"  {page}"))
    sys.exit(EXIT_FAILED if found.collection.unreadable else 0)
