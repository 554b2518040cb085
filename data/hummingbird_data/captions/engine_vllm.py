"""The engine ``vllm``, through ``ray.data.llm``: for nodes with the extra caption.

Each call starts its engines anew, and a large model takes minutes to load: let a batch of sources be large
(``curate.batch_files``), or start a vLLM server of one's own and use the engine ``http``.
"""

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hummingbird.core.errors import InputError

from hummingbird_data.captions.engines import Engine, answered, build_prompt, failed, load_processor
from hummingbird_data.stage import Row

if TYPE_CHECKING:
    from ray.data import Dataset

_ERROR = "__inference_error__"  # Ray's column for what failed; rows that carry it pass by all of its stages


def check_installed() -> None:
    """Raises InputError where vLLM is not installed."""
    if find_spec("vllm") is None:
        raise InputError(
            "the engine vllm needs vLLM: install the extra 'caption', or set curate.caption_engine (or "
            "curate.rewrite_engine) to transformers or http"
        )


def add_vllm(dataset: "Dataset", engine: Engine) -> "Dataset":
    """The questions with their answers.

    Raises:
        InputError: vLLM is not installed here.
    """
    check_installed()
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=engine.model,
        engine_kwargs=_arguments(engine),
        concurrency=engine.actors,
        batch_size=engine.batch_rows,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        should_continue_on_error=True,
        # Without this it asks for a GPU.
        placement_group_config=None if engine.gpus else {"bundles": [{"CPU": 1, "GPU": 0}]},
    )

    def preprocess(row: Row) -> Row:
        sampling = {"temperature": row["temperature"], "seed": row["seed"], "max_tokens": engine.max_tokens}
        try:
            seen = engine.look(row)
        except Exception as error:  # one clip that cannot be read must not end the job
            return {**row, **failed(f"{type(error).__name__}: {error}"), _ERROR: "the clip cannot be read"}
        shown = 0 if seen is None else len(seen)
        images = {} if seen is None else {"multimodal_data": {"image": _pictures(seen)}}
        return {
            **row,
            **answered("", False, seen),
            "prompt": build_prompt(_processor(engine.model, engine.frames), row["question"], shown),
            "sampling_params": sampling,
            **images,
        }

    def postprocess(row: Row) -> Row:
        return {
            "clip_id": row["clip_id"],
            **answered(row["generated_text"], row["num_generated_tokens"] >= engine.max_tokens, None),
            "frames_hash": row["frames_hash"],
        }

    asked = build_processor(config, preprocess=preprocess, postprocess=postprocess)(dataset)
    return asked.map(_plain)


def _plain(row: Row) -> Row:
    """The columns of an answer from a row that may have failed on its way."""
    error = row.get(_ERROR)
    answer = (
        failed(row.get("failure") or str(error))
        if error
        else {name: row[name] for name in answered("", False, None)}
    )
    return {"clip_id": row["clip_id"], **answer}


def _arguments(engine: Engine) -> dict[str, Any]:
    given = dict(engine.arguments)
    if engine.frames:
        given = {"limit_mm_per_prompt": {"image": engine.frames}, **given}
    if not engine.gpus:
        # As transformers runs on a CPU; vLLM's own choice there is bfloat16.
        given = {"enforce_eager": True, "dtype": "float32", **given}
    return given


def _pictures(frames: Any) -> list[Any]:
    """Pillow's pictures: of an array vLLM takes the first axis for the channels."""
    from PIL import Image

    return [Image.fromarray(frame) for frame in frames]


@cache
def _processor(model: str, frames: int) -> Any:
    return load_processor(model, frames)
