"""Captions stay with their clip, in any order and in any batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hummingbird.config.section import InputError
from hummingbird_data.captions import CaptionSettings, CaptionStage, build_prompt, frames_hash
from hummingbird_data.captions_vllm import add_vllm_captions
from hummingbird_data.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, StageRunner


@pytest.fixture
def runner(captioner: Path) -> StageRunner:
    settings = CaptionSettings(
        captioner, "tiny@1", frames=3, prompt="describe the video .", prompt_version="7", max_tokens=8
    )
    return StageRunner(CaptionStage(settings=settings))


@pytest.fixture
def rows(tmp_path: Path, write_video: Callable, shot: Callable) -> list[Row]:
    for seed in range(5):
        write_video(tmp_path / f"{seed}.mp4", shot(seed, seconds=2))
    return [{"clip_id": str(n), "media_path": f"{n}.mp4", "storage": str(tmp_path)} for n in range(5)]


def test_a_caption_names_its_model_its_prompt_and_the_frames_that_were_seen(
    runner: StageRunner, rows: list[Row]
) -> None:
    (made,) = runner.run(rows[:1])
    assert (made["caption_model"], made["caption_prompt_version"]) == ("tiny@1", "7")
    assert made["frames_hash"] == frames_hash(evenly(clip_frames(rows[0])[0], 3))
    assert set(made["caption"].split()) <= {
        *["describe", "the", "video", ".", "a", "red", "circle", "moving", "left", "on"]
    }
    assert made["caption"]


def test_captions_do_not_depend_on_batch_or_order(runner: StageRunner, rows: list[Row]) -> None:
    alone = {row["clip_id"]: runner.run([row])[0] for row in rows}
    together = {row["clip_id"]: row for row in runner.run(rows[::-1])}
    assert together == alone
    assert len({row["frames_hash"] for row in alone.values()}) == 5


def test_a_clip_that_cannot_be_read_takes_no_other_clips_caption(
    runner: StageRunner, rows: list[Row]
) -> None:
    good = runner.run([rows[0], rows[2]])
    made = runner.run([rows[0], {**rows[1], "media_path": "missing.mp4"}, rows[2]])
    assert [made[0], made[2]] == good
    assert made[1]["error_stage"] == "captions"
    assert made[1]["caption"] is None


def test_a_model_without_a_chat_template_sees_one_mark_an_image() -> None:
    class Plain:
        chat_template = None
        image_token = "<image>"

    assert build_prompt(Plain(), "What is it?", 2) == "<image><image>\nWhat is it?\n"


def test_the_engine_vllm_says_how_to_get_it_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, captioner: Path
) -> None:
    monkeypatch.setattr("hummingbird_data.captions_vllm.find_spec", lambda name: None)
    settings = CaptionSettings(captioner, "tiny", 3, "describe", "1", 8)
    with pytest.raises(InputError, match="extra 'caption'"):
        add_vllm_captions(None, settings, 1, 0.0, 4)  # type: ignore[arg-type]
