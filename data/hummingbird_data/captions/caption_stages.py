"""Captions: a vision-language model describes clips, a language model may rewrite that, and both are checked.

An answer that fails a check is asked for again, with a seed of its own clip and try, so that a run that was broken
off ends with the captions of an unbroken one. Past the retries the caption keeps its ``caption_problem``, and its
clip is dropped as low_caption; the description never takes the place of a caption that could not be rewritten. A
question that failed is an error of its clip, which goes to quarantine. An engine that is down ends the run.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath

from hummingbird_data.captions.caption_checks import CaptionChecks, load_check, tidy
from hummingbird_data.captions.engine_actors import EngineActors
from hummingbird_data.captions.engines import Engine
from hummingbird_data.captions.prompts import Prompt
from hummingbird_data.runtime.progress import SECONDS
from hummingbird_data.stage import Row

log = logging.getLogger(__name__)

CAPTION_COLUMNS = (
    "caption", "caption_model", "caption_prompt_version", "frames_hash", "caption_engine", "caption_described",
    "caption_rewriter", "caption_rewrite_prompt", "caption_tries", "caption_problem",
)  # fmt: skip
_NOTHING = "(none)"


@dataclass(frozen=True)
class Asking:
    """A model, the question it is asked, and how often an answer that fails a check is asked for again."""

    engine: Engine
    prompt: Prompt
    retries: int


@dataclass(frozen=True)
class Captioning:
    """``rewrite``: none: the describing model's words are the caption; ``actors``: of the engines, until `close`."""

    describe: Asking
    rewrite: Asking | None
    checks: CaptionChecks
    actors: EngineActors = field(default_factory=EngineActors, compare=False, repr=False)

    def check(self) -> None:
        """Whether the engines can run and the checks are there. Raises InputError."""
        for path in self.checks.more:
            load_check(path)
        for engine in self.engines:
            engine.check()

    def close(self) -> None:
        """Ends the engines."""
        self.actors.close()

    @property
    def engines(self) -> list[Engine]:
        """The describing one, and the one that rewrites where there is one."""
        return [asking.engine for asking in (self.describe, self.rewrite) if asking is not None]

    def __str__(self) -> str:
        steps = [("described", self.describe), ("rewritten", self.rewrite)]
        return ", ".join(
            f"{done} by {asking.engine.name} (engine {asking.engine.kind}, prompt {asking.prompt.label})"
            for done, asking in steps
            if asking is not None
        )


@dataclass(frozen=True)
class _Clip:
    """What is asked about one clip; ``evidence`` fills the prompt."""

    media_path: str | None
    evidence: Mapping[str, str]


@dataclass(frozen=True)
class _Told:
    """The last answer about a clip. ``problem``: the check that it failed; ``error``: there is none; ``seconds``: what
    all answers took, where the engine tells."""

    text: str
    tries: int
    frames_hash: str | None = None
    problem: str | None = None
    error: str | None = None
    seconds: float = 0.0


def write_captions(rows: list[Row], captioning: Captioning, storage: AnyPath) -> dict[str, Row]:
    """By ``clip_id`` the columns `CAPTION_COLUMNS` and ``seconds_captions``, or ``error`` and ``error_stage``.

    Args:
        rows: clips with ``clip_id``, ``media_path`` and ``caption_original``.
        storage: the folder that media paths are relative to.

    Raises:
        InputError: an engine is not installed, or down.
        RuntimeError: an engine lost or doubled a row.
    """
    if not rows:
        return {}
    checks, rewrite = captioning.checks, captioning.rewrite
    clips = {row["clip_id"]: _Clip(row["media_path"], {}) for row in rows}
    look = checks.caption if rewrite is None else checks.description
    described = _ask(clips, captioning.describe, lambda text, _: look(text), storage, captioning.actors)
    captions = described
    if rewrite is not None:
        originals = {row["clip_id"]: row.get("caption_original") or _NOTHING for row in rows}
        sound = {
            clip_id: _Clip(None, {"description": told.text, "original": originals[clip_id]})
            for clip_id, told in described.items()
            if told.error is None and told.problem is None
        }
        rewritten = _ask(
            sound,
            rewrite,
            lambda text, clip: checks.caption(text, clip.evidence["description"]),
            storage,
            captioning.actors,
        )
        captions = {**described, **rewritten}
    return {clip_id: _row(described[clip_id], told, captioning) for clip_id, told in captions.items()}


