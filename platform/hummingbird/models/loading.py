"""Loading models so that none runs with weights that its files do not hold.

The loaders of transformers and diffusers fill what they do not find with random numbers and go on. Here a folder
whose tensors are missing, renamed, of another shape or cut off is refused in a sentence.
"""

import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from hummingbird.core.errors import InputError
from hummingbird.models.quiet_loading import quiet_loading

_NAMED = 3  # tensors that a sentence names
_UNREADABLE = (SafetensorError, pickle.UnpicklingError, OSError, EOFError, RuntimeError, ValueError, KeyError)
_TALKATIVE = (
    "transformers.modeling_utils", "transformers.utils.loading_report", "transformers.distributed.tensor_parallel",
    "diffusers.models.modeling_utils",
)  # fmt: skip


def load_pretrained(kind: Any, folder: str | Path, **arguments: Any) -> Any:
    """What ``kind.from_pretrained`` makes of ``folder``, every tensor of it from the folder's files.

    Args:
        kind: a model class of transformers or diffusers, or one of transformers' Auto classes.
        arguments: further ones of its ``from_pretrained``. ``device_map="meta"`` (transformers alone) looks at names
            and shapes only, however large the model is.

    Raises:
        InputError: the files cannot be read, or a tensor is missing, renamed or of another shape.
    """
    if kind.__module__.startswith("transformers."):
        arguments.setdefault(
            "ignore_mismatched_sizes", True
        )  # then it says which, and they are refused below
    name = getattr(kind, "__name__", str(kind))
    try:
        with quiet_loading(), _without_reports():
            model, info = kind.from_pretrained(str(folder), output_loading_info=True, **arguments)
    except _UNREADABLE as error:
        reason = " ".join(_whole_reason(error).split("If you want to instead", 1)[0].split())
        raise InputError(f"the model in {folder} cannot be loaded as {name}: {reason[:400]}") from error
    problem = _problem(info)
    if problem:
        raise InputError(f"the model in {folder} cannot be used: {type(model).__name__} {problem}")
    return model


def check_weights(kind: Any, folder: str | Path) -> None:
    """Whether ``folder`` holds every tensor of the model, by its names and shapes alone, for any size of model.

    Args:
        kind: a model class of transformers, or one of its Auto classes.

    Raises:
        InputError: as `load_pretrained`.
    """
    load_pretrained(kind, folder, device_map="meta")


def _problem(info: Mapping[str, Any]) -> str | None:
    """What is wrong, by the loading information of either library."""
    missing, shapes = sorted(info["missing_keys"]), sorted(info["mismatched_keys"], key=str)
    unknown = sorted(info["unexpected_keys"])
    if missing:
        stored = f"; the files hold {len(unknown)} others: {_few(unknown)}" if unknown else ""
        return f"finds no weights for {len(missing)} of its tensors: {_few(missing)}{stored}"
    if shapes:
        wrong = [f"{name} is {tuple(stored)}, not {tuple(expected)}" for name, stored, expected in shapes]
        return f"finds {len(shapes)} tensors of another shape: {_few(wrong)}"
    if info.get("error_msgs"):
        return f"cannot take its weights: {_few([str(text) for text in info['error_msgs']])}"
    return None


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _whole_reason(error: BaseException) -> str:
    """An error with what it came from: diffusers says that a file cannot be read, and its cause says why."""
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    return str(error) if first is error else f"{error} ({first})"


@contextmanager
def _without_reports() -> Iterator[None]:
    """Without the libraries' own tables of missing tensors: they are in the sentence."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
