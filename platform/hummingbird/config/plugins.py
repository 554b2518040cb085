"""Seams in the settings: a class by a short name or by its import path, with settings of its own beneath it.

    evaluate.suite=shapes                                     # a name that comes with the project
    evaluate.suite=mine.suite:Mine                            # a class of an installed or importable module
    evaluate.suite="{mine.suite:Mine: {prompts: 20}}"         # with its own settings
    curate.filters="{mine.filters:Brightness: {least: 0.2}}"  # several: a mapping, a class each

A class of a seam has an attribute ``Settings``, a `Section` that checks them, and is made with one.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, ValidationError
from pydantic.fields import FieldInfo

from hummingbird.config.section import Section
from hummingbird.core.errors import InputError

T = TypeVar("T")


def _one(choice: str | dict[str, dict[str, Any]]) -> str | dict[str, dict[str, Any]]:
    if isinstance(choice, dict) and len(choice) != 1:
        raise ValueError("name one class: a name, module:Class, or {module:Class: {its settings}}")
    return choice


PluginChoice = Annotated[str | dict[str, dict[str, Any]], AfterValidator(_one)]
"""One class of a seam, alone or with its settings."""

PluginTable = dict[str, dict[str, Any]]
"""Several classes of a seam, each with its settings."""


def is_plugin_choice(field: FieldInfo) -> bool:
    """Whether a field of the settings is a `PluginChoice`."""
    return any(
        isinstance(validator, AfterValidator) and validator.func is _one for validator in field.metadata
    )


class NoSettings(Section):
    """Of a class that has none."""


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """A class of a seam and its checked settings; can be sent to workers."""

    name: str
    """As the settings call it: what results and reports name."""
    kind: type[T]
    settings: Section

    def build(self, *args: Any, **kwargs: Any) -> T:
        """An instance, made with the settings first."""
        return self.kind(self.settings, *args, **kwargs)  # type: ignore[call-arg]


def resolve_plugin(setting: str, choice: PluginChoice, known: Mapping[str, str], base: type[T]) -> Plugin[T]:
    """The class that a setting names.

    Args:
        setting: dotted name, for errors.
        choice: its value.
        known: short names and their import paths.
        base: what the class must be a subclass of.

    Raises:
        InputError: no such name, module or class, a class of another kind, or settings that it refuses.
    """
    name, values = (choice, {}) if isinstance(choice, str) else next(iter(choice.items()))
    kind = _load(setting, name, known, base)
    section: type[Section] = getattr(kind, "Settings", NoSettings)
    unknown = [key for key in values if key not in section.model_fields]
    if unknown:
        close = difflib.get_close_matches(str(unknown[0]), section.model_fields, n=1)
        hint = (
            f"did you mean '{close[0]}'?" if close else f"it has {', '.join(section.model_fields) or 'none'}"
        )
        raise InputError(f"{setting}: {name} has no setting '{unknown[0]}'; {hint}")
    try:
        return Plugin(name, kind, section.model_validate(values, strict=False))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{setting}: {name}: setting '{key}': {first['msg']}") from error


def resolve_plugins(
    setting: str, table: PluginTable, known: Mapping[str, str], base: type[T]
) -> list[Plugin[T]]:
    """The classes of a setting that names several, in their order; see `resolve_plugin`."""
    return [resolve_plugin(setting, {name: values}, known, base) for name, values in table.items()]


def _load(setting: str, name: str, known: Mapping[str, str], base: type[T]) -> type[T]:
    module_name, colon, class_name = known.get(name, name).partition(":")
    if not colon:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(
            f"{setting}: no '{name}'; {hint}there are {', '.join(known)}, or name one as module:Class"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise InputError(
                f"{setting}: {module_name} needs the module {error.name}, which is not installed"
            ) from error
        raise InputError(
            f"{setting}: there is no module '{module_name}' (PYTHONPATH names its folder)"
        ) from error
    kind = getattr(module, class_name, None)
    if not (inspect.isclass(kind) and issubclass(kind, base)):
        raise InputError(f"{setting}: {name} is no {base.__name__}")
    return kind
