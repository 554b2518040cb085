"""The compiled package: a folder with AOTInductor code and weights of every part, and a manifest.

    manifest.json     what was compiled for what, and how far its outputs are from eager ones
    unet.pt2          noise prediction
    text_encoder.pt2  text embeddings
    decoder.pt2       latents to pixels; decoder_full.pt2: the same by the autoencoder, where there are both
    tokenizer/

`CompiledPipeline` is the pipeline itself with other parts, so sampling has one implementation.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self

import torch
from diffusers.configuration_utils import FrozenDict
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from hummingbird.compiling.parts import decoder_part
from hummingbird.core.devices import device_capability
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import public_config
from hummingbird.models.pipeline import DECODE_BATCH, TextToVideoPipeline
from hummingbird.models.scheduler import VideoScheduler, current_config

MANIFEST = "manifest.json"


class PartReport(BaseModel):
    """How far a compiled part's outputs are from the eager part's, for the same random inputs."""

    model_config = ConfigDict(extra="forbid")

    max_difference: float
    """Largest absolute difference."""
    max_value: float
    """Largest absolute value of the eager output."""


class PackageFacts(BaseModel):
    """What any package of a pipeline holds, compiled or exported."""

    model_config = ConfigDict(extra="forbid")

    name: str
    """What clients call the model."""
    weights_hash: str
    """SHA-256 of the U-Net's weights."""
    decoders: tuple[Literal["small", "full"], ...]
    """Those that it has; a call that names none takes the first."""
    num_frames: int
    configs: dict[str, dict[str, Any]]
    """Configurations of unet, vae, text_encoder and scheduler."""


class Manifest(PackageFacts):
    """What a compiled package holds, and the machine it is for."""

    schema_version: Literal[4] = 4
    model_id: str | None
    """The model's id in the lake, none for a package made outside of a run."""
    parameters: int
    """Of the U-Net."""
    device: Literal["cpu", "cuda"]
    device_name: str
    """For people."""
    capability: list[str]
    """Instruction sets of the processor, or the GPU's compute capability: what the code may use."""
    torch_version: str
    precision: Literal["float32", "bfloat16"]
    max_batch_size: int
    settings_hash: str
    """SHA-256 of the settings of compilation."""
    parts: dict[str, PartReport]
    """By name of the part, measured when the package was made."""


def is_package(folder: Path) -> bool:
    """Whether the folder is a finished package (the manifest is written last)."""
    return (folder / MANIFEST).is_file()


def read_package_manifest(folder: Path) -> Manifest:
    """The manifest of a package; one of an earlier version as one of today (2: the scheduler said it in other words;
    3: there was one decoder).

    Raises:
        InputError: there is none, or one that this version cannot read.
    """
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(fields, dict) and fields.get("schema_version") == 2:
            configs = fields["configs"]
            configs["scheduler"] = public_config(
                current_config(configs["scheduler"], bool(configs["unet"]["guidance_size"]))
            )
            fields["schema_version"] = 3
        if isinstance(fields, dict) and fields.get("schema_version") == 3:
            fields["decoders"], fields["schema_version"] = (fields.pop("decoder"),), 4
        return Manifest.model_validate(fields)
    except OSError as error:
        raise InputError(f"there is no compiled package in {folder}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise InputError(f"{path} is of another version or damaged: compile the model again") from error


def check_machine(manifest: Manifest) -> None:
    """Whether a package can run here.

    Raises:
        InputError: it was compiled with another torch, or for another device or processor; compile again.
    """
    again = "compile it again on this machine (jobs/compile.py)"
    origin = f"the package was compiled for {manifest.device_name}"
    if manifest.torch_version != torch.__version__:
        raise InputError(
            f"the package was made with torch {manifest.torch_version}, here is {torch.__version__}: {again}"
        )
    if manifest.device == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{origin}, here is no GPU: {again}")
    here = device_capability(manifest.device)
    missing = sorted(set(manifest.capability) - set(here))
    if missing:
        raise InputError(f"{origin}; this machine lacks {', '.join(missing)}: {again}")


def part_names(manifest: PackageFacts) -> list[str]:
    """The parts of a package, as its files are called."""
    decoders = [decoder_part(manifest.decoders, kind) for kind in manifest.decoders]
    return ["text_encoder", "unet", *decoders]


Run = Callable[..., Tensor]
"""A part's forward pass: tensors in, a tensor out."""


class _Part(nn.Module):
    """Stands for a part of the pipeline: its configuration, and its forward pass outside of torch's modules."""

    def __init__(self, config: dict[str, Any], run: Run, device: str, max_batch_size: int) -> None:
        super().__init__()
        self.config = FrozenDict(config)
        self.device, self.dtype = torch.device(device), torch.float32
        self._max_batch_size, self._run = max_batch_size, run

    def run(self, *inputs: Tensor) -> Tensor:
        """Passes of at most the package's batch size. Compiled code takes strides as it was shown them."""
        pieces = zip(*(torch.split(tensor, self._max_batch_size) for tensor in inputs), strict=True)
        outputs = [self._run(*(piece.contiguous() for piece in piece_inputs)) for piece_inputs in pieces]
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


class CompiledUNet(_Part):
    """A compiled `VideoUNet`."""

    shape: tuple[int, ...]

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, *conditions: Tensor) -> Tensor:
        """Like the U-Net's; frames, height and width must be those it was compiled for.

        Raises:
            ValueError: they are others.
        """
        if tuple(sample.shape[1:]) != self.shape:
            raise ValueError(
                f"the package makes latents of shape {self.shape} (channels, frames, height, width), not "
                f"{tuple(sample.shape[1:])}: compile again with other compile.num_frames, or ask for these"
            )
        return self.run(sample, timestep, text, *conditions)


