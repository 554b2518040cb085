"""What the settings of captions come to: engines, prompts and checks, with hashes and licences of the models."""

from dataclasses import dataclass
from typing import Any

from hummingbird.config.curate import CurateSettings, EngineName
from hummingbird.config.endpoint import EndpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import folder_hash
from hummingbird.core.model_references import is_shipped, model_folder, model_licence

from hummingbird_data.captions.caption_checks import CaptionChecks
from hummingbird_data.captions.caption_stages import Asking, Captioning
from hummingbird_data.captions.engines import Engine
from hummingbird_data.captions.prompts import load_prompt
from hummingbird_data.runtime.model_files import actors_for

AT_ENDPOINT = "endpoint:"
"""What stands before the name of a model at an endpoint where others have their hash."""


@dataclass(frozen=True)
class Words:
    """``captioning``: none where no captioner is named; ``models`` (hashes) and ``licences`` by the model's part;
    ``hashes``: of what else captions depend on."""

    captioning: Captioning | None
    models: dict[str, str]
    licences: dict[str, str]
    hashes: dict[str, str]


def captioning_of(settings: Settings) -> Words:
    """The captioning of the settings.

    Raises:
        InputError: no such model, prompt or tokenizer, no URL for the engine http, or settings of captions without a
            captioner.
    """
    s = settings.curate
    if settings.models.captioner is None:
        _check_unused(settings)
        return Words(None, {}, {}, {})
    shared: dict[str, Any] = {"gpus": s.model_gpus, "batch_rows": s.caption_batch}
    engine, models, licences = _engine(
        "captioner", s.caption_engine, settings.models.captioner, s.caption_endpoint, s
    )
    describing = Engine(
        **engine,
        **shared,
        frames=s.caption_frames,
        max_tokens=s.caption_tokens,
        arguments=s.caption_vllm,
    )
    own = "shapes" if is_shipped(settings.models.captioner) else "describe"
    prompt = load_prompt(s.caption_prompt or own, "describe")
    describe, hashes = Asking(describing, prompt, s.caption_retries), {"prompt": prompt.label + prompt.hash}
    rewrite = None
    if settings.models.rewriter is not None:
        engine, more, its = _engine(
            "rewriter", s.rewrite_engine, settings.models.rewriter, s.rewrite_endpoint, s
        )
        rewriting = Engine(
            **engine, **shared, frames=0, max_tokens=s.rewrite_tokens, arguments=s.rewrite_vllm
        )
        prompt = load_prompt(s.rewrite_prompt, "rewrite")
        rewrite, models, licences = (
            Asking(rewriting, prompt, s.caption_retries),
            models | more,
            licences | its,
        )
        hashes["rewrite_prompt"] = prompt.label + prompt.hash
    if s.caption_tokenizer is not None:
        if not s.caption_tokenizer.is_dir():
            raise InputError(f"curate.caption_tokenizer: there is no folder {s.caption_tokenizer}")
        hashes["tokenizer"] = folder_hash(s.caption_tokenizer)
    checks = CaptionChecks(s.caption_max_tokens, s.caption_tokenizer, s.caption_language, s.caption_checks)
    return Words(Captioning(describe, rewrite, checks), models, licences, hashes)


def _check_unused(settings: Settings) -> None:
    """Raises InputError where settings ask for captions of a model that none names."""
    s = settings.curate
    asked = {
        "models.rewriter": settings.models.rewriter,
        f"curate.caption_engine={s.caption_engine}": s.caption_engine != "transformers",
        "curate.caption_endpoint.url": s.caption_endpoint.url,
        "curate.caption_prompt": s.caption_prompt,
    }
    for name, given in asked.items():
        if given:
            raise InputError(f"{name} is set, but models.captioner names no captioner")


def _engine(
    part: str, kind: EngineName, model: str, endpoint: EndpointSettings, s: CurateSettings
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """What an engine is made of, and the hash and the licence of its model."""
    if kind == "http":
        if endpoint.url is None:
            step = "caption" if part == "captioner" else "rewrite"
            raise InputError(f"the engine http needs a URL: curate.{step}_endpoint.url=http://host:8000/v1")
        known = {
            "kind": kind,
            "model": model,
            "name": model,
            "endpoint": endpoint,
            "actors": s.caption_actors or 1,
        }
        return known, {part: AT_ENDPOINT + model}, {part: endpoint.licence}
    folder = model_folder(model)
    digest = folder_hash(folder)
    actors = s.caption_actors or 1  # vLLM is an actor itself
    if kind == "transformers":
        actors = actors_for(s.caption_actors, folder, s.model_gpus)
    known = {"kind": kind, "model": str(folder), "name": f"{model}@{digest[:12]}", "actors": actors}
    return known, {part: digest}, {part: model_licence(folder) or "unknown"}
