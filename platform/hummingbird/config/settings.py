"""The settings tree: every setting of every verb, with its default."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from hummingbird.config.benchmark import BenchmarkSettings
from hummingbird.config.cluster import CatalogSettings, RaySettings
from hummingbird.config.compile import CompileSettings
from hummingbird.config.curate import CurateSettings
from hummingbird.config.curate_benchmark import CurateBenchmarkSettings
from hummingbird.config.customize import CustomizeSettings
from hummingbird.config.decoder import DecoderSettings
from hummingbird.config.distill import DistillSettings
from hummingbird.config.encode import EncodeSettings
from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.export import ExportSettings
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.footage import FootageSettings
from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.line import LineSettings
from hummingbird.config.models import ModelSettings
from hummingbird.config.plan import PlanSettings
from hummingbird.config.plan_benchmark import PlanBenchmarkSettings
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.prune import PruneSettings
from hummingbird.config.publish import PublishSettings
from hummingbird.config.section import Section
from hummingbird.config.serve import ServeSettings
from hummingbird.config.serve_benchmark import ServeBenchmarkSettings
from hummingbird.config.training import TrainingSettings
from hummingbird.config.unet_benchmark import UnetBenchmarkSettings
from hummingbird.core.files import StoragePath

PLACES = frozenset({"storage", "catalog", "ray", "line"})
"""Where things are and run, and what runs after what: no part of any hash, since moving a storage folder changes no
result, nor does the verb that comes next."""


class Settings(Section):
    """The root of the settings tree."""

    schema_version: Literal[2] = Field(2, description="version of this tree")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of every random choice of the jobs")
    storage: StoragePath = Field(
        default_factory=lambda: Path("runs").absolute(),
        description="root of lake, media, caches and runs: a folder or a URI (s3://bucket/prefix); a URI needs "
        "catalog.properties",
    )
    catalog: CatalogSettings = CatalogSettings()
    ray: RaySettings = RaySettings()
    line: LineSettings = LineSettings()
    models: ModelSettings = ModelSettings()
    import_checkpoint: ImportCheckpointSettings = ImportCheckpointSettings()
    footage: FootageSettings = FootageSettings()
    curate: CurateSettings = CurateSettings()
    encode: EncodeSettings = EncodeSettings()
    decoder: DecoderSettings = DecoderSettings()
    plan: PlanSettings = PlanSettings()
    prune: PruneSettings = PruneSettings()
    training: TrainingSettings = TrainingSettings()
    distill: DistillSettings = DistillSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    customize: CustomizeSettings = CustomizeSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    compile: CompileSettings = CompileSettings()
    export: ExportSettings = ExportSettings()
    benchmark: BenchmarkSettings = BenchmarkSettings()
    plan_benchmark: PlanBenchmarkSettings = PlanBenchmarkSettings()
    unet_benchmark: UnetBenchmarkSettings = UnetBenchmarkSettings()
    curate_benchmark: CurateBenchmarkSettings = CurateBenchmarkSettings()
    serve_benchmark: ServeBenchmarkSettings = ServeBenchmarkSettings()
    serve: ServeSettings = ServeSettings()
    publish: PublishSettings = PublishSettings()
    pretrain: PretrainSettings = PretrainSettings()


def settings_hash(settings: Settings, sections: Sequence[str] | None = None, **inputs: object) -> str:
    """SHA-256 (hex) of the settings and of ``inputs``: the same on every machine and in every process.

    Args:
        settings: the tree.
        sections: names of the parts that matter; none: all but `PLACES`. ``seed`` and ``schema_version``
            always count.
        inputs: further values that JSON can write (paths are written as text).

    Raises:
        KeyError: a section that the tree does not have.
    """
    tree = settings.model_dump(mode="json")
    names = set(tree) - PLACES if sections is None else {*sections, "seed", "schema_version"}
    content = {"settings": {name: tree[name] for name in sorted(names)}, "inputs": inputs}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
