"""From settings to engines, prompts and keys."""

from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird_data.captions.captioning import plan_captioning
from hummingbird_data.curation_plan import CurationPlan

URL = {"url": "http://127.0.0.1:1/v1"}


def settings_of(models: dict[str, Any] | None = None, **curate: Any) -> Settings:
    return Settings(models=models or {}, curate={"technical": "weightless", **curate})  # type: ignore[arg-type]


def test_without_a_captioner_there_is_no_captioning() -> None:
    none = plan_captioning(settings_of())
    assert (none.captioning, none.models, none.licences, none.hashes) == (None, {}, {}, {})
    plan = CurationPlan.make(settings_of())
    assert "models.captioner names no captioner" in plan.caption_source
    assert plan.models == {}


@pytest.mark.parametrize(
    ("models", "curate"),
    [
        ({"rewriter": "w"}, {}),
        ({}, {"caption_engine": "vllm"}),
        ({}, {"caption_endpoint": URL}),
        ({}, {"caption_prompt": "describe"}),
    ],
)
def test_settings_of_captions_without_a_captioner_are_refused(
    models: dict[str, Any], curate: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"models\.captioner names no captioner"):
        plan_captioning(settings_of(models, **curate))


def test_the_shapes_worlds_captioner_is_asked_what_it_was_trained_with_and_not_rewritten() -> None:
    captioning = plan_captioning(settings_of({"captioner": "shapes-captioner"})).captioning
    assert captioning is not None
    assert (captioning.describe.prompt.label, captioning.describe.engine.spec.engine) == (
        "shapes@1",
        "transformers",
    )
    assert captioning.rewrite is None
    assert str(captioning).startswith("described by shapes-captioner@")


def test_other_captioners_get_the_prompt_for_them(captioner: Path) -> None:
    captioning = plan_captioning(settings_of({"captioner": str(captioner)})).captioning
    assert captioning is not None
    assert captioning.describe.prompt.label == "describe@1"


def test_each_step_has_an_engine_of_its_own(captioner: Path) -> None:
    settings = settings_of(
        {"captioner": "see-7b", "rewriter": str(captioner)},
        caption_engine="http", caption_endpoint={**URL, "licence": "apache-2.0"}, rewrite_engine="vllm",
        rewrite_vllm={"max_model_len": 2048},
    )  # fmt: skip
    plan = plan_captioning(settings)
    assert plan.captioning is not None
    describe, rewrite = plan.captioning.describe, plan.captioning.rewrite
    engine = describe.engine
    assert (engine.spec.engine, engine.identity.name, engine.spec.frames) == ("http", "see-7b", 4)
    assert rewrite is not None
    engine = rewrite.engine
    assert (engine.spec.engine, engine.spec.frames, rewrite.prompt.label) == ("vllm", 0, "rewrite@1")
    assert engine.spec.arguments == {"max_model_len": 2048}
    assert plan.licences == {"captioner": "apache-2.0", "rewriter": "unknown"}
    assert plan.models["captioner"] == "endpoint:see-7b"


@pytest.mark.parametrize(
    ("models", "curate", "problem"),
    [
        ({}, {"caption_engine": "http"}, r"curate.caption_endpoint.url="),
        ({"rewriter": "w"}, {"rewrite_engine": "http"}, r"curate.rewrite_endpoint.url="),
        ({"rewriter": "/nowhere"}, {}, r"no model in /nowhere"),
        ({}, {"caption_tokenizer": "/nowhere"}, r"no folder /nowhere"),
        ({}, {"caption_prompt": "rewrite"}, r"one that asks to describe"),
        ({"captioner": "/nowhere"}, {}, r"no model in /nowhere"),
    ],
)
def test_what_cannot_work_is_refused(models: dict[str, str], curate: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        plan_captioning(settings_of({"captioner": "shapes-captioner", **models}, **curate))


def test_an_endpoints_licence_is_stated(tmp_path: Path) -> None:
    asked = {"caption_engine": "http", "allow_noncommercial": False}
    with pytest.raises(InputError, match=r"state its licence in curate.caption_endpoint.licence"):
        CurationPlan.make(settings_of({"captioner": "see-7b"}, **asked, caption_endpoint=URL))
    plan = CurationPlan.make(
        settings_of({"captioner": "see-7b"}, **asked, caption_endpoint={**URL, "licence": "mit"})
    )
    assert plan.licences == {"captioner": "mit"}


def test_the_key_changes_with_what_captions_depend_on_alone(tmp_path: Path) -> None:
    def key(model: str = "see-7b", prompt: str = "What is it?", **curate: Any) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(f'version: "1"\nasks: describe\ntext: {prompt}\n')
        fixed = {"caption_engine": "http", "caption_endpoint": URL, "caption_prompt": str(path)}
        return CurationPlan.make(settings_of({"captioner": model}, **{**fixed, **curate})).scoring_key

    base = key()
    assert key(caption_endpoint={"url": "http://127.0.0.2:1/v1", "retries": 9}, caption_batch=3) == base
    others = {key("see-8b"), key(prompt="What is that?"), key(caption_tokens=9), key(caption_max_tokens=20)}
    assert len(others | {base}) == 5
