"""From YAML files and command-line overrides to the settings tree, with errors that name the right key."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hummingbird.config.plugins import is_plugin_choice
from hummingbird.config.renamed import explain_renamed
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.masking import MASK, is_secret_name, mask, mask_text
from hummingbird.core.remote_path import RemotePath


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: 1e-3 is one, which YAML 1.1 takes for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_settings(
    config: Path | None = None,
    overrides: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """The tree of class defaults, then ``defaults``, then the YAML file, then overrides.

    Args:
        config: a YAML file with any part of the tree, or a folder of such files, taken by their names in order.
        overrides: each ``section.key=value``; the value is read as YAML ("null", "3", "[a, b]").
        defaults: a nested mapping that replaces class defaults, such as a recipe.

    Raises:
        InputError: no such file, no YAML mapping, an unknown key (the closest known one is named), or a value
            of the wrong type or range.
    """
    tree: dict[str, Any] = {}
    if defaults is not None:
        merge_settings(tree, defaults)
    if config is not None:
        merge_settings(tree, read_config(config))
    for override in overrides:
        merge_settings(tree, _parse_override(override))
    _refuse_unknown_keys(tree)
    try:
        # JSON in strict mode: "3" is no integer and 1 is no truth value, but text may become a path.
        return Settings.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        raise InputError("; ".join(_explain(detail) for detail in error.errors())) from error


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a YAML file, or of a folder of them (a mounted ConfigMap), the later names winning.

    Raises:
        InputError: as `read_yaml`, or a folder without any.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"the folder of settings {path} holds no *.yaml file")
    tree: dict[str, Any] = {}
    for file in files:
        merge_settings(tree, read_yaml(file))
    return tree


def verb_settings(settings: Settings, verb: str) -> Settings:
    """The settings that a verb of a line runs with: those of ``line.for_verb`` in place of the line's.

    Raises:
        InputError: an unknown key, or a value that it cannot have.
    """
    own = settings.line.for_verb.get(verb)  # type: ignore[call-overload]
    if not own:
        return settings
    tree = settings.model_dump(mode="json")
    merge_settings(tree, own)
    return load_settings(defaults=tree)


def known_keys() -> list[str]:
    """Every setting's dotted name."""
    return list(_leaves(Settings, ""))


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from _leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping of settings in a YAML file; an empty file holds none.

    Raises:
        InputError: it cannot be read, is no YAML, or holds no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid YAML: {mask_text(' '.join(str(error).split()))}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise InputError(f"{path} must hold a mapping of settings, not a {type(content).__name__}")
    return content


def _parse_override(override: str) -> Mapping[str, Any]:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise InputError(f"'{mask_text(override)}' is no setting: write section.key=value")
    try:
        value: Any = yaml.load(text, _Loader) if text else ""
    except yaml.YAMLError as error:
        if not _takes_text(key.strip()):
            raise InputError(f"the value of '{key}' is no valid YAML: {mask_text(text)}") from error
        value = text
    if value is not None and not isinstance(value, list) and _takes_text(key.strip()):
        value = text  # a folder named 2024 or "a: b" is no number and no mapping
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    tree: Mapping[str, Any] = value
    return tree


def _takes_text(key: str) -> bool:
    """Whether a setting is text or a path (or none), so that its value is taken as it is written."""
    model: Any = Settings
    for part in key.split("."):
        if not _is_section(model) or part not in model.model_fields:
            return False
        model = model.model_fields[part].annotation
    return _plain_types(model) <= {str, Path, RemotePath, type(None)}


def _plain_types(annotation: Any) -> set[Any]:
    """The types that an annotation such as ``AbsolutePath | None`` is a union of."""
    if get_origin(annotation) is Annotated:
        return _plain_types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_plain_types, get_args(annotation)))
    return {annotation}


def merge_settings(tree: dict[str, Any], more: Mapping[str, Any], section: Any = Settings) -> None:
    """Puts ``more`` into ``tree``: values of the same key are replaced, sections key by key."""
    for key, value in more.items():
        old = tree.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, dict)
            and not _chooses_another(section, key, old, value)
        ):
            merge_settings(old, value, _section_of(section, key))
        else:
            tree[key] = json.loads(json.dumps(value, default=str)) if isinstance(value, Mapping) else value


def _section_of(section: Any, key: str) -> Any:
    """The section that a key of a section is, or None."""
    field = section.model_fields.get(str(key)) if _is_section(section) else None
    return field.annotation if field is not None and _is_section(field.annotation) else None


def _chooses_another(section: Any, key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a setting that names one class names another one than before: its settings are not the old one's."""
    field = section.model_fields.get(str(key)) if _is_section(section) else None
    return field is not None and is_plugin_choice(field) and set(old) != set(new)


def _refuse_unknown_keys(tree: Mapping[str, Any]) -> None:
    for key in _unknown(Settings, tree, ""):
        raise InputError(explain_renamed(key) or f"unknown setting '{key}'{_suggestion(key)}")


def _unknown(model: type[BaseModel], tree: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in tree.items():
        field = model.model_fields.get(str(key))
        if field is None:
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping) and _is_section(field.annotation):
            yield from _unknown(field.annotation, value, f"{prefix}{key}.")


def _suggestion(key: str) -> str:
    """The closest known key: the whole dotted name first, then a leaf of the same name in any section."""
    known = known_keys()
    candidates = known + sorted({name.split(".")[0] for name in known})
    close = difflib.get_close_matches(key, candidates, n=1, cutoff=0.6)
    if not close:
        leaf = key.rsplit(".", 1)[-1]
        by_leaf = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
        close = [by_leaf[name] for name in difflib.get_close_matches(leaf, by_leaf, n=1, cutoff=0.7)]
    return f"; did you mean '{close[0]}'?" if close else "; --print-settings shows all"


def _explain(detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    value = MASK if is_secret_name(key.rpartition(".")[2]) else repr(mask(detail["input"]))
    return (
        mask_text(f"setting '{key}': {detail['msg'][:1].lower()}{detail['msg'][1:]}") + f" (given: {value})"
    )
