"""Pruning: a smaller U-Net by a plan, with every weight taken from the teacher and checked."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import count_parameters, identify, public_config, weights_hash
from hummingbird.core.model_references import pipeline_folder
from hummingbird.lake.lineage import find_model, made_by, put_model
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import Plan, load_plan
from hummingbird.pruning.slices import layer_of, teacher_name, teacher_part

REPORT_VERSION = 1


def prune(settings: Settings) -> Path:
    """Prunes ``models.teacher`` by ``prune.plan``; returns the path of ``result.json``.

    The run folder holds ``pipeline`` (the teacher's with the student's U-Net), ``plan.yaml``, and the
    report ``plan.json``: which layers stayed and went, with their parameters and the check of their weights.

    Raises:
        InputError: no such teacher or plan, a plan that does not fit the teacher, or one that keeps more than
            ``prune.max_share`` of its parameters.
    """
    teacher_folder = pipeline_folder(settings.models.teacher)
    pipeline = load_pipeline(teacher_folder)
    teacher = pipeline.unet
    plan = load_plan(settings.prune.plan, teacher.config)
    inputs = {"teacher": weights_hash(teacher), "plan": plan.model_dump()}
    with open_run(settings, "prune", inputs=inputs) as run:
        student = prune_unet(teacher, plan)
        share = count_parameters(student) / count_parameters(teacher)
        if share > settings.prune.max_share:
            raise InputError(
                f"plan '{plan.name}' keeps {share:.1%} of the parameters, prune.max_share allows "
                f"{settings.prune.max_share:.1%}: drop more layers or raise it"
            )
        folder = run.folder / "pipeline"
        pipeline.unet = student
        pipeline.save_pretrained(folder)
        report = pruning_report(teacher, VideoUNet.from_pretrained(folder / "unet"), plan)
        write_atomically(run.folder / "plan.yaml", plan.to_yaml().encode())
        write_atomically(run.folder / "plan.json", json.dumps(report, indent=2).encode())
        _require_equal(report)
        parent = find_model(run.lake, identify(teacher), "teacher", teacher_folder)
        row = {**made_by(run, parent), "path": folder, "plan": plan.model_dump()}
        run.outputs["pipeline"] = folder
        run.outputs["plan"] = run.folder / "plan.yaml"
        run.outputs["report"] = run.folder / "plan.json"
        run.outputs["model_id"] = put_model(run.lake, identify(student), "pruned", row)
        run.metrics.update(
            teacher_parameters=report["teacher"]["parameters"],
            student_parameters=report["student"]["parameters"],
            share=share,
        )
    return run.result_path


def prune_unet(teacher: VideoUNet, plan: Plan, *, share: bool = False) -> VideoUNet:
    """The student of a plan, with the teacher's weights; same type and device.

    Args:
        share: let the student's tensors be the teacher's own where they are whole, to look at a student
            without the memory of one; training it would change the teacher.

    Raises:
        InputError: the plan does not fit the teacher, a layer would get an input of another width than its
            weights were made for, or a weight of the teacher is not finite.
    """
    config = pruned_config(plan, teacher.config)
    with torch.device("meta"):
        student: VideoUNet = VideoUNet(**config)
    weights = teacher.state_dict()
    student_weights = {}
    for name, empty in student.state_dict().items():
        source = teacher_name(plan, name)
        part = teacher_part(plan, teacher.config, weights, source)
        if part is None or part.shape != empty.shape:
            shape = tuple(part.shape) if part is not None else "none"
            raise InputError(
                f"plan '{plan.name}': the student's {name} needs a tensor of shape {tuple(empty.shape)}; "
                f"the teacher's {source} has {shape}"
            )
        if not share and not part.is_meta and not bool(part.isfinite().all()):
            raise InputError(f"the teacher's {source} holds values that are not finite: it cannot be pruned")
        student_weights[name] = part if share else part.clone(memory_format=torch.contiguous_format)
    student.load_state_dict(student_weights, assign=True)
    student.requires_grad_(not share).eval()
    return student


def pruning_report(teacher: VideoUNet, student: VideoUNet, plan: Plan) -> dict[str, Any]:
    """What stayed and what went, layer by layer, with the largest difference of the student's weights.

    Returns:
        JSON: ``schema_version``, ``plan``, ``teacher`` and ``student`` (``config``, ``parameters``),
        ``layers`` in the teacher's order: ``layer`` (``down.STAGE.LAYER``, ``middle``, ``up..``, ``shared``),
        ``kept``, ``student_layer``, ``parameters`` (the teacher's), ``kept_parameters``, ``tensors``,
        ``largest_difference`` (None where it went), ``dropped`` (parts of a kept layer that went) and
        ``narrow`` (its new widths).
    """
    weights = teacher.state_dict()
    sizes: dict[str, int] = defaultdict(int)
    for name, tensor in weights.items():
        sizes[layer_of(name)] += tensor.numel()
    student_layer: dict[str, str] = {}
    tensors: dict[str, int] = defaultdict(int)
    kept_parameters: dict[str, int] = defaultdict(int)
    difference: dict[str, float] = defaultdict(float)
    for name, tensor in student.state_dict().items():
        source = teacher_name(plan, name)
        layer = layer_of(source)
        part = teacher_part(plan, teacher.config, weights, source)
        if part is None:
            raise RuntimeError(f"the student's {name} has no source in the teacher")
        gap = (tensor.float() - part.to(tensor.device).float()).abs().max().item()
        # The comparison is written so that NaN counts as a difference.
        difference[layer] = difference[layer] if gap <= difference[layer] else gap
        student_layer[layer] = layer_of(name)
        tensors[layer] += 1
        kept_parameters[layer] += tensor.numel()
    layers = [
        {
            "layer": layer,
            "kept": layer in student_layer,
            "student_layer": student_layer.get(layer),
            "parameters": size,
            "kept_parameters": kept_parameters.get(layer, 0),
            "tensors": tensors.get(layer, 0),
            "largest_difference": difference.get(layer),
            "dropped": [entry.rpartition(".")[2] for entry in plan.drop if entry.rpartition(".")[0] == layer],
            "narrow": plan.narrow[layer].model_dump(exclude_none=True) if layer in plan.narrow else {},
        }
        for layer, size in sizes.items()
    ]
    return {
        "schema_version": REPORT_VERSION,
        "plan": plan.model_dump(),
        "teacher": _about(teacher),
        "student": _about(student),
        "layers": layers,
    }


def _about(model: Any) -> dict[str, Any]:
    return {"config": public_config(model.config), "parameters": count_parameters(model)}


def _require_equal(report: dict[str, Any]) -> None:
    wrong = [
        entry["layer"] for entry in report["layers"] if entry["kept"] and entry["largest_difference"] != 0.0
    ]
    if wrong:
        raise RuntimeError(f"the saved student differs from the teacher in {', '.join(wrong)}")
