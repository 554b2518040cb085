"""Loading models without what their libraries print about it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without transformers' bar for every model, and without a warning that says nothing.

    diffusers saves ``block_out_channels`` of an ``AutoencoderTiny`` and, loading it, warns that it does not expect it.
    Other warnings come through.
    """
    bars = transformers_logging.is_progress_bar_enabled()
    logger = logging.getLogger("diffusers.configuration_utils")

    def says_something(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not ("{'block_out_channels': " in message and "AutoencoderTiny" in message)

    transformers_logging.disable_progress_bar()
    logger.addFilter(says_something)
    try:
        yield
    finally:
        logger.removeFilter(says_something)
        if bars:
            transformers_logging.enable_progress_bar()
