"""`extract` where TransNetV2 finds the shots: the server of child processes imports PyTorch with it, once."""

from hummingbird_data.reading import transnet
from hummingbird_data.reading.extract import extract

__all__ = ["extract", "transnet"]
