"""Settings of exporting: a model to files that other runtimes run."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class ExportSettings(Section):
    """What is exported. Of ONNX the batch size is free up to its bound, of OpenVINO it is one video."""

    model: str | None = Field(None, description="pipeline folder; none: models.student, else the shipped one")
    formats: tuple[Literal["onnx", "openvino"], ...] = Field(
        ("onnx", "openvino"), min_length=1, description="which files are written; openvino is made of onnx"
    )
    decoder: Literal["small", "full", "both"] = Field(
        "small", description="the decoder that is exported: the small one, the autoencoder's, or both"
    )
    max_batch_size: PositiveInt = Field(4, description="most videos in one pass (onnx)")
    num_frames: PositiveInt = Field(16, description="frames of a video")
    repeats: PositiveInt = Field(5, description="timed passes of each part, after one that does not count")
