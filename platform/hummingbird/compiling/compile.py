"""From a pipeline to a compiled package: export with a free batch size, AOTInductor, a check."""

import copy
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hummingbird.compiling.package import (
    MANIFEST,
    CompiledPipeline,
    Manifest,
    PartReport,
    is_package,
)
from hummingbird.config.compile import CompileSettings
from hummingbird.config.settings import Settings, settings_hash
from hummingbird.core.devices import device_capability, device_name, resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import count_parameters, identify, public_config, weights_hash
from hummingbird.core.model_references import SHIPPED, pipeline_folder
from hummingbird.lake.lineage import find_model, made_by
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import DECODE_BATCH, TextToVideoPipeline, load_pipeline

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest difference from eager outputs that is let through, as a share of their largest value."""

MODULES = ("unet", "vae", "decoder", "text_encoder")
CONFIGS = ("unet", "vae", "text_encoder", "scheduler")

Log = Callable[[str], object]


def compile_model(settings: Settings, log: Log = print) -> Path:
    """Compiles ``compile.model``; returns the path of ``result.json``; its output ``package`` is the folder.

    The same model with the same settings, torch and processor is compiled once.

    Raises:
        InputError: no such model, no compiler, or no such device.
    """
    chosen = settings.compile.model or settings.models.student or f"{SHIPPED}student"
    pipeline = load_pipeline(chosen)
    with open_run(settings, "compile", inputs=package_inputs(pipeline, settings.compile.device)) as run:
        folder = run.folder / "package"
        kind = "few-step" if pipeline.few_steps else "teacher"
        parent = find_model(run.lake, identify(pipeline.unet), kind, pipeline_folder(chosen))
        run.snapshot_id = parent["snapshot_id"]
        if run.previous is None or not is_package(folder):
            name = chosen if chosen.startswith(SHIPPED) else parent["model_id"]
            started = time.perf_counter()
            compile_pipeline(pipeline, folder, settings.compile, name, parent["model_id"], log)
            run.metrics["compile_seconds"] = time.perf_counter() - started
        else:
            run.metrics.update(run.previous["metrics"])
        started = time.perf_counter()
        manifest = CompiledPipeline.load(folder).manifest
        run.metrics["load_seconds"] = time.perf_counter() - started
        run.metrics["parts"] = {name: report.model_dump() for name, report in manifest.parts.items()}
        package_id = f"package-{run.run_id.rpartition('-')[2]}"
        run.lake.add_model(
            {
                **made_by(run, parent),
                "model_id": package_id,
                "kind": "package",
                "path": folder,
                "weights_hash": manifest.weights_hash,
                "parameters": manifest.parameters,
            }
        )
        run.outputs.update(package=folder, model_id=package_id)
    return run.result_path


def package_inputs(pipeline: TextToVideoPipeline, device: str) -> dict[str, object]:
    """What a package depends on besides the settings: weights, configurations, torch and processor."""
    modules = {part: getattr(pipeline, part) for part in MODULES}
    return {
        **{part: weights_hash(module) for part, module in modules.items() if module is not None},
        "configs": {part: _config(getattr(pipeline, part)) for part in CONFIGS},
        "torch": torch.__version__,
        "capability": device_capability(device),
    }


def compile_pipeline(
    pipeline: TextToVideoPipeline,
    folder: Path,
    settings: CompileSettings,
    name: str,
    model_id: str | None = None,
    log: Log = print,
) -> Manifest:
    """Compiles a pipeline into a package folder, which appears whole or not at all; minutes on two cores.

    Args:
        pipeline: moved to the device, and set to evaluation without gradients.
        folder: of the package; one that is there is replaced.
        settings: what for; ``settings.model`` is not read.
        name: what clients call the model.
        model_id: the model's id in the lake.
        log: gets a line before every part.

    Raises:
        InputError: no compiler, or no such device.
        RuntimeError: a compiled part's outputs differ from the eager part's.
    """
    if settings.device == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None:
        raise InputError("compiling needs a C++ compiler: install g++")
    resolve_device(settings.device, "compile.device")
    if settings.decoder == "small" and pipeline.decoder is None:
        raise InputError("this pipeline has no small decoder: set compile.decoder=full")
    pipeline.to(settings.device)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        parts = {}
        for index, (part, (module, inputs, most)) in enumerate(_parts(pipeline, settings).items(), 1):
            log(f"compiling {part.replace('_', ' ')} ({index} of 3) ...")
            parts[part] = _compile(part, module, inputs, most, work / f"{part}.pt2", settings)
        pipeline.tokenizer.save_pretrained(work / "tokenizer")
        manifest = Manifest(
            name=name,
            model_id=model_id,
            weights_hash=weights_hash(pipeline.unet),
            parameters=count_parameters(pipeline.unet),
            device=settings.device,
            device_name=device_name(settings.device),
            capability=device_capability(settings.device),
            torch_version=torch.__version__,
            precision=settings.precision,
            decoder=settings.decoder,
            max_batch_size=settings.max_batch_size,
            num_frames=settings.num_frames,
            settings_hash=settings_hash(Settings(compile=settings), ["compile"]),
            configs={part: _config(getattr(pipeline, part)) for part in CONFIGS},
            parts=parts,
        )
        write_atomically(work / MANIFEST, json.dumps(manifest.model_dump(), indent=2).encode())
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _config(part: Any) -> dict[str, Any]:
    config = part.config.to_dict() if hasattr(part.config, "to_dict") else dict(part.config)
    # Text and back: what JSON cannot hold fails here, and what is read equals what was written.
    return json.loads(json.dumps(public_config(config), default=str))


class _Noise(nn.Module):
    """The U-Net's forward pass with float32 in and out, whatever it computes in."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, *conditions: Tensor) -> Tensor:
        dtype = next(self.unet.parameters()).dtype
        noise: Tensor = self.unet(sample.to(dtype), timestep, text.to(dtype), *conditions)
        return noise.float()


