"""Compiling beside a server that runs its student eagerly meanwhile; what the generator then takes in.

A process of its own at low priority: it can be stopped at any moment, and its failure fails no video. What it makes is
named by a small file, which generators look for; so a replica that starts later finds it too.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hummingbird.config.settings import Settings
from hummingbird.core.files import as_path, write_atomically
from hummingbird.core.hashes import weights_path_hash
from hummingbird.core.scratch import local_copy


def compiled_name(settings: Settings, model: Path) -> str:
    """Where the file that names the package of a pipeline folder lies, once there is one."""
    key = weights_path_hash(model / "unet")[:16]
    return str(as_path(settings.storage) / "serve" / "packages" / f"{key}.json")


def compiled_package(name: str) -> Path | None:
    """The package that the file ``name`` names, if it can run here; None where there is none."""
    from hummingbird.compiling.package import check_machine, is_package, read_package_manifest
    from hummingbird.core.errors import InputError

    file = as_path(name)
    if not file.is_file():
        return None
    folder = local_copy(json.loads(file.read_text(encoding="utf-8"))["package"])
    if not is_package(folder):
        return None
    try:
        check_machine(read_package_manifest(folder))
    except InputError:
        return None
    return folder


def start_compiling(settings: Settings, name: str) -> subprocess.Popen[str]:
    """Begins to compile ``compile.model``; the file ``name`` says in the end where the package is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hummingbird_serve.background", name],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdin is not None
    process.stdin.write(settings.model_dump_json())
    process.stdin.close()
    return process


def main() -> None:
    """Compiles with the settings that standard input has."""
    from hummingbird.compiling.compile import compile_model
    from hummingbird.lake.runs import load_result

    os.nice(10)
    settings = Settings.model_validate_json(sys.stdin.read())
    result = load_result(compile_model(settings, log=lambda line: None))
    outputs: dict[str, Any] = result["outputs"]
    write_atomically(as_path(sys.argv[1]), json.dumps({"package": str(outputs["package"])}).encode())
    print("The student is compiled: the next videos are made by its package.", flush=True)


if __name__ == "__main__":
    main()
