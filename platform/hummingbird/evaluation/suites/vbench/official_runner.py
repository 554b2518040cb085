"""Runs VBench's own package on listed videos. It is executed as a file by the python of the package's environment.

    python official_runner.py FULL_INFO.json FOLDER DIMENSION...

Each dimension leaves ``DIMENSION_eval_results.json`` in the folder, as the package writes it, or
``DIMENSION_error.json`` with what went wrong. Nothing of this project is imported.
"""

import importlib
import json
import os
import sys
from pathlib import Path


def main(info: str, folder: str, *dimensions: str) -> None:
    """Args: the list of prompts and videos; where results go; VBench's names of dimensions."""
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # the published weights are older pickles
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    for dimension in dimensions:
        target = Path(folder) / f"{dimension}_error.json"
        target.unlink(missing_ok=True)
        try:
            measure(info, folder, dimension)
        except (Exception, SystemExit) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            target.write_text(json.dumps({"error": text}), encoding="utf-8")


def measure(info: str, folder: str, dimension: str) -> None:
    """One dimension, of the videos of the list as it stands: the package would look for them itself."""
    import torch

    package = importlib.import_module("vbench")

    class Listed(package.VBench):  # type: ignore[name-defined]
        def build_full_info_json(self, *args: object, **kwargs: object) -> str:
            return info

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    Listed(device, info, folder).evaluate(videos_path=folder, name=dimension, dimension_list=[dimension])


if __name__ == "__main__":
    main(*sys.argv[1:])