def _row(described: _Told, told: _Told, captioning: Captioning) -> Row:
    if told.error is not None:
        return {"error": told.error, "error_stage": "captions"}
    rewrite = captioning.rewrite if told is not described else None
    return {
        "caption": told.text,
        "caption_model": captioning.describe.engine.name,
        "caption_prompt_version": captioning.describe.prompt.label,
        "frames_hash": described.frames_hash,
        "caption_engine": captioning.describe.engine.kind,
        "caption_described": described.text if rewrite else None,
        "caption_rewriter": rewrite.engine.name if rewrite else None,
        "caption_rewrite_prompt": rewrite.prompt.label if rewrite else None,
        "caption_tries": described.tries + (told.tries if rewrite else 0),
        "caption_problem": told.problem,
        f"{SECONDS}captions": described.seconds + (told.seconds if rewrite else 0.0),
    }


def _ask(
    clips: Mapping[str, _Clip],
    asking: Asking,
    problem_of: Callable[[str, _Clip], str | None],
    storage: AnyPath,
    actors: EngineActors,
) -> dict[str, _Told]:
    """The last answer about each clip; what fails a check is asked again, up to ``asking.retries`` times."""
    told: dict[str, _Told] = {}
    waiting = dict(clips)
    for attempt in range(asking.retries + 1):
        if not waiting:
            break
        answers = _round(waiting, told, asking, attempt, storage, actors)
        for clip_id, answer in answers.items():
            before = told.get(clip_id)
            spent = (before.seconds if before else 0.0) + (answer.get(f"{SECONDS}captions") or 0.0)
            told[clip_id] = replace(_judged(answer, attempt + 1, clips[clip_id], problem_of), seconds=spent)
            if before and answer["answer"] is not None and before.frames_hash != answer["frames_hash"]:
                changed = "its frames were not the same at a second look"
                told[clip_id] = replace(told[clip_id], error=changed, problem=None)
        waiting = {clip_id: clip for clip_id, clip in waiting.items() if told[clip_id].problem}
        if waiting:
            log.info("%d of %d answers of %s fail a check", len(waiting), len(answers), asking.engine.name)
    return told


def _judged(answer: Row, tries: int, clip: _Clip, problem_of: Callable[[str, _Clip], str | None]) -> _Told:
    if answer["answer"] is None:
        return _Told("", tries, error=answer["failure"])
    text = tidy(answer["answer"])
    problem = problem_of(text, clip) or ("longer than the model may write" if answer["cut"] else None)
    return _Told(text, tries, answer["frames_hash"], problem)


def _round(
    clips: Mapping[str, _Clip],
    told: Mapping[str, _Told],
    asking: Asking,
    attempt: int,
    storage: AnyPath,
    actors: EngineActors,
) -> dict[str, Row]:
    """One answer, or one failure, for each clip."""
    engine, prompt = asking.engine, asking.prompt
    questions = [
        {
            "clip_id": clip_id,
            "media_path": clip.media_path,
            "storage": str(storage),
            "question": prompt.question(told[clip_id].problem if attempt else None, **clip.evidence),
            "temperature": prompt.temperature if attempt else 0.0,
            "seed": _seed(clip_id, attempt),
        }
        for clip_id, clip in clips.items()
    ]
    answers: dict[str, Row] = {}
    for row in actors.ask(engine, questions):
        if row["clip_id"] in answers:
            raise RuntimeError(f"the engine {engine.kind} answered twice for the clip {row['clip_id']}")
        if row["down"]:
            raise InputError(
                f"{engine.name} is down ({row['failure']}); run again when it answers: what is committed stays"
            )
        answers[row["clip_id"]] = {**row, "failure": row.get("error") or row["failure"]}
    if answers.keys() != clips.keys():
        raise RuntimeError(f"{len(clips)} clips went to the engine {engine.kind}, {len(answers)} came back")
    return answers


def _seed(clip_id: str, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{clip_id} {attempt}".encode()).digest()[:4], "big") >> 1
