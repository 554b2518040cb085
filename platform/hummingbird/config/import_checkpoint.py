"""Settings of importing a published checkpoint."""

from typing import Literal

from pydantic import Field

from hummingbird.config.section import AbsolutePath, Section


class ImportCheckpointSettings(Section):
    """What is imported, and on whose terms."""

    format: Literal["videocrafter2", "t2v-turbo", "modelscope", "dover"] = Field(
        "videocrafter2",
        description="videocrafter2: one file with U-Net, autoencoder and text tower; t2v-turbo: the same file with "
        "the U-Net or LoRA of T2V-Turbo; modelscope: a folder in diffusers' format; dover: DOVER.pth, "
        "for models.quality",
    )
    checkpoint: AbsolutePath | None = Field(None, description="the file, or the folder of modelscope; needed")
    unet: AbsolutePath | None = Field(None, description="t2v-turbo: file with the merged U-Net")
    lora: AbsolutePath | None = Field(
        None, description="t2v-turbo: its LoRA, merged into the checkpoint's U-Net"
    )
    tokenizer: AbsolutePath | None = Field(
        None,
        description="CLIP's vocabulary: a folder with vocab.json and merges.txt, or OpenCLIP's "
        "bpe_simple_vocab_16e6.txt.gz; modelscope: in place of the folder's own",
    )
    reference: AbsolutePath | None = Field(
        None,
        description="reference configuration (YAML or JSON): sections unet, vae, text with the published "
        "parameters, or the published YAML; none: the published structure",
    )
    licence: str | None = Field(None, min_length=1, description="licence of the weights; needed")
    source: str | None = Field(
        None, min_length=1, description="where the weights are from, e.g. a URL; needed"
    )
