"""`censor cluster`: pictures beyond one machine, on Ray."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from censor.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NSFW, fail, printable
from censor.cli.options import FilePath, analysis_options, hiding_options
from censor.cli.preparing import make_censor, named_weights, preparing

if TYPE_CHECKING:
    from censor.cli.groups import HidingOptions, SharedOptions
    from censor.cli.labeled import LabeledOptions, Looked
    from censor.cluster.job import Job, Loaded
    from censor.cluster.running import Progress, Summary
    from censor.cluster.scores import Scoring
    from censor.policy import Policy

__all__ = ["cluster"]

_EXTRA = ("fsspec", "pyarrow", "ray")

_MANY = 1000
"""Pictures for which networks are loaded: so many that what is quick in the long run is worth its beginning."""

_RUNNING = ("provider", "engine", "precision")
"""Facts of a network that say what runs it."""


class ClusterOptions(NamedTuple):
    """What the commands of this group have in common.

    Attributes:
        pictures: IN, as it was typed.
        out: OUT, as it was typed.
        address: Of a running cluster; None for one of our own.
        actors: At most.
        cores: Of each actor.
        gpus: Of each actor.
        shard: Pictures in a shard.
        max_failures: Share of the pictures that may fail.
        retry_failed: Try those again that failed before.
        price: Of a core for an hour.
        summary: Where JSON goes.
        page: Where a page goes.
        force: Overwrite those.
        shared: Policy, network, views, limits, messages.
    """

    pictures: str
    out: str
    address: str | None
    actors: int | None
    cores: int
    gpus: float
    shard: int
    max_failures: float
    retry_failed: bool
    price: float | None
    summary: Path | None
    page: Path | None
    force: bool
    shared: SharedOptions


def _cluster_command(command: Callable[..., object]) -> Callable[..., object]:
    """IN and the options of `ClusterOptions`, for the command's argument `given`."""

    @functools.wraps(command)
    def call(**values: object) -> object:
        names = ClusterOptions._fields
        given = ClusterOptions(**{name: values.pop(name) for name in names})  # type: ignore[arg-type]  # click's
        return command(given=given, **values)

    wrapped = analysis_options(call)
    for option in reversed((
        click.argument("pictures", metavar="IN", callback=_refuse_empty),
        click.option("-o", "--output", "out", required=True, metavar="OUT", callback=_refuse_empty,
                     help="Folder or URL of the outputs; new, or that of the same job."),
        click.option("--address", metavar="HOST:PORT|auto",
                     help="A running Ray cluster [default: one on this machine]."),
        click.option("--workers", "actors", type=click.IntRange(min=1), metavar="N",
                     help="Actors at most [default: as many as there are cores for]."),
        click.option("--cores", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
                     help="Cores of an actor, and pictures it works on at once."),
        click.option("--gpus", type=click.FloatRange(0, 8), default=0.0, show_default=True, metavar="SHARE",
                     help="GPUs of an actor; with --provider cuda."),
        click.option("--shard", type=click.IntRange(1, 100_000), default=200, show_default=True, metavar="N",
                     help="Pictures that are done together, or not yet."),
        click.option("--max-failures", type=click.FloatRange(0, 1), default=0.1, show_default=True, metavar="SHARE",
                     help="Stop when more of the pictures than this share have failed."),
        click.option("--retry-failed", is_flag=True, help="Try pictures again that failed in an earlier run."),
        click.option("--price", type=click.FloatRange(min=0), metavar="MONEY",
                     help="Of a core for an hour: shows the cost so far."),
        click.option("--summary", type=FilePath(dir_okay=False), metavar="FILE", help="Write a summary as JSON."),
        click.option("--page", type=FilePath(dir_okay=False), metavar="FILE.html", help="Write a summary as a page."),
        click.option("--force", is_flag=True, help="Overwrite summary and page."),
    )):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


def _refuse_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value:
        raise click.BadParameter("must not be empty", ctx, param)
    return value


