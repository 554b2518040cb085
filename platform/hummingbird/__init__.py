"""Hummingbird: from raw video and a large text-to-video model to a small, fast, served one."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hummingbird")
except PackageNotFoundError:  # on the path of a cluster job, not installed
    __version__ = "0.1.0"
