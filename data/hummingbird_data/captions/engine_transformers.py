"""The engine ``transformers``: a model in the actor itself, on a CPU or a GPU."""

from collections.abc import Sequence
from typing import Any

from hummingbird_data.captions.engine_folders import FolderEngine, build_prompt, load_processor
from hummingbird_data.captions.engines import EngineSpec, answered
from hummingbird_data.reading.clip_frames import Frames
from hummingbird_data.runtime.model_files import actors_for
from hummingbird_data.stage import Row


class TransformersEngine(FolderEngine):
    """Greedy questions together, the others one by one, each with its own seed: no answer depends on its batch."""

    def __init__(self, settings: Any, spec: EngineSpec) -> None:
        super().__init__(settings, spec)
        self.actors = actors_for(spec.actors, self.folder, spec.gpus)
        self._model: Any = None
        self._processor: Any = None

    def setup(self) -> None:
        import torch
        from hummingbird.models.loading import load_pretrained

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        self._processor = load_processor(str(self.folder), self.spec.frames)
        # Generation goes on at the right, so shorter prompts are filled up on the left.
        tokenizer = getattr(self._processor, "tokenizer", self._processor)
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        dtype = "auto" if self.gpus else torch.float32
        model = load_pretrained(self.model_class, str(self.folder), dtype=dtype)
        self._model = model.to("cuda" if self.gpus else "cpu").eval()

    def answers(self, rows: Sequence[Row]) -> list[Row]:
        frames = [self.look(row) for row in rows]
        by_place: dict[int, Row] = {}
        greedy = [n for n, row in enumerate(rows) if not row["temperature"]]
        groups = [[n] for n in range(len(rows)) if n not in greedy]
        for group in (*groups, greedy):
            answers = self._answer([rows[n] for n in group], [frames[n] for n in group])
            by_place.update(zip(group, answers, strict=True))
        return [by_place[n] for n in range(len(rows))]

    def _answer(self, rows: Sequence[Row], frames: Sequence[Frames | None]) -> list[Row]:
        """For greedy questions, or one that is not."""
        import torch

        if not rows:
            return []
        shown = [[] if clip is None else list(clip) for clip in frames]
        prompts = [
            build_prompt(self._processor, row["question"], len(clip))
            for row, clip in zip(rows, shown, strict=True)
        ]
        images = {"images": shown} if self.spec.frames else {}
        inputs = self._processor(text=prompts, padding=True, return_tensors="pt", **images)
        inputs = inputs.to(self._model.device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        sampling: dict[str, Any] = {"do_sample": False}
        if rows[0]["temperature"]:
            sampling = {"do_sample": True, "temperature": rows[0]["temperature"], "top_k": 0, "top_p": 1.0}
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(rows[0]["seed"])
            tokens = self._model.generate(**inputs, **sampling, max_new_tokens=self.spec.max_tokens)
        new = tokens[:, inputs["input_ids"].shape[1] :]
        ends = _ends(self._model.generation_config)
        texts = self._processor.batch_decode(new, skip_special_tokens=True)
        return [
            answered(text, not ends.intersection(row.tolist()), clip)
            for text, row, clip in zip(texts, new, frames, strict=True)
        ]


def _ends(generation_config: Any) -> set[int]:
    ends = generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}
