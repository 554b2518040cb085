"""The same captions by the engine ``vllm``, through ``ray.data.llm``: for nodes with the extra caption."""

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hummingbird.config.section import InputError

from hummingbird_data.captions import CaptionSettings, build_prompt, caption_row, frames_hash
from hummingbird_data.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row

if TYPE_CHECKING:
    from ray.data import Dataset


def add_vllm_captions(
    dataset: "Dataset", settings: CaptionSettings, actors: int, gpus: float, batch_rows: int
) -> "Dataset":
    """The rows with the columns of a caption, or with ``error`` and ``error_stage`` where a request failed.

    Raises:
        InputError: vLLM is not installed here.
    """
    if find_spec("vllm") is None:
        raise InputError(
            "caption_engine=vllm needs vLLM: install the extra 'caption', "
            "or set curate.caption_engine=transformers"
        )
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=str(settings.model),
        engine_kwargs={
            "limit_mm_per_prompt": {"image": settings.frames},
            "enforce_eager": gpus == 0,
        },
        concurrency=actors,
        batch_size=batch_rows,
        chat_template_stage=False,
        tokenize_stage=False,
        should_continue_on_error=True,
        # Without this it asks for a GPU.
        placement_group_config=None if gpus else {"bundles": [{"CPU": 1, "GPU": 0}]},
    )

    def preprocess(row: Row) -> Row:
        seen = evenly(clip_frames(row)[0], settings.frames)
        return {
            **row,
            "frames_hash": frames_hash(seen),
            "prompt": build_prompt(_processor(str(settings.model)), settings.prompt, len(seen)),
            "multimodal_data": {"image": list(seen)},
            "sampling_params": {"temperature": 0.0, "max_tokens": settings.max_tokens},
        }

    def postprocess(row: Row) -> Row:
        failed = row.get("__inference_error__")
        text = "" if failed else row["generated_text"]
        return {
            "clip_id": row["clip_id"],
            "error": str(failed) if failed else None,
            "error_stage": "captions" if failed else None,
            **caption_row(text, row["frames_hash"], settings),
        }

    return build_processor(config, preprocess=preprocess, postprocess=postprocess)(dataset)


@cache
def _processor(folder: str) -> Any:
    from transformers import LlavaProcessor

    return LlavaProcessor.from_pretrained(folder)
