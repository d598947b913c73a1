"""What one actor does: loads policy and networks once, then works off shard after shard, each to its commit."""

from __future__ import annotations

import functools
import itertools
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from censor.batch import run, run_grouped
from censor.checking import together
from censor.cluster.job import Job, Load, Loaded, read_job, same_job
from censor.cluster.names import ATTEMPTS
from censor.cluster.one_picture import Given, Worked, work_on
from censor.cluster.outputs import write_output
from censor.cluster.planning import read_rows, shard_id
from censor.cluster.scores import score
from censor.cluster.sources import Row, Sources
from censor.cluster.stores import open_store
from censor.cluster.verdicts import Tally, encode_shard, read_shard, verdicts_name
from censor.errors import ChangedObjectError, CrashedError, JobError, StoreError
from censor.report import error_record
from detect.errors import ReadError
from detect.pictures.formats import SNIFF_BYTES

if TYPE_CHECKING:
    from censor.pipeline import Censor

__all__ = ["ShardWorker"]

_READERS = 4
"""Threads that read ahead of the networks, and as many that write behind them."""

_HEAVIEST = 8 * 2**20
"""Bytes of pictures that are looked at together: as many more are waiting for each core."""

_CRASHES = 3
"""A picture at which so many workers ended is given up."""


class _Read(NamedTuple):
    row: Row
    data: bytes | None
    error: Exception | None

    @property
    def given(self) -> Given | None:
        return None if self.error is not None or self.data is None else Given(self.row, self.data)


