"""Captions of clips by a vision-language model (LLaVA's classes) that sees several frames as several images.

Captions travel with their clip's id and with the hash of the frames that were seen, so they cannot change
places whatever order the work is done in.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hummingbird_data.clip_frames import Frames, clip_frames, evenly
from hummingbird_data.stage import Row, Stage

CAPTION_COLUMNS = ("caption", "caption_model", "caption_prompt_version", "frames_hash")


@dataclass(frozen=True)
class CaptionSettings:
    """``model`` is the captioner's folder; ``name`` is recorded with each caption."""

    model: Path
    name: str
    frames: int
    prompt: str
    prompt_version: str
    max_tokens: int


def frames_hash(frames: Frames) -> str:
    """SHA-256 of frames (T, H, W, 3), their shape included."""
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).tobytes())
    return digest.hexdigest()


def build_prompt(processor: Any, question: str, images: int) -> str:
    """The text that the model is given: by its chat template, or images and then the question."""
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
        messages = [{"role": "user", "content": content}]
        return str(processor.apply_chat_template(messages, add_generation_prompt=True))
    return f"{processor.image_token * images}\n{question}\n"


def caption_row(text: str, seen: str, settings: CaptionSettings) -> Row:
    """The columns of a caption, white space set right."""
    return {
        "caption": " ".join(text.split()),
        "caption_model": settings.name,
        "caption_prompt_version": settings.prompt_version,
        "frames_hash": seen,
    }


@dataclass
class CaptionStage(Stage):
    """The engine ``transformers``: greedy generation for ``batch_rows`` clips at a time."""

    name: ClassVar[str] = "captions"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = CAPTION_COLUMNS
    settings: CaptionSettings
    actors: int = 1
    gpus: float = 0.0
    batch_rows: int = 8
    _model: Any = field(default=None, init=False, repr=False)
    _processor: Any = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        import torch
        from transformers import LlavaForConditionalGeneration, LlavaProcessor

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        folder = str(self.settings.model)
        self._processor = LlavaProcessor.from_pretrained(folder)
        # Generation goes on at the right, so shorter prompts are filled up on the left.
        self._processor.tokenizer.padding_side = "left"
        model: Any = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self._model = model.to("cuda" if self.gpus else "cpu").eval()

    def process(self, row: Row) -> Iterable[Row]:
        return self.process_batch([row])[0]

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        import torch

        seen = [evenly(clip_frames(row)[0], self.settings.frames) for row in rows]
        inputs = self._processor(
            images=[list(frames) for frames in seen],
            text=[build_prompt(self._processor, self.settings.prompt, len(frames)) for frames in seen],
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, do_sample=False, max_new_tokens=self.settings.max_tokens)
        texts = self._processor.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return [
            [caption_row(text, frames_hash(frames), self.settings)]
            for text, frames in zip(texts, seen, strict=True)
        ]
