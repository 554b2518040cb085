"""A verb's command line as another machine can run it: all settings by name, paths absolute, no file left behind."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hummingbird.config.loading import load_settings
from hummingbird.config.section import Section
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.model_references import is_shipped
from hummingbird.core.remote_path import is_uri

from hummingbird_jobs.recipes import load_recipe, recipe_names
from hummingbird_jobs.verbs import VERBS


@dataclass(frozen=True)
class SubmittedCommand:
    """A verb with its settings and its further words."""

    verb: str
    settings: Settings
    words: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """The command line after ``hummingbird``."""
        overrides = [f"{key}={value}" for key, value in _changed(self.settings)]
        return [self.verb, *self.words, f"storage={self.settings.storage}", *overrides]

    def entrypoint(self, python: str) -> str:
        """What a shell on the cluster runs."""
        return shlex.join([python, "-m", "hummingbird_jobs.verbs", *self.arguments])


def submitted_command(words: Sequence[str]) -> SubmittedCommand:
    """The command of ``VERB [OPTIONS]``.

    Raises:
        InputError: no such verb, wrong settings, or a recipe that another machine does not have.
    """
    name, *rest = words or [""]
    if name not in VERBS:
        raise InputError(f"there is no verb '{name}'; there are {', '.join(VERBS)}")
    verb, kind = VERBS[name], []
    if rest[:1] and rest[0] in verb.kinds:
        kind, verb, rest = [rest[0]], verb.kinds[rest[0]], rest[1:]
    parser = argparse.ArgumentParser(prog=f"submit {name}", add_help=False, allow_abbrev=False)
    for option in ("--storage", "--recipe"):
        parser.add_argument(option)
    parser.add_argument("--config", type=Path)
    for flag, key in verb.flags.items():
        parser.add_argument(flag, dest=key)
    args, rest = parser.parse_known_args(rest)
    setting = re.compile(rf"({'|'.join(Settings.model_fields)})(\.[\w.]+)?=")
    overrides = [f"{key}={value}" for key in verb.flags.values() if (value := getattr(args, key)) is not None]
    if args.storage is not None:
        overrides.append(f"storage={args.storage}")
    overrides += [word for word in rest if setting.match(word)]
    further = [word for word in rest if not setting.match(word)]
    if args.recipe is not None:
        if args.recipe not in recipe_names() and verb.function.endswith(":line"):
            raise InputError(f"the cluster has no recipe {args.recipe}; it has {', '.join(recipe_names())}")
        further += ["--recipe", args.recipe] if verb.function.endswith(":line") else []
    settings = load_settings(args.config, overrides, {} if args.recipe is None else load_recipe(args.recipe))
    return SubmittedCommand(name, settings, (*kind, *further))


def _changed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Dotted names and values, as the command line takes them, of what is not as the classes have it."""
    defaults = Settings().model_dump(mode="json")
    for key, value in _leaves(Settings, settings.model_dump(mode="json"), ""):
        default: Any = defaults
        for part in key.split("."):
            default = default[part]
        if key != "storage" and value != default:
            yield key, _absolute(value) if isinstance(value, str) else json.dumps(value)


def _leaves(section: type[Section], values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _leaves(kind, values[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", values[name]


def _absolute(value: str) -> str:
    """Text that names a folder or file here, as a path from the root: the job starts in a folder of its own."""
    if not value or is_uri(value) or is_shipped(value) or value.startswith("/"):
        return value
    path = as_path(value)
    return str(path.absolute()) if "/" in value and isinstance(path, Path) and path.exists() else value
