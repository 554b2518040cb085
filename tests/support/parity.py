"""Parity with the published implementations: runs every case of a folder and prints its largest difference.

A case is ``CASE.json`` (configuration, published names and shapes) and ``CASE.npz`` (arrays ``in_*`` and ``out_*``).
Weights are drawn by a rule from their names, written to a file in the published naming, and brought in by the
importer. Run as ``python -m parity FOLDER``.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hummingbird.core.errors import InputError
from parity_cases import load_case, run_case

PAST, UNUSABLE = 1, 2
ROW = "{:<32} {:<20} {:>11} {:>9}  {}"


@dataclass(frozen=True)
class Compared:
    """One output of a case: its largest difference, absolute or relative, and what is tolerated."""

    case: str
    output: str
    difference: float
    tolerance: float
    relative: bool

    @property
    def within(self) -> bool:
        """Whether it is tolerated; NaN is not."""
        return self.difference <= self.tolerance


def compare(path: Path) -> list[Compared]:
    """The outputs of the case of a JSON file against ours.

    Raises:
        InputError: the case cannot be used, or the reference has an output that is not compared.
    """
    case = load_case(path)
    with TemporaryDirectory(prefix="parity-") as folder:
        made = run_case(case, Path(folder))
    expected = {name.removeprefix("out_"): t for name, t in case.arrays.items() if name.startswith("out_")}
    if odd := sorted(set(expected) ^ set(made)) or not expected:
        raise InputError(f"case {case.name}: outputs without a counterpart: {odd}")
    return [
        Compared(case.name, name, ours.difference(expected[name]), ours.tolerance, ours.relative)
        for name, ours in made.items()
    ]


def parity(folder: Path) -> int:
    """Runs and prints the cases of a folder; the exit code of the command.

    Every case is run, also after one that failed: 1 where an output is past its tolerance, else 2 where a case
    could not be used, else 0.

    Raises:
        InputError: no case in the folder.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"no cases in {folder}: give a folder of CASE.json and CASE.npz")
    past = unusable = 0
    print(ROW.format("case", "output", "difference", "tolerance", ""))
    for path in paths:
        try:
            outputs = compare(path)
        except (InputError, RuntimeError, ValueError) as error:  # the other cases are run all the same
            unusable += 1
            print(ROW.format(path.stem, "-", "-", "-", f"UNUSABLE: {error}"), flush=True)
            continue
        for one in outputs:
            past += not one.within
            remark = ("relative " if one.relative else "") + ("ok" if one.within else "PAST")
            shown = (f"{one.difference:.3g}", f"{one.tolerance:g}")
            print(ROW.format(one.case, one.output, *shown, remark), flush=True)
    if past or unusable:
        print(f"{past} outputs past tolerance, {unusable} cases that could not be used", file=sys.stderr)
    else:
        print(f"all {len(paths)} cases within tolerance")
    return PAST if past else UNUSABLE if unusable else 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m parity", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="CASE.json and CASE.npz of every case")
    try:
        return parity(parser.parse_args(argv).folder)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
