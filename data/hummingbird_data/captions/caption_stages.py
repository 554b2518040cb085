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
from hummingbird_data.captions.engines import CaptionEngine
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
class CaptionStep:
    """A model, the question it is asked, and how often an answer that fails a check is asked for again."""

    engine: CaptionEngine
    prompt: Prompt
    retries: int


@dataclass(frozen=True)
class Captioning:
    """``rewrite``: none: the describing model's words are the caption; ``actors``: of the engines, until `close`."""

    describe: CaptionStep
    rewrite: CaptionStep | None
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
    def engines(self) -> list[CaptionEngine]:
        """The describing one, and the one that rewrites where there is one."""
        return [step.engine for step in (self.describe, self.rewrite) if step is not None]

    def __str__(self) -> str:
        steps = [("described", self.describe), ("rewritten", self.rewrite)]
        return ", ".join(
            f"{verb} by {step.engine.identity.name} (engine {step.engine.spec.engine}, prompt {step.prompt.label})"
            for verb, step in steps
            if step is not None
        )


@dataclass(frozen=True)
class CaptionRequest:
    """What is asked about one clip; ``evidence`` fills the prompt."""

    media_path: str | None
    evidence: Mapping[str, str]


@dataclass(frozen=True)
class CaptionAnswer:
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
    requests = {row["clip_id"]: CaptionRequest(row["media_path"], {}) for row in rows}
    check = checks.caption if rewrite is None else checks.description
    descriptions = _ask(
        requests, captioning.describe, lambda text, _: check(text), storage, captioning.actors
    )
    captions = descriptions
    if rewrite is not None:
        originals = {row["clip_id"]: row.get("caption_original") or _NOTHING for row in rows}
        requests = {
            clip_id: CaptionRequest(None, {"description": answer.text, "original": originals[clip_id]})
            for clip_id, answer in descriptions.items()
            if answer.error is None and answer.problem is None
        }
        rewrites = _ask(
            requests,
            rewrite,
            lambda text, request: checks.caption(text, request.evidence["description"]),
            storage,
            captioning.actors,
        )
        captions = {**descriptions, **rewrites}
    return {clip_id: _row(descriptions[clip_id], answer, captioning) for clip_id, answer in captions.items()}


def _row(description: CaptionAnswer, answer: CaptionAnswer, captioning: Captioning) -> Row:
    if answer.error is not None:
        return {"error": answer.error, "error_stage": "captions"}
    describe = captioning.describe
    rewrite = captioning.rewrite if answer is not description else None
    return {
        "caption": answer.text,
        "caption_model": describe.engine.identity.name,
        "caption_prompt_version": describe.prompt.label,
        "frames_hash": description.frames_hash,
        "caption_engine": describe.engine.spec.engine,
        "caption_described": description.text if rewrite else None,
        "caption_rewriter": rewrite.engine.identity.name if rewrite else None,
        "caption_rewrite_prompt": rewrite.prompt.label if rewrite else None,
        "caption_tries": description.tries + (answer.tries if rewrite else 0),
        "caption_problem": answer.problem,
        f"{SECONDS}captions": description.seconds + (answer.seconds if rewrite else 0.0),
    }


def _ask(
    requests: Mapping[str, CaptionRequest],
    step: CaptionStep,
    problem_of: Callable[[str, CaptionRequest], str | None],
    storage: AnyPath,
    actors: EngineActors,
) -> dict[str, CaptionAnswer]:
    """The last answer about each clip; what fails a check is asked again, up to ``step.retries`` times."""
    last: dict[str, CaptionAnswer] = {}
    waiting = dict(requests)
    for attempt in range(step.retries + 1):
        if not waiting:
            break
        rows = _round(waiting, last, step, attempt, storage, actors)
        for clip_id, row in rows.items():
            before = last.get(clip_id)
            spent = (before.seconds if before else 0.0) + (row.get(f"{SECONDS}captions") or 0.0)
            last[clip_id] = replace(_check(row, attempt + 1, requests[clip_id], problem_of), seconds=spent)
            if before and row["answer"] is not None and before.frames_hash != row["frames_hash"]:
                changed = "its frames were not the same at a second look"
                last[clip_id] = replace(last[clip_id], error=changed, problem=None)
        waiting = {clip_id: request for clip_id, request in waiting.items() if last[clip_id].problem}
        if waiting:
            log.info(
                "%d of %d answers of %s fail a check", len(waiting), len(rows), step.engine.identity.name
            )
    return last


def _check(
    row: Row, tries: int, request: CaptionRequest, problem_of: Callable[[str, CaptionRequest], str | None]
) -> CaptionAnswer:
    if row["answer"] is None:
        return CaptionAnswer("", tries, error=row["failure"])
    text = tidy(row["answer"])
    problem = problem_of(text, request) or ("longer than the model may write" if row["cut"] else None)
    return CaptionAnswer(text, tries, row["frames_hash"], problem)


def _round(
    requests: Mapping[str, CaptionRequest],
    last: Mapping[str, CaptionAnswer],
    step: CaptionStep,
    attempt: int,
    storage: AnyPath,
    actors: EngineActors,
) -> dict[str, Row]:
    """One answer, or one failure, for each clip."""
    engine, prompt = step.engine, step.prompt
    questions = [
        {
            "clip_id": clip_id,
            "media_path": request.media_path,
            "storage": str(storage),
            "question": prompt.question(last[clip_id].problem if attempt else None, **request.evidence),
            "temperature": prompt.temperature if attempt else 0.0,
            "seed": _seed(clip_id, attempt),
        }
        for clip_id, request in requests.items()
    ]
    answers: dict[str, Row] = {}
    name = engine.spec.engine
    for row in actors.ask(engine, questions):
        if row["clip_id"] in answers:
            raise RuntimeError(f"the engine {name} answered twice for the clip {row['clip_id']}")
        if row["down"]:
            raise InputError(
                f"{engine.identity.name} is down ({row['failure']}); run again when it answers: what is committed "
                "stays"
            )
        answers[row["clip_id"]] = {**row, "failure": row.get("error") or row["failure"]}
    if answers.keys() != requests.keys():
        raise RuntimeError(f"{len(requests)} clips went to the engine {name}, {len(answers)} came back")
    return answers


def _seed(clip_id: str, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{clip_id} {attempt}".encode()).digest()[:4], "big") >> 1
