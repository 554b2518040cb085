"""The engine ``transformers``: a model in the actor itself, on a CPU or a GPU."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hummingbird_data.captions.engines import AskStage, answered, build_prompt, load_processor, model_class
from hummingbird_data.reading.clip_frames import Frames
from hummingbird_data.stage import Row


@dataclass
class TransformersStage(AskStage):
    """Greedy questions together, the others one by one, each with its own seed: no answer depends on its batch."""

    _model: Any = field(default=None, init=False, repr=False)
    _processor: Any = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        import torch
        from hummingbird.models.loading import load_pretrained

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        self._processor = load_processor(self.engine.model, self.engine.frames)
        # Generation goes on at the right, so shorter prompts are filled up on the left.
        tokenizer = getattr(self._processor, "tokenizer", self._processor)
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        dtype = "auto" if self.gpus else torch.float32
        model = load_pretrained(model_class(self.engine), self.engine.model, dtype=dtype)
        self._model = model.to("cuda" if self.gpus else "cpu").eval()

    def process(self, row: Row) -> Iterable[Row]:
        return self.process_batch([row])[0]

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        seen = [self.engine.look(row) for row in rows]
        made: dict[int, Row] = {}
        together = [n for n, row in enumerate(rows) if not row["temperature"]]
        groups = [[n] for n in range(len(rows)) if n not in together]
        for group in (*groups, together):
            made.update(
                zip(group, self._answers([rows[n] for n in group], [seen[n] for n in group]), strict=True)
            )
        return [[made[n]] for n in range(len(rows))]

    def _answers(self, rows: Sequence[Row], seen: Sequence[Frames | None]) -> list[Row]:
        """For greedy questions, or one that is not."""
        import torch

        if not rows:
            return []
        shown = [[] if frames is None else list(frames) for frames in seen]
        prompts = [
            build_prompt(self._processor, row["question"], len(frames))
            for row, frames in zip(rows, shown, strict=True)
        ]
        images = {"images": shown} if self.engine.frames else {}
        inputs = self._processor(text=prompts, padding=True, return_tensors="pt", **images)
        inputs = inputs.to(self._model.device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        how: dict[str, Any] = {"do_sample": False}
        if rows[0]["temperature"]:
            how = {"do_sample": True, "temperature": rows[0]["temperature"], "top_k": 0, "top_p": 1.0}
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(rows[0]["seed"])
            tokens = self._model.generate(**inputs, **how, max_new_tokens=self.engine.max_tokens)
        new = tokens[:, inputs["input_ids"].shape[1] :]
        ends = _ends(self._model.generation_config)
        texts = self._processor.batch_decode(new, skip_special_tokens=True)
        return [
            answered(text, not ends.intersection(row.tolist()), frames)
            for text, row, frames in zip(texts, new, seen, strict=True)
        ]


def _ends(generation_config: Any) -> set[int]:
    ends = generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}
