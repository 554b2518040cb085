"""Models load without noise, and what matters is still said."""

import logging
from pathlib import Path

import pytest
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.quiet_loading import quiet_loading
from transformers.utils import logging as transformers_logging


def test_loading_a_pipeline_warns_of_nothing_and_shows_no_bar(
    tiny_pipelines: dict[str, Path], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    load_pipeline(tiny_pipelines["teacher"])
    assert not caplog.records
    assert "Loading weights" not in capfd.readouterr().err


def test_other_warnings_come_through_and_bars_return(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("diffusers.configuration_utils")
    with quiet_loading():
        assert not transformers_logging.is_progress_bar_enabled()
        logger.warning("The config attributes {'surplus': 1} were passed to AutoencoderTiny")
    assert transformers_logging.is_progress_bar_enabled()
    assert "surplus" in caplog.text
