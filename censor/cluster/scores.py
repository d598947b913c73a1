"""What networks say of labelled pictures: as a row of each, and all rows together as `censor evaluate` has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from censor.batch import run
from censor.cluster.job import Job
from censor.cluster.one_picture import Worked
from censor.cluster.planning import plans, shards_of
from censor.cluster.sources import MANIFEST, Row, Sources
from censor.cluster.stores import Store
from censor.cluster.verdicts import DONE, read_shard, verdicts_name
from censor.errors import JobError
from censor.finding import Networks
from detect.duplicates import PictureHash
from detect.errors import LimitError
from detect.evaluation.labeled import LabeledPicture, check_contents
from detect.evaluation.score_cache import content_key
from detect.evaluation.scoring import Answers, Scorer, ask_content

__all__ = ["LabeledList", "Scoring", "answers_of", "score"]

_READERS = 16
"""Threads that ask for the states of pictures."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(?=[^/])")
"""What `Path` makes of a URL's beginning."""


class Scoring(NamedTuple):
    """Who scores.

    Attributes:
        networks: Who looks.
        facts: What is to be known of each: see `censor.analysis.looking.look_at`.
        scorers: What makes numbers of that.
        max_pixels: Cap on width times height.
    """

    networks: Networks
    facts: Mapping[str, Mapping[str, str]]
    scorers: Sequence[Scorer]
    max_pixels: int


@dataclass(frozen=True)
class LabeledList:
    """Labelled pictures as an IN.

    Attributes:
        root: The list, or the folder; what makes two runs the same job.
        pictures: What it names; paths may be URLs, as `Path` has them.
    """

    root: Path
    pictures: Sequence[LabeledPicture]

    def uri(self, path: Path) -> str:
        """Where a picture lies: a URL, if the list has one, or an absolute path."""
        below = path.relative_to(self.root.parent).as_posix() if path.is_relative_to(self.root.parent) else ""
        return _URL.sub(r"\1://", below, count=1) if _URL.match(below) else str(path.absolute())

    def rows(self) -> Iterator[Row]:
        """Each picture, in the state it is in now; one that is not there has none, and fails when it is read."""
        sources = Sources(MANIFEST)

        def found(picture: LabeledPicture) -> Row:
            uri = self.uri(picture.path)
            store, name = sources.place(uri)
            entry = store.entry(name)
            return Row(uri, uri, None, None) if entry is None else Row(uri, uri, entry.etag, entry.size)

        return run(self.pictures, found, threads=_READERS)

    def read(self, path: Path, cap: int) -> tuple[bytes, str]:
        """A picture's bytes, and what errors call it."""
        uri = self.uri(path)
        store, name = Sources(MANIFEST).place(uri)
        return store.read(name, cap=cap), uri


def score(scoring: Scoring, row: Row, data: bytes, job: Job) -> Worked:
    """What is said of one picture; whatever happens to it is its own outcome."""
    if row.size is not None and row.size > job.max_bytes:
        cap = LimitError(f"{row.uri}: more than {job.max_bytes:,} bytes, the cap on a picture's size")
        return Worked.failed(row.uri, cap)
    try:
        looks, said, seconds = ask_content(
            data, row.uri, scoring.scorers, max_pixels=scoring.max_pixels, spare=scoring.networks.reduction
        )
    except Exception as error:  # noqa: BLE001  # as in `work_on`
        return Worked.failed(row.uri, error, len(data))
    record = {
        "content": content_key(data),
        "looks": f"{looks.upright:016x}{looks.mirrored:016x}",
        "said": json.dumps(said),
        "seconds": dict(seconds),
    }
    return Worked(outcome=DONE, record=record, size=len(data))


def answers_of(store: Store, given: LabeledList, names: Sequence[str]) -> Answers:
    """All that was said, in the order of the list: as `detect.evaluation.scoring.ask_pictures` would have it.

    Args:
        store: OUT, where all is done.
        given: The list; pictures that it no longer names are left out.
        names: The scorers'.

    Raises:
        EvaluationError: The same picture is there under two labels.
        JobError: A picture has no row.
    """
    rows = _rows(store)
    missing = [each for each in given.pictures if given.uri(each.path) not in rows]
    if missing:
        raise JobError(f"{len(missing)} pictures have no row, the first: {missing[0].path}; run the command again")
    together = [(each, rows[given.uri(each.path)]) for each in given.pictures]
    read = [(picture, row) for picture, row in together if row["outcome"] == DONE]
    seconds: dict[str, list[float]] = {name: [] for name in ("decode", *names)}
    for _, row in read:
        for stage, spent in row["seconds"]:
            seconds[stage].append(spent)
    contents = tuple(row["content"] for _, row in read)
    check_contents([picture for picture, _ in read], contents)
    return Answers(
        pictures=tuple(picture for picture, _ in read),
        contents=contents,
        hashes=tuple(PictureHash(int(row["looks"][:16], 16), int(row["looks"][16:], 16)) for _, row in read),
        said=tuple(json.loads(row["said"]) for _, row in read),
        unreadable=tuple((each, row["error"]["message"]) for each, row in together if row["outcome"] != DONE),
        seconds=seconds,
    )


def _rows(store: Store) -> Mapping[str, dict[str, Any]]:
    """The last row of each picture, in the order of plans: clocks of machines are not asked."""
    wanted = ["file", "outcome", "content", "looks", "said", "seconds", "error"]
    rows: dict[str, dict[str, Any]] = {}
    for plan in plans(store):
        for shard in shards_of(store, plan):
            table, _ = read_shard(store.read(verdicts_name(shard.shard)))
            rows |= {row["file"]: row for row in table.select(wanted).to_pylist()}
    return rows
