"""From what settings call a model to its folder."""

from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import is_shipped, model_folder, pipeline_folder


def test_shipped_weights_are_found_by_name() -> None:
    assert is_shipped("shapes-quality")
    assert (model_folder("shapes-quality") / "config.json").is_file()
    assert (pipeline_folder("shapes-teacher") / "unet" / "config.json").is_file()


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no shipped weights 'shapes-nothing'; there are: .*shapes-quality"):
        model_folder("shapes-nothing")
    with pytest.raises(InputError, match="no pipeline in"):
        pipeline_folder(tmp_path)
    with pytest.raises(InputError, match="no model in"):
        model_folder(str(tmp_path))
