"""The command line that every verb shares."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from hummingbird.config.loading import load_settings
from hummingbird.config.section import Section
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.interruption import interrupt_on_termination
from hummingbird.core.logs import configure_logs
from hummingbird.core.masking import mask, mask_text
from hummingbird.core.scratch import origin
from hummingbird.core.source_version import check_submitted

Main = Callable[[Settings, argparse.Namespace], Path | None]

BAD_INPUT = 2
INTERRUPTED = 130
_JOB_FOLDERS = "/runtime_resources/working_dir_files/"
"""Part of the path of the folder that Ray unpacks what was submitted with a job in."""


def run_verb(
    verb: str,
    description: str,
    main: Main,
    flags: Mapping[str, str] | None = None,
    *,
    sections: Sequence[str] | None = None,
    arguments: Callable[[argparse.ArgumentParser], object] | None = None,
    defaults: Callable[[argparse.Namespace], Mapping[str, Any]] | None = None,
    argv: Sequence[str] | None = None,
    program: str | None = None,
) -> NoReturn:
    """Runs a verb from its command line and exits.

    Exit codes: 0 done; 1 a failure, with its traceback; 2 bad input, in one line; 130 interrupted. When
    ``main`` returns a path (of ``result.json``), it is the last line printed.

    Args:
        verb: name, for the usage line; the settings section of this name is explained in ``--help``.
        description: what the verb does, for ``--help``.
        main: gets the settings and the parsed arguments.
        flags: shortcuts to settings, e.g. ``{"--source": "curate.source"}``.
        sections: sections that ``--help`` explains; none: the verb's own, if there is one.
        arguments: adds arguments of the verb's own that are no settings.
        defaults: from the parsed arguments, a mapping that replaces class defaults (recipes).
        argv: the arguments; none: those of the process.
        program: what the usage line calls it; none: the verb's script.
    """
    flags = flags or {}
    if sections is None:
        sections = (verb,) if verb in Settings.model_fields else ()
    parser = _parser(program or f"jobs/{verb}.py", description, flags, sections)
    if arguments is not None:
        arguments(parser)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="overrides of settings")
    args = parser.parse_intermixed_args(argv)
    configure_logs()
    interrupt_on_termination()
    sys.exit(_run(main, args, flags, defaults))


def _run(
    main: Main,
    args: argparse.Namespace,
    flags: Mapping[str, str],
    defaults: Callable[[argparse.Namespace], Mapping[str, Any]] | None,
) -> int:
    try:
        settings = _settings(args, flags, defaults(args) if defaults is not None else None)
        if args.print_settings:
            print(yaml.safe_dump(mask(settings.model_dump(mode="json")), sort_keys=False), end="")
            return 0
        check_submitted()
        _refuse_passing_storage(settings)
        result = main(settings, args)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        bad_input = _bad_input(error)
        if bad_input is None:
            print(mask_text(traceback.format_exc()), end="", file=sys.stderr)
            return 1
        # Ray Data adds advice of its own to what comes from its workers.
        print(f"error: {mask_text(str(bad_input).partition(chr(10))[0])}", file=sys.stderr)
        return BAD_INPUT
    if result is not None:
        print(origin(result), flush=True)
    return 0


def _refuse_passing_storage(settings: Settings) -> None:
    if _JOB_FOLDERS in str(settings.storage):
        raise InputError(
            f"the storage {settings.storage} is in the folder of the job, which goes with it: name one with --storage "
            "by its whole path, or by a URI"
        )


def _bad_input(error: BaseException) -> InputError | None:
    """The `InputError` that an error is, or that Ray wrapped on its way from a worker."""
    if isinstance(getattr(error, "cause", None), InputError):
        cause: InputError = error.cause  # type: ignore[attr-defined]
        return cause
    return error if isinstance(error, InputError) else None


def _settings(
    args: argparse.Namespace, flags: Mapping[str, str], defaults: Mapping[str, Any] | None
) -> Settings:
    shortcuts = [f"{key}={value}" for key in flags.values() if (value := getattr(args, key)) is not None]
    if args.storage is not None:
        shortcuts.append(f"storage={args.storage}")
    return load_settings(args.config, [*shortcuts, *args.overrides], defaults)


def _parser(
    program: str, description: str, flags: Mapping[str, str], sections: Sequence[str]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=_explain_sections(sections),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--storage", metavar="PLACE", help="root of lake, media and runs: folder or URI (runs/)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file with settings, or a folder of such files"
    )
    parser.add_argument("--print-settings", action="store_true", help="print the full settings and stop")
    for flag, key in flags.items():
        parser.add_argument(flag, dest=key, metavar="VALUE", help=f"short for {key}=VALUE")
    return parser


def _explain_sections(sections: Sequence[str]) -> str:
    lines = []
    for name in sections:
        model = Settings.model_fields[name].annotation
        if not (isinstance(model, type) and issubclass(model, Section)):
            raise KeyError(f"{name} is no section of the settings")
        lines.append(f"settings of {name} (defaults):")
        for key, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True, validated_data={})
            lines.append(f"  {name}.{key}={_shown(default)}  {field.description or ''}".rstrip())
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, Section):
        return "{...}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(list(value)) if isinstance(value, tuple) else str(value)
