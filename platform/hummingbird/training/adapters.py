"""Low-rank adapters (LoRA, arXiv 2106.09685) in a video U-Net, by peft: put in, saved in its names, and merged.

The U-Net stays the object that it was; adapters stand in for its layers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hummingbird.config.lora import LoRASettings
from hummingbird.core.errors import InputError
from hummingbird.models.layers import TemporalConv, TemporalTransformer
from hummingbird.models.lora import FILE, cut_of

PEFT_PREFIX = "base_model.model."
"""What peft's own files put before the names of the model's layers."""


def target_layers(unet: nn.Module, settings: LoRASettings, fresh: Sequence[str] = ()) -> list[str]:
    """Names of the layers that get an adapter.

    Args:
        fresh: layers that start untrained and are trained in full.

    Raises:
        InputError: the model has no such layer.
    """
    temporal = [
        f"{name}."
        for name, module in unet.named_modules()
        if isinstance(module, TemporalConv | TemporalTransformer)
    ]
    kinds: dict[str, tuple[type[nn.Module], ...]] = {
        "all": (nn.Linear, nn.Conv2d, nn.Conv3d),
        "linear": (nn.Linear,),
        "convolution": (nn.Conv2d, nn.Conv3d),
    }
    names = [
        name
        for name, module in unet.named_modules()
        if isinstance(module, kinds[settings.kinds])
        and name not in fresh
        and settings.layers in ("all", "temporal" if name.startswith(tuple(temporal)) else "spatial")
    ]
    if not names:
        raise InputError(
            f"the model has no {settings.layers} layers of kind {settings.kinds} for adapters (lora)"
        )
    return names


def add_lora(unet: nn.Module, settings: LoRASettings, fresh: Sequence[str] = ()) -> None:
    """Puts adapters in; they change no output yet. Only they and ``fresh`` can be trained from now on."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha or settings.rank,
        target_modules=target_layers(unet, settings, fresh),
        init_lora_weights=True,
    )
    inject_adapter_in_model(config, unet)
    for name in fresh:
        unet.get_submodule(name).requires_grad_(True)


def adapter_parameters(unet: nn.Module, settings: LoRASettings) -> int:
    """How many values a model's adapters would have; the model may be on the device ``meta``, and stays as it is."""
    count = 0
    for name in target_layers(unet, settings):
        layer: Any = unet.get_submodule(name)
        outputs, inputs, *kernel = layer.weight.shape
        count += settings.rank * (inputs * math.prod(kernel) + outputs)
    return count


def has_lora(unet: nn.Module) -> bool:
    """Whether a model has adapters."""
    return any(_is_adapter(module) for module in unet.modules())


def lora_weights(unet: nn.Module) -> dict[str, Tensor]:
    """The adapters' weights on the CPU, by peft's names: ``LAYER.lora_A.weight`` and ``LAYER.lora_B.weight``."""
    from peft import get_peft_model_state_dict

    weights: Mapping[str, Tensor] = get_peft_model_state_dict(unet)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}


def save_lora(unet: Any, folder: Path) -> None:
    """Writes the adapters as peft does: ``adapter_model.safetensors`` and ``adapter_config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"{PEFT_PREFIX}{name}": tensor for name, tensor in lora_weights(unet).items()}
    config = unet.peft_config["default"].to_dict()
    about = {"format": "pt", "alpha": str(config["lora_alpha"]), "cut": cut_of(unet.config)}
    save_file(weights, folder / FILE, metadata=about)
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    text = json.dumps(plain, indent=2, sort_keys=True, default=str)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


@torch.no_grad()
def merge_lora(unet: nn.Module) -> None:
    """Adds the adapters to the weights of their layers and takes them out: the model is as if it never had any.

    Weights that are shared with another model change there too.
    """
    for name, module in list(unet.named_modules()):
        if _is_adapter(module):
            adapter: Any = module
            adapter.merge(safe_merge=True)
            parent, _, child = name.rpartition(".")
            holder = unet.get_submodule(parent)
            if isinstance(holder, nn.Sequential | nn.ModuleList):
                holder[int(child)] = adapter.get_base_layer()
            else:
                setattr(holder, child, adapter.get_base_layer())
    for left in ("peft_config", "_hf_peft_config_loaded"):
        if hasattr(unet, left):
            delattr(unet, left)


def _is_adapter(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "get_base_layer")
