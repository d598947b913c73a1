"""The commands about annotations: arguments in, text out. What they do is in the modules beside this one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from detect.annotations.autolabel import autolabel as label_pictures
from detect.annotations.check import Problem, check_document
from detect.annotations.coco import load_coco, read_checked
from detect.annotations.convert import FORMATS
from detect.annotations.convert import convert as convert_annotations
from detect.annotations.document import read_json, write_bytes, write_document
from detect.annotations.fields import is_text, shown
from detect.annotations.preannotate import TOOLS
from detect.annotations.preannotate import preannotate as write_for_tool
from detect.annotations.readers import read_names
from detect.annotations.repair import Change, removed, repair_document
from detect.annotations.sample import draw_sample
from detect.annotations.split import split_document
from detect.annotations.stats import count, draw_stats
from detect.detections import Detector
from detect.errors import AnnotationsError

__all__ = ["autolabel", "check", "convert", "preannotate", "sample", "split", "stats"]

_File = click.Path(path_type=Path, dir_okay=False)
_Folder = click.Path(path_type=Path, file_okay=False)
_Pictures = click.Path(path_type=Path, file_okay=False, exists=True)

_images = click.option("--images", "images_dir", type=_Pictures, required=True, help="Folder of the pictures.")
_categories = click.option(
    "--categories",
    "categories_file",
    type=_File,
    help="COCO file whose categories are the only ones allowed, such as annotations/categories.json.",
)
_seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random numbers.")
_overwrite = click.option("--overwrite", is_flag=True, help="Replace files that exist already.")


@click.command()
@click.argument("file", type=_File)
@_images
@_categories
@click.option("--fix", "fixed", type=_File, metavar="OUT", help="Write a mended copy to OUT and list what was changed.")
@click.option("--json", "as_json", is_flag=True, help="Print problems, and changes with --fix, as one JSON object.")
@_overwrite
def check(
    file: Path, images_dir: Path, categories_file: Path | None, fixed: Path | None, as_json: bool, overwrite: bool
) -> None:
    """List everything that is wrong with the COCO file FILE and its pictures.

    Exit code 1 where there is something; with --fix, where something is left that could not be mended.
    """
    names = _category_names(categories_file)
    document = read_json(file)
    changes: list[Change] = []
    if fixed is not None:
        if fixed.resolve() == file.resolve():
            raise click.UsageError("--fix writes a copy; OUT must not be FILE")
        try:
            document, changes = repair_document(document, images_dir=images_dir)
        except AnnotationsError as error:
            raise AnnotationsError(f"{file}: {error}") from error
        write_document(fixed, document, overwrite=overwrite)
    problems = check_document(document, file=str(fixed or file), images_dir=images_dir, names=names)
    if as_json:
        found = {"problems": [asdict(problem) for problem in problems], "changes": [asdict(item) for item in changes]}
        click.echo(json.dumps(found, indent=1))
    else:
        for change in changes:
            click.echo(f"changed {change}")
        for what, times in sorted(removed(changes).items()):
            click.echo(f"removed {times} {what}")
        for problem in problems:
            click.echo(problem)
        click.echo(_summary(problems, changed=None if fixed is None else len(changes)))
    if problems:
        raise SystemExit(1)


@click.command()
@click.argument("out", type=_Folder)
@click.option("--train", type=click.IntRange(1), default=60, show_default=True, help="Pictures to train on.")
@click.option("--val", type=click.IntRange(1), default=20, show_default=True, help="Pictures to validate on.")
@_seed
def sample(out: Path, train: int, val: int, seed: int) -> None:
    """Draw abstract shapes that stand in for the six classes into the new folder OUT, as COCO files and pictures."""
    draw_sample(out, train=train, val=val, seed=seed)
    click.echo(f"{out}: {train} pictures to train on, {val} to validate on")


@click.command()
@click.argument("file", type=_File)
@_images
@click.option("--picture", type=_File, metavar="OUT", help="Draw it all to OUT, a PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@_overwrite
def stats(file: Path, images_dir: Path, picture: Path | None, as_json: bool, overwrite: bool) -> None:
    """Count and measure the boxes of the COCO file FILE, class by class.

    Size is the square root of a box's area, in pixels and as a share of the picture's; aspect is width over height.
    Each is given as its 5th, 50th and 95th percentile.
    """
    dataset = load_coco(file, images_dir)
    found = count(dataset)
    if picture is not None:
        draw_stats(dataset, picture, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    click.echo(f"{found.images} images, {found.negatives} without boxes")
    wide = max(len("class"), *(len(item.name) for item in found.classes))
    columns = "".join(f"{column:>8}" for column in ("boxes", "crowds", "images"))
    click.echo(f"{'class':{wide}}{columns}{'size px':>24}{'share':>24}{'aspect':>24}")
    for item in found.classes:
        numbers = "".join(f"{number:8}" for number in (item.boxes, item.crowds, item.images))
        measures = "".join(f"{_row(values):>24}" for values in (item.size, item.share, item.aspect))
        click.echo(f"{item.name:{wide}}{numbers}{measures}")


@click.command()
@click.argument("file", type=_File)
@_images
@click.option("--train", "train_file", type=_File, required=True, metavar="OUT", help="COCO file to train on.")
@click.option("--val", "val_file", type=_File, required=True, metavar="OUT", help="COCO file to hold back.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share to hold back, of each class and of the images without boxes.",
)
@click.option(
    "--distance",
    type=click.IntRange(0, 64),
    default=6,
    show_default=True,
    help="Pictures whose perceptual hashes differ in at most so many of 64 bits stay on one side.",
)
@_seed
@_overwrite
def split(
    file: Path,
    images_dir: Path,
    train_file: Path,
    val_file: Path,
    share: float,
    distance: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Split the COCO file FILE in two, each class in the same share, near-duplicates on one side."""
    if len({path.resolve() for path in (file, train_file, val_file)}) < 3:
        raise click.UsageError("FILE, --train and --val must be three files")
    if not overwrite and (taken := [path for path in (train_file, val_file) if path.exists()]):
        raise AnnotationsError(f"{taken[0]}: exists already; it is not overwritten unless asked for")
    document = read_checked(file, images_dir)
    parts = split_document(document, images_dir=images_dir, held_back=share, max_distance=distance, seed=seed)
    for path, part in zip((train_file, val_file), parts, strict=True):
        write_document(path, part, overwrite=overwrite)
        click.echo(f"{path}: {len(part['images'])} images, {len(part['annotations'])} boxes")


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("source", type=click.Path(path_type=Path))
@_images
@click.option("-o", "--out", type=_File, required=True, help="COCO file to write.")
@_categories
@click.option(
    "--yolo-names",
    type=_File,
    help="File with the YOLO class names, one a line or a data.yaml, instead of the one in SOURCE.",
)
@click.option("--yolo-polygons", is_flag=True, help="Lines of seven numbers and more are polygons, not poses.")
@_overwrite
def convert(
    form: str,
    source: Path,
    images_dir: Path,
    out: Path,
    categories_file: Path | None,
    yolo_names: Path | None,
    yolo_polygons: bool,
    overwrite: bool,
) -> None:
    """Make a COCO file of SOURCE, annotations in FORMAT: voc, yolo, cvat or labelstudio."""
    names = _category_names(categories_file)
    called = None if yolo_names is None else read_names(yolo_names)
    document, notes = convert_annotations(
        form, source, images_dir=images_dir, names=names, source_names=called, polygons=yolo_polygons
    )
    write_document(out, document, overwrite=overwrite)
    for note, times in sorted(notes.items()):
        click.echo(f"{times} {note}")
    click.echo(f"{out}: {len(document['images'])} images, {len(document['annotations'])} boxes")


