"""Low-rank adapters (LoRA, arXiv 2106.09685) of a pipeline's U-Net, called as in diffusers: loaded, scaled, taken out.

A file holds them in PEFT's names, ``LAYER.lora_A.weight`` and ``LAYER.lora_B.weight``; its metadata say their alpha and
which cut of the U-Net they are for. Scaled to 0, a U-Net computes bit for bit what it does without.
"""

import hashlib
import importlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn

FILE = "adapter_model.safetensors"
PREFIXES = ("base_model.model.", "unet.")
"""What PEFT's and diffusers' own files put before the names of the layers."""
FREE = ("guidance_size", "dropout")
"""What the U-Nets of one cut may differ in."""


class LoraLoaderMixin:
    """For a pipeline with ``unet``: adapters by name, each with a scale."""

    unet: Any

    def load_lora_weights(
        self,
        weights: str | Path | Mapping[str, Tensor],
        adapter_name: str = "default",
        weight_name: str = FILE,
    ) -> None:
        """Puts an adapter into the U-Net, at scale 1; others that are there stay as they are.

        Args:
            weights: a folder, a file in safetensors, or tensors by name.
            adapter_name: what `set_adapters` calls it.
            weight_name: of the file in a folder.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the name is taken, it is no adapter, or one of another model; the message names the layer.
        """
        # Not by an import, which diffusers would want of whoever loads this code beside a saved pipeline.
        peft: Any = importlib.import_module("peft")
        if adapter_name in self.get_list_adapters():
            raise ValueError(
                f"there is an adapter {adapter_name!r} already: give this one another adapter_name"
            )
        tensors, about = _read(weights, weight_name)
        layers = _checked(self.unet, adapter_name, tensors, about)
        rank = max(down.shape[0] for down, _ in layers.values())
        config = peft.LoraConfig(
            r=rank,
            rank_pattern={
                f"^{name}$": down.shape[0] for name, (down, _) in layers.items() if down.shape[0] != rank
            },
            lora_alpha=float(about.get("alpha", rank)),
            target_modules=list(layers),
            init_lora_weights=False,
        )
        others = dict(getattr(self.unet, "lora_scales", {}))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # a second adapter is meant
            peft.inject_adapter_in_model(config, self.unet, adapter_name)
        peft.set_peft_model_state_dict(self.unet, tensors, adapter_name)
        self.unet.requires_grad_(False).eval()
        self.set_adapters([*others, adapter_name], [*others.values(), 1.0])

    def set_adapters(
        self, adapter_names: str | Sequence[str], adapter_weights: float | Sequence[float] = 1.0
    ) -> None:
        """Which adapters count, and how much; all others do not.

        Raises:
            ValueError: an unknown name, or as many scales as names are not given.
        """
        names = [adapter_names] if isinstance(adapter_names, str) else list(adapter_names)
        scales = (
            [adapter_weights] * len(names)
            if isinstance(adapter_weights, int | float)
            else list(adapter_weights)
        )
        known = self.get_list_adapters()
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f"no adapter {unknown[0]!r}; there are {', '.join(known) or 'none'}")
        if len(scales) != len(names):
            raise ValueError(f"{len(names)} adapters, but {len(scales)} scales")
        chosen = {name: float(scale) for name, scale in zip(names, scales, strict=True) if scale}
        for layer in _adapted(self.unet):
            own = [name for name in chosen if name in layer.lora_A]
            layer.enable_adapters(bool(own))
            if own:
                layer.set_adapter(own)
            for name in own:
                layer.set_scale(name, chosen[name])
        self.unet.requires_grad_(False)
        self.unet.lora_scales = {name: chosen.get(name, 0.0) for name in known}

    def get_list_adapters(self) -> list[str]:
        """Names of the adapters that are there."""
        return list(dict.fromkeys(name for layer in _adapted(self.unet) for name in layer.lora_A))

    def unload_lora_weights(self) -> None:
        """Takes all adapters out: the U-Net is as if it never had any."""
        for name, layer in [(n, m) for n, m in self.unet.named_modules() if _is_adapted(m)]:
            parent, _, child = name.rpartition(".")
            holder = self.unet.get_submodule(parent)
            if isinstance(holder, nn.Sequential | nn.ModuleList):
                holder[int(child)] = layer.get_base_layer()
            else:
                setattr(holder, child, layer.get_base_layer())
        for left in ("peft_config", "lora_scales"):
            if hasattr(self.unet, left):
                delattr(self.unet, left)


def cut_of(config: Mapping[str, Any]) -> str:
    """Which cut a U-Net's configuration is of: equal for those whose layers are the same."""
    own = {key: value for key, value in config.items() if not key.startswith("_") and key not in FREE}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=list).encode()).hexdigest()[:16]


def check_adapter(folder: Path, config: Mapping[str, Any]) -> None:
    """Whether the adapter of a folder is for the U-Net of a configuration, as far as its file says.

    Raises:
        FileNotFoundError: there is no adapter.
        ValueError: it is for another cut.
    """
    _, about = _read(folder, FILE)
    if about.get("cut", cut_of(config)) != cut_of(config):
        raise ValueError(f"the adapter in {folder} was made for another cut of the model")


def _read(
    weights: str | Path | Mapping[str, Tensor], weight_name: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    if isinstance(weights, Mapping):
        return {_plain(name): tensor for name, tensor in weights.items()}, {}
    path = Path(weights)
    path = path / weight_name if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"there is no adapter at {path}")
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        return {_plain(name): file.get_tensor(name) for name in names}, dict(file.metadata() or {})


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _checked(
    unet: Any, adapter: str, tensors: Mapping[str, Tensor], about: Mapping[str, str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """The pairs of each layer's tensors. Raises ValueError, see `LoraLoaderMixin.load_lora_weights`."""
    layers: dict[str, tuple[Tensor, Tensor]] = {}
    for name in tensors:
        layer, _, part = name.partition(".lora_")
        if part not in ("A.weight", "B.weight") or f"{layer}.lora_A.weight" not in tensors:
            raise ValueError(f"{adapter!r} is no adapter in PEFT's names: it holds {name}")
        if f"{layer}.lora_B.weight" not in tensors:
            raise ValueError(f"{adapter!r} lacks {layer}.lora_B.weight")
        layers[layer] = tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"]
    if not layers:
        raise ValueError(f"{adapter!r} holds no weights")
    modules = dict(unet.named_modules())
    for layer, (down, up) in layers.items():
        module = modules.get(layer)
        base = module.get_base_layer() if module is not None and _is_adapted(module) else module
        weight: Any = getattr(base, "weight", None)
        shape = None if weight is None else tuple(weight.shape)
        if shape is None or (up.shape[0], down.shape[1]) != shape[:2]:
            own = "is not there" if shape is None else f"of {shape[0]} x {shape[1]}"
            raise ValueError(
                f"adapter {adapter!r} was made for another cut of the model: its {layer} is of {up.shape[0]} x "
                f"{down.shape[1]}, this model's {own}"
            )
    if about.get("cut", cut_of(unet.config)) != cut_of(unet.config):
        raise ValueError(
            f"adapter {adapter!r} was made for another cut of the model: train one for this model"
        )
    return layers


def _adapted(unet: Any) -> Iterator[Any]:
    return (module for module in unet.modules() if _is_adapted(module))


def _is_adapted(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "get_base_layer")
