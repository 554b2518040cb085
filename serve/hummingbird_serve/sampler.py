"""A loaded model in two halves: prompts to latents, and latents to files, so that the next pass begins meanwhile."""

import io
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from hummingbird.compiling.package import CompiledPipeline, is_package
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.video import seeded_generators, to_uint8, write_mp4
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hummingbird_serve.metrics import PART_SECONDS, observe
from hummingbird_serve.requests import DECODERS, NO_STYLE, VideoRequest

_TEXTS = 512  # prompts whose embeddings are kept


class Sampler:
    """A model, on the GPU where there is one. Each half is called by one thread."""

    def __init__(
        self, model: Path, styled: Path | None = None, styles: Mapping[str, Path] = MappingProxyType({})
    ) -> None:
        """``model``: a package or a pipeline; ``styled``: the pipeline that ``styles``, adapters by name, are put into.

        Raises:
            ValueError: an adapter was made for another model.
        """
        self._pipeline: TextToVideoPipeline = (
            CompiledPipeline.load(model) if is_package(model) else _eager(model)
        )
        self._pipeline.set_progress_bar_config(disable=True)
        self._styled: TextToVideoPipeline | None = None
        if styles and styled is not None:
            # A pipeline of its own, also beside an eager one: what has no style is computed as without any.
            self._styled = _eager(styled)
            for name, adapter in styles.items():
                self._styled.load_lora_weights(adapter, adapter_name=name)
            self._styled.set_progress_bar_config(disable=True)
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    def latents(self, requests: Sequence[VideoRequest], on_step: Callable[[int], None]) -> Tensor:
        """Latents of requests that differ in prompt and seed alone; ``on_step`` gets the number of steps done."""
        first = requests[0]

        def on_step_end(_: object, step: int, __: int, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1)
            return tensors

        on_step(0)
        pipeline = self._pipeline
        if first.style not in (None, NO_STYLE):
            if self._styled is None:
                raise RuntimeError(f"the generator has no styles, but was asked for {first.style!r}")
            pipeline = self._styled
            pipeline.set_adapters(first.style, first.style_scale if first.style_scale is not None else 1.0)
        output = pipeline(
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
        started = time.perf_counter()
        videos = to_uint8(self._pipeline.decode(latents, self._decoder(request)))
        decoded = time.perf_counter()
        observe(PART_SECONDS, decoded - started, model=request.model, part="decode")
        files = []
        for video in videos:
            file = io.BytesIO()
            write_mp4(video, request.fps, file)
            files.append((file.getvalue(), _picture(video[len(video) // 2])))
        observe(PART_SECONDS, time.perf_counter() - decoded, model=request.model, part="files")
        return files

    def _decoder(self, request: VideoRequest) -> str:
        if request.quality is not None:
            return DECODERS[request.quality]
        if isinstance(self._pipeline, CompiledPipeline):
            return self._pipeline.manifest.decoders[0]
        small = self._pipeline.few_steps and self._pipeline.decoder is not None
        return "small" if small else "full"

    def _text(self, prompt: str) -> Tensor:
        """The embedding (1, L, D) of a prompt, made by itself, so that no company changes its last bits."""
        if prompt in self._texts:
            self._texts.move_to_end(prompt)
        else:
            self._texts[prompt] = self._pipeline.encode_prompts([prompt])
            if len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)
        return self._texts[prompt]


def _eager(folder: Path) -> TextToVideoPipeline:
    pipeline = load_pipeline(folder)
    if torch.cuda.is_available():
        pipeline.to("cuda")
    return pipeline


def _picture(frame: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) as WebP."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "WEBP", quality=80)
    return file.getvalue()
