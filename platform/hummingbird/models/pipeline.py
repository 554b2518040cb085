"""Text to video: a diffusers pipeline of U-Net, autoencoder, small decoder, text encoder, tokenizer and scheduler."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.core.errors import InputError
from hummingbird.core.model_references import pipeline_folder, pipeline_part
from hummingbird.models.quiet_loading import quiet_loading
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet

PARTS = ("vae", "decoder", "text_encoder", "tokenizer", "scheduler")
ENCODE_BATCH = 1024  # frames encoded at a time on a GPU, whatever their number
DECODE_BATCH = 32  # frames decoded at a time; diffusers' upsampling takes another branch from 64 on


class TextToVideoPipeline(DiffusionPipeline):
    """Makes videos from prompts.

    A U-Net that embeds the guidance scale is a few-step student: one pass a step, consistency sampling, with fresh
    noise or, where the scheduler has phases, without. Any other is sampled with DDIM and classifier-free guidance,
    both passes in one batch. The small decoder is optional: published checkpoints bring none.
    """

    _optional_components = ("decoder",)
    unet_dtype: torch.dtype | None = None
    """What the U-Net's passes compute in, by autocast, while pixels keep all their bits; none: as its weights are."""

    def __init__(
        self,
        unet: VideoUNet,
        vae: AutoencoderKL,
        decoder: AutoencoderTiny | None,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: VideoScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            unet=unet,
            vae=vae,
            decoder=decoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
        )

    @property
    def few_steps(self) -> bool:
        """Whether the U-Net is a few-step student."""
        return bool(self.unet.config.guidance_size)

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        steps: int | None = None,
        guidance: float | None = None,
        num_frames: int = 16,
        fps: float = 8,
        decoder: str | None = None,
        on_step: Callable[[int], None] | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """Sample one video a prompt; a video depends on its prompt and seed alone, not on its batch.

        Args:
            prompts, seeds: one each a video.
            steps, guidance: default: what the model's scheduler configuration says; at guidance 1 a guided
                model makes one pass a step.
            decoder: ``full`` (the autoencoder's) or ``small``; default small for few-step students that
                have one.
            on_step: called with the number of steps done.
            height, width: pixels; default: what the scheduler's configuration says, else a square.

        Returns:
            uint8 RGB (B, T, H, W, 3), on the CPU.

        Raises:
            ValueError: numbers of prompts and seeds differ, or a setting is out of range.
        """
        if len(prompts) != len(seeds) or not prompts:
            raise ValueError(f"one seed a prompt, at least one of each; got {len(prompts)} and {len(seeds)}")
        text = self.encode_prompts(prompts)
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        latents = self.sample(text, generators, steps, guidance, num_frames, fps, on_step, height, width)
        chosen = decoder or ("small" if self.few_steps and self.decoder is not None else "full")
        pixels = self.decode(latents, chosen)
        return (pixels * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous().cpu()

    @torch.no_grad()
    def sample(
        self,
        text: Tensor,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        guidance: float | None = None,
        num_frames: int = 16,
        fps: float = 8,
        on_step: Callable[[int], None] | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """Latents (B, C, T, h, w) for text embeddings (B, L, D); noise from one CPU generator a video."""
        schedule: VideoScheduler = self.scheduler
        scale = schedule.config.guidance if guidance is None else guidance
        steps = schedule.config.steps if steps is None else steps
        shape = (self.unet.config.in_channels, num_frames, *self.latent_shape(height, width))
        x = self._noise(shape, generators, text)
        predict = self._predictor(text, float(fps), float(scale))
        consistency = self.few_steps and schedule.config.phases == 1
        times = schedule.few_step_timesteps(steps) if self.few_steps else schedule.ddim_timesteps(steps)
        for done, time in enumerate(times, 1):
            t = torch.full((len(x),), time, device=x.device)
            earlier = torch.full_like(t, times[done] if done < len(times) else 0)
            output = predict(x, t)
            if consistency:
                x = schedule.denoised(output, x, t)
                if done < len(times):
                    x = schedule.add_noise(x, self._noise(shape, generators, text), earlier)
            else:
                x = schedule.ddim_step(*schedule.estimates(output, x, t), t, earlier)
            if on_step:
                on_step(done)
        return x

    def _predictor(self, text: Tensor, fps: float, scale: float) -> Callable[[Tensor, Tensor], Tensor]:
        """What the guided model predicts at x and t: the scale is embedded or, else, two passes are mixed."""
        count = len(text)
        rates = torch.full((count,), fps, device=text.device)
        if self.few_steps:
            scales = torch.full((count,), scale, device=text.device)
            return lambda x, t: self._pass(x, t, text, rates, scales)
        if scale == 1:  # the unconditional pass cancels out
            return lambda x, t: self._pass(x, t, text, rates)
        both = torch.cat([text, self.encode_prompts([""]).expand_as(text)])

        def guided(x: Tensor, t: Tensor) -> Tensor:
            outputs = self._pass(torch.cat([x, x]), torch.cat([t, t]), both, torch.cat([rates, rates]))
            wanted, free = outputs.chunk(2)
            mixed: Tensor = free + scale * (wanted - free)
            return mixed

        return guided

    def _pass(self, *inputs: Tensor) -> Tensor:
        """The U-Net's output in float32, computed in ``unet_dtype``."""
        kind = self.unet_dtype
        with torch.autocast(inputs[0].device.type, kind) if kind is not None else nullcontext():
            output: Tensor = self.unet(*inputs)
        return output.float()

    @property
    def latent_size(self) -> int:
        """Height and width of the latents of square videos as large as the autoencoder's images."""
        return int(self.vae.config.sample_size) // self._scale

    def latent_shape(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Height and width of the latents of a video of so many pixels; none: of this pipeline's own.

        Raises:
            ValueError: a size that the autoencoder and the U-Net cannot halve as often as they do.
        """
        own, side = self.scheduler.config, int(self.vae.config.sample_size)
        halvings = sum(bool(stage["sample"]) for stage in self.unet.config.down_stages)
        step = self._scale * 2**halvings
        sizes = (height or own.height or side, width or own.width or side)
        for name, pixels in zip(("height", "width"), sizes, strict=True):
            if pixels % step:
                raise ValueError(f"{name}={pixels}: this model makes videos of a multiple of {step} pixels")
        return sizes[0] // self._scale, sizes[1] // self._scale

    @property
    def _scale(self) -> int:
        """Pixels a latent."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def tokenize(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, (B, L) each, padded to the text encoder's length.

        The text encoder's configuration says with what; a tokenizer that makes no mask belongs to a text encoder
        that looks at the padding too, as OpenCLIP's does.
        """
        config = self.text_encoder.config
        length = config.max_position_embeddings
        rows = self.tokenizer(list(prompts), truncation=True, max_length=length)["input_ids"]
        ids = torch.full((len(rows), length), config.pad_token_id)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        if "attention_mask" not in self.tokenizer.model_input_names:
            mask.fill_(1)
        return ids.to(self.device), mask.to(self.device)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Text embeddings (B, L, D)."""
        ids, mask = self.tokenize(prompts)
        embedding: Tensor = self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return embedding

    @torch.no_grad()
    def encode_frames(self, frames: NDArray[np.uint8]) -> Tensor:
        """Scaled latents (T, C, h, w) of frames (T, H, W, 3) uint8."""
        pixels = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        batch = DECODE_BATCH if self.device.type == "cpu" else ENCODE_BATCH
        parts = [self.vae.encode(part).latent_dist.mode() for part in pixels.split(batch)]
        return torch.cat(parts) * self.vae.config.scaling_factor

    def decode(self, latents: Tensor, decoder: str = "full") -> Tensor:
        """Frames (B, T, 3, H, W) in 0..1 of scaled latents (B, C, T, h, w); differentiable.

        Raises ValueError for a decoder other than ``full`` and ``small``, or ``small`` where there is none.
        """
        if decoder not in ("full", "small"):
            raise ValueError(f"decoder must be full or small, not {decoder!r}")
        module = self.vae if decoder == "full" else self.decoder
        if module is None:
            raise ValueError("this pipeline has no small decoder: choose the full one")
        flat = latents.transpose(1, 2).flatten(0, 1)
        if decoder == "small":  # which takes scaled latents, as published ones of its class do
            flat = flat.contiguous(memory_format=torch.channels_last)
        else:
            flat = flat / self.vae.config.scaling_factor
        pixels = torch.cat([module.decode(part).sample for part in flat.split(DECODE_BATCH)])
        return (pixels.float() / 2 + 0.5).clamp(0, 1).unflatten(0, latents.shape[:3:2])

    def _noise(self, shape: tuple[int, ...], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
        return torch.stack([self.scheduler.draw_noise(shape, g) for g in generators]).to(like.device)


def load_pipeline(name_or_path: str | Path) -> TextToVideoPipeline:
    """Load a pipeline in float32, in evaluation mode. Shipped pipelines share one set of parts beside the U-Net.

    Raises:
        InputError: there is no pipeline there, or a part of it is missing.
    """
    folder = pipeline_folder(name_or_path)
    unet = VideoUNet.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    return TextToVideoPipeline(unet=unet.eval(), **load_parts(folder))


def load_parts(folder: Path) -> dict[str, Any]:
    """Everything of a pipeline but its U-Net; what ``folder`` itself lacks comes from ``components`` beside it.

    The small decoder is None where the folder's index says so.

    Raises:
        InputError: a part is in neither.
    """
    index = folder / "model_index.json"
    named = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    parts = [part for part in PARTS if part != "decoder" or named.get(part) != [None, None]]
    home = {}
    for part in parts:
        home[part] = pipeline_part(folder, part)
        if not home[part].is_dir():
            raise InputError(f"the pipeline in {folder} lacks {part}, and {home[part]} does not exist either")
    with quiet_loading():
        return {
            "vae": AutoencoderKL.from_pretrained(home["vae"], torch_dtype=torch.float32).eval(),
            "decoder": AutoencoderTiny.from_pretrained(home["decoder"], torch_dtype=torch.float32)
            .eval()
            .to(memory_format=torch.channels_last)
            if "decoder" in home
            else None,
            "text_encoder": CLIPTextModel.from_pretrained(home["text_encoder"], dtype=torch.float32).eval(),
            "tokenizer": PreTrainedTokenizerFast.from_pretrained(home["tokenizer"]),
            "scheduler": VideoScheduler.from_config(
                json.loads((home["scheduler"] / "scheduler_config.json").read_text())
            ),
        }
