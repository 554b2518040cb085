"""The verb ``publish``: the folder that an upload to the Hub takes, with its card, checked; uploaded where asked."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import identify
from hummingbird.core.model_references import model_licence, pipeline_folder, pipeline_part
from hummingbird.evaluation.evaluated_models import pipeline_hash
from hummingbird.lake.lake import Lake, parse_json
from hummingbird.lake.lineage import latest_output
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.reports import loads_alone
from hummingbird.reports.from_lake import lineage_part
from hummingbird.reports.model_card import CardFacts, model_card

_CHECK_SECONDS = 1800.0
_DEFAULT_FRAMES = 16


def publish(settings: Settings) -> Path:
    """Writes and checks the folder; returns the path of ``result.json``. Output: ``upload``, the folder.

    The card is of the newest evaluation and benchmark in the storage that measured these very weights.

    Raises:
        InputError: no such model, no licence, or an upload without a repository.
        RuntimeError: the folder does not load by itself.
    """
    s = settings.publish
    if s.upload and s.repo is None:
        raise InputError("name the repository to upload to: publish.repo=OWNER/NAME")
    lake = Lake.open(settings)
    model = s.model or settings.models.student or str(latest_output(lake, "feedback", "pipeline"))
    source = pipeline_folder(model)
    pipeline = load_pipeline(source)
    row = _model_row(lake, pipeline)
    licence = s.licence or (row or {}).get("licence") or model_licence(source)
    if licence is None:
        raise InputError(
            f"neither the lake nor a card in {source} says under which licence: set publish.licence"
        )
    facts = _facts(settings, lake, source, pipeline, row, licence)
    with open_run(settings, "publish", inputs={"model": identify(pipeline.unet).weights_hash}) as run:
        folder = run.folder / "upload"
        shutil.rmtree(folder, ignore_errors=True)
        pipeline.save_pretrained(folder)
        write_atomically(folder / "README.md", model_card(facts).encode())
        run.metrics.update(
            video=check_folder(folder, facts.sampling["decoder"]),
            bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            evaluated=facts.evaluation is not None,
            uploaded=False,
        )
        run.outputs["upload"] = folder
        if s.upload:
            assert s.repo is not None
            api = HfApi()
            api.create_repo(s.repo, private=s.private, exist_ok=True)
            api.upload_folder(repo_id=s.repo, folder_path=folder, commit_message=f"Publish {facts.name}")
            run.metrics["uploaded"] = True
            print(f"uploaded {folder} to {s.repo}")
        else:
            print(
                f"{folder} loads by itself and is ready; publish.upload=true publish.repo=OWNER/NAME uploads it"
            )
    return run.result_path


def check_folder(folder: Path, decoder: str) -> str:
    """Loads a folder in a process of its own, without this project's settings, and makes a short video.

    Returns:
        The shape of the video.

    Raises:
        RuntimeError: it does not load, or makes no video; with the last words of the process.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    command = [sys.executable, "-I", loads_alone.__file__, str(folder), "2", decoder]
    done = subprocess.run(
        command,
        env={**kept, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(folder.parent / "modules")},
        capture_output=True,
        text=True,
        timeout=_CHECK_SECONDS,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"{folder} does not load by itself: {last}")
    return done.stdout.strip().splitlines()[-1]


def _facts(
    settings: Settings,
    lake: Lake,
    source: Path,
    pipeline: TextToVideoPipeline,
    row: Mapping[str, Any] | None,
    licence: str,
) -> CardFacts:
    s = settings.publish
    hashes = {
        decoder: pipeline_hash(source, decoder)
        for decoder in ("small", "full")
        if decoder == "full" or pipeline_part(source, "decoder").is_dir()
    }
    evaluation = _evaluation(lake, set(hashes.values()))
    height, width = pipeline.family.size
    scheduler = pipeline.scheduler.config
    few = pipeline.few_steps
    sampling = {
        "num_inference_steps": scheduler["num_inference_steps"],
        "guidance_scale": scheduler["guidance_scale"],
        "decoder": "small" if few and "small" in hashes else "full",
        "num_frames": _DEFAULT_FRAMES,
        "height": height,
        "width": width,
    }
    if evaluation is not None:
        stamp = evaluation[0]["stamps"][evaluation[1]]
        sampling |= {
            key: stamp[key] for key in ("num_inference_steps", "guidance_scale", "decoder", "num_frames")
        }
    name = s.name or (s.repo or source.name).rpartition("/")[2]
    return CardFacts(
        name=name,
        repo=s.repo or f"OWNER/{name}",
        licence=licence,
        base_model=s.base_model,
        datasets=s.datasets,
        parameters=identify(pipeline.unet).parameters,
        sampling=sampling,
        evaluation=evaluation,
        speed=_speed(lake, set(hashes.values())),
        lineage=() if row is None else lineage_part(lake, row["model_id"]),
        note=s.note,
    )


def _model_row(lake: Lake, pipeline: TextToVideoPipeline) -> Mapping[str, Any] | None:
    where = f"weights_hash = '{identify(pipeline.unet).weights_hash}' and kind != 'package'"
    rows = lake.read("models", where).to_pylist()
    return rows[-1] if rows else None


def _metrics(lake: Lake, verb: str) -> list[Mapping[str, Any]]:
    """Of finished runs of a verb, the newest first."""
    runs = lake.read("runs", f"kind = 'run' and verb = '{verb}' and state = 'finished'")
    ordered = runs.sort_by([("finished", "descending")]).to_pylist()
    return [parse_json(row)["metrics"] for row in ordered]


def _evaluation(lake: Lake, hashes: set[str]) -> tuple[Mapping[str, Any], str] | None:
    for metrics in _metrics(lake, "evaluate"):
        names = [name for name, stamp in metrics["stamps"].items() if stamp["weights_hash"] in hashes]
        if names:
            return metrics, names[-1]
    return None


def _speed(lake: Lake, hashes: set[str]) -> tuple[Mapping[str, Any], str] | None:
    for metrics in _metrics(lake, "benchmark"):
        rows = {name: row for name, row in metrics["timings"].items() if row.get("weights_hash") in hashes}
        if rows:
            return rows, metrics["device"]
    return None
