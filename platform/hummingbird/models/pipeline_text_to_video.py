"""Text to video: a diffusers pipeline of U-Net, autoencoder, small decoder, text encoder, tokenizer and scheduler."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from .family import VideoUNetFamily
from .lora import LoraLoaderMixin
from .saved_code import own_index, save_code
from .stages import UNetSpec  # noqa: F401 - diffusers copies what this file itself imports; family needs it
from .windows import Predict, check_window, in_windows, rescheduled

ENCODE_PIXELS = 1 << 22  # encoded at a time on a GPU: 25 frames of 320 x 512
ENCODE_PIXELS_CPU = 1 << 17
DECODE_BATCH = 32  # frames decoded at a time; diffusers' upsampling takes another branch from 64 on
OUTPUT_TYPES = ("np", "pt", "pil", "latent")

Generators = torch.Generator | Sequence[torch.Generator] | None
StepEnd = Callable[["TextToVideoPipeline", int, int, dict[str, Any]], dict[str, Any]]


@dataclass
class TextToVideoPipelineOutput(BaseOutput):
    """The videos of a call.

    Attributes:
        frames: for ``np`` float32 (B, T, H, W, 3) in 0..1, for ``pt`` a tensor (B, T, 3, H, W) in 0..1, for ``pil``
            a list of images a video, for ``latent`` scaled latents (B, C, T, h, w).
    """

    frames: NDArray[np.float32] | Tensor | list[list[Any]]


class TextToVideoPipeline(LoraLoaderMixin, DiffusionPipeline):
    """Makes videos from prompts.

    How it samples is in the scheduler's configuration. A U-Net that embeds the guidance scale makes one pass a step;
    any other two, with and without the prompt, in one batch. The small decoder is optional: published checkpoints
    bring none.
    """

    _optional_components = ("decoder",)
    _callback_tensor_inputs = ("latents", "prompt_embeds")
    unet_dtype: torch.dtype | None = None
    """What the U-Net's passes compute in, by autocast, while pixels keep all their bits; none: as its weights are."""

    def __init__(
        self,
        unet: ModelMixin,
        vae: AutoencoderKL,
        decoder: AutoencoderTiny | None,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: SchedulerMixin,
    ) -> None:
        super().__init__()
        if decoder is not None:
            decoder.to(memory_format=torch.channels_last)
        self.register_modules(
            unet=unet,
            vae=vae,
            decoder=decoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
        )

    @property
    def family(self) -> VideoUNetFamily:
        """What the parts look like and how they fit together."""
        text: Any = self.text_encoder.config
        text = text.to_dict() if hasattr(text, "to_dict") else text
        return VideoUNetFamily(self.unet.config, self.vae.config, text, self.scheduler.config)

    @property
    def few_steps(self) -> bool:
        """Whether the model was trained to be sampled in few steps."""
        return self.family.few_steps

    @property
    def embeds_guidance(self) -> bool:
        """Whether the U-Net embeds the guidance scale, and makes one pass a step."""
        return self.family.embeds_guidance

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        prompt_embeds: Tensor | None = None,
        num_frames: int = 16,
        window_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        generator: Generators = None,
        fps: float = 8,
        decoder: str | None = None,
        latents: Tensor | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: StepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Any:
        """Sample one video a prompt; with a generator of its own, a video does not depend on its batch.

        Args:
            prompt: one, or one a video.
            prompt_embeds: text embeddings (B, L, D) of `encode_prompts`, in place of the prompts.
            num_frames: of each video.
            window_frames: frames that a pass sees; longer videos than a model was trained for are denoised in windows
                of the length that it was trained for. None: a pass sees all.
            height, width: pixels; default: what the scheduler's configuration says, else a square.
            num_inference_steps: default: what the scheduler's configuration says.
            guidance_scale: s of uncond + s (cond - uncond), whether it is embedded or two passes are mixed; at 1 a
                model makes one pass a step. Default: what the scheduler's configuration says.
            generator: one for all videos, which draw from it in order, or one a video. None: torch's own.
            fps: frames a second that the motion is meant for.
            decoder: ``full`` (the autoencoder's) or ``small``; default small for few-step students that
                have one.
            latents: noise to start from (B, C, T, h, w), in place of the generator's.
            output_type: ``np``, ``pt``, ``pil`` or ``latent``, see `TextToVideoPipelineOutput`.
            return_dict: whether to return an output with ``frames``, or a tuple of them.
            callback_on_step_end: called after every step with the pipeline, the step's number from 0, the timestep
                and a dictionary of the tensors asked for; tensors in what it returns take their place.
            callback_on_step_end_tensor_inputs: of ``latents`` and ``prompt_embeds``.

        Returns:
            A `TextToVideoPipelineOutput`, or a tuple of its frames.

        Raises:
            ValueError: numbers of prompts, generators and latents differ, or a setting is out of range.
        """
        self._check_call(output_type, callback_on_step_end_tensor_inputs)
        if window_frames is not None:
            check_window(window_frames)
        if prompt_embeds is None:
            prompts = [prompt] if isinstance(prompt, str) else list(prompt or ())
            if not prompts:
                raise ValueError("no prompt: give at least one")
            prompt_embeds = self.encode_prompts(prompts)
        elif prompt is not None:
            raise ValueError("give prompt or prompt_embeds, not both")
        config = self.scheduler.config
        scale = config.guidance_scale if guidance_scale is None else guidance_scale
        shape = (
            len(prompt_embeds),
            self.unet.config.in_channels,
            num_frames,
            *self.latent_shape(height, width),
        )
        self.scheduler.set_timesteps(num_inference_steps or config.num_inference_steps)
        x = self._first_noise(shape, generator, latents, window_frames).to(prompt_embeds.device)
        predict = self._predictor(prompt_embeds, float(fps), float(scale))
        if window_frames is not None:
            predict = in_windows(predict, num_frames, window_frames)
        timesteps = self.scheduler.timesteps.tolist()
        with self.progress_bar(total=len(timesteps)) as bar:
            for number, timestep in enumerate(timesteps):
                model_input = self.scheduler.scale_model_input(x, timestep)
                output = predict(model_input, torch.full((len(x),), timestep, device=x.device), prompt_embeds)
                x = self.scheduler.step(output, timestep, x, generator, return_dict=False)[0]
                if callback_on_step_end is not None:
                    tensors = {"latents": x, "prompt_embeds": prompt_embeds}
                    callback_inputs = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                    tensors |= callback_on_step_end(self, number, timestep, callback_inputs) or {}
                    x, prompt_embeds = tensors["latents"], tensors["prompt_embeds"]
                bar.update()
        small = self.few_steps and self.decoder is not None
        frames = self._output(x, decoder or ("small" if small else "full"), output_type)
        self.maybe_free_model_hooks()
        return TextToVideoPipelineOutput(frames=frames) if return_dict else (frames,)

    def _check_call(self, output_type: str, tensor_inputs: Sequence[str]) -> None:
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, not {output_type!r}")
        if unknown := sorted(set(tensor_inputs) - set(self._callback_tensor_inputs)):
            known = ", ".join(self._callback_tensor_inputs)
            raise ValueError(f"callback_on_step_end_tensor_inputs may name {known}, not {', '.join(unknown)}")

    def _first_noise(
        self, shape: tuple[int, ...], generator: Generators, latents: Tensor | None, window: int | None
    ) -> Tensor:
        if latents is None and window is not None and shape[2] > window:
            first = (*shape[:2], window, *shape[3:])
            latents = rescheduled(self.scheduler.draw_noises(first, generator), shape[2], generator)
        elif latents is None:
            latents = self.scheduler.draw_noises(shape, generator)
        elif latents.shape != shape:
            raise ValueError(f"latents must be of shape {shape}, not {tuple(latents.shape)}")
        noise: Tensor = latents * self.scheduler.init_noise_sigma
        return noise

    def _predictor(self, text: Tensor, fps: float, scale: float) -> Predict:
        """What the guided model predicts at x and t: the scale is embedded or, else, two passes are mixed."""
        count = len(text)
        rates = torch.full((count,), fps, device=text.device)

        if self.embeds_guidance:  # as the w of cond + w (cond - uncond)
            embedded = torch.full((count,), scale - 1, device=text.device)
            return lambda x, t, text: self._pass(x, t, text, rates, embedded)
        if scale == 1:  # the unconditional pass cancels out
            return lambda x, t, text: self._pass(x, t, text, rates)
        empty = self.encode_prompts([""]).expand_as(text)

        def guided(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            both = torch.cat([text, empty])
            outputs = self._pass(torch.cat([x, x]), torch.cat([t, t]), both, torch.cat([rates, rates]))
            conditional, unconditional = outputs.chunk(2)
            mixed: Tensor = unconditional + scale * (conditional - unconditional)
            return mixed

        return guided

    def _pass(self, x: Tensor, t: Tensor, text: Tensor, *conditions: Tensor) -> Tensor:
        """The U-Net's output in float32, computed in the type of its weights or, by autocast, in ``unet_dtype``."""
        kind, own = self.unet_dtype, self.unet.dtype
        with torch.autocast(x.device.type, kind) if kind is not None else nullcontext():
            output: Tensor = self.unet(x.to(own), t, text.to(own), *conditions)
        return output.float()

    def _output(self, latents: Tensor, decoder: str, output_type: str) -> Any:
        if output_type == "latent":
            return latents
        frames = self.decode(latents, decoder)
        if output_type == "pt":
            return frames
        arrays = frames.permute(0, 1, 3, 4, 2).contiguous().cpu().numpy()
        return arrays if output_type == "np" else [VaeImageProcessor.numpy_to_pil(video) for video in arrays]

    @property
    def latent_size(self) -> int:
        """Height and width of the latents of square videos as large as the autoencoder's images."""
        return int(self.vae.config.sample_size) // self.family.pixels_per_latent

    def latent_shape(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Height and width of the latents of a video of so many pixels; none: of this pipeline's own.

        Raises:
            ValueError: a size that the autoencoder and the U-Net cannot halve as often as they do.
        """
        return self.family.latent_shape(height, width)

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
        pixels = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2).to(self.vae.dtype) / 127.5 - 1
        limit = ENCODE_PIXELS_CPU if self.device.type == "cpu" else ENCODE_PIXELS
        batch = max(1, limit // (pixels.shape[-2] * pixels.shape[-1]))
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
        flat = latents.transpose(1, 2).flatten(0, 1).to(module.dtype)
        if decoder == "small":  # which takes scaled latents, as published ones of its class do
            flat = flat.contiguous(memory_format=torch.channels_last)
        else:
            flat = flat / self.vae.config.scaling_factor
        pixels = torch.cat([module.decode(part).sample for part in flat.split(DECODE_BATCH)])
        return (pixels.float() / 2 + 0.5).clamp(0, 1).unflatten(0, latents.shape[:3:2])

    @classmethod
    def load_config(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> Any:
        """The index of a folder. Asked of this class itself, and not of diffusers', it loads its own code."""
        config = super().load_config(pretrained_model_name_or_path, *args, **kwargs)
        index, *rest = config if isinstance(config, tuple) else (config,)
        index = own_index(index, cls)
        return (index, *rest) if rest else index

    def save_config(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Writes the index, and the code beside it: what `save_pretrained` leaves loads without this package."""
        if push_to_hub:
            raise ValueError("an index alone is no model: use the pipeline's push_to_hub")
        super().save_config(save_directory)
        save_code(type(self), self.components, Path(save_directory))
