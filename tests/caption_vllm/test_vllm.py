"""vLLM runs the shipped captioner and the published formats; ``make test-vllm`` makes the environment that has it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hummingbird.config.plugins import resolve_plugin
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.evaluation.curation import stated_attributes
from hummingbird.models.video import write_mp4
from hummingbird.pretraining.captioner_samples import attributes_of
from hummingbird.shapes.scene import Attributes, render, sample_scene
from hummingbird_data.captions import CAPTION_ENGINES
from hummingbird_data.captions.caption_checks import CaptionChecks
from hummingbird_data.captions.caption_stages import Captioning, CaptionStep, write_captions
from hummingbird_data.captions.engine_actors import EngineActors
from hummingbird_data.captions.engines import CaptionEngine, EngineSpec, frames_hash
from hummingbird_data.captions.prompts import load_prompt
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row
from language_model import write_language_model

pytest.importorskip("vllm", reason="no vLLM here: make test-vllm")
pytestmark = pytest.mark.slow

CLIPS, FRAMES, FPS = 40, 4, 12


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row], list[Attributes]]:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(7401)
    rows, truths = [], []
    for number in range(CLIPS):
        scene = sample_scene(rng, duration=2.5)
        write_mp4(render(scene, np.arange(30) / FPS, 160, 128), FPS, folder / f"{number}.mp4")
        rows.append({"clip_id": f"c{number}", "media_path": f"{number}.mp4", "caption_original": None})
        truths.append(attributes_of(scene))
    return folder, rows, truths


def engine_of(name: str, **spec: Any) -> CaptionEngine:
    plugin = resolve_plugin("curate.caption_engine", name, CAPTION_ENGINES, CaptionEngine)
    return plugin.build(EngineSpec(engine=name, **spec))


def captioning(name: str) -> Captioning:
    engine = engine_of(
        name,
        model=str(SHIPPED_WEIGHTS / "captioner"),
        frames=FRAMES,
        max_tokens=48,
        arguments={"max_model_len": 512, "max_num_seqs": 8},
    )
    return Captioning(
        CaptionStep(engine, load_prompt("shapes", "describe"), retries=1), None, CaptionChecks()
    )


def test_vllm_and_transformers_write_the_same_captions(
    ray_cluster: None,
    drawn: tuple[Path, list[Row], list[Attributes]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, rows, truths = drawn
    gone = {"clip_id": "gone", "media_path": "gone.mp4", "caption_original": None}
    vllm = captioning("vllm")
    vllm.check()
    by_vllm = write_captions([*rows[:5], gone, *rows[5:]], vllm, folder)
    pools = {name: list(actors) for name, actors in vllm.actors._pools.items()}
    assert write_captions(rows[:2], vllm, folder).keys() == {"c0", "c1"}
    assert {name: list(actors) for name, actors in vllm.actors._pools.items()} == pools  # the engine stays
    vllm.close()
    by_transformers = write_captions(rows, captioning("transformers"), folder)
    failure = by_vllm.pop("gone")
    assert failure["error_stage"] == "captions"
    assert "gone.mp4" in failure["error"]
    answers = []
    for row, truth in zip(rows, truths, strict=True):
        one, other = by_vllm[row["clip_id"]], by_transformers[row["clip_id"]]
        seen = frames_hash(evenly(clip_frames({**row, "storage": str(folder)})[0], FRAMES))
        assert one["frames_hash"] == other["frames_hash"] == seen
        assert (one["caption_engine"], one["caption_problem"], one["caption_tries"]) == ("vllm", None, 1)
        answers += stated_attributes(one["caption"], truth)
    same = sum(by_vllm[key]["caption"] == by_transformers[key]["caption"] for key in by_vllm)
    with capsys.disabled():
        print(
            f"\n{same} of {CLIPS} greedy captions agree; {np.mean(answers):.1%} of their attributes are true"
        )
    assert same >= 0.95 * CLIPS
    assert np.mean(answers) >= 0.95


def test_a_language_model_answers_the_same_through_both(ray_cluster: None, tmp_path: Path) -> None:
    folder = write_language_model(tmp_path / "language")
    texts = ["a red circle", "moving left on a red", "circle", "on a moving circle left"]
    rows = [
        {
            "clip_id": str(n),
            "media_path": None,
            "storage": "",
            "question": text,
            "temperature": 0.0,
            "seed": n,
        }
        for n, text in enumerate(texts)
    ]
    answers = {}
    for kind in ("vllm", "transformers"):
        limits = {"max_model_len": 64, "max_num_seqs": 4}
        engine = engine_of(kind, model=str(folder), frames=0, max_tokens=8, arguments=limits)
        actors = EngineActors()
        found = list(actors.ask(engine, rows))
        actors.close()
        answers[kind] = {row["clip_id"]: (row["answer"].split(), row["failure"], row["cut"]) for row in found}
    assert answers["vllm"] == answers["transformers"]
    assert all(words and failure is None for words, failure, _ in answers["vllm"].values())
