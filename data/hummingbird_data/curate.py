"""Curation: raw video files to a snapshot of the table ``clips``.

Sources go through in batches, in order of their names. Of a batch, Ray Data reads, cuts and scores the clips;
the driver looks for copies and gives the verdicts that need no caption; Ray Data captions what is still kept;
one commit ends the batch. Meanwhile the next one is scored. A file is the unit of a restart: what is committed is
not done again, and because files go in order and committed rows win, an interrupted run ends with the rows of an
unbroken one. A batch is as many files as take ``curate.batch_seconds``.

Where only thresholds changed, clips are judged again by the scores in their rows; only those that are kept now
and have no caption yet go to the captioner. Thresholds that are percentiles need all scores first: what has
none is scored in a first pass, whose clips are dropped as "unjudged", and all is judged in a second one.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from hummingbird.config.cluster import connect
from hummingbird.config.settings import Settings
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run

from hummingbird_data.captions.repeated_captions import RepeatedCaptions
from hummingbird_data.copies.batch_copies import KeptClips
from hummingbird_data.copies.duplicate_index import DuplicateIndex
from hummingbird_data.copies.index_shards import IndexShards
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.filters.base import declare_scores, describe_filters
from hummingbird_data.projection import describe_projection, project
from hummingbird_data.reading.ahead import BackgroundTask, ahead
from hummingbird_data.runtime.committed import CommittedSources
from hummingbird_data.runtime.outcome import check_media, commit, counts, failure, publish
from hummingbird_data.runtime.progress import CurationProgress, Work, stage_speeds
from hummingbird_data.sources.batching import BatchSizer, batches
from hummingbird_data.sources.manifests import ManifestColumns
from hummingbird_data.sources.source_batches import Source, Sources, batch_id, find_sources
from hummingbird_data.stage import Row, add_stages, quiet_ray_data, run_plain
from hummingbird_data.verdicts.judging import judge
from hummingbird_data.verdicts.verdict import with_verdict

_TASKS = 12  # of a batch, for each core: a core waits for a tenth of a second for its next one
_CORES_OF_SHARD = 16  # cores that read and score for each actor of the index


def curate(settings: Settings) -> Path:
    """Curates ``curate.source``; returns the path of ``result.json``.

    Raises:
        InputError: no such source, an empty one, a missing model, one that the settings forbid or whose weights are
            not whole, an engine that is not installed or answers nobody, or a captioner that does not look.
    """
    s = settings.curate
    with sources_of(settings) as sources:
        plan = CurationPlan.make(settings)
        inputs = {"source": sources.root, "models": plan.models}
        if sources.root != str(s.source):
            inputs["given"] = str(s.source)
        with (
            open_run(settings, "curate", inputs=inputs) as run,
            CommittedSources(run.lake, sources) as committed,
        ):
            connect(settings.ray)
            quiet_ray_data()
            shared = SharedFolder.mark(settings.storage)
            if shared is not None:
                shared.check_nodes()
            plan = plan.with_storage(shared)
            print(f"captions: {plan.caption_source}", flush=True)
            plan.check()
            declare_scores(run.lake, plan.filters)
            started = time.monotonic()
            work = Work()
            try:
                if plan.thresholds.percentiles:
                    _score_all(plan, run.lake, sources, committed, work)
                    plan = plan.with_percentiles(partial(committed.scores, plan.thresholds.columns))
                number = _judge_all(plan, run.lake, sources, committed, work)
            finally:
                if plan.captions is not None:
                    plan.captions.close()
            totals = committed.counts()
            run.snapshot_id = run.lake.snapshot()
            run.outputs["snapshot_id"] = run.snapshot_id
            run.outputs["clips"] = "clips"
            run.metrics.update(
                sources=len(sources),
                batches=number,
                kept=totals.pop("kept", 0),
                dropped=totals.pop("dropped", 0),
                quarantined=totals.pop("quarantined", 0),
                reasons=totals,
                without_caption=committed.without_caption(),
                caption_engine=None if plan.captions is None else plan.captions.describe.engine.spec.engine,
                captions=plan.caption_source,
                licences=plan.licences,
                filters=describe_filters(plan.filters, plan.limits),
                seconds=round(time.monotonic() - started, 1),
                stages=stage_speeds(work.stages),
            )
            if s.limit is not None:
                earlier = (run.previous or {}).get("metrics", {}).get("projection")
                projection = project(
                    work, sources.total, plan, run.lake, run.snapshot_id, sources, _cores(plan)
                )
                projection = projection or earlier  # a run that is called again reads nothing
                if projection is not None:
                    run.metrics["projection"] = projection
                    print(describe_projection(projection), flush=True)
            return run.result_path


def sources_of(settings: Settings) -> Sources:
    """The files that ``curate.source`` names now.

    Raises:
        InputError: there is no such source, or it is empty.
    """
    s = settings.curate
    root = None if s.manifest_root is None else str(s.manifest_root)
    sources = find_sources(s.source, ManifestColumns(s.manifest_uri, s.manifest_caption, root))
    if s.limit is not None:
        sources.sample(s.limit)
    return sources


def _score_all(
    plan: CurationPlan, lake: Lake, sources: Sources, committed: CommittedSources, work: Work
) -> None:
    """Commits the clips of all sources that have no scores yet, dropped as not judged."""
    committed.look(plan)
    sizer = _batch_sizer(plan)
    with CurationProgress(len(sources), work) as progress:

        def unscored() -> Iterator[_Batch]:
            for files in batches(
                _waiting(sources, lambda s: not committed.unscored([s], plan), progress), sizer
            ):
                yield _Batch(f"unjudged-{batch_id(files, plan.key)}", files, files)

        with _scored(unscored(), plan, progress) as results:
            for batch, scored in results:
                check_media(plan.storage, scored)
                clips, failures = _whole(scored)
                rows = [
                    with_verdict({**row, "caption": row["caption_original"]}, ["unjudged"]) for row in clips
                ]
                commit(lake, batch.batch_id, *_finished(batch.sources, rows, failures, plan))
                sizer.done(len(batch.sources))


def _judge_all(
    plan: CurationPlan, lake: Lake, sources: Sources, committed: CommittedSources, work: Work
) -> int:
    """All batches, in order; returns the number of those that were left to do."""
    s = plan.settings.curate
    committed.look(plan)
    sizer, number = _batch_sizer(plan), 0
    with (
        _kept_clips(plan, committed) as index,
        RepeatedCaptions(s.caption_share) as repeated,
        CurationProgress(len(sources), work) as progress,
    ):
        if plan.captions is not None:
            for row in committed.captions(plan):
                repeated.add(row["clip_id"], row["caption"], row["embedding"])

        def unjudged() -> Iterator[_Batch]:
            for files in batches(_waiting(sources, lambda s: committed.holds(s, plan), progress), sizer):
                clips, failures = committed.scored(files, plan)
                new = [file for file in files if file.uri not in clips and file.uri not in failures]
                progress.skip(len(files) - len(new))
                yield _Batch(batch_id(files, plan.key), files, new, clips, failures)

        with _scored(unjudged(), plan, progress) as results:
            for batch, scored in results:
                check_media(plan.storage, scored)
                clips, failures = _whole({**batch.clips, **scored})
                stands = partial(committed.stands, plan=plan)
                done, unanswered = judge(clips, plan, index, repeated, progress, stands)
                failed = {**unanswered, **batch.failures, **failures}
                rows, quarantined = _finished(batch.sources, done, failed, plan)
                commit(lake, batch.batch_id, rows, quarantined)
                progress.add(**counts(rows), quarantined=len(quarantined))
                publish(rows, quarantined)
                sizer.done(len(batch.sources))
                number += 1
    return number


@contextmanager
def _kept_clips(plan: CurationPlan, committed: CommittedSources) -> Iterator[KeptClips]:
    """The index of kept clips with those that stay: in this process, or over actors."""
    shards = plan.settings.curate.index_actors
    if shards is None:
        shards = 0 if plan.settings.curate.engine == "plain" else math.ceil(_cores(plan) / _CORES_OF_SHARD)
    if shards:
        with IndexShards(plan.copy_limits, plan.storage, shards, partial(committed.winners, plan)) as index:
            yield index
    else:
        with DuplicateIndex(plan.copy_limits, plan.storage) as local:
            local.add(committed.winners(plan))
            yield local


def _waiting(
    sources: Sources, done: Callable[[Source], bool], progress: CurationProgress
) -> Iterator[Source]:
    """The sources that are not done, in order."""
    for source in sources:
        if done(source):
            progress.skip(1)
        else:
            yield source


def _batch_sizer(plan: CurationPlan) -> BatchSizer:
    s = plan.settings.curate
    return BatchSizer(s.batch_seconds, first=_TASKS * _cores(plan), most=s.batch_files)


def _cores(plan: CurationPlan) -> int:
    if plan.settings.curate.engine == "plain":
        return 1
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@dataclass(frozen=True)
class _Batch:
    """Sources that are committed together, and which of them are ``new``: to be read and scored. Of the others, by
    source: the clips that have their scores from before, and the failures."""

    batch_id: str
    sources: list[Source]
    new: list[Source]
    clips: dict[str, list[Row]] = field(default_factory=dict)
    failures: dict[str, Row] = field(default_factory=dict)


def _scored(
    waiting: Iterable[_Batch], plan: CurationPlan, progress: CurationProgress
) -> AbstractContextManager[Iterable[tuple[_Batch, dict[str, list[Row]]]]]:
    """Each batch with the scored rows of its new sources. On Ray the next one is scored meanwhile."""

    def score(batch: _Batch, task: BackgroundTask) -> dict[str, list[Row]]:
        return _score(batch.new, plan, progress, task)

    if plan.settings.curate.engine == "plain":
        return nullcontext((batch, score(batch, BackgroundTask(Event()))) for batch in waiting)
    return ahead(score, waiting)


def _whole(scored: dict[str, list[Row]]) -> tuple[list[Row], dict[str, Row]]:
    """The clips of sources all of whose clips were scored, and the failures of the others."""
    clips: list[Row] = []
    failures: dict[str, Row] = {}
    for uri, rows in scored.items():
        # Rows come in any order; of several failures the first in time is told, whichever run it is.
        failed = sorted(
            (row for row in rows if row.get("error")), key=lambda r: r.get("start_seconds") or 0.0
        )
        if failed:
            failures[uri] = failure(failed[0])
        else:
            clips += rows
    return clips, failures


def _finished(
    batch: list[Source], clips: list[Row], failures: dict[str, Row], plan: CurationPlan
) -> tuple[list[Row], list[Row]]:
    """Rows of clips of sources without a failure, and rows of quarantine, as they are committed."""
    keys = {source.uri: plan.source_key(source) for source in batch}
    whole = [row for row in clips if row["source_uri"] not in failures]
    rows = [{**r, "models_licence": plan.licences_of(r), "scoring_key": keys[r["source_uri"]]} for r in whole]
    return rows, [{**row, "scoring_key": keys[uri]} for uri, row in failures.items()]


def _score(
    batch: list[Source], plan: CurationPlan, progress: CurationProgress, task: BackgroundTask
) -> dict[str, list[Row]]:
    """The scored rows of each source, or what there is of them once nobody waits for them."""
    if not batch:
        return {}
    rows = [
        {"source_uri": source.uri, "storage": str(plan.storage), "caption_original": source.caption}
        for source in batch
    ]
    by_source: dict[str, list[Row]] = defaultdict(list)
    with progress.step("score"):
        for row in _run(rows, plan, task):
            progress.row("score", row)
            progress.add(files=0 if row["source_uri"] in by_source else 1)
            by_source[row["source_uri"]].append(row)
    if task.cancelled.is_set():
        return by_source
    missing = [source.uri for source in batch if source.uri not in by_source]
    if missing:
        raise RuntimeError(f"{len(missing)} sources gave no row, the first is {missing[0]}")
    return by_source


def _run(rows: list[Row], plan: CurationPlan, task: BackgroundTask) -> Iterator[Row]:
    """The rows that come out of the stages of scoring, in any order."""
    if plan.settings.curate.engine == "plain":
        yield from run_plain(rows, plan.scoring)
        return
    import ray.data

    from hummingbird_data.runtime.cancellation import cancelled_by

    cores = _cores(plan)
    tasks = min(len(rows), _TASKS * cores)
    seen = set()
    with cancelled_by(task.cancelled):
        dataset = add_stages(ray.data.from_items(rows, override_num_blocks=tasks), plan.scoring)
        for row in dataset.iter_rows():
            seen.add(row["source_uri"])
            if (len(rows) - len(seen)) * tasks < len(rows) * cores:  # some core has nothing more to do here
                task.nearly_done.set()
            yield row
