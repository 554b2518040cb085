"""What the settings of captions come to: engines, prompts and checks, with hashes and licences of the models."""

from dataclasses import dataclass
from typing import Any, Literal

from hummingbird.config.plugins import resolve_plugin
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import folder_hash
from hummingbird.core.model_references import is_shipped

from hummingbird_data.captions import CAPTION_ENGINES
from hummingbird_data.captions.caption_checks import CaptionChecks
from hummingbird_data.captions.caption_stages import Captioning, CaptionStep
from hummingbird_data.captions.engines import CaptionEngine, EngineSpec
from hummingbird_data.captions.prompts import load_prompt


@dataclass(frozen=True)
class CaptioningPlan:
    """``captioning``: none where no captioner is named; ``models`` (hashes) and ``licences`` by the model's part;
    ``hashes``: of what else captions depend on."""

    captioning: Captioning | None
    models: dict[str, str]
    licences: dict[str, str]
    hashes: dict[str, Any]


def plan_captioning(settings: Settings) -> CaptioningPlan:
    """The captioning of the settings.

    Raises:
        InputError: no such engine, model, prompt or tokenizer, no URL for the engine http, or settings of captions
            without a captioner.
    """
    s = settings.curate
    if settings.models.captioner is None:
        _check_unused(settings)
        return CaptioningPlan(None, {}, {}, {})
    own = "shapes" if is_shipped(settings.models.captioner) else "describe"
    prompt = load_prompt(s.caption_prompt or own, "describe")
    describe = CaptionStep(_engine("captioner", settings), prompt, s.caption_retries)
    steps, hashes = {"captioner": describe}, {"prompt": prompt.label + prompt.hash}
    if settings.models.rewriter is not None:
        prompt = load_prompt(s.rewrite_prompt, "rewrite")
        steps["rewriter"] = CaptionStep(_engine("rewriter", settings), prompt, s.caption_retries)
        hashes["rewrite_prompt"] = prompt.label + prompt.hash
    for part, step in steps.items():
        if type(step.engine.settings).model_fields:
            hashes[f"{part}_engine"] = step.engine.settings.model_dump(mode="json")
    if s.caption_tokenizer is not None:
        if not s.caption_tokenizer.is_dir():
            raise InputError(f"curate.caption_tokenizer: there is no folder {s.caption_tokenizer}")
        hashes["tokenizer"] = folder_hash(s.caption_tokenizer)
    checks = CaptionChecks(s.caption_max_tokens, s.caption_tokenizer, s.caption_language, s.caption_checks)
    models = {part: step.engine.identity for part, step in steps.items()}
    return CaptioningPlan(
        Captioning(describe, steps.get("rewriter"), checks),
        {part: model.digest for part, model in models.items()},
        {part: model.licence for part, model in models.items()},
        hashes,
    )


def _check_unused(settings: Settings) -> None:
    """Raises InputError where settings ask for captions of a model that none names."""
    s = settings.curate
    unused = {
        "models.rewriter": settings.models.rewriter,
        f"curate.caption_engine={s.caption_engine}": s.caption_engine != "transformers",
        "curate.caption_endpoint.url": s.caption_endpoint.url,
        "curate.caption_prompt": s.caption_prompt,
    }
    for name, value in unused.items():
        if value:
            raise InputError(f"{name} is set, but models.captioner names no captioner")


def _engine(part: Literal["captioner", "rewriter"], settings: Settings) -> CaptionEngine:
    s = settings.curate
    if part == "captioner":
        setting, choice, model = "curate.caption_engine", s.caption_engine, settings.models.captioner
        frames, max_tokens = s.caption_frames, s.caption_tokens
        endpoint, arguments = s.caption_endpoint, s.caption_vllm
    else:
        setting, choice, model = "curate.rewrite_engine", s.rewrite_engine, settings.models.rewriter
        frames, max_tokens = 0, s.rewrite_tokens
        endpoint, arguments = s.rewrite_endpoint, s.rewrite_vllm
    plugin = resolve_plugin(setting, choice, CAPTION_ENGINES, CaptionEngine)  # type: ignore[type-abstract]
    spec = EngineSpec(
        engine=plugin.name,
        model=str(model),
        frames=frames,
        max_tokens=max_tokens,
        part=part,
        actors=s.caption_actors,
        gpus=s.model_gpus,
        resources=s.caption_resources,
        batch_rows=s.caption_batch,
        endpoint=endpoint,
        arguments=arguments,
    )
    return plugin.build(spec)
