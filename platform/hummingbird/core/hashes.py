"""What a model is known by: hashes of its weights and files, its size, its configuration."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # files are hashed without torch
    from torch import nn

MODEL_FILES = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".txt", ".jinja", ".model"})
"""Suffixes of files that say what a model computes; documents do not."""


def weights_hash(module: "nn.Module") -> str:
    """SHA-256 (hex) of names, types, shapes and values of all tensors: the same wherever they are stored."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def folder_hash(folder: Path) -> str:
    """SHA-256 (hex) of names and contents of a model folder's `MODEL_FILES`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in MODEL_FILES:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(bytes.fromhex(file_hash(path)))
    return digest.hexdigest()


def weights_path_hash(path: Path) -> str:
    """`folder_hash` of a model folder, `file_hash` of a single file."""
    return folder_hash(path) if path.is_dir() else file_hash(path)


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class ModelIdentity:
    """What the lake knows a model by: the hash and the number of its weights."""

    weights_hash: str
    parameters: int


def identify(module: "nn.Module") -> ModelIdentity:
    """The identity of a module's weights."""
    return ModelIdentity(weights_hash(module), count_parameters(module))


def count_parameters(module: "nn.Module") -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the keys that diffusers adds for itself (``_class_name``, ...)."""
    return {key: value for key, value in config.items() if not key.startswith("_")}