@click.group()
def cluster() -> None:
    """Work off buckets and folders on a Ray cluster: resumable, each output exactly once.

    IN is a folder, a file, a pattern with `*`, a URL such as s3://bucket/prefix, or a list: FILE.parquet or FILE.csv
    with a column `uri`, and perhaps `etag` and `bytes`. What is done stands as Parquet below OUT/_censor/verdicts.
    """


@cluster.command("hide")
@hiding_options
@_cluster_command
def hide(given: ClusterOptions, *, hiding: HidingOptions) -> None:
    """Write censored copies of all pictures in IN, under their own names below OUT.

    What could not be decoded, detected, hidden and looked at again has no copy, and a row that says why. Run it again
    to go on after whatever broke it off.
    """
    sys.exit(_run("hide", given, hiding, whole=True))


@cluster.command("check")
@click.option("--whole", is_flag=True, help="Decode large JPEGs whole: for files that may be made to deceive.")
@_cluster_command
def check(given: ClusterOptions, *, whole: bool) -> None:
    """Judge all pictures in IN; verdicts go below OUT."""
    sys.exit(_run("check", given, None, whole=whole))


@cluster.command("evaluate")
@click.option("--report", type=FilePath(), required=True, metavar="DIR",
              help="Folder for what `censor evaluate` writes; --force writes into one that is there.")  # fmt: skip
@click.option("--worst", type=click.IntRange(min=0), default=12, show_default=True, metavar="N",
              help="Show so many false alarms and misses, censored.")  # fmt: skip
@_cluster_command
def evaluate(given: ClusterOptions, *, report: Path, worst: int) -> None:
    """Measure policy, classifiers and boxes on labelled pictures: `censor evaluate`, with the looking on the cluster.

    IN is a folder on this machine with SAFE and NSFW, or a CSV file with path, label and, if wanted, group and weight;
    a path may be a URL. What was said of each picture goes below OUT.
    """
    from censor.cli import evaluate as measuring
    from censor.cli.labeled import LabeledOptions, require_extra

    _require_extra(given)
    require_extra()
    _require_free(given)
    labeled = LabeledOptions(Path(given.pictures), None, _resolved(given.shared))
    measuring.check_folder(report, labeled.pictures, force=given.force)
    look = functools.partial(_looked_at, given, labeled)
    sys.exit(measuring.report(labeled, report, look, worst=worst))


def _looked_at(given: ClusterOptions, labeled: LabeledOptions, policies: Sequence[Policy]) -> Looked:
    """Look at all pictures on the cluster; ends the command where not all are looked at."""
    from censor.analysis.looking import look_of
    from censor.cli.labeled import Looked
    from censor.cluster.job import Job, claim_output, require_apart
    from censor.cluster.running import Cluster, run_job
    from censor.cluster.scores import LabeledList, answers_of
    from censor.cluster.stores import open_store
    from detect.evaluation.labeled import read_labeled

    listed = LabeledList(labeled.pictures.absolute(), read_labeled(labeled.pictures))
    loading = functools.partial(load_scoring, labeled=labeled, policies=policies)
    models, scoring = scorers_with_models(given.cores, labeled=labeled, policies=policies)
    limits = given.shared.limits
    with _failing():
        store = open_store(given.out)
        if labeled.pictures.is_dir():
            require_apart(str(listed.root), store.url)
        options = {"views": repr(given.shared.views), "max_pixels": str(limits.max_pixels),
                   "max_bytes": str(limits.max_bytes)}  # fmt: skip
        job = Job(kind="evaluate", root=str(listed.root), out=store.url, policy=policies[0].name, rules="",
                  models=models, options=options, max_bytes=limits.max_bytes)  # fmt: skip
        claim_output(store, job)
        chosen = Cluster(address=given.address, workers=given.actors, cores=given.cores, gpus=given.gpus)
        with _telling(given) as tell:
            summary = run_job(
                job, loading, listed, store, chosen,
                size=given.shard, max_failures=given.max_failures, retry=given.retry_failed, tell=tell,
            )  # fmt: skip
        _told("evaluate", given, summary)
        if summary.stopped or summary.progress.lost:
            sys.exit(EXIT_FAILED)
        answers = answers_of(store, listed, [each.name for each in scoring.scorers])
        look = look_of(answers, scoring.networks)
        return Looked(look, scoring.networks, scoring.facts, given.cores, listed.read)


