"""The engine vllm where vLLM is not installed; tests/vllm runs it where it is."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hummingbird.config.plugins import NoSettings
from hummingbird.core.errors import InputError
from hummingbird_data.captions import vllm_plugin
from hummingbird_data.captions.engine_vllm import VllmEngine
from hummingbird_data.captions.engines import EngineSpec
from hummingbird_data.stage import StageRunner
from language_model import write_language_model


@pytest.fixture
def engine(tmp_path: Path) -> VllmEngine:
    folder = write_language_model(tmp_path / "language")
    return VllmEngine(NoSettings(), EngineSpec("vllm", str(folder), frames=0, max_tokens=8))


def test_the_engine_vllm_says_how_to_get_it_where_it_is_not_installed(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hummingbird_data.captions.engine_vllm.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"extra 'caption'"):
        engine.check()


class Llm:
    """Stands for vLLM's: answers the prompts, ends for good at one that says so."""

    def generate(self, requests: list[dict[str, Any]], params: list[Any], use_tqdm: bool) -> list[Any]:
        prompts = [request["prompt"] for request in requests]
        if any("die" in prompt for prompt in prompts):
            raise RuntimeError("core dead")
        told = [SimpleNamespace(text=prompt.upper(), finish_reason="length") for prompt in prompts]
        return [SimpleNamespace(outputs=[one]) for one in told]


@pytest.fixture
def runner(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> StageRunner:
    def setup(stage: VllmEngine) -> None:
        stage._llm, stage._processor = Llm(), SimpleNamespace(chat_template=None, image_token="<i>")

    monkeypatch.setattr(VllmEngine, "setup", setup)
    monkeypatch.setattr("hummingbird_data.captions.engine_vllm._engine_died", lambda: RuntimeError)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=dict))  # type: ignore[arg-type]
    return StageRunner(engine)


def question(clip_id: str, text: str) -> dict[str, Any]:
    fixed = {"media_path": None, "storage": "", "temperature": 0.0, "seed": 1}
    return {"clip_id": clip_id, "question": text, **fixed}


def test_answers_go_to_their_questions_past_a_clip_that_cannot_be_read(
    runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(engine: VllmEngine, row: dict[str, Any]) -> None:
        if row["clip_id"] == "b":
            raise OSError("gone")

    monkeypatch.setattr(VllmEngine, "look", look)
    made = runner.run([question(name, f"text {name}") for name in "abc"])
    assert [row["answer"] for row in made] == ["TEXT A\n", None, "TEXT C\n"]
    assert (made[1]["failure"], made[1]["down"]) == ("OSError: gone", False)
    assert [row["cut"] for row in made] == [True, False, True]


def test_an_engine_that_has_ended_is_down(runner: StageRunner) -> None:
    made = runner.run([question("a", "text"), question("b", "die")])
    assert [(row["answer"], row["down"]) for row in made] == [(None, True)] * 2


def test_the_plugin_fills_in_only_what_transformers_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pixtral")
    module.PixtralRotaryEmbedding = str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixtral", module)
    monkeypatch.setattr(vllm_plugin, "_MODULE", "pixtral")
    vllm_plugin.register()
    assert module.PixtralRotaryEmbedding is str  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot run Pixtral"):
        module.position_ids_in_meshgrid()  # type: ignore[attr-defined]
