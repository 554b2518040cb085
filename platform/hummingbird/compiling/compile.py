"""From a pipeline to a compiled package: export with a free batch size, AOTInductor, a check."""

import copy
import json
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hummingbird.compiling.package import (
    MANIFEST,
    CompiledPipeline,
    Manifest,
    PartReport,
    is_package,
)
from hummingbird.compiling.parts import TensorPart, chosen_decoders, tensor_parts
from hummingbird.config.compile import CompileSettings
from hummingbird.config.settings import Settings, settings_hash
from hummingbird.core.devices import device_capability, device_name, resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.folders import whole_folder
from hummingbird.core.hashes import count_parameters, identify, public_config, weights_hash
from hummingbird.core.model_references import SHIPPED, pipeline_folder
from hummingbird.lake.lineage import find_model, made_by
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline

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
        "configs": {part: part_config(getattr(pipeline, part)) for part in CONFIGS},
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
    pipeline.to(settings.device)
    decoders = chosen_decoders(pipeline, settings.decoder)
    chosen = tensor_parts(pipeline, settings.num_frames, decoders, settings.max_batch_size)
    with whole_folder(folder) as work:
        parts = {}
        for index, (name_of_part, part) in enumerate(chosen.items(), 1):
            log(f"compiling {name_of_part.replace('_', ' ')} ({index} of {len(chosen)}) ...")
            parts[name_of_part] = _compile(name_of_part, part, work / f"{name_of_part}.pt2", settings)
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
            decoders=decoders,
            max_batch_size=settings.max_batch_size,
            num_frames=settings.num_frames,
            settings_hash=settings_hash(Settings(compile=settings), ["compile"]),
            configs={part: part_config(getattr(pipeline, part)) for part in CONFIGS},
            parts=parts,
        )
        write_atomically(work / MANIFEST, json.dumps(manifest.model_dump(), indent=2).encode())
    return manifest


def part_config(part: Any) -> dict[str, Any]:
    """A part's configuration as JSON holds it."""
    config = part.config.to_dict() if hasattr(part.config, "to_dict") else dict(part.config)
    # Text and back: what JSON cannot hold fails here, and what is read equals what was written.
    return json.loads(json.dumps(public_config(config), default=str))


def _compile(name: str, part: TensorPart, path: Path, settings: CompileSettings) -> PartReport:
    """Exports, compiles and packs one part, loads it and compares it with the eager part in float32."""

    def example(batch: int) -> tuple[Tensor, ...]:
        return tuple(tensor.to(settings.device) for tensor in part.inputs(batch))

    exact = module = part.module
    if name != "text_encoder" and settings.precision != "float32":
        module = copy.deepcopy(exact).to(getattr(torch, settings.precision))
    # Sizes 0 and 1 are special to export; an example of 2 leaves the size free.
    shown = example(2)
    with torch.no_grad(), warnings.catch_warnings():
        # Of torch about torch.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        exported = torch.export.export(module, shown, dynamic_shapes=part.free_batch(shown))
        # Threads at run time as they are set at run time, not as they were here.
        options = {"cpp.dynamic_threads": True} if settings.device == "cpu" else {}
        torch._inductor.aoti_compile_and_package(exported, package_path=str(path), inductor_configs=options)
        compiled = torch._inductor.aoti_load_package(str(path))
        differences, values = [], []
        for size in sorted({1, part.max_batch_size}):
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
