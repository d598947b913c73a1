"""What is done to all pictures alike, and which OUT it is done for: everything that makes two runs the same job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from censor.cluster.names import JOB, KEPT, is_local
from censor.cluster.sources import MANIFEST
from censor.cluster.stores import Store, require_exclusive
from censor.errors import ChangedObjectError, JobError

if TYPE_CHECKING:
    from censor.cluster.scores import Scoring
    from censor.pipeline import Censor

__all__ = ["Job", "Kind", "Load", "Loaded", "claim_output", "read_job", "require_apart", "same_job"]

Kind = Literal["hide", "check", "evaluate"]

_FORM = 1
"""Of what is kept below `KEPT`."""


class Loaded(NamedTuple):
    """What a worker works with.

    Attributes:
        censor: Policy and networks.
        models: The SHA-256 of each network's file, by what it is called.
        scoring: Who scores labelled pictures, where that is what is done.
        stills: What works on what does not move, if that is not `censor`: see `censor.cluster.together`.
    """

    censor: Censor | None
    models: Mapping[str, str]
    scoring: Scoring | None = None
    stills: Censor | None = None


Load = Callable[[int], Loaded]
"""Given the number of cores, loads policy and networks; a function that other machines can import, or a partial one."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is done.

    Attributes:
        kind: Whether pictures are censored, judged, or scored.
        root: What outputs' names are relative to, or `MANIFEST`.
        out: URL or folder of the outputs.
        policy: Its name.
        rules: The policy, as TOML.
        models: The SHA-256 of each network's file.
        options: What else changes outputs or verdicts.
        quality: Of lossy formats; None for the source's.
        whole: Decode large JPEGs whole where they are judged.
        max_bytes: Cap on an encoded picture.
    """

    kind: Kind
    root: str
    out: str
    policy: str
    rules: str
    models: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    quality: int | None = None
    whole: bool = False
    max_bytes: int

    @property
    def facts(self) -> dict[str, object]:
        """All that makes two runs the same job."""
        return {
            "kind": self.kind,
            "root": self.root,
            "rules": self.rules,
            "models": dict(sorted(self.models.items())),
            "options": {**self.options, "quality": str(self.quality), "whole": str(self.whole)},
        }

    @property
    def key(self) -> str:
        """A hash of that."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


_WHICH = {
    "kind": "of another command",
    "root": "of another input",
    "rules": "of another policy",
    "models": "of other models",
    "options": "of other options",
}
"""What is said where the outputs that are there are not this job's."""


def claim_output(store: Store, job: Job) -> None:
    """Make OUT this job's, or see that it is.

    Raises:
        JobError: It holds what another job made, or what no job made.
        StoreError: It may not be listed or written.
    """
    there = read_job(store)
    if there is None:
        require_exclusive(store)
        foreign = next((each.name for each in store.entries() if not each.name.startswith(f"{KEPT}/")), None)
        if foreign is not None:
            raise JobError(f"{store.url}: is not empty ({foreign}), and no job of this command made that; name another")
        content = {"form": _FORM, "policy": job.policy, **job.facts}
        store.create(JOB, json.dumps(content, indent=1).encode())
        there = read_job(store)
    same_job(store.url, there, job)


def same_job(url: str, there: Mapping[str, object] | None, job: Job) -> None:
    """Raise a `JobError` where what stands in an OUT is not this job, and say in what it differs."""
    if there is None:
        raise JobError(f"{url}: what the job is cannot be read here: OUT must be the same place on every machine")
    if there.get("form") != _FORM:
        raise JobError(f"{url}: was begun by another version of this command")
    for name, value in job.facts.items():
        if there.get(name) != json.loads(json.dumps(value)):
            raise JobError(f"{url}: holds outputs {_WHICH[name]}; name another, or run the command as it was then")


def require_apart(root: str, out: str) -> None:
    """Refuse an OUT inside of IN or around it: outputs would be inputs of the next run.

    Raises:
        JobError: They are not apart.
    """
    if root == MANIFEST or is_local(root) != is_local(out):
        return
    first, second = f"{root.rstrip('/')}/", f"{out.rstrip('/')}/"
    if first.startswith(second) or second.startswith(first):
        raise JobError(f"{out}: OUT must lie neither in the input {root} nor around it")


def read_job(store: Store) -> Mapping[str, object] | None:
    """What a job is, as it stands in its OUT; None where none does."""
    try:
        found: object = json.loads(store.read(JOB))
    except ChangedObjectError:
        return None
    except ValueError as error:
        raise JobError(f"{store.url}/{JOB}: is no JSON: {error}") from error
    return found if isinstance(found, dict) else {}
