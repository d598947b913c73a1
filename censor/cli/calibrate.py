"""`censor calibrate`: a policy whose scores are probabilities, and whose thresholds keep a promise."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, fail, printable
from censor.cli.labeled import (
    LabeledOptions,
    Looked,
    labeled_command,
    looked_at,
    require_extra,
    require_place,
    told_unreadable,
)
from censor.cli.options import FilePath, within
from censor.cli.preparing import chosen_policy, preparing

if TYPE_CHECKING:
    from censor.analysis.calibrate import Calibrated
    from censor.policy import Policy

__all__ = ["calibrate"]

# As in `censor.analysis.calibrate`, which takes longer to import than a help text should.
METHODS = ("temperature", "platt", "isotonic")

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option("-o", "--output", "out", type=FilePath(), required=True, metavar="FILE.toml", help="The policy.")
@click.option("--report", type=FilePath(), metavar="FILE.html", help="A page that says what was fitted and promised.")
@click.option("--force", is_flag=True, help="Overwrite both files.")
@click.option("--method", "methods", multiple=True, metavar="[NAME=]METHOD",
              help="temperature, platt, isotonic or none, for every classifier that counts, or for one; repeatable "
                   "[default: platt].")  # fmt: skip
@click.option("--miss-rate", type=_SHARE, metavar="RATE",
              help="Choose thresholds so that at most this share of NSFW pictures is judged safe.")  # fmt: skip
@click.option("--false-alarm-rate", type=_SHARE, metavar="RATE",
              help="Choose thresholds so that at most this share of safe pictures is judged NSFW.")  # fmt: skip
@click.option("--confidence", type=_SHARE, default=0.95, show_default=True, metavar="SHARE", help="Of each promise.")
@click.option("--held-back", type=_SHARE, default=0.5, show_default=True, metavar="SHARE",
              help="Part of the pictures that promises rest on, and nothing is fitted on.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
              help="Which pictures are held back: choose it before you see what comes of it.")  # fmt: skip
@labeled_command
def calibrate(
    labeled: LabeledOptions,
    *,
    out: Path,
    report: Path | None,
    force: bool,
    methods: tuple[str, ...],
    miss_rate: float | None,
    false_alarm_rate: float | None,
    confidence: float,
    held_back: float,
    seed: int,
) -> None:
    """Fit a policy to pictures that people have labelled, and promise how rarely it is wrong.

    SOURCE is what `censor evaluate` takes. A part of it, chosen by chance and by group, is held back: promises rest on
    that part alone.
    """
    from censor.analysis.calibrate import Wanted
    from censor.analysis.calibrate import calibrate as fit
    from detect.tiling import lowest_score

    require_extra()
    for path in (out, report):
        if path is not None:
            _check_file(path, labeled.pictures, force=force)
    with preparing():
        policy = chosen_policy(labeled.shared.policy)
        looked = looked_at(labeled, [policy])
        detector = looked.networks.detector
        wanted = Wanted(
            methods=_methods(methods, policy, looked),
            miss_rate=miss_rate,
            false_alarm_rate=false_alarm_rate,
            confidence=confidence,
            held_back=held_back,
            seed=seed,
            floor=0.0 if detector is None else lowest_score(detector),
        )
        found = fit(looked.look, dataclasses.replace(policy, name=out.stem), wanted)
        _write(found, out, report, force=force)
    code = told_unreadable(looked.look)
    if not labeled.shared.messages.quiet:
        click.echo(_summary(found, out))
    sys.exit(code)


def _check_file(path: Path, pictures: Path, *, force: bool) -> None:
    if pictures.is_dir() and within(path, [pictures]):
        raise click.UsageError(f"{path}: must lie outside of the labelled pictures")
    if path.is_dir() or ((path.exists() or path.is_symlink()) and not force):
        what = "is a folder" if path.is_dir() else "exists already; use --force to overwrite it"
        raise click.UsageError(f"{path}: {what}")
    require_place(path, make=False)


def _methods(given: tuple[str, ...], policy: Policy, looked: Looked) -> dict[str, str]:
    """The method of each classifier that is calibrated; what is said of one by name wins."""
    names = policy.picture.counted(looked.networks.says)
    chosen = dict.fromkeys(names, "platt")
    for text in sorted(given, key=lambda each: "=" in each):
        name, equals, method = text.rpartition("=")
        if method not in (*METHODS, "none"):
            raise click.UsageError(f"--method {text}: must be one of {', '.join(METHODS)}, none")
        if equals and name not in names:
            raise click.UsageError(f"--method {text}: the classifiers that count are {', '.join(names) or 'none'}")
        chosen |= {name: method} if equals else dict.fromkeys(names, method)
    return {name: method for name, method in chosen.items() if method != "none"}


def _write(found: Calibrated, out: Path, report: Path | None, *, force: bool) -> None:
    from censor.analysis.calibration_page import calibration_page
    from censor.errors import CensorError
    from censor.media.writing import write_atomic
    from censor.policy_toml import format_policy, parse_policy

    said = "".join(f"# {promise}.\n" for promise in found.promises)
    text = f"# Made by `censor calibrate`.\n{said}\n{format_policy(found.policy)}"
    if parse_policy(text, source=str(out)) != found.policy:
        raise AssertionError("a policy that is written must be read as it was")
    try:
        if report is not None:
            write_atomic(report, calibration_page(found).encode(), overwrite=force)
        write_atomic(out, text.encode(), overwrite=force)
    except CensorError as error:
        fail(error, EXIT_FAILED)


def _summary(found: Calibrated, out: Path) -> str:
    from censor.analysis.calibration_page import calibration_errors

    lines = []
    for each in found.fitted:
        before, after = calibration_errors(each)
        lines.append(f"{each.classifier}: {each.method}, calibration error {before:.3f} before, {after:.3f} after")
    lines += [f"{promise}, if these pictures are a fair sample of what will come" for promise in found.promises]
    return "\n".join(printable(line) for line in [*lines, str(out)])
