"""The verb ``customize``: a user's own clips to a style, curated, encoded, trained and judged in one job."""

from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path
from hummingbird.core.hashes import folder_hash
from hummingbird.core.scratch import origin
from hummingbird.lake.runs import Run, load_result, open_run

from hummingbird_jobs.line import with_section
from hummingbird_jobs.mains import curate

LEAST_CLIPS = 5
"""Of fewer an adapter learns the clips and not their style."""
_SECTIONS = ("customize", "curate", "encode", "models", "training")


def customize(settings: Settings) -> Path:
    """Makes the style ``customize.name`` of ``models.student``, or where that is none of ``models.teacher``.

    Its clips are curated into a lake of their own below ``<storage>/styles/NAME``. Outputs: ``adapter``, a folder that
    ``load_lora_weights`` takes, ``videos`` of base and style where there is a judge, and ``results`` of each part.

    Raises:
        InputError: no clips are named, or too few are kept.
    """
    from hummingbird.core.model_references import pipeline_folder
    from hummingbird.training.customize import train_style
    from hummingbird_data.encode import encode

    chosen = settings.customize
    if chosen.clips is None:
        raise InputError("name the folder of your clips: --clips FOLDER")
    base = str(pipeline_folder(settings.models.student or settings.models.teacher))
    inputs = {"base": base, "clips": str(chosen.clips)}
    with open_run(settings, "customize", _SECTIONS, inputs) as run:
        own = _own_settings(settings, base)
        results = {"curate": curate(with_section(own, "curate", source=chosen.clips))}
        kept = load_result(results["curate"])
        if kept["metrics"]["kept"] < LEAST_CLIPS:
            raise InputError(
                f"{kept['metrics']['kept']} clips were kept, {kept['metrics']['dropped']} dropped and "
                f"{kept['metrics']['quarantined']} could not be read; a style needs {LEAST_CLIPS}: the review in "
                f"{own.storage} says why; curate.* are the thresholds"
            )
        snapshot = kept["outputs"]["snapshot_id"]
        results["encode"] = encode(with_section(own, "encode", snapshot=snapshot, trigger=chosen.trigger))
        cache = as_path(load_result(results["encode"])["outputs"]["cache"])
        training = with_section(own, "training", cache=cache)
        # Without a trigger a prompt cannot say which of the two is wanted: what the base makes of it would stay.
        method = {"style": {}} if chosen.method == "style" else chosen.method
        if chosen.prior_videos and chosen.trigger and isinstance(method, dict) and "style" in method:
            prior = str(_own_videos(training, base, cache))
            held = {"style": {"prior": prior, **method["style"]}}
            training = with_section(training, "customize", method=held)
        results["training"] = train_style(training)
        adapter = as_path(load_result(results["training"])["outputs"]["adapter"])
        run.outputs.update(
            adapter=adapter, results={name: str(origin(path)) for name, path in results.items()}
        )
        run.metrics.update(clips=load_result(results["encode"])["metrics"]["clips"])
        if chosen.judge is not None:
            _judge(run, settings, base, adapter, cache)
    print(f"the style: load_lora_weights({str(origin(adapter))!r})")
    return run.result_path


def _own_settings(settings: Settings, base: str) -> Settings:
    """With a place of the style's own, and in a catalog that others share a namespace, so that its clips mix with
    nobody's; they may all be described alike."""
    name = settings.customize.name
    own = settings.model_copy(update={"storage": settings.storage / "styles" / name})
    if settings.catalog.properties:
        own = with_section(own, "catalog", namespace=f"{settings.catalog.namespace}_style_{name}")
    own = with_section(own, "curate", caption_share=1.0)
    return with_section(own, "models", teacher=base, student=base)


def _captions(cache: AnyPath, trigger: str | None, count: int) -> list[str]:
    """The clips' captions in turn, without the trigger; of clips that have no other, the empty text."""
    from hummingbird.training.latent_cache import LatentCache

    latents = LatentCache(cache)
    captions = latents.load(latents.samples_of_one_size()[:count])["captions"]
    plain = [text.removeprefix(trigger).removeprefix(",").strip() if trigger else text for text in captions]
    return [plain[number % len(plain)] for number in range(count)]


def _own_videos(settings: Settings, base: str, cache: AnyPath) -> AnyPath:
    """The cache of the base's own videos; on a cluster they are made where there is a GPU."""
    from hummingbird.training.own_videos import make_own_videos

    chosen = settings.customize
    prompts = _captions(cache, chosen.trigger, chosen.prior_videos)
    made_of = f"{folder_hash(Path(base) / 'unet')[:12]}-{cache.name}-{chosen.prior_videos}-{settings.seed}"
    folder: AnyPath = settings.storage / "prior" / made_of
    if settings.training.engine == "process":
        make_own_videos(base, prompts, cache, folder, settings.seed)
        return folder
    import ray
    from hummingbird.config.cluster import connect
    from hummingbird.core.resources import placement, reachable_resources

    connect(settings.ray)
    gpus = int(reachable_resources().get("GPU", 0) > 0)
    make = ray.remote(num_cpus=1, num_gpus=gpus, **placement(gpus))(make_own_videos)
    ray.get(make.remote(base, prompts, cache, folder, settings.seed))
    return folder


def _judge(run: Run, settings: Settings, base: str, adapter: AnyPath, cache: AnyPath) -> None:
    from hummingbird.core.scratch import local_copy
    from hummingbird.evaluation.style import StylePrompt, style_scores

    chosen = settings.customize
    assert chosen.judge is not None
    texts = _captions(cache, chosen.trigger, chosen.judged_videos)
    prompts = [StylePrompt(text, f"{chosen.trigger}, {text}" if chosen.trigger else text) for text in texts]
    folder = run.folder / "videos"
    scores = style_scores(base, local_copy(adapter), cache, chosen.judge, prompts, folder, settings.seed)
    run.outputs["videos"] = folder
    run.metrics.update(scores)
    print("\n          style  fidelity to the text")
    for name, values in scores.items():
        print(f"{name:8} {values['style']:6.3f}  {values['fidelity']:6.3f}")
