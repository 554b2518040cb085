"""Hummingbird: from raw video and a large text-to-video model to a small, fast, served one."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hummingbird")
except PackageNotFoundError:  # on the path of a cluster job, not installed
    __version__ = "0.1.0"

# A saved pipeline's model_index.json names classes of this package; diffusers looks them up here.
_PIPELINE_CLASSES = {
    "VideoUNet": "hummingbird.models.unet",
    "Diffusion": "hummingbird.models.scheduler",
    "TextToVideoPipeline": "hummingbird.models.pipeline",
}


def __getattr__(name: str) -> object:
    if name in _PIPELINE_CLASSES:
        return getattr(import_module(_PIPELINE_CLASSES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
