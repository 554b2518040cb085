"""Tables of names, and the one way weights are taken by them: everything fits by name and shape, or nothing is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hummingbird.core.errors import InputError

SHOWN = 8  # names in a message; the rest is counted


@dataclass(frozen=True)
class Entry:
    """One tensor of ours and where it stands in a published file.

    Attributes:
        source: published name.
        target: name in our module.
        part: which of ``parts`` equal blocks of rows of the published tensor, for stacked projections.
        transposed: a matrix whose rows are our columns.
    """

    source: str
    target: str
    part: int = 0
    parts: int = 1
    transposed: bool = False


@dataclass(frozen=True)
class Weights:
    """Tensors of a file by published name, in the file's order; ``origin`` names the file in messages."""

    tensors: Mapping[str, Tensor]
    origin: str

    def under(self, prefix: str) -> "Weights":
        """The tensors whose names start with ``prefix``, without it."""
        tensors = {name[len(prefix) :]: t for name, t in self.tensors.items() if name.startswith(prefix)}
        return Weights(tensors, self.origin)

    def outside(self, prefixes: Sequence[str]) -> "Weights":
        """The tensors that stand under none of ``prefixes``."""
        tensors = {n: t for n, t in self.tensors.items() if not n.startswith(tuple(prefixes))}
        return Weights(tensors, self.origin)


@dataclass
class ImportSummary:
    """What an import took and what it left: the names of known unused entries, and remarks for the report."""

    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def listed(names: Iterable[str]) -> str:
    """Names for a message: the first few, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def known_unused(weights: Weights, patterns: Iterable[str], label: str, prefix: str = "") -> list[str]:
    """The full names of entries that a format is known to hold and that nothing uses.

    Args:
        weights: entries that no table asks for.
        patterns: regular expressions of whole names.
        label: the format or part, for the message.
        prefix: put before the names.

    Raises:
        InputError: an entry matches no pattern; all such names are given.
    """
    pattern = re.compile("|".join(f"(?:{p})" for p in patterns) or r"(?!)")
    extra = [prefix + name for name in weights.tensors if not pattern.fullmatch(name)]
    if extra:
        raise InputError(
            f"{weights.origin}: {len(extra)} entries do not belong to {label}: {listed(extra)}; check the format "
            "and the reference configuration"
        )
    return [prefix + name for name in weights.tensors]


def fill(
    module: nn.Module,
    table: Sequence[Entry],
    weights: Weights,
    label: str,
    prefix: str = "",
    unused: Iterable[str] = (),
    computed: Mapping[str, Tensor] | None = None,
) -> list[str]:
    """Fills a module (made on the meta device) with published weights, in the types that they are stored in.

    Args:
        module: gets every parameter and persistent buffer from the file, but for those that are ``computed``.
        table: where each of its tensors stands.
        weights: the part of the file that belongs to the module, names without ``prefix``.
        label: name of the part, for messages.
        prefix: of the names in the file, for messages.
        unused: regular expressions of entries that the format is known to hold beside them.
        computed: entries that follow from the structure, whether the file has them or not.

    Returns:
        The full names of the known unused entries that are there.

    Raises:
        InputError: entries are missing, of another shape, not finite, not of a floating-point type, or unknown.
    """
    computed = computed or {}
    state = {name: tensor for name, tensor in module.state_dict().items() if name not in computed}
    _check_table(table, state, label)
    missing = [prefix + e.source for e in table if e.source not in weights.tensors]
    if missing:
        raise InputError(
            f"{weights.origin}: {len(set(missing))} entries of {label} are missing: "
            f"{listed(dict.fromkeys(missing))}; the file is incomplete or of another structure"
        )
    remaining = {name: tensor for name, tensor in weights.tensors.items() if name not in computed}
    for entry in table:
        remaining.pop(entry.source, None)
    report = known_unused(Weights(remaining, weights.origin), unused, label, prefix)
    shapes = [
        f"{prefix}{e.source} is {_shape(weights.tensors[e.source].shape)}, {_shape(_stored(e, state))} is needed"
        for e in table
        if not _fits(tuple(weights.tensors[e.source].shape), _stored(e, state))
    ]
    if shapes:
        raise InputError(
            f"{weights.origin}: {len(shapes)} entries of {label} have another shape: {listed(shapes)}"
        )
    _check_values({e.source: weights.tensors[e.source] for e in table}, weights.origin, prefix)
    filled = {}
    for entry in table:
        tensor = weights.tensors[entry.source]
        if entry.parts > 1:
            tensor = tensor.chunk(entry.parts)[entry.part]
        if entry.transposed:
            tensor = tensor.T
        filled[entry.target] = tensor.reshape(state[entry.target].shape).contiguous()
    module.load_state_dict({**filled, **computed}, assign=True)
    module.eval()
    return report


def _check_table(table: Sequence[Entry], state: Mapping[str, Any], label: str) -> None:
    targets = [entry.target for entry in table]
    wrong = set(targets) ^ set(state)
    if wrong or len(set(targets)) != len(targets):
        raise RuntimeError(f"the table of {label} does not fit its module: {listed(sorted(wrong))}")


def _check_values(tensors: Mapping[str, Tensor], origin: str, prefix: str) -> None:
    types = [f"{prefix}{name} ({t.dtype})" for name, t in tensors.items() if not t.is_floating_point()]
    if types:
        raise InputError(f"{origin}: weights must be floating-point numbers: {listed(types)}")
    tensors = {
        name: tensor for name, tensor in tensors.items() if not tensor.is_meta
    }  # shapes alone were read
    # A sum of finite values in float64 is finite, and one NaN or infinity makes it neither.
    bad = [prefix + n for n, t in tensors.items() if not torch.isfinite(t.sum(dtype=torch.float64))]
    if bad:
        raise InputError(
            f"{origin}: NaN or infinity in {len(bad)} entries: {listed(bad)}; the file is damaged or its "
            "training diverged: take another copy"
        )


def _stored(entry: Entry, state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The shape that an entry needs in the file."""
    shape = tuple(state[entry.target].shape)
    if entry.parts == 1:
        return shape[::-1] if entry.transposed else shape
    rows, *rest = shape
    return (rows * entry.parts, *rest)


def _fits(actual: tuple[int, ...], needed: tuple[int, ...]) -> bool:
    """Whether shapes agree up to a kernel of size 1: a pointwise convolution is a linear layer."""

    def trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        return shape

    return actual == needed or (min(len(actual), len(needed)) == 2 and trimmed(actual) == trimmed(needed))


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a scalar"
