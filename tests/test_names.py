"""One name, one class: a class that is searched for by its name is found in one place."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "platform/hummingbird",
    "data/hummingbird_data",
    "serve/hummingbird_serve",
    "jobs/hummingbird_jobs",
)
PLUGIN_SETTINGS = "Settings"  # every plugin nests a section of this name


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """All classes of a module but the nested settings of plugins."""
    nested = {
        child
        for parent in ast.walk(tree)
        if isinstance(parent, ast.ClassDef)
        for child in parent.body
        if isinstance(child, ast.ClassDef) and child.name == PLUGIN_SETTINGS
    }
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node not in nested)


def test_class_names_are_unique() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in classes(ast.parse(path.read_text(encoding="utf-8"))):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert places, "no class at all: the packages have moved"
    repeated = [f"class {name}: {' and '.join(files)}" for name, files in places.items() if len(files) > 1]
    assert not repeated, "give each class a name of its own\n" + "\n".join(repeated)
