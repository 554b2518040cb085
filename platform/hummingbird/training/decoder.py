"""The verb ``decoder``: a small decoder for a pipeline's autoencoder, distilled on the latents of a cache."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from hummingbird.config.cluster import connect
from hummingbird.config.decoder import DecoderSettings
from hummingbird.config.settings import Settings
from hummingbird.config.training import UNSEEN_IN_RESULTS
from hummingbird.core.devices import resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path, remove_tree, write_atomically
from hummingbird.core.hashes import folder_hash, identify, weights_hash
from hummingbird.core.model_references import pipeline_folder, pipeline_part
from hummingbird.core.resources import placement, reachable_resources
from hummingbird.core.scratch import origin
from hummingbird.lake.lineage import find_model, latest_output
from hummingbird.lake.runs import open_run
from hummingbird.models.loading import load_pretrained
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.data import cached_latents
from hummingbird.training.decoder_features import FeatureDistance
from hummingbird.training.decoder_quality import DecoderQuality, decoder_quality, quality_table, write_frames
from hummingbird.training.latent_cache import LatentCache, encoder_hashes
from hummingbird.training.log import LOSSES, read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.decoding import (
    DecoderDistillation,
    DecoderOnly,
    FullDecoderPairs,
    fitting_stages,
    pixel_loss,
    small_decoder,
)
from hummingbird.training.trainer import train

REPORT_VERSION = 1


def distil_decoder(settings: Settings) -> Path:
    """Distils a small decoder into a copy of ``decoder.model``; returns the path of ``result.json``.

    The run folder holds ``pipeline`` (the model's own with the new small decoder), ``losses.jsonl``, the report
    ``decoder.json`` (see `DecoderQuality`) and ``frames.png``. A small decoder that the pipeline had is compared too.

    Raises:
        InputError: the model or the cache is missing, they do not fit each other, or the cache has no clips besides
            those that are held out.
    """
    from hummingbird.lake.lake import Lake

    section, training = settings.decoder, settings.training
    lake = Lake.open(settings)
    cache = as_path(training.cache or latest_output(lake, "encode", "cache"))
    home = pipeline_folder(section.model or settings.models.teacher)
    pipeline, latents = load_pipeline(home), LatentCache(cache)
    _check(section, pipeline, latents)
    held_out = held_out_samples(latents, section.held_out)
    inputs = {
        "model": weights_hash(pipeline.unet),
        "start": weights_hash(pipeline.decoder) if pipeline.decoder is not None else None,
        "features": folder_hash(section.features) if section.features else None,
        "cache": {key: latents.about[key] for key in ("snapshot_id", "vae_hash", "buckets", "count")},
        "training": training.model_dump(mode="json", exclude=set(UNSEEN_IN_RESULTS)),
    }
    with open_run(settings, "decoder", inputs=inputs, snapshot_id=latents.about["snapshot_id"]) as run:
        if run.previous is not None and Path(run.previous["outputs"]["pipeline"]).is_dir():
            run.outputs.update(run.previous["outputs"])
            run.metrics.update(run.previous["metrics"])
            return run.result_path
        job = TrainingJob(
            name="decoder",
            build=partial(build_decoder_method, section, settings.seed, home),
            data=partial(cached_latents, cache, section.batch_size, settings.seed, left_out=held_out),
            folder=run.folder,
            steps=section.steps,
            minutes=section.minutes,
            learning_rate=section.learning_rate,
            seed=settings.seed,
            training=training,
        )
        parent = find_model(run.lake, identify(pipeline.unet), "teacher", home)
        trained = load_pretrained(AutoencoderTiny, train(job, settings.ray), torch_dtype=torch.float32)
        before = pipeline.decoder
        small = {"small": trained} if before is None else {"small": trained, "small before": before}
        clips = [latents.load([number])["latents"][0] for number in held_out]
        quality = _measured(settings, pipeline.vae, small, clips)
        # Assigned, it would stay out of the index of a pipeline that had none.
        pipeline.register_modules(decoder=trained.to("cpu").eval())
        folder = run.folder / "pipeline"
        pipeline.save_pretrained(folder)
        if (home / "README.md").is_file():  # later runs take the licence from it
            shutil.copyfile(home / "README.md", folder / "README.md")
        report = {"schema_version": REPORT_VERSION, **quality.facts, "decoders": quality.rows}
        write_atomically(run.folder / "decoder.json", (json.dumps(report, indent=2) + "\n").encode())
        write_frames(quality, run.folder / "frames.png")
        lines = read_losses(run.folder)
        run.outputs.update(
            pipeline=folder,
            report=run.folder / "decoder.json",
            frames=run.folder / "frames.png",
            losses=run.folder / LOSSES,
            model_id=parent["model_id"],  # whose U-Net it keeps
        )
        run.metrics.update(
            steps=lines[-1]["step"],
            seconds=sum(line["seconds"] for line in lines),
            decoder_hash=weights_hash(pipeline.decoder),
            decoders=quality.rows,
        )
        print(
            f"{quality_table(quality)}\n{quality.facts['device']}; held-out clips: {quality.facts['clips']}"
        )
        for scaffold in ("unet", "ray", "checkpoint"):  # the trainer calls whatever it trains unet
            shutil.rmtree(run.folder / scaffold, ignore_errors=True)
            remove_tree(origin(run.folder) / scaffold)
    return run.result_path


def held_out_samples(cache: LatentCache, count: int) -> list[int]:
    """The cache's last samples: cut from the same raw videos as few others as any of that number.

    Raises:
        InputError: none is left to train on.
    """
    if count >= len(cache):
        raise InputError(
            f"decoder.held_out={count} leaves none of the cache's {len(cache)} samples to train on: hold out fewer"
        )
    return list(range(len(cache) - count, len(cache)))


def build_decoder_method(
    section: DecoderSettings, seed: int, home: Path, device: torch.device
) -> DecoderDistillation:
    """What a worker trains: the small decoder of the settings beside the full one of the pipeline in ``home``."""
    vae = load_pretrained(AutoencoderKL, pipeline_part(home, "vae"), torch_dtype=torch.float32).to(device)
    if section.fine_tune:
        start = pipeline_part(home, "decoder")
        model = load_pretrained(AutoencoderTiny, start, torch_dtype=torch.float32)
    else:
        torch.manual_seed(seed)  # the same weights in every worker
        model = small_decoder(vae.config.latent_channels, section.channels, section.blocks)
    features = section.features and FeatureDistance(section.features, section.features_weight, device)
    return DecoderDistillation(
        DecoderOnly(model).to(device),
        FullDecoderPairs(vae, section.frames, section.crop),
        partial(pixel_loss, scales=section.scales),
        features or None,
    )


def _check(section: DecoderSettings, pipeline: Any, cache: LatentCache) -> None:
    if cache.about["vae_hash"] != encoder_hashes(pipeline)["vae_hash"]:
        raise InputError("the cache was made by another autoencoder than the model's: encode again")
    if not section.fine_tune:
        fitting_stages(pipeline.vae, section.blocks)
    elif pipeline.decoder is None:
        raise InputError("decoder.fine_tune: the pipeline has no small decoder to go on from; leave it out")


def _measured(
    settings: Settings, vae: AutoencoderKL, small: dict[str, AutoencoderTiny], clips: Sequence[Tensor]
) -> DecoderQuality:
    """`decoder_quality` where training was: in this process, or on a machine of the cluster with its device."""
    training = settings.training
    given = (vae, small, list(clips), training.device, training.mixed_precision, settings.decoder.features)
    if training.engine == "process":
        return decoder_quality(*given)
    connect(settings.ray)
    import ray

    gpus = int(
        resolve_device(training.device, "training.device", reachable_resources().get("GPU", 0) > 0) == "cuda"
    )
    task = ray.remote(decoder_quality).options(
        num_cpus=training.cpus_per_worker, num_gpus=gpus, **placement(gpus)
    )
    quality: DecoderQuality = ray.get(task.remote(*given))
    return quality