def load_scoring(cores: int, *, labeled: LabeledOptions, policies: Sequence[Policy]) -> Loaded:
    """Who scores labelled pictures, on any machine; see `censor.cluster.job.Load`."""
    from censor.cluster.job import Loaded

    return Loaded(None, *scorers_with_models(cores, labeled=labeled, policies=policies))


def scorers_with_models(
    cores: int, *, labeled: LabeledOptions, policies: Sequence[Policy]
) -> tuple[dict[str, str], Scoring]:
    """Who scores, and what makes it another job: the networks' files, and not what runs them."""
    from censor.analysis.looking import scorers_of
    from censor.cli.labeled import asked_by
    from censor.cluster.scores import Scoring
    from detect.evaluation.score_cache import model_key

    networks, facts = asked_by(labeled, policies, pictures=_MANY, workers=cores)
    kept = {name: {key: said[key] for key in said if key not in _RUNNING} for name, said in facts.items()}
    models = {name: model_key(**said) for name, said in kept.items()}
    scoring = Scoring(networks, facts, scorers_of(networks, facts), labeled.shared.limits.max_pixels)
    return models, scoring


def load(cores: int, *, shared: SharedOptions, hiding: HidingOptions | None, policy: Policy) -> Loaded:
    """Policy and networks as options say, on any machine; see `censor.cluster.job.Load`."""
    from censor.cluster.job import Loaded

    quiet = shared._replace(
        limits=shared.limits._replace(workers=cores), messages=shared.messages._replace(quiet=True, verbose=False)
    )
    censor = make_censor(quiet, hiding, base=policy, share=cores)
    if hiding is None:
        censor.require_verdict()
    return Loaded(censor, {each.name: each.sha256 or "" for each in censor.models})


def _run(kind: Literal["hide", "check"], given: ClusterOptions, hiding: HidingOptions | None, *, whole: bool) -> int:
    _require_extra(given)
    _require_free(given)
    from censor.cluster.job import claim_output, require_apart
    from censor.cluster.running import Cluster, run_job
    from censor.cluster.sources import open_source
    from censor.cluster.stores import open_store
    from censor.policy_toml import load_policy

    with preparing():
        policy = load_policy(given.shared.policy.source)
        loading = functools.partial(load, shared=_resolved(given.shared), hiding=hiding, policy=policy)
        loaded = loading(given.cores)
    with _failing():
        source = open_source(given.pictures)
        store = open_store(given.out)
        require_apart(source.root, store.url)
        job = _job(kind, given, hiding, loaded.models, whole=whole, root=source.root, out=store.url,
                   policy=policy if loaded.censor is None else loaded.censor.policy)  # fmt: skip
        del loaded
        claim_output(store, job)
        chosen = Cluster(address=given.address, workers=given.actors, cores=given.cores, gpus=given.gpus)
        with _telling(given) as tell:
            summary = run_job(
                job, loading, source, store, chosen,
                size=given.shard, max_failures=given.max_failures, retry=given.retry_failed, tell=tell,
            )  # fmt: skip
        return _told(kind, given, summary)


def _require_extra(given: ClusterOptions) -> None:
    """End the command in one line where what it needs is missing."""
    import importlib.util

    wanted = {**dict.fromkeys(_EXTRA, "cluster"), **({"jinja2": "analysis"} if given.page else {})}
    for name, extra in wanted.items():
        if importlib.util.find_spec(name) is None:
            missing = f"{name} is not installed; install it with: pip install 'nsfw-censor[{extra}]'"
            fail(ModuleNotFoundError(missing), EXIT_FAILED)


def _require_free(given: ClusterOptions) -> None:
    for option, path in (("--summary", given.summary), ("--page", given.page)):
        if path is not None and (path.exists() or path.is_symlink()) and not given.force:
            raise click.UsageError(f"{option} {path}: exists already; use --force to overwrite it")


