"""Settings of importing a published checkpoint."""

from pydantic import Field

from hummingbird.config.section import AbsolutePath, Section


class ImportCheckpointSettings(Section):
    """What is imported, and on whose terms."""

    format: str = Field(
        "videocrafter2",
        min_length=1,
        description="videocrafter2, t2v-turbo, modelscope: a pipeline; dover: for models.quality; taesd: a small "
        "decoder; open-clip (HPSv2.1) and clip (PickScore): for rewards",
    )
    checkpoint: AbsolutePath | None = Field(
        None, description="the file, or of some formats the folder; needed"
    )
    unet: AbsolutePath | None = Field(None, description="t2v-turbo: file with the merged U-Net")
    lora: AbsolutePath | None = Field(
        None, description="t2v-turbo: its LoRA, merged into the checkpoint's U-Net"
    )
    tokenizer: AbsolutePath | None = Field(
        None,
        description="CLIP's vocabulary: a folder with vocab.json and merges.txt, or OpenCLIP's "
        "bpe_simple_vocab_16e6.txt.gz; modelscope, clip: in place of the folder's own",
    )
    reference: AbsolutePath | None = Field(
        None,
        description="reference configuration (YAML or JSON): sections unet, vae, text with the published "
        "parameters, or the published YAML; open-clip: its model configuration; none: the published structure",
    )
    decoder: AbsolutePath | None = Field(
        None, description="a small decoder to put into the pipeline: a checkpoint of the format taesd"
    )
    licence: str | None = Field(None, min_length=1, description="licence of the weights; needed")
    source: str | None = Field(
        None, min_length=1, description="where the weights are from, e.g. a URL; needed"
    )
