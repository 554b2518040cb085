"""The code of a pipeline beside its weights, as diffusers loads it with ``trust_remote_code=True``.

diffusers takes a class from one file beside the pipeline's index, or in a component's folder, together with the files
that it imports relatively; so the modules copied here import nothing of this package in another way.
"""

import importlib
import inspect
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.utils.dynamic_modules_utils import get_relative_import_files

INDEX = "model_index.json"


def save_code(pipeline: type, components: Mapping[str, object], folder: Path) -> None:
    """Copies the modules of the pipeline's class and of its components' into a saved folder, and names them there.

    Args:
        pipeline: the pipeline's class.
        components: by name; those of classes that come with a library are left as they are.
        folder: that the pipeline was saved to, with its index.
    """
    path = folder / INDEX
    index = json.loads(path.read_text(encoding="utf-8"))
    index["_class_name"] = [_copy_module(pipeline, folder), pipeline.__name__]
    for name, component in components.items():
        kind = type(component)
        if _is_own(kind, pipeline):
            index[name] = [_copy_module(kind, folder / name), kind.__name__]
    path.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def own_index(index: Mapping[str, Any], pipeline: type) -> dict[str, Any]:
    """A pipeline's index that names the modules beside the pipeline's, in place of the code beside the weights.

    Raises:
        ValueError: a component's module is not here: the folder was saved by another version.
    """
    package = pipeline.__module__.rpartition(".")[0]
    resolved = {**index, "_class_name": pipeline.__name__}
    for name, entry in index.items():
        if isinstance(entry, list | tuple) and not name.startswith("_") and entry[0] is not None:
            library, kind = entry
            if library.startswith(f"{package}.") or ("." not in library and library not in LOADABLE_CLASSES):
                module = f"{package}.{library.rpartition('.')[2]}"
                try:
                    known = hasattr(importlib.import_module(module), kind)
                except ModuleNotFoundError:
                    known = False
                if not known:
                    raise ValueError(
                        f"{name} is of {library}.{kind}, which this version does not have: load the folder with "
                        "hummingbird.load_pipeline, or with trust_remote_code=True by diffusers' own class"
                    )
                resolved[name] = [module, kind]
    return resolved


def _is_own(kind: type, pipeline: type) -> bool:
    """Whether a class comes from beside the pipeline's, in this package or in a folder that was loaded."""
    return kind.__module__.rpartition(".")[0] == pipeline.__module__.rpartition(".")[0]


def _copy_module(kind: type, folder: Path) -> str:
    """Copies the module of a class, and those that it imports relatively; its name."""
    module = Path(inspect.getfile(kind))
    for file in (module, *map(Path, get_relative_import_files(str(module)))):
        shutil.copyfile(file, folder / file.name)
    return module.stem
