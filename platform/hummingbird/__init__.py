"""Hummingbird: from raw video and a large text-to-video model to a small, fast, served one."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hummingbird")
except PackageNotFoundError:  # on the path of a cluster job, not installed
    __version__ = "0.1.0"

# What is imported from here, without its libraries before it is asked for; diffusers looks its classes up here too.
_PUBLIC = {
    "VideoUNet": "hummingbird.models.unet",
    "VideoScheduler": "hummingbird.models.scheduler",
    "load_pipeline": "hummingbird.models.pipeline",
    "TextToVideoPipeline": "hummingbird.models.pipeline",
}


_FORMER = {"Diffusion": "VideoScheduler"}  # names in pipelines that were saved by earlier versions


def __getattr__(name: str) -> object:
    name = _FORMER.get(name, name)
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
