"""A loaded model in two halves: prompts to latents, and latents to files, so that the next pass begins meanwhile."""

import io
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hummingbird.compiling.package import CompiledPipeline, is_package
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.video import seeded_generators, to_uint8, write_mp4
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hummingbird_serve.requests import DECODERS, VideoRequest

_TEXTS = 512  # prompts whose embeddings are kept


class Sampler:
    """A model, on the GPU where there is one. Each half is called by one thread."""

    def __init__(self, model: Path) -> None:
        self._pipeline: TextToVideoPipeline
        if is_package(model):
            self._pipeline = CompiledPipeline.load(model)  # knows its device
        else:
            self._pipeline = load_pipeline(model)
            if torch.cuda.is_available():
                self._pipeline.to("cuda")
        self._pipeline.set_progress_bar_config(disable=True)
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    def latents(self, requests: Sequence[VideoRequest], on_step: Callable[[int], None]) -> Tensor:
        """Latents of requests that differ in prompt and seed alone; ``on_step`` gets the number of steps done."""
        first = requests[0]

        def on_step_end(_: object, step: int, __: int, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1)
            return tensors

        on_step(0)
        output = self._pipeline(
            prompt_embeds=torch.cat([self._text(request.prompt) for request in requests]),
            generator=seeded_generators(request.seed for request in requests),
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            num_frames=first.num_frames,
            fps=first.fps,
            output_type="latent",
            callback_on_step_end=on_step_end,
        )
        latents: Tensor = output.frames
        return latents

    @torch.inference_mode()
    def files(self, latents: Tensor, request: VideoRequest) -> list[tuple[bytes, bytes]]:
        """Mp4 and thumbnail (WebP) of each video."""
        videos = to_uint8(self._pipeline.decode(latents, DECODERS[request.quality]))
        files = []
        for video in videos:
            file = io.BytesIO()
            write_mp4(video, request.fps, file)
            files.append((file.getvalue(), _picture(video[len(video) // 2])))
        return files

    def _text(self, prompt: str) -> Tensor:
        """The embedding (1, L, D) of a prompt, made by itself, so that no company changes its last bits."""
        if prompt in self._texts:
            self._texts.move_to_end(prompt)
        else:
            self._texts[prompt] = self._pipeline.encode_prompts([prompt])
            if len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)
        return self._texts[prompt]


def _picture(frame: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) as WebP."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "WEBP", quality=80)
    return file.getvalue()