class CompiledTextEncoder(_Part):
    """A compiled text encoder."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """Embeddings (B, L, D) as ``last_hidden_state``."""
        return SimpleNamespace(last_hidden_state=self.run(input_ids, attention_mask))


class CompiledDecoder(_Part):
    """A compiled decoder of frames, the small or the autoencoder's."""

    def decode(self, latents: Tensor) -> SimpleNamespace:
        """Pixels (N, 3, H, W) in -1..1 of latents (N, C, h, w) as ``sample``."""
        return SimpleNamespace(sample=self.run(latents))


class _Absent(nn.Module):
    """The decoder that the package does not have."""

    def __init__(self, config: dict[str, Any], device: str, other: str) -> None:
        super().__init__()
        self.config, self._other = FrozenDict(config), other
        self.device, self.dtype = torch.device(device), torch.float32

    def decode(self, latents: Tensor) -> SimpleNamespace:
        """Raises ValueError."""
        raise ValueError(f"this package has the {self._other} decoder alone: compile.decoder chooses which")


class PackagedPipeline(TextToVideoPipeline):
    """The pipeline of a package: called like any other, with the package's frames and decoder.

    Attributes:
        manifest: what the package holds.
    """

    manifest: PackageFacts

    @classmethod
    def assemble(
        cls,
        manifest: PackageFacts,
        runs: Mapping[str, Run],
        tokenizer: Path,
        device: str,
        max_batch_size: int,
    ) -> Self:
        """A pipeline of the forward passes of its parts."""
        configs = manifest.configs
        unet = CompiledUNet(configs["unet"], runs["unet"], device, max_batch_size)
        decoders: dict[str, nn.Module] = {
            kind: CompiledDecoder(
                configs["vae"], runs[decoder_part(manifest.decoders, kind)], device, DECODE_BATCH
            )
            for kind in manifest.decoders
        }
        absent = _Absent(configs["vae"], device, manifest.decoders[0])
        parts: dict[str, Any] = {
            "unet": unet,
            "vae": decoders.get("full", absent),
            "decoder": decoders.get("small", absent),
            "text_encoder": CompiledTextEncoder(
                configs["text_encoder"], runs["text_encoder"], device, max_batch_size
            ),
            "tokenizer": PreTrainedTokenizerFast.from_pretrained(tokenizer),
            "scheduler": VideoScheduler.from_config(configs["scheduler"]),
        }
        pipeline = cls(**parts)
        unet.shape = (unet.config.in_channels, manifest.num_frames, *pipeline.latent_shape())
        pipeline.manifest = manifest
        return pipeline

    def __call__(
        self, *args: Any, num_frames: int | None = None, decoder: str | None = None, **kwargs: Any
    ) -> Any:
        """See `TextToVideoPipeline`; ``num_frames`` and ``decoder`` default to the package's own."""
        own = self.manifest
        return super().__call__(
            *args, num_frames=num_frames or own.num_frames, decoder=decoder or own.decoders[0], **kwargs
        )

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError: compiled code is no weights."""
        raise NotImplementedError(
            "a compiled package is no pipeline folder: copy the package's folder instead"
        )


class CompiledPipeline(PackagedPipeline):
    """The pipeline of a compiled package."""

    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Loads a package.

        Raises:
            InputError: there is none, or it is not for this machine (`check_machine`).
        """
        manifest = read_package_manifest(folder)
        check_machine(manifest)
        runs = {
            part: torch._inductor.aoti_load_package(str(folder / f"{part}.pt2"))
            for part in part_names(manifest)
        }
        return cls.assemble(manifest, runs, folder / "tokenizer", manifest.device, manifest.max_batch_size)
