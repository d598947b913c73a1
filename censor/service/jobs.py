"""Work that takes longer than a client should wait for: begun by one request, asked about and fetched by others.

All of it is in memory, within the bound: so many jobs, each with a share of the ledger. A restart loses them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from censor.service.ledger import Account
from censor.service.metrics import Metrics
from censor.service.problems import Problem, problem_of
from censor.service.settings import Settings
from censor.service.work import Progress, Result
from censor.timing import Standing

__all__ = ["Jobs", "KeptJob", "State"]

State = Literal["receiving", "working", "done", "failed"]

_ID_BYTES = 24
"""Of chance in a job's id: who does not know it cannot guess it."""


@dataclass(eq=False, kw_only=True)
class KeptJob:
    """One job.

    Attributes:
        id: What alone gives access to it.
        account: Where its bytes are counted.
        state: How far it is.
        result: What came of it.
        problem: Why nothing did.
    """

    id: str
    account: Account
    state: State = "receiving"
    result: Result | None = None
    problem: Problem | None = None
    begun: float = field(default_factory=time.monotonic)
    ends: float | None = None
    frames: tuple[int, int] = (0, 0)
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None

    def told(self) -> dict[str, Any]:
        """How it stands, for its client: a `censor.service.schemas.JobStatus`."""
        done, total = self.frames
        standing = Standing(done=done, total=total, seconds=time.monotonic() - self.begun)
        left = None if self.ends is None else round(max(0.0, self.ends - time.monotonic()), 1)
        problem = None if self.problem is None else self.problem.document()
        return {"id": self.id, "status": self.state, **standing.told(), "problem": problem, "expires_in": left}


class Jobs:
    """The jobs that are kept. To be used from one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._most, self._ttl, self._metrics = settings.jobs, settings.job_ttl, metrics
        self._kept: dict[str, KeptJob] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def open(self, account: Account) -> KeptJob:
        """Make room for one.

        Raises:
            Problem: "busy": as many are kept as may be.
        """
        if len(self._kept) >= self._most:
            raise Problem("busy", "As many jobs are kept as may be; fetch results, or try again.")
        job = KeptJob(id=secrets.token_urlsafe(_ID_BYTES), account=account)
        self._kept[job.id] = job
        return job

    def begin(self, job: KeptJob, work: Callable[[Progress], Coroutine[Any, Any, Result]]) -> None:
        """Have the work of one begun; it goes on though its client does not wait.

        Args:
            job: It has been received.
            work: Given what it should tell its progress.
        """
        job.state, job.begun = "working", time.monotonic()
        job.task = asyncio.create_task(self._run(job, work))

    async def _run(self, job: KeptJob, work: Callable[[Progress], Coroutine[Any, Any, Result]]) -> None:
        def tell(done: int, total: int) -> None:
            job.frames = (done, total)

        try:
            job.result = await work(tell)
            job.state = "done"
            job.account.drop_upload()
            job.account.hold_answer(len(job.result.encoded))
        except Exception as error:  # noqa: BLE001  # whatever it is, its client is told
            job.problem, job.state, job.result = problem_of(error), "failed", None
            job.account.close()
        self._metrics.job_ends.labels(job.state).inc()
        job.ends = time.monotonic() + self._ttl
        job.timer = asyncio.get_running_loop().call_later(self._ttl, self._expire, job)

    def get(self, name: str) -> KeptJob:
        """One by its id.

        Raises:
            Problem: "no-such-job".
        """
        if (job := self._kept.get(name)) is None:
            raise Problem("no-such-job")
        return job

    def take(self, name: str) -> tuple[Result, Account]:
        """The result of one, which is kept no longer: whoever takes it closes its account.

        Raises:
            Problem: "no-such-job", "not-done", or why there is no result.
        """
        job = self.get(name)
        if job.problem is not None:
            self._forget(job)
            raise job.problem
        if job.result is None:
            raise Problem("not-done")
        self._forget(job)
        self._metrics.job_ends.labels("fetched").inc()
        return job.result, job.account

    def drop(self, name: str) -> None:
        """End one, and forget it.

        Raises:
            Problem: "no-such-job".
        """
        self.discard(self.get(name))
        self._metrics.job_ends.labels("deleted").inc()

    def discard(self, job: KeptJob) -> None:
        """Forget one, whatever its state; work on it ends."""
        self._forget(job)
        if job.task is not None:
            job.task.cancel()
        job.account.close()

    def _expire(self, job: KeptJob) -> None:
        self.discard(job)
        self._metrics.job_ends.labels("expired").inc()

    def _forget(self, job: KeptJob) -> None:
        self._kept.pop(job.id, None)
        if job.timer is not None:
            job.timer.cancel()

    async def close(self) -> None:
        """End all of them."""
        jobs = list(self._kept.values())
        for job in jobs:
            self.discard(job)
        await asyncio.gather(*(job.task for job in jobs if job.task is not None), return_exceptions=True)
