"""Verdicts of a batch: by scores, by likeness to what is kept, and by captions."""

from collections.abc import Callable, Mapping

from hummingbird_data.captions.caption_stages import write_captions
from hummingbird_data.captions.repeated_captions import RepeatedCaptions
from hummingbird_data.copies.batch_copies import BatchCopies, KeptClips
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.runtime.committed import order
from hummingbird_data.runtime.outcome import failure
from hummingbird_data.runtime.progress import CurationProgress
from hummingbird_data.stage import Row
from hummingbird_data.verdicts.verdict import score_reasons, with_verdict


def judge(
    clips: list[Row],
    plan: CurationPlan,
    index: KeptClips,
    repeated: RepeatedCaptions,
    progress: CurationProgress,
    stands: Callable[[Row], bool],
) -> tuple[list[Row], dict[str, Row]]:
    """Verdicts and captions of scored clips.

    What only its caption, or its file's, drops is no original: its copies are judged again without it, and ``index``,
    which gets the clips that are kept, does not hold it in the end.

    Args:
        clips: of whole sources.
        plan: thresholds and captioning.
        index: what is kept so far.
        repeated: the captions so far.
        progress: shown meanwhile.
        stands: whether a clip that was judged before is judged by the same as now. If it was kept, it stays, a new
            one before it in order notwithstanding.

    Returns:
        The clips in order, and by source the failures of captions; the clips of these sources do not count.

    Raises:
        InputError: an engine is down, or gives clips that are nothing like each other the same captions.
    """
    clips = sorted(clips, key=order)
    with BatchCopies(index, clips, plan.copy_limits, plan.storage) as copies:
        return _judge(clips, plan, copies, repeated, progress, stands)


def _judge(
    clips: list[Row],
    plan: CurationPlan,
    copies: BatchCopies,
    repeated: RepeatedCaptions,
    progress: CurationProgress,
    stands: Callable[[Row], bool],
) -> tuple[list[Row], dict[str, Row]]:
    """See `judge`; clips are in order."""
    done: dict[str, Row] = {}
    failures: dict[str, Row] = {}
    originals: dict[str, str] = {}
    waiting = clips
    while waiting:
        judged = []
        for row in waiting:
            reasons = score_reasons(row, plan.filters, plan.limits)
            stays = row.get("verdict") == "kept" and stands(row)
            original = None if stays else copies.find(row)
            originals.pop(row["clip_id"], None)
            if original is not None:
                originals[row["clip_id"]] = original
                reasons.append("duplicate")
            if not reasons:
                copies.add(row)
            judged.append(with_verdict(row, reasons))
        wanted = [row for row in judged if row["verdict"] == "kept" and not row.get("caption_model")]
        captions: dict[str, Row] = {}
        if plan.captions is not None:
            with progress.step("caption"):
                captions = write_captions(wanted, plan.captions, plan.storage)
            for caption in captions.values():
                progress.row("caption", caption)
            _mark_repeated(wanted, captions, repeated)
            repeated.check(plan.captions.describe.engine.identity.name)
        for row in judged:
            final = _captioned(row, captions) if plan.captions is not None else _with_own(row)
            if final.get("error"):
                failures.setdefault(row["source_uri"], failure(final))
            done[row["clip_id"]] = final
        lost = {
            clip_id
            for clip_id, row in done.items()
            if row["verdict"] != "kept" or row["source_uri"] in failures
        }
        copies.remove(lost)
        waiting = [
            row
            for row in clips
            if originals.get(row["clip_id"]) in lost and row["source_uri"] not in failures
        ]
    return [done[row["clip_id"]] for row in clips], failures


def _mark_repeated(rows: list[Row], captions: dict[str, Row], repeated: RepeatedCaptions) -> None:
    """Gives captions that stand on many unlike clips the problem ``repeated``."""
    for row in rows:
        caption = captions[row["clip_id"]]
        valid = not caption.get("error") and not caption["caption_problem"]
        if valid and repeated.add(row["clip_id"], caption["caption"], row["embedding"]):
            captions[row["clip_id"]] = {**caption, "caption_problem": "repeated"}


def _with_own(row: Row) -> Row:
    """A judged row with the caption that came with its file, where there is no captioner; it says so."""
    own = row["caption_original"]
    return {**row, "caption": own, "caption_engine": "source" if own else "none"}


def _captioned(row: Row, captions: Mapping[str, Row]) -> Row:
    """A judged row with its caption: a new one, that of before, or the one that came with the source."""
    caption = captions.get(row["clip_id"])
    if caption is not None and caption.get("error"):
        return {**row, **caption}
    if caption is not None:
        return with_verdict({**row, **caption}, ["low_caption"] if caption["caption_problem"] else [])
    if row.get("caption_model"):  # from before
        low = row["caption_problem"] and not row["reasons"]
        return with_verdict(row, [*row["reasons"], *(["low_caption"] if low else [])])
    return {**row, "caption": row["caption_original"]}