class ShardWorker:
    """Works off shards. Ray Data makes one of each actor, and calls it with rows of `censor.cluster.planning.Shard`.

    It raises nothing: what one picture is guilty of is a row of its shard, what the machine is guilty of is told to
    the driver, which ends the job with it.
    """

    def __init__(self, job: Job, load: Load, cores: int, count: Callable[[Tally], None] = lambda _: None) -> None:
        """Load what the work needs.

        Args:
            job: What is done.
            load: See `Load`.
            cores: Pictures worked on at once.
            count: Told of each shard that was done here.
        """
        self._job, self._cores, self._count = job, cores, count
        self._fault: str | None = None
        try:
            self._out = open_store(job.out)
            same_job(job.out, read_job(self._out), job)
            self._sources = Sources(job.root)
            self._loaded = _loaded(job, load, cores)
        except Exception as error:  # noqa: BLE001  # whatever it is, it would be so for every picture on this machine
            self._fault = f"on {platform.node()}: {_one_line(error)}"
        self._part = functools.lru_cache(maxsize=2)(self._read_part)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
        """Work off shards; for each a row with its tally as JSON, or with what is wrong with this machine."""
        told: dict[str, list[str]] = {"shard": [], "tally": [], "fault": [], "lost": []}
        for shard, part, group in zip(batch["shard"], batch["part"], batch["group"], strict=True):
            tally, fault, lost = "", self._fault or "", ""
            if not fault:
                try:
                    tally = json.dumps(self.work_off(str(shard), str(part), int(group)).to_dict())
                except (StoreError, JobError) as error:
                    fault = f"on {platform.node()}: {_one_line(error)}"
                except Exception as error:  # noqa: BLE001  # the shard is not done, and another run will do it
                    lost = _one_line(error)
            for name, value in {"shard": str(shard), "tally": tally, "fault": fault, "lost": lost}.items():
                told[name].append(value)
        return told

    def work_off(self, shard: str, part: str, group: int) -> Tally:
        """One shard, to its commit; nothing is done where it is done already.

        Args:
            shard: Its hash.
            part: The plan's file with its rows.
            group: Which row group of that.

        Returns:
            What became of its pictures, whoever worked it off.

        Raises:
            JobError: The plan's file holds another shard.
            StoreError: Nothing can be written, or the plan cannot be read.
        """
        if (there := self._committed(shard)) is not None:
            return there
        began = time.monotonic()
        rows = read_rows(self._part(part), group)
        if shard_id(self._job.key, part, rows) != shard:
            raise JobError(f"{part}: row group {group} is not the shard {shard}")
        number, crashed = self._begin(shard)
        made = (
            self._worked(rows) if number == 1 else self._worked_carefully(rows, f"{ATTEMPTS}/{shard}-{number}", crashed)
        )
        records = [self._record(row, worked, shard) for row, worked in made]
        tally = Tally.of_rows(records, time.monotonic() - began)
        if not self._out.create(verdicts_name(shard), encode_shard(records, tally)):
            tally = self._committed(shard) or tally
        else:
            self._count(tally)
        for attempt in range(1, number + 1):
            self._out.remove(f"{ATTEMPTS}/{shard}-{attempt}")
        return tally

    def _committed(self, shard: str) -> Tally | None:
        try:
            return read_shard(self._out.read(verdicts_name(shard)))[1]
        except ChangedObjectError:
            return None

    def _read_part(self, name: str) -> bytes:
        return self._out.read(name)

    def _begin(self, shard: str) -> tuple[int, Counter[str]]:
        """Which attempt this is, and at which pictures earlier ones ended."""
        crashed: Counter[str] = Counter()
        for number in itertools.count(1):
            name = f"{ATTEMPTS}/{shard}-{number}"
            if self._out.create(name, b""):
                return number, crashed
            with suppress(ChangedObjectError, ReadError):
                crashed[self._out.read(name).decode()] += 1
        raise AssertionError("counting ends nowhere")

    def _worked(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Worked]]:
        """All pictures, read ahead, worked on side by side, and written behind."""
        read = run(rows, self._read, threads=_READERS)
        worked = run_grouped(
            read,
            self._work_together,
            threads=self._cores,
            size=together(len(rows), self._cores) if self._job.kind == "check" else 1,
            weight=lambda each: len(each.data or b""),
            heaviest=_HEAVIEST,
        )
        return run(worked, lambda each: (each[0], self._write(*each)), threads=_READERS)

    def _worked_carefully(
        self, rows: Sequence[Row], mark: str, crashed: Mapping[str, int]
    ) -> Iterator[tuple[Row, Worked]]:
        """One picture after the other, each named beforehand: should the process end at it, its successor knows."""
        for row in rows:
            if crashed.get(row.uri, 0) >= _CRASHES:
                what = f"{row.uri}: {_CRASHES} workers ended while they worked on it"
                yield row, Worked.failed(row.uri, CrashedError(what))
                continue
            self._out.put(mark, row.uri.encode())
            ((_, worked),) = self._work_together([self._read(row)])
            yield row, self._write(row, worked)

    def _read(self, row: Row) -> _Read:
        if row.refused is not None:
            return _Read(row, None, ReadError(row.refused))
        try:
            store, name = self._sources.place(row.uri)
            if row.size is not None and row.size > self._job.max_bytes:
                return _Read(row, store.start(name, SNIFF_BYTES), None)
            return _Read(row, store.read(name, etag=row.etag, cap=self._job.max_bytes), None)
        except Exception as error:  # noqa: BLE001  # whatever happens to one picture is its own failure
            return _Read(row, None, error)

    def _work_together(self, read: Sequence[_Read]) -> list[tuple[Row, Worked]]:
        """What becomes of pictures that are looked at together."""
        given = [each.given for each in read if each.given is not None]
        scoring = self._loaded.scoring
        if scoring is not None:
            worked = [score(scoring, each.row, each.data, self._job) for each in given]
        else:
            worked = work_on(self._censor, given, self._job, stills=self._loaded.stills)
        done = iter(worked)
        return [(each.row, _unread(each) if each.given is None else next(done)) for each in read]

    @property
    def _censor(self) -> Censor:
        if self._loaded.censor is None:
            raise JobError("nothing was loaded that judges pictures")
        return self._loaded.censor

    def _write(self, row: Row, worked: Worked) -> Worked:
        """The output under its final name; see `censor.cluster.outputs`."""
        if worked.output is None:
            return worked
        try:
            size = write_output(self._out, self._censor, row, worked.output, worked.hidden)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever happens to one picture is its own failure
            return Worked.failed(row.uri, error, worked.size)
        return replace(worked, output=None, hidden=None, written=size)

    def _record(self, row: Row, worked: Worked, shard: str) -> dict[str, Any]:
        return {
            **worked.record,
            "file": row.uri,
            "outcome": worked.outcome,
            "etag": row.etag,
            "bytes": row.size if worked.size is None else worked.size,
            "output_bytes": worked.written,
            "shard": shard,
            "finished": datetime.now(UTC),
        }


def _loaded(job: Job, load: Load, cores: int) -> Loaded:
    """What is loaded here, if it is what the driver has."""
    loaded = load(cores)
    if dict(loaded.models) != dict(job.models):
        differing = sorted(set(loaded.models.items()) ^ set(job.models.items()))
        raise JobError(
            f"other models than where the job was begun: {', '.join(sorted({name for name, _ in differing}))}"
        )
    return loaded


def _unread(read: _Read) -> Worked:
    return Worked.failed(read.row.uri, read.error or ReadError(f"{read.row.uri}: cannot be read"))


def _one_line(error: Exception) -> str:
    told = error_record(error)
    return told["message"] if isinstance(error, StoreError | JobError) else f"{told['type']}: {told['message']}"