class _Text(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return embedding


class _Pixels(nn.Module):
    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latents: Tensor) -> Tensor:
        dtype = next(self.decoder.parameters()).dtype
        latents = latents.to(dtype).contiguous(memory_format=torch.channels_last)
        pixels: Tensor = self.decoder.decode(latents).sample
        return pixels.float().contiguous()


def _parts(
    pipeline: TextToVideoPipeline, settings: CompileSettings
) -> dict[str, tuple[nn.Module, Callable[[int], tuple[Tensor, ...]], int]]:
    """Every part: a module to export, random inputs for a batch size, and the largest batch."""
    unet = pipeline.unet
    family, frames = pipeline.family, settings.num_frames
    channels, size = family.latent_channels, family.latent_shape()
    length, vocabulary = family.text_tokens, pipeline.text_encoder.config.vocab_size

    def noise_inputs(batch: int) -> tuple[Tensor, ...]:
        sample = torch.randn(batch, channels, frames, *size)
        conditions = [torch.full((batch,), 8.0)]
        if family.embeds_guidance:
            conditions.append(torch.full((batch,), 7.5))
        text = torch.randn(batch, length, family.spec.text_width)
        return sample, torch.randint(0, 1000, (batch,)), text, *conditions

    def text_inputs(batch: int) -> tuple[Tensor, ...]:
        # Captions of every length: the mask is part of what is compared.
        lengths = torch.randint(2, length + 1, (batch, 1))
        mask = (torch.arange(length)[None] < lengths).long()
        return torch.randint(0, vocabulary, (batch, length)), mask

    def pixel_inputs(batch: int) -> tuple[Tensor, ...]:
        return (torch.randn(batch, channels, *size),)

    decoder = pipeline.decoder if settings.decoder == "small" else pipeline.vae
    return {
        "text_encoder": (_Text(pipeline.text_encoder), text_inputs, settings.max_batch_size),
        "unet": (_Noise(unet), noise_inputs, settings.max_batch_size),
        "decoder": (_Pixels(decoder), pixel_inputs, DECODE_BATCH),
    }


def _compile(
    name: str,
    module: nn.Module,
    inputs: Callable[[int], tuple[Tensor, ...]],
    most: int,
    path: Path,
    settings: CompileSettings,
) -> PartReport:
    """Exports, compiles and packs one part, loads it and compares it with the eager part in float32."""

    def example(batch: int) -> tuple[Tensor, ...]:
        return tuple(tensor.to(settings.device) for tensor in inputs(batch))

    exact = module.eval().requires_grad_(False)
    if name != "text_encoder" and settings.precision != "float32":
        module = copy.deepcopy(exact).to(getattr(torch, settings.precision))
    # Sizes 0 and 1 are special to export; an example of 2 leaves the size free.
    shown = example(2)
    batch = torch.export.Dim("batch", min=1, max=most)
    with torch.no_grad(), warnings.catch_warnings():
        # Of torch about torch.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        exported = torch.export.export(module, shown, dynamic_shapes=_free(module, shown, batch))
        # Threads at run time as they are set at run time, not as they were here.
        options = {"cpp.dynamic_threads": True} if settings.device == "cpu" else {}
        torch._inductor.aoti_compile_and_package(exported, package_path=str(path), inductor_configs=options)
        compiled = torch._inductor.aoti_load_package(str(path))
        differences, values = [], []
        for size in sorted({1, most}):
            arguments = example(size)
            expected = exact(*arguments)
            differences.append((compiled(*arguments) - expected).abs().max().item())
            values.append(expected.abs().max().item())
    report = PartReport(max_difference=max(differences), max_value=max(values))
    if not report.max_difference <= TOLERANCE[settings.precision] * report.max_value:
        raise RuntimeError(
            f"the compiled {name} differs from the eager one by {report.max_difference:.3g}, where the "
            f"largest value is {report.max_value:.3g}: this is a defect of the compiler on this machine"
        )
    return report


def _free(module: nn.Module, shown: tuple[Tensor, ...], batch: Any) -> tuple[Any, ...]:
    """Every input's first dimension is the batch; trailing ``*conditions`` are one argument to export."""
    spec = tuple({0: batch} for _ in shown)
    return (*spec[:3], spec[3:]) if isinstance(module, _Noise) else spec