def _resolved(shared: SharedOptions) -> SharedOptions:
    """Files by their whole paths: actors work in other folders."""
    network = shared.network
    named = named_weights(network.weights)
    files = tuple(str(Path(each).resolve()) if Path(each).suffix else each for each in network.classifiers)
    weights = None if named is None else named.resolve()
    return shared._replace(network=network._replace(weights=weights, classifiers=files))


def _job(
    kind: Literal["hide", "check"],
    given: ClusterOptions,
    hiding: HidingOptions | None,
    models: Mapping[str, str],
    *,
    whole: bool,
    root: str,
    out: str,
    policy: Policy,
) -> Job:
    from censor.cluster.job import Job
    from censor.policy_toml import format_policy

    shared = given.shared
    options = {"views": repr(shared.views), "max_pixels": str(shared.limits.max_pixels)}
    options |= {"max_bytes": str(shared.limits.max_bytes), "recheck": str(hiding is None or not hiding.no_recheck)}
    return Job(
        kind=kind, root=root, out=out, policy=policy.name, rules=format_policy(policy), models=models,
        options=options, quality=None if hiding is None else hiding.quality, whole=whole,
        max_bytes=shared.limits.max_bytes,
    )  # fmt: skip


@contextmanager
def _failing() -> Iterator[None]:
    """What ends a job ends the command in one line; what is done stays done."""
    from censor.errors import CensorError
    from detect.errors import DetectError

    try:
        yield
    except (CensorError, DetectError) as error:
        fail(error, EXIT_FAILED)
    except KeyboardInterrupt:
        click.echo("interrupted; what was done stays done, and the same command goes on", err=True)
        sys.exit(EXIT_INTERRUPTED)


@contextmanager
def _telling(given: ClusterOptions) -> Iterator[Callable[[Progress], None]]:
    """A line on standard error that is written again on a terminal, and now and then elsewhere."""
    import time

    last, terminal, quiet = [0.0], sys.stderr.isatty(), given.shared.messages.quiet

    def tell(progress: Progress) -> None:
        now = time.monotonic()
        if quiet or now - last[0] < (0.5 if terminal else 10.0):
            return
        last[0] = now
        line = progress_line(progress, price=given.price)
        click.echo(f"\r\033[K{line}" if terminal else line, err=True, nl=not terminal)

    yield tell
    if terminal and last[0]:
        click.echo(err=True)


def progress_line(progress: Progress, *, price: float | None) -> str:
    """How far a job is: pictures, rate, failures, cost so far, time left."""
    from censor.cluster.verdicts import FAILED

    tally = progress.tally
    parts = [f"{tally.objects:,} of {progress.pictures:,}", f"{progress.rate:.1f}/s"]
    if tally.outcomes[FAILED]:
        parts.append(f"{tally.outcomes[FAILED]:,} failed")
    if price is not None:
        parts.append(f"cost {tally.seconds / 3600 * price:.2f}")
    if progress.seconds_left is not None:
        left = int(max(0, progress.seconds_left))
        parts.append(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    return ", ".join(parts)


def _told(kind: str, given: ClusterOptions, summary: Summary) -> int:
    """Say what came of it; the exit code says the same."""
    from censor.cluster.summary import page_of, record_of, sentence
    from censor.cluster.verdicts import FAILED
    from censor.media.writing import write_atomic

    if given.summary is not None:
        content = json.dumps(record_of(summary, price=given.price), indent=1).encode() + b"\n"
        write_atomic(given.summary, content, overwrite=given.force)
    if given.page is not None:
        write_atomic(given.page, page_of(summary, out=given.out, price=given.price).encode(), overwrite=given.force)
    progress = summary.progress
    for shard, why in list(progress.lost.items())[:10]:
        click.echo(printable(f"shard {shard} could not be done, and is not: {why}"), err=True)
    if summary.stopped is not None:
        click.echo(printable(f"Error: {summary.stopped}"), err=True)
    if not given.shared.messages.quiet:
        click.echo(printable(sentence(summary)), err=True)
    if summary.stopped or progress.lost or progress.tally.outcomes[FAILED]:
        return EXIT_FAILED
    return EXIT_NSFW if kind == "check" and progress.tally.levels["nsfw"] else 0
