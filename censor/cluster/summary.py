"""What came of a run: a sentence, a record, a page."""

from __future__ import annotations

from typing import Any

from censor.cluster.running import Summary
from censor.cluster.verdicts import DONE, FAILED, OUTCOMES, PASSED_OVER

__all__ = ["page_of", "record_of", "sentence"]

_LEVELS = ("safe", "review", "nsfw", "none")


def sentence(summary: Summary) -> str:
    """In one line."""
    progress, tally = summary.progress, summary.progress.tally
    levels = [f"{tally.levels[level]:,} {level}" for level in _LEVELS if level != "none" or tally.levels[level]]
    parts = [f"{tally.objects:,} of {progress.pictures:,} objects", *levels, f"{tally.hidden:,} with hidden regions"]
    parts.append(f"{tally.outcomes[FAILED]:,} failed")
    if tally.outcomes[PASSED_OVER]:
        parts.append(f"{tally.outcomes[PASSED_OVER]:,} other files passed over")
    if summary.doubles:
        parts.append(f"{summary.doubles:,} named twice")
    return ", ".join(parts)


def record_of(summary: Summary, *, price: float | None = None) -> dict[str, Any]:
    """For JSON.

    Args:
        summary: What came of it.
        price: Of a core for an hour.
    """
    progress = summary.progress
    return {
        "pictures": progress.pictures,
        "shards": progress.shards,
        "plans": summary.plans,
        "named_twice": summary.doubles,
        "done_before": progress.before.objects,
        "seconds": round(progress.seconds, 3),
        "pictures_a_second": round(progress.rate, 3),
        "cost": None if price is None else round(progress.tally.seconds / 3600 * price, 4),
        "stopped": summary.stopped,
        "lost_shards": dict(progress.lost),
        **{f"done_{name}" if name in ("shards", "seconds") else name: value
           for name, value in progress.tally.to_dict().items()},
    }  # fmt: skip


def page_of(summary: Summary, *, out: str, price: float | None = None) -> str:
    """As a page: see `censor.analysis.page`."""
    from censor.analysis.page import Block, Paragraph, Section, Table, render_page

    progress, tally = summary.progress, summary.progress.tally
    state: list[Block] = [Paragraph(sentence(summary) + ".")]
    if summary.stopped or progress.lost:
        why = summary.stopped or f"{len(progress.lost)} shards could not be done; run the command again"
        state.append(Paragraph(why, emphasis=True))
    run = [
        ("pictures a second, this run", f"{progress.rate:.1f}"),
        ("hours of actors, all runs", f"{tally.seconds / 3600:.2f}"),
        ("bytes read", f"{tally.bytes_in:,}"),
        ("bytes written", f"{tally.bytes_out:,}"),
    ]
    if price is not None:
        run.append(("cost", f"{tally.seconds / 3600 * price:.2f}"))
    outcomes = [(f"{name}: {said}", f"{tally.outcomes[name]:,}") for name, said in OUTCOMES.items()]
    levels = [(level, f"{tally.levels[level]:,}") for level in _LEVELS]
    errors = [(name, f"{count:,}") for name, count in tally.errors.most_common()]
    sections = [
        Section("State", state),
        Section("Objects", [Table(("what became of them", "how many"), outcomes)]),
        Section("Verdicts", [Table(("level", f"of {tally.outcomes[DONE]:,} done"), levels)]),
        Section("Failures", [Table(("error", "how many"), errors) if errors else Paragraph("None.")]),
        Section("Work", [Table(("what", "how much"), run)]),
    ]
    return render_page("Pictures on a cluster", sections, lead=out)