@click.command()
@click.argument("tool", metavar="TOOL", type=click.Choice(TOOLS))
@click.argument("file", type=_File)
@_images
@click.option("-o", "--out", type=_File, required=True, help="File to import.")
@click.option("--labels", "labels_file", type=_File, metavar="OUT", help="Write what tells the tool the labels to OUT.")
@click.option(
    "--prefix",
    help="What precedes pictures' names where the tool finds them: /data/local-files/?d=, or for CVAT nothing.",
)
@_overwrite
def preannotate(
    tool: str,
    file: Path,
    images_dir: Path,
    out: Path,
    labels_file: Path | None,
    prefix: str | None,
    overwrite: bool,
) -> None:
    """Make of the COCO file FILE what TOOL, labelstudio or cvat, imports, so that people find its boxes drawn."""
    if labels_file is not None and labels_file.resolve() == out.resolve():
        raise click.UsageError("--out and --labels must be two files")
    if not overwrite and (taken := [path for path in (out, labels_file) if path is not None and path.exists()]):
        raise AnnotationsError(f"{taken[0]}: exists already; it is not overwritten unless asked for")
    document = read_checked(file, images_dir)
    given = prefix if prefix is not None else "/data/local-files/?d=" if tool == "labelstudio" else ""
    content, labels, notes = write_for_tool(tool, document, prefix=given)
    if labels_file is not None:
        write_bytes(labels_file, labels, overwrite=overwrite)
    write_bytes(out, content, overwrite=overwrite)
    for note, times in sorted(notes.items()):
        click.echo(f"{times} {note}")
    boxes = len(document["annotations"]) - notes.total()
    click.echo(f"{out}: {len(document['images'])} images, {boxes} boxes")


