"""A collection in the order of a score: a contact sheet of both ends and of the middle in doubt, and a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from censor.analysis.collection import TIMES, VERDICT, Collection, as_csv, said_of, unreadable_section
from censor.analysis.page import Gallery, Section, render_page
from censor.analysis.thumbnails import HIDING, Thumbnails
from censor.policy import Policy
from censor.report import as_json

__all__ = ["Ranking", "parts", "rank_csv", "rank_json", "rank_page"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """A collection and a score of each of its N pictures.

    Attributes:
        collection: The pictures.
        by: What the score is of, as it was asked for.
        scores: float64, (N,), each in [0, 1].
        policy: Whose verdicts the table holds.
    """

    collection: Collection
    by: str
    scores: NDArray[np.float64]
    policy: Policy

    @property
    def order(self) -> list[int]:
        """Rows, the highest score first; of one score, in the order of their paths."""
        return sorted(range(len(self.scores)), key=lambda row: (-self.scores[row], str(self.collection.paths[row])))


def parts(ranking: Ranking, *, show: int, around: float) -> dict[str, list[int]]:
    """Which pictures are shown: of near-duplicates the one with the highest score, and none twice.

    Args:
        ranking: The pictures.
        show: At most so many in each part; fewer where there are not three times as many.
        around: The score about which the middle lies.

    Returns:
        Rows of the highest scores, of those nearest to `around` and of the lowest, each the highest first.
    """
    leaders = ranking.collection.leaders(ranking.order)
    many = min(show, -(-len(leaders) // 3))
    top = leaders[:many]
    bottom = leaders[many:][-many:] if many else []
    left = [row for row in leaders if row not in {*top, *bottom}]
    near = set(sorted(left, key=lambda row: abs(ranking.scores[row] - around))[:many])
    return {"highest": top, "in doubt": [row for row in left if row in near], "lowest": bottom}


def rank_page(ranking: Ranking, thumbnails: Thumbnails, *, show: int, around: float) -> str:
    """The contact sheet; see `parts` for what it shows."""
    collection, scores = ranking.collection, ranking.scores
    shown = parts(ranking, show=show, around=around)
    place = {row: number for number, row in enumerate(ranking.order, 1)}
    figures = thumbnails.figures(
        {
            row: collection.wanted(row, _caption(collection, row, scores[row], place[row]))
            for rows in shown.values()
            for row in rows
        }
    )
    titles = {
        "highest": "Highest scores",
        "in doubt": f"In doubt: nearest to {around:g}",
        "lowest": "Lowest scores",
    }
    sections = [
        Section(titles[name], [Gallery([figures[row] for row in rows])]) for name, rows in shown.items() if rows
    ]
    groups = len(np.unique(collection.groups))
    lead = (
        f"{len(collection.paths)} pictures by {ranking.by}, {groups} of them no near-duplicates of others. "
        f"{HIDING}. {TIMES}3 stands for three that look alike. All are in rank.csv."
    )
    return render_page("Ranking", [*sections, *unreadable_section(collection)], lead=lead)


def rank_csv(ranking: Ranking) -> bytes:
    """A line for each picture that could be read, in order."""
    rows = list(_rows(ranking))
    return as_csv(rows, list(rows[0]) if rows else ["rank", "score", "path"])


def rank_json(ranking: Ranking) -> bytes:
    """The same as JSON, with what could not be read."""
    record = {
        "by": ranking.by,
        "policy": ranking.policy.name,
        "pictures": list(_rows(ranking)),
        "unreadable": list(ranking.collection.unreadable),
    }
    return (as_json(record, indent=1) + "\n").encode()


def _rows(ranking: Ranking) -> list[Mapping[str, object]]:
    collection = ranking.collection
    return [
        {
            "rank": number,
            "score": round(float(ranking.scores[row]), 6),
            "path": str(collection.paths[row]),
            "group": int(collection.groups[row]),
            "alike": collection.count(row),
            **{f"{name} score" if name == VERDICT else name: said for name, said in _said(ranking, row).items()},
        }
        for number, row in enumerate(ranking.order, 1)
    ]


def _said(ranking: Ranking, row: int) -> dict[str, str]:
    return said_of(ranking.collection.seen[row], ranking.policy)


def _caption(collection: Collection, row: int, score: float, place: int) -> str:
    alike = f" {TIMES}{collection.count(row)}" if collection.count(row) > 1 else ""
    return f"{place}. {score:.3f}{alike} {collection.paths[row].name}"
