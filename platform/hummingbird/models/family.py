"""The family of models that this project makes small and fast: what the parts of one look like, and fit together.

There is one today, the video U-Net: a pipeline of U-Net, autoencoder of single frames, text encoder and scheduler.
Pipeline, package, server, planner and report ask here, not in the configurations' dictionaries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from .stages import UNetSpec

Config = Mapping[str, Any]


@dataclass(frozen=True)
class VideoUNetFamily:
    """A model of the family, by the configurations of its parts, as they are saved.

    Attributes:
        unet: of a `VideoUNet`.
        vae: of the autoencoder, diffusers' ``AutoencoderKL``.
        text_encoder: of transformers' ``CLIPTextModel``.
        scheduler: of a `VideoScheduler`.
        prunable: parts of a layer that a plan may drop, and the field of `LayerSpec` that says whether it has them.
    """

    unet: Config
    vae: Config
    text_encoder: Config
    scheduler: Config

    prunable: ClassVar[Mapping[str, str]] = {
        "temporal_conv": "temporal_conv",
        "spatial_attention": "attention",
        "temporal_attention": "temporal_attention",
    }

    @cached_property
    def spec(self) -> UNetSpec:
        """The U-Net's stages and layers."""
        return UNetSpec.of(self.unet)

    @property
    def latent_channels(self) -> int:
        """Channels of the latents that the U-Net takes and gives."""
        return int(self.unet["in_channels"])

    @property
    def pixels_per_latent(self) -> int:
        """In height and in width."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def text_tokens(self) -> int:
        """Length of the text that the U-Net sees, with its padding."""
        return int(self.text_encoder["max_position_embeddings"])

    @property
    def embeds_guidance(self) -> bool:
        """Whether the U-Net embeds the guidance scale, and makes one pass a step."""
        return bool(self.unet.get("guidance_size"))

    @property
    def few_steps(self) -> bool:
        """Whether the model was trained to be sampled in few steps."""
        return bool(self.scheduler["sampling"] != "ddim")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of videos whose size a call does not say."""
        side = int(self.vae["sample_size"])
        return self.scheduler.get("height") or side, self.scheduler.get("width") or side

    def latent_shape(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Height and width of the latents of a video of so many pixels; none: of the model's own size.

        Raises:
            ValueError: a size that the autoencoder and the U-Net cannot halve as often as they do.
        """
        own = self.size
        sizes = height or own[0], width or own[1]
        step = self.pixels_per_latent * 2**self.spec.halvings
        for name, pixels in zip(("height", "width"), sizes, strict=True):
            if pixels % step:
                raise ValueError(f"{name}={pixels}: this model makes videos of a multiple of {step} pixels")
        return sizes[0] // self.pixels_per_latent, sizes[1] // self.pixels_per_latent