@click.command()
@click.argument("images_dir", metavar="FOLDER", type=_Pictures)
@click.option("-o", "--out", type=_File, required=True, help="COCO file to write.")
@click.option(
    "--weights", type=_File, multiple=True, help="A detector's file, any number of times; else the installed one."
)
@click.option("--classifier", type=_File, multiple=True, help="A classifier's file, any number of times.")
@click.option(
    "--models",
    type=_Pictures,
    metavar="DIR",
    help="Folder into which `censor models add` put models: ask all of them, and the installed detector.",
)
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.3, show_default=True, help="Leave lower-scored boxes out."
)
@_categories
@_overwrite
def autolabel(
    images_dir: Path,
    out: Path,
    weights: tuple[Path, ...],
    classifier: tuple[Path, ...],
    models: Path | None,
    min_score: float,
    categories_file: Path | None,
    overwrite: bool,
) -> None:
    """Annotate the pictures in FOLDER with models' boxes and their scores, to be corrected by people.

    Boxes of several detectors are fused, what classifiers alone see becomes a candidate, and the pictures about which
    the models disagree most come first.

    Exit code 1 where a picture could not be decoded; the others are annotated all the same.
    """
    from detect.installed import added_classifiers, load_classifiers, load_installed
    from detect.load import load_detector

    names = _category_names(categories_file)
    lowest = min(min_score, 0.05)
    detectors: dict[str, Detector] = {} if models is None else {**load_installed(folder=models, min_score=lowest)}
    for path in weights:
        if path.stem in detectors:
            raise AnnotationsError(f"{path}: another detector is called {path.stem} already; name the file otherwise")
        detectors[path.stem] = load_detector(path, min_score=lowest)
    if not detectors:
        detectors["installed"] = load_detector(min_score=lowest)
    asked: list[str | Path] = [*(() if models is None else added_classifiers(models)), *classifier]
    document, failures = label_pictures(
        images_dir, detectors, classifiers=load_classifiers(asked, folder=models), min_score=min_score, names=names
    )
    write_document(out, document, overwrite=overwrite)
    click.echo(f"{out}: {len(document['images'])} images, {len(document['annotations'])} boxes")
    if worst := document["images"][0].get("reason"):
        click.echo(f"most disagreement: {document['images'][0]['file_name']}: {worst}")
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    if failures:
        raise SystemExit(1)


def _row(values: tuple[float, float, float] | None) -> str:
    return "-" if values is None else "  ".join(f"{value:.4g}" for value in values)


def _summary(problems: list[Problem], *, changed: int | None) -> str:
    counts = Counter(str(problem.kind) for problem in problems)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    return f"problems: {found}" if changed is None else f"changes: {changed}; problems left: {found}"


def _category_names(file: Path | None) -> list[str] | None:
    if file is None:
        return None
    document = read_json(file)
    categories = document.get("categories") if isinstance(document, dict) else None
    if not (isinstance(categories, list) and categories) or not all(
        isinstance(category, dict) and is_text(category.get("name")) for category in categories
    ):
        raise AnnotationsError(
            f"{file}: categories is {shown(categories)}; expected a list of objects with a name each"
        )
    return [category["name"] for category in categories]
