"""Answers belong to their clip, in any order and in any batch, greedy or not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hummingbird.config.plugins import NoSettings
from hummingbird_data.captions.engine_folders import build_prompt
from hummingbird_data.captions.engine_transformers import TransformersEngine
from hummingbird_data.captions.engines import EngineSpec, frames_hash
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, StageRunner
from language_model import write_language_model

SENTENCE = "describe the video . a red circle moving left on"


def engine_of(folder: Path, **spec: int) -> TransformersEngine:
    return TransformersEngine(NoSettings(), EngineSpec("transformers", str(folder), **spec))


@pytest.fixture
def runner(captioner: Path) -> StageRunner:
    return StageRunner(engine_of(captioner, frames=3, max_tokens=8))


@pytest.fixture
def rows(tmp_path: Path, write_video: Callable, shot: Callable) -> list[Row]:
    for seed in range(5):
        write_video(tmp_path / f"{seed}.mp4", shot(seed, seconds=2))
    return [question(n, tmp_path) for n in range(5)]


def question(number: int, folder: Path, **changes: object) -> Row:
    row = {"clip_id": str(number), "media_path": f"{number}.mp4", "storage": str(folder), "seed": 7 + number}
    return {**row, "question": "describe the video .", "temperature": 0.0, **changes}


def test_an_answer_carries_the_hash_of_the_frames_that_were_seen(
    runner: StageRunner, rows: list[Row]
) -> None:
    (made,) = runner.run(rows[:1])
    assert made["frames_hash"] == frames_hash(evenly(clip_frames(rows[0])[0], 3))
    assert set(made["answer"].split()) <= set(SENTENCE.split())
    assert (made["cut"], made["failure"], made["down"]) == (False, None, False)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_answers_do_not_depend_on_batch_or_order(
    runner: StageRunner, rows: list[Row], temperature: float
) -> None:
    asked = [{**row, "temperature": temperature} for row in rows]
    alone = {row["clip_id"]: runner.run([row])[0] for row in asked}
    together = {row["clip_id"]: row for row in runner.run(asked[::-1])}
    assert together == alone
    assert len({row["frames_hash"] for row in alone.values()}) == 5


def test_a_batch_may_hold_first_and_further_tries(runner: StageRunner, rows: list[Row]) -> None:
    mixed = [{**row, "temperature": 0.9 * (n % 2)} for n, row in enumerate(rows)]
    assert runner.run(mixed) == [runner.run([row])[0] for row in mixed]


def test_a_clip_that_cannot_be_read_takes_no_other_clips_answer(runner: StageRunner, rows: list[Row]) -> None:
    good = runner.run([rows[0], rows[2]])
    made = runner.run([rows[0], {**rows[1], "media_path": "missing.mp4"}, rows[2]])
    assert [made[0], made[2]] == good
    assert (made[1]["error_stage"], made[1]["answer"]) == ("captions", None)


def test_an_answer_that_ends_for_its_length_is_cut(captioner: Path, rows: list[Row]) -> None:
    engine = engine_of(captioner, frames=3, max_tokens=8)
    runner = StageRunner(engine)
    engine._model.generation_config.forced_eos_token_id = None
    engine._model.generation_config.min_new_tokens = 8
    assert runner.run(rows[:1])[0]["cut"] is True


def test_a_language_model_is_asked_without_frames(tmp_path: Path) -> None:
    folder = write_language_model(tmp_path / "language")
    runner = StageRunner(engine_of(folder, frames=0, max_tokens=6))
    asked = [
        question(n, tmp_path, media_path=None, question=text) for n, text in enumerate(("a red", "left on a"))
    ]
    made = runner.run(asked)
    assert made == [runner.run([row])[0] for row in asked]
    assert all(row["answer"] and row["frames_hash"] is None for row in made)


def test_a_model_without_a_chat_template_sees_one_mark_an_image() -> None:
    class Plain:
        chat_template = None
        image_token = "<image>"

    assert build_prompt(Plain(), "What is it?", 2) == "<image><image>\nWhat is it?\n"
    assert build_prompt(Plain(), "What is it?", 0) == "What is it?\n"
