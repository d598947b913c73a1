"""How often harmless pictures are called NSFW, or given to a person to look at, and who causes it.

    python benchmarks/false_alarms.py FOLDER... [--policy NAME_OR_FILE ...] [--list] [--out FILE]

Everything in the folders has to be harmless: whatever is not called safe counts as a false alarm. A folder may be
written FOLDER@16:9 where its pictures were squashed; ``skimage`` stands for the photographs that scikit-image ships.
For each folder and policy: pictures at nsfw, and at review or worse, in a thousand, with the 95 % interval of a rate
counted on independent pictures (Wilson), and the models that brought them there, alone or together. Ends with 1 if any
picture could not be judged: such pictures count for nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stretched import PictureFolder, picture_folder

from censor import Censor
from censor.errors import CensorError
from censor.verdict import Level, Verdict
from detect.errors import DetectError
from detect.evaluation.intervals import wilson

__all__ = ["Judged", "causes", "rate", "table"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a policy makes of one harmless picture.

    Attributes:
        name: Of the picture.
        level: The verdict's.
        causes: Who brought it there.
        reasons: The verdict's, in words.
    """

    name: str
    level: str
    causes: str
    reasons: tuple[str, ...]


def causes(verdict: Verdict) -> str:
    """Who brought a picture to its level: labels of boxes and names of classifiers, each once, or nothing if safe."""
    if verdict.level is Level.SAFE:
        return ""
    met = [reason for reason in verdict.reasons if reason.level is verdict.level]
    return " + ".join(sorted({reason.classifier or f"box {reason.label}" for reason in met}))


def rate(judged: Sequence[Judged], least: Level) -> tuple[int, float, float, float]:
    """Pictures of a level or a graver one: how many, and in a thousand, with the interval."""
    count = sum(Level(each.level) >= least for each in judged)
    interval = wilson(count, len(judged))
    return count, 1000 * count / len(judged), 1000 * interval.low, 1000 * interval.high


def table(found: dict[tuple[str, str], list[Judged]]) -> str:
    """Markdown: a line for each policy and folder."""
    lines = [
        "| policy | folder | pictures | nsfw in 1,000 (95 %) | review or worse in 1,000 (95 %) | nsfw by | review by |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for (policy, folder), judged in found.items():
        cells = [policy, folder, str(len(judged)), *(_rate(judged, least) for least in (Level.NSFW, Level.REVIEW))]
        cells += [_causes(judged, level) for level in (Level.NSFW, Level.REVIEW)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate(judged: Sequence[Judged], least: Level) -> str:
    if not judged:
        return "no pictures"
    count, each, low, high = rate(judged, least)
    return f"{each:.1f} ({low:.1f} to {high:.1f}): {count}"


def _causes(judged: Sequence[Judged], level: Level) -> str:
    counts = Counter(each.causes for each in judged if each.level == level)
    return "; ".join(f"{cause}: {count}" for cause, count in counts.most_common())


def judge_folder(censor: Censor, folder: PictureFolder) -> tuple[list[Judged], list[str]]:
    """What is made of each picture, and what could not be judged."""
    judged, failed = [], []
    for name, source in folder.pictures():
        try:
            verdict = censor.check(source).verdict
        except (CensorError, DetectError) as error:
            failed.append(f"{folder.name}: {name}: {error}")
            continue
        reasons = tuple(map(str, verdict.reasons))
        judged.append(Judged(name=name, level=verdict.level.value, causes=causes(verdict), reasons=reasons))
    return judged, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", nargs="+", type=picture_folder, metavar="FOLDER[@16:9]")
    parser.add_argument("--policy", nargs="+", default=["default"], metavar="NAME_OR_FILE", help="default: default")
    parser.add_argument("--list", action="store_true", help="also name each picture that is not safe, with its reasons")
    parser.add_argument("--out", type=Path, metavar="FILE", help="everything as JSON")
    options = parser.parse_args(arguments)
    found: dict[tuple[str, str], list[Judged]] = {}
    failed: list[str] = []
    for policy in options.policy:
        try:
            censor = Censor(policy)
        except (CensorError, DetectError) as error:
            parser.error(str(error))
        for folder in options.folders:
            found[policy, folder.name], lost = judge_folder(censor, folder)
            failed += lost
    print(table(found))
    for (policy, name), judged in found.items() if options.list else ():
        for each in judged:
            if each.reasons and each.level != Level.SAFE:
                print(f"{policy}, {name}, {each.name}: {each.level}: {'; '.join(each.reasons)}")
    for line in failed:
        print(line, file=sys.stderr)
    if options.out is not None:
        options.out.write_text(json.dumps(_whole(found, failed), indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


def _whole(found: dict[tuple[str, str], list[Judged]], failed: list[str]) -> dict[str, Any]:
    rows = [
        {"policy": policy, "folder": folder, "pictures": [asdict(each) for each in judged]}
        for (policy, folder), judged in found.items()
    ]
    return {"rows": rows, "failed": failed}


if __name__ == "__main__":
    sys.exit(main())
