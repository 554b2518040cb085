"""From a pipeline to files that other runtimes run: ONNX, and OpenVINO's form of it.

    export.json       what was exported, and how far each runtime's outputs are from eager ones, with sizes and times
    onnx/PART.onnx    a batch of any size up to the largest
    openvino/PART.xml, PART.bin    one video at a time
    tokenizer/

Integrated GPUs, phones and browsers have such runtimes and no PyTorch. Here they run on the CPU, each as the pipeline
itself with other parts (`ExportedPipeline`), so that sampling has one implementation.
"""

import json
import logging
import shutil
import statistics
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from hummingbird.compiling.compile import CONFIGS, TOLERANCE, package_inputs, part_config
from hummingbird.compiling.package import PackagedPipeline, PackageFacts, Run, part_names
from hummingbird.compiling.parts import TensorPart, chosen_decoders, tensor_parts
from hummingbird.config.export import ExportSettings
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.folders import whole_folder
from hummingbird.core.hashes import weights_hash
from hummingbird.core.model_references import SHIPPED
from hummingbird.core.progress import ProgressBar
from hummingbird.core.timing import time_in_turns
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline

MANIFEST = "export.json"
_ONE_FILE = 1_800_000_000  # bytes of weights; a file of ONNX holds 2 GiB, beyond that they lie beside it
_SUFFIX = {"onnx": "onnx", "openvino": "xml"}


class ExportManifest(PackageFacts):
    """What an export holds.

    Attributes:
        formats: those written.
        max_batch_size: most videos in one pass of ONNX.
        versions: of the packages that wrote the files.
        parts: for each part and runtime ("eager" too): ``max_difference`` and ``max_value`` of outputs, ``megabytes``,
            ``milliseconds`` (median, one video).
        device: that was timed.
    """

    schema_version: int = 1
    formats: tuple[str, ...]
    max_batch_size: int
    versions: dict[str, str]
    parts: dict[str, dict[str, dict[str, float]]]
    device: str


class ExportedPipeline(PackagedPipeline):
    """The pipeline of exported parts, run by one of their runtimes."""

    @classmethod
    def load(cls, folder: Path, runtime: str) -> Self:
        """``runtime``: "onnx" or "openvino".

        Raises:
            InputError: there is no such export, or its runtime is not installed.
        """
        try:
            manifest = ExportManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise InputError(f"there is no export in {folder}: jobs/export.py makes one") from error
        if runtime not in manifest.formats:
            raise InputError(f"{folder} was exported for {', '.join(manifest.formats)}, not for {runtime}")
        runs = {part: load_part(_file(folder, runtime, part), runtime) for part in part_names(manifest)}
        size = manifest.max_batch_size if runtime == "onnx" else 1
        return cls.assemble(manifest, runs, folder / "tokenizer", "cpu", size)


def export_model(settings: Settings) -> Path:
    """Exports ``export.model``; returns the path of ``result.json``; its output ``export`` is the folder.

    Raises:
        InputError: no such model, or the packages of the extra ``export`` are not installed.
        RuntimeError: a runtime's outputs differ from the eager part's.
    """
    _check_installed(("onnx", "onnxscript", "onnxruntime"))
    if "openvino" in settings.export.formats:
        _check_installed(("openvino",))
    chosen = settings.export.model or settings.models.student or f"{SHIPPED}student"
    pipeline = load_pipeline(chosen)
    with open_run(settings, "export", inputs=package_inputs(pipeline, "cpu")) as run:
        folder = run.folder / "export"
        if not (folder / MANIFEST).is_file():
            export_pipeline(pipeline, folder, settings.export, chosen)
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        run.metrics.update(parts=manifest["parts"], device=manifest["device"])
        run.outputs["export"] = folder
        print(text_table(manifest["parts"]), flush=True)
    return run.result_path


def export_pipeline(
    pipeline: TextToVideoPipeline, folder: Path, settings: ExportSettings, name: str
) -> ExportManifest:
    """Exports a pipeline into ``folder``, which appears whole or not at all, and measures every runtime.

    Raises:
        RuntimeError: a runtime's outputs differ from the eager part's.
    """
    pipeline.to("cpu")
    decoders = chosen_decoders(pipeline, settings.decoder)
    parts = tensor_parts(pipeline, settings.num_frames, decoders, settings.max_batch_size)
    with whole_folder(folder) as work:
        measured = {}
        for part_name, part in ProgressBar(parts.items(), desc="export", unit="part"):
            one_video = settings.num_frames if part_name.startswith("decoder") else 1
            _write_onnx(part, _file(work, "onnx", part_name))
            if "openvino" in settings.formats:
                _write_openvino(work, part_name, one_video)
            measured[part_name] = _measure(work, part_name, part, settings, one_video)
        if "onnx" not in settings.formats:
            shutil.rmtree(work / "onnx")
        pipeline.tokenizer.save_pretrained(work / "tokenizer")
        packages = ("torch", "onnx", "onnxruntime", *(f for f in settings.formats if f == "openvino"))
        manifest = ExportManifest(
            name=name,
            weights_hash=weights_hash(pipeline.unet),
            decoders=decoders,
            num_frames=settings.num_frames,
            configs={part: part_config(getattr(pipeline, part)) for part in CONFIGS},
            formats=settings.formats,
            max_batch_size=settings.max_batch_size,
            versions={package: version(package) for package in packages},
            parts=measured,
            device=describe_device(),
        )
        write_atomically(work / MANIFEST, manifest.model_dump_json(indent=2).encode())
    return manifest


