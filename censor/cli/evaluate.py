"""`censor evaluate`: everything that is said of labelled pictures, held against what people say."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, EXIT_USAGE, fail
from censor.cli.labeled import (
    LabeledOptions,
    Looked,
    labeled_command,
    looked_at,
    require_extra,
    require_place,
    thumbnails_of,
    told_unreadable,
)
from censor.cli.options import FilePath, within
from censor.cli.preparing import chosen_policy, preparing

if TYPE_CHECKING:
    from censor.analysis.evaluate import Evaluation
    from censor.analysis.thumbnails import Thumbnails
    from censor.finding import Networks
    from censor.policy import Policy

__all__ = ["check_folder", "evaluate", "report"]


@click.command()
@click.option("-o", "--output", "out", type=FilePath(), required=True, metavar="DIR",
              help="Folder for report.html, report.json, CSV files and the plots.")  # fmt: skip
@click.option("--force", is_flag=True, help="Write into a folder that is there, over what it holds of these names.")
@click.option("--worst", type=click.IntRange(min=0), default=12, show_default=True, metavar="N",
              help="Show so many false alarms and misses, censored.")  # fmt: skip
@click.option("--detector-report", type=FilePath(), metavar="DIR",
              help="What `python -m detect evaluate --out DIR` wrote: adds AP of each label.")  # fmt: skip
@labeled_command
def evaluate(labeled: LabeledOptions, *, out: Path, force: bool, worst: int, detector_report: Path | None) -> None:
    """Measure policy, classifiers and boxes on pictures that people have labelled.

    SOURCE is a folder with the folders SAFE and NSFW, or a CSV file with path, label and, if wanted, group and weight.
    What cannot be read is listed, and counts as neither safe nor NSFW.
    """
    require_extra()
    check_folder(out, labeled.pictures, force=force)
    look = functools.partial(looked_at, labeled)
    sys.exit(report(labeled, out, look, worst=worst, detector_report=detector_report))


def report(
    labeled: LabeledOptions,
    out: Path,
    look: Callable[[list[Policy]], Looked],
    *,
    worst: int,
    detector_report: Path | None = None,
) -> int:
    """Look, measure, and write all files; the exit code. Options are those of the command.

    Args:
        labeled: Which pictures and what about them.
        out: The folder.
        look: Looks at all pictures, with everything that any of these policies may go by.
        worst: So many false alarms and misses are shown.
        detector_report: What the detector's own evaluation wrote.
    """
    from censor.analysis import evaluate as measuring

    with preparing():
        metrics = {} if detector_report is None else _metrics(detector_report)
        policy = chosen_policy(labeled.shared.policy)
        policies = _beside(policy)
        looked = look(policies)
        evaluation = measuring.evaluate(looked.look, _judging(policies, looked.networks), resamples=measuring.RESAMPLES)
        with thumbnails_of(looked, labeled.cache, labeled.shared.limits) as thumbnails:
            written = _write(evaluation, out, thumbnails=thumbnails, worst=worst, metrics=metrics)
    code = told_unreadable(looked.look)
    if not labeled.shared.messages.quiet:
        click.echo(_summary(evaluation, written))
    return code


def check_folder(out: Path, source: Path, *, force: bool) -> None:
    """Refuse a folder that is there, unless that is allowed, or that lies in the source."""
    if within(out, [source] if source.is_dir() else []):
        raise click.UsageError(f"-o {out}: must lie outside of the labelled pictures")
    if (out.exists() or out.is_symlink()) and not (force and out.is_dir()):
        what = "use --force to write into it" if out.is_dir() else "name a folder"
        raise click.UsageError(f"-o {out}: exists already; {what}")
    require_place(out)


def _beside(policy: Policy) -> list[Policy]:
    """The policy, and the rule of four classes."""
    import dataclasses

    from censor.analysis.evaluate import four_classes

    other = four_classes()
    return [policy, dataclasses.replace(other, name=f"{other.name} (rule)") if policy.name == other.name else other]


def _judging(policies: list[Policy], networks: Networks) -> list[Policy]:
    """The first, and those of the others that judge anything here."""
    first, *others = policies
    return [first, *(policy for policy in others if policy.judges(networks.names, networks.says))]


def _metrics(folder: Path) -> dict[str, list[dict[str, object]]]:
    """Where the detector's own measures lie, and what they are."""
    from censor.analysis.evaluation_page import detector_classes

    path = folder / "metrics.json"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        fail(OSError(f"{path}: cannot be read: {error.strerror or error}"), EXIT_USAGE)
    except ValueError as error:
        fail(ValueError(f"{path}: is no JSON: {error}"), EXIT_USAGE)
    return {str(path): detector_classes(found if isinstance(found, dict) else {}, str(path))}


def _write(
    evaluation: Evaluation,
    out: Path,
    *,
    thumbnails: Thumbnails,
    worst: int,
    metrics: dict[str, list[dict[str, object]]],
) -> Path:
    """All files, the page last: it stands for the others. Its path."""
    from censor.analysis.evaluation_page import detector_table, evaluation_page, evaluation_plots
    from censor.analysis.evaluation_tables import evaluation_tables
    from censor.errors import CensorError
    from censor.media.writing import write_atomic
    from censor.report import as_json

    plots = evaluation_plots(evaluation)
    boxes = [block for source, classes in metrics.items() for block in detector_table({"classes": classes}, source)]
    said = [{"source": source, "classes": classes} for source, classes in metrics.items()]
    files = {
        **plots,
        **evaluation_tables(evaluation),
        "report.json": (as_json({**evaluation.to_dict(), "detector": said}, indent=1) + "\n").encode(),
        "report.html": evaluation_page(evaluation, plots, thumbnails=thumbnails, worst=worst, detector=boxes).encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(out / name, content, overwrite=True)
    except OSError as error:
        fail(OSError(f"{out}: cannot make this folder: {error.strerror or error}"), EXIT_FAILED)
    except CensorError as error:
        fail(error, EXIT_FAILED)
    return out / "report.html"


def _summary(evaluation: Evaluation, page: Path) -> str:
    from censor.cli.console import printable
    from censor.verdict import Level

    main = evaluation.policies[0]
    missed, flagged = main.missed[Level.REVIEW].value, main.flagged[Level.NSFW].value
    judged = f"{missed:.1%} of the NSFW pictures pass as safe, {flagged:.1%} of the safe ones are called NSFW"
    scored = [judge for judge in evaluation.judges if judge.counts or judge.kind != "label"]
    lines = [f"policy {main.policy.name}: {judged}", *(f"AUC {each.auc.value:.3f}  {each.name}" for each in scored)]
    return "\n".join(printable(line) for line in [*lines, str(page)])
