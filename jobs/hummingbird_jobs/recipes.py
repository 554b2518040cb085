"""Recipes: a YAML file with the settings of a whole line, which may include fragments."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hummingbird.config.loading import merge_settings, read_yaml
from hummingbird.core.errors import InputError

RECIPES = (Path(__file__).parent / "recipes").resolve()
"""``jobs/recipes``; a wheel has it in the package."""
INCLUDE = "include"
BESIDE = "recipe:"
"""Before the path of a file that comes with a recipe and lies beside it."""


def recipe_names() -> list[str]:
    """The recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe: its fragments in their order, then its own.

    Args:
        name: one of `recipe_names`, or a YAML file. Fragments, ``include: [captioners/NAME.yaml]``, lie beside it or
            in `RECIPES`.

    Raises:
        InputError: no such recipe or fragment, no YAML mapping, or ``include`` is no list of files.
    """
    path = _recipe_path(name)
    own = dict(read_yaml(path))
    included = own.pop(INCLUDE, [])
    if not isinstance(included, list) or not all(isinstance(fragment, str) for fragment in included):
        raise InputError(f"{path}: include must be a list of YAML files, not {included!r}")
    tree: dict[str, Any] = {}
    for fragment in included:
        merge_settings(tree, _read_fragment(path, fragment))
    merge_settings(tree, own)
    return {name: _beside(value, path.parent) for name, value in tree.items()}


def _beside(value: Any, folder: Path) -> Any:
    """Texts that begin with BESIDE become paths in a folder."""
    if isinstance(value, dict):
        return {name: _beside(item, folder) for name, item in value.items()}
    if isinstance(value, list):
        return [_beside(item, folder) for item in value]
    if isinstance(value, str) and value.startswith(BESIDE):
        return str(folder / value.removeprefix(BESIDE))
    return value


def recipe_title(name: str) -> str:
    """What results call the recipe."""
    return _recipe_path(name).stem


def _recipe_path(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name).expanduser().absolute()
    known = recipe_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        instead = f" (did you mean '{close[0]}'?)" if close else ""
        raise InputError(
            f"there is no recipe {name!r}{instead}; there are {', '.join(known)}, or name a YAML file"
        )
    return RECIPES / f"{name}.yaml"


def _read_fragment(recipe: Path, fragment: str) -> Mapping[str, Any]:
    places = [folder / fragment for folder in dict.fromkeys((recipe.parent, RECIPES))]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(
            f"{recipe} includes {fragment}, which is not in {' or '.join(str(p.parent) for p in places)}"
        )
    tree = read_yaml(path)
    if INCLUDE in tree:
        raise InputError(f"{path}: a fragment includes no others")
    return tree