def load_part(file: Path, runtime: str) -> Run:
    """The forward pass of an exported part on the CPU, with as many threads as torch has."""
    return {"onnx": _onnx_run, "openvino": _openvino_run}[runtime](file)


def text_table(parts: dict[str, dict[str, dict[str, float]]]) -> str:
    """Sizes, times and differences as lines of text."""
    lines = [f"{'part':14}{'runtime':10}{'MB':>8}{'ms':>9}{'largest difference':>20}"]
    for part, runtimes in parts.items():
        for runtime, row in runtimes.items():
            difference = (
                f"{row['max_difference']:.1e} of {row['max_value']:.2f}" if runtime != "eager" else ""
            )
            lines.append(
                f"{part:14}{runtime:10}{row['megabytes']:8.1f}{row['milliseconds']:9.1f}{difference:>20}"
            )
    return "\n".join(lines)


def _file(folder: Path, runtime: str, part: str) -> Path:
    return folder / runtime / f"{part}.{_SUFFIX[runtime]}"


def _write_onnx(part: TensorPart, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # of operators of torchvision, which nothing here has
    shown = part.inputs(2)  # sizes 0 and 1 are special to export
    weights = sum(tensor.nbytes for tensor in part.module.state_dict().values())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about torch, and that all inputs share the axis batch
        program = torch.onnx.export(
            part.module, shown, dynamo=True, dynamic_shapes=part.free_batch(shown), verbose=False
        )
    assert program is not None
    program.save(str(file), external_data=weights > _ONE_FILE)


def _write_openvino(work: Path, part: str, batch: int) -> None:
    import openvino

    file = _file(work, "openvino", part)
    file.parent.mkdir(exist_ok=True)
    model = openvino.Core().read_model(str(_file(work, "onnx", part)))
    # With a free batch the CPU plugin's U-Net is wrong by half of the largest value (2026.4.1).
    model.reshape({one.any_name: [batch, *list(one.partial_shape)[1:]] for one in model.inputs})
    openvino.save_model(model, str(file), compress_to_fp16=False)


def _onnx_run(file: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        fed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, fed)[0])

    return run


def _openvino_run(file: Path) -> Run:
    import openvino

    # By itself it takes bfloat16 where the processor multiplies it.
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(str(file)), "CPU", options)
    names = [one.any_name for one in compiled.inputs]
    batch = compiled.inputs[0].shape[0]

    def run(*inputs: Tensor) -> Tensor:
        outputs = []
        for pieces in zip(*(tensor.split(batch) for tensor in inputs), strict=True):
            size = len(pieces[0])
            fed = {name: _padded(piece, batch) for name, piece in zip(names, pieces, strict=True)}
            outputs.append(torch.from_numpy(np.array(compiled(fed)[0][:size])))
        return torch.cat(outputs)

    return run


def _padded(piece: Tensor, batch: int) -> Any:
    """A batch of that size, its last row repeated."""
    return torch.cat([piece, piece[-1:].expand(batch - len(piece), *piece.shape[1:])]).numpy()


def _measure(
    work: Path, name: str, part: TensorPart, settings: ExportSettings, batch: int
) -> dict[str, dict[str, float]]:
    runs: dict[str, Run] = {form: load_part(_file(work, form, name), form) for form in settings.formats}
    megabytes = {"eager": sum(tensor.nbytes for tensor in part.module.state_dict().values()) / 1e6}
    rows: dict[str, dict[str, float]] = {}
    arguments = part.inputs(batch)
    with torch.inference_mode():
        for form, run in runs.items():
            files = (work / form).glob(f"{name}.*")
            megabytes[form] = sum(file.stat().st_size for file in files) / 1e6
            rows[form] = _difference(run, part, {batch, part.max_batch_size}, f"{name} in {form}")
        tasks: dict[str, Callable[[], object]] = {
            form: lambda run=run: run(*arguments)  # type: ignore[misc]
            for form, run in {"eager": part.module, **runs}.items()
        }
        times = time_in_turns(tasks, 1, settings.repeats)
    return {
        form: {
            **rows.get(form, {"max_difference": 0.0, "max_value": 0.0}),
            "megabytes": megabytes[form],
            "milliseconds": 1e3 * statistics.median(seconds),
        }
        for form, seconds in times.items()
    }


def _difference(run: Run, part: TensorPart, batches: set[int], what: str) -> dict[str, float]:
    """Largest difference from the eager part, and largest value, over batches of several sizes."""
    largest = value = 0.0
    for size in batches:
        arguments = part.inputs(size)
        expected = part.module(*arguments)
        largest = max(largest, (run(*arguments) - expected).abs().max().item())
        value = max(value, expected.abs().max().item())
    if not largest <= TOLERANCE["float32"] * value:
        raise RuntimeError(
            f"{what} differs from the eager part by {largest:.3g}, where the largest value is {value:.3g}: this is a "
            "defect of the runtime on this machine"
        )
    return {"max_difference": largest, "max_value": value}


def _check_installed(packages: Sequence[str]) -> None:
    for package in packages:
        try:
            version(package)
        except ModuleNotFoundError as error:
            raise InputError(f"exporting needs {package}: pip install 'hummingbird[export]'") from error
